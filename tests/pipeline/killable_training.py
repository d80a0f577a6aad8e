"""A training with all that a checkpoint must hold; it prints what it ended with.

`python killable_training.py FOLDER`: dropout, augmentation layers, mixed precision with
a dynamic loss scale, early stopping, ReduceLROnPlateau, checkpoints within epochs, and
the pipeline's monitors of gradients and activations.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.tensorflow_import import keras, tf
from dlkeras.pipeline.training.monitoring import Monitoring
from dlkeras.pipeline.training.train_state import TrainState

EXAMPLES, BATCH, EPOCHS = 56, 8, 8
STEPS = EXAMPLES // BATCH


def main(folder: Path) -> None:
    keras.utils.set_random_seed(5)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy("mixed_float16")
    random = np.random.default_rng(0)
    images = random.uniform(size=(EXAMPLES, 8, 8, 1)).astype("float32")
    labels = (images.mean(axis=(1, 2, 3)) > 0.5).astype("int64")

    def epoch_batches(epoch):
        order = np.random.default_rng([1, epoch]).permutation(EXAMPLES)
        return tf.data.Dataset.from_tensor_slices((images[order], labels[order])).batch(
            BATCH
        )

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.layers.RandomFlip(),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.SpatialDropout2D(0.2),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2, dtype="float32", activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.05),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    kept = {"monitor": "val_loss", "mode": "min"}
    stopping = keras.callbacks.EarlyStopping(
        patience=3, restore_best_weights=True, **kept
    )
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, **kept)
    monitoring = Monitoring(
        TrainerConfig(gradient_frequency=2),
        images[:16],
        folder=folder / "figures",
        say=lambda line: None,
        on_figures=lambda figures, epoch: None,
    )
    state = TrainState(
        folder,
        2,
        [stopping, plateau],
        save_freq=3,
        steps=STEPS,
        monitoring=monitoring,
    )
    resumed = state.load(model, (images[:1], labels[:1]))
    where = [state.epoch, state.step]
    batches = epoch_batches(state.epoch).skip(state.step)
    for epoch in range(state.epoch + 1, EPOCHS):
        batches = batches.concatenate(epoch_batches(epoch))
    if state.stopped or state.epoch == EPOCHS:
        state.give_back()
        stopping.set_model(model)
        stopping.on_train_end()
    else:
        model.fit(
            batches,
            steps_per_epoch=STEPS,
            initial_epoch=state.epoch,
            epochs=EPOCHS,
            validation_data=(images[:16], labels[:16]),
            callbacks=[*monitoring.callbacks, *state.callbacks],
            shuffle=False,
            verbose=0,
        )
    variables = [*model.variables, *model.optimizer.variables]
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(np.asarray(variable).tobytes())
    measured = {
        name: hashlib.sha256(array.tobytes()).hexdigest()
        for name, array in monitoring.get_state().items()
    }
    print(
        json.dumps(
            {
                "measured": measured,
                "findings": monitoring.findings,
                "resumed": resumed,
                "from": where,
                "digest": digest.hexdigest(),
                "history": state.history,
                "loss_scaled": type(model.optimizer).__name__,
                "best_epoch": int(stopping.best_epoch),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
