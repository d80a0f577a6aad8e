"""One process, no engine: trains on what several machines take by file, put together.

`python union_training.py STORE EPOCHS MACHINES`; prints the history and the
weights as JSON. KERAS_BACKEND is tensorflow or jax.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np


def main(store, epochs, machines):
    import keras  # before the pipeline, which else takes it on TensorFlow

    # isort: split
    from dlkeras.pipeline import TrainerConfig
    from dlkeras.pipeline.artifacts.types import Examples, Transform
    from dlkeras.pipeline.batches.input_pipeline import steps_per_epoch
    from dlkeras.pipeline.store.publishing import Store
    from dlkeras.pipeline.training.network import compiled_network, make_deterministic

    if os.environ["KERAS_BACKEND"] == "jax":
        from dlkeras.pipeline.batches.batch_feeding import (
            evaluation_batches,
            training_batches,
        )
    else:
        from dlkeras.pipeline.batches.input_pipeline import (
            evaluation_batches,
            training_batches,
        )
    examples = Store(store).artifacts(Examples)[-1]
    transform = Store(store).artifacts(Transform)[-1]
    config = TrainerConfig(epochs=epochs)
    steps = steps_per_epoch(examples, config.batch_size)
    assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
    make_deterministic(0)
    model = compiled_network(
        config,
        input_shape=transform.input_shape,
        num_classes=len(examples.labels),
        learning_rate=config.learning_rate,
        steps=steps * epochs,
    )
    parts = [
        training_batches(
            examples,
            transform,
            batch_size=config.batch_size,
            seed=0,
            augmentation_strength=config.augmentation_strength,
            first_epoch=0,
            epochs=epochs,
            part=(machine, machines),
            sharding="file",
        ).as_numpy_iterator()
        for machine in range(machines)
    ]

    def batches():
        for step in zip(*parts, strict=True):
            # Without the rows that only fill, and so without weights.
            yield tuple(
                np.concatenate([batch[i][batch[2] > 0] for batch in step])
                for i in (0, 1)
            )

    validation = evaluation_batches(
        examples, transform, "validation", config.batch_size
    ).cache()
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss",
        mode="min",
        patience=config.early_stopping_patience,
        restore_best_weights=True,
    )
    history = model.fit(
        batches(),
        steps_per_epoch=steps,
        epochs=epochs,
        validation_data=validation,
        callbacks=[stopping],
        shuffle=False,
        verbose=0,
    ).history
    weights = [np.asarray(w).tolist() for w in model.get_weights()]
    print(json.dumps({"history": history, "weights": weights}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
