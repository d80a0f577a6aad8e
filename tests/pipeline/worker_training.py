"""One worker of a training by several processes; it prints what it saw as JSON.

`python worker_training.py ENGINE FOLDER EPOCHS [ADDRESS PROCESSES INDEX]`, where ENGINE
is alone, multi_worker (with TF_CONFIG) or data_parallel (with KERAS_BACKEND=jax).
Two shard files of 24 examples; a global batch of 8 takes 4 of each.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

SHARD, LOCAL_BATCH, WORKERS = 24, 4, 2
STEPS = SHARD // LOCAL_BATCH


def shard_content(index):
    random = np.random.default_rng(index)
    x = random.normal(size=(SHARD, 6)).astype("float32")
    y = (x.sum(axis=1, keepdims=True) > 0).astype("float32")
    return x, y, np.arange(SHARD) + index * SHARD


def build(keras):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.3, momentum=0.9),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    return model


def tensorflow_worker(engine, folder, epochs):
    from dlkeras.pipeline.machines import distribution
    from dlkeras.pipeline.tensorflow_import import keras, tf
    from dlkeras.pipeline.training.train_state import TrainState

    place = distribution.cluster()
    kind = "multi_worker" if engine == "multi_worker" else "none"
    strategy = distribution.strategy(kind)
    files = [0, 1]
    several = engine == "multi_worker"
    mine = files[place.index :: len(place.workers)] if several else files
    seen = []

    def batches(first_epoch):
        seen.clear()  # Keras looks at a first batch, and starts again
        for _ in range(first_epoch, epochs):
            parts = [shard_content(index) for index in mine]
            for step in range(STEPS):
                cut = slice(step * LOCAL_BATCH, (step + 1) * LOCAL_BATCH)
                seen.extend(int(i) for part in parts for i in part[2][cut])
                yield tuple(np.concatenate([p[i][cut] for p in parts]) for i in (0, 1))

    with strategy.scope():
        model = build(keras)
    state = TrainState(folder, 2)
    state.load(model)
    if not place.is_chief:
        state.on_epoch_end = lambda epoch, logs=None: None  # the chief alone writes
    # `fit` cuts each batch by the number of replicas, so two are handed over at once.
    local = LOCAL_BATCH * len(mine)
    dataset = tf.data.Dataset.from_generator(
        lambda: batches(state.epoch),
        output_signature=(
            tf.TensorSpec((None, 6), tf.float32),
            tf.TensorSpec((None, 1), tf.float32),
        ),
    )
    dataset = dataset.unbatch().batch(local * strategy.num_replicas_in_sync)
    options = tf.data.Options()  # a worker's own files are not to be cut again
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    dataset = dataset.with_options(options)
    slow = float(os.environ.get("SECONDS_PER_EPOCH", 0))
    pause = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: time.sleep(slow)
    )
    with distribution.lost_workers():
        history = model.fit(
            dataset,
            steps_per_epoch=STEPS,
            initial_epoch=state.epoch,
            epochs=epochs,
            callbacks=[*state.callbacks, pause],
            shuffle=False,
            verbose=0,
        )
    return model, history.history["loss"], seen, state


def jax_worker(address, processes, index, epochs):
    from dlkeras.pipeline.machines import distribution

    if processes > 1:
        distribution.data_parallel(address, processes, index)
    import keras

    model = build(keras)
    parts = [shard_content(i) for i in ([index] if processes > 1 else [0, 1])]
    losses = []
    for _ in range(epochs):
        order = [
            np.concatenate(
                [
                    p[i][s * LOCAL_BATCH : (s + 1) * LOCAL_BATCH]
                    for s in range(STEPS)
                    for p in parts
                ]
            )
            for i in (0, 1)
        ]
        history = model.fit(
            *order, batch_size=LOCAL_BATCH * len(parts), shuffle=False, verbose=0
        )
        losses.append(history.history["loss"][0])
    return model, losses


def main(engine, folder, epochs, address=None, processes=1, index=0):
    seen, epoch = [], None
    if engine == "data_parallel":
        model, losses = jax_worker(address, int(processes), int(index), int(epochs))
    else:
        model, losses, seen, state = tensorflow_worker(
            engine, Path(folder), int(epochs)
        )
        epoch = state.epoch
    weights = [np.asarray(w) for w in model.get_weights()]
    digest = hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest()
    print(
        json.dumps(
            {
                "losses": losses,
                "seen": seen,
                "digest": digest,
                "weights": [w.tolist() for w in weights],
                "epoch": epoch,
            }
        )
    )


if __name__ == "__main__":
    from dlkeras.pipeline.machines.worker_watch import end_process
    from dlkeras.pipeline.store.errors import WorkerLostError

    try:
        main(*sys.argv[1:])
    except WorkerLostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        end_process(problem.exit_code)
