"""The main job as a plain script of Keras, keras-tuner and MLflow would do it.

    python benchmarks/plain_job.py FOLDER

The same digits, network, search, augmentation, epochs and registration. It makes no
statistics, schema, checkpoints, manifest or card, and tries no served model.
"""

import sys
import time
from pathlib import Path

import keras
import keras_tuner
import mlflow
import numpy as np
import psutil
import tensorflow as tf
from plain_keras import lenet5
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

IMPORTED = time.time()
BATCH, EPOCHS, TRIALS, TRIAL_EPOCHS = 32, 40, 3, 2
# Of 1,797 digits, as many as the main job has in each split.
VALIDATION, TEST = 270, 359


def splits():
    """Digits as 32 x 32 images from 0 to 1, and their labels, by split."""
    digits = load_digits()
    images = np.round(digits.images * 255 / 16)[..., None] / 255
    images = np.asarray(tf.image.resize(images, (32, 32), antialias=True), "float32")
    rest, test, y_rest, y_test = train_test_split(
        images, digits.target, test_size=TEST, stratify=digits.target, random_state=0
    )
    train, validation, y_train, y_validation = train_test_split(
        rest, y_rest, test_size=VALIDATION, stratify=y_rest, random_state=0
    )
    return (train, y_train), (validation, y_validation), (test, y_test)


def batches(train, strength):
    """Shuffled, augmented batches of training images."""
    augmented = keras.Sequential(
        [
            keras.layers.RandomTranslation(
                0.08 * strength, 0.08 * strength, fill_mode="constant"
            ),
            keras.layers.RandomRotation(12 / 360 * strength, fill_mode="constant"),
            keras.layers.RandomZoom(0.12 * strength, fill_mode="constant"),
        ]
    )
    data = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train[0])).batch(BATCH)
    return data.map(
        lambda images, labels: (augmented(images, training=True), labels),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(tf.data.AUTOTUNE)


def compiled(rate, epochs, examples):
    """LeNet-5 with Adam and a cosine from `rate` to nothing."""
    network = lenet5()
    steps = epochs * -(-examples // BATCH)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return network


class Search(keras_tuner.RandomSearch):
    """The augmentation is a dimension, too, so that each trial has its own batches."""

    def __init__(self, train, **options):
        super().__init__(**options)
        self.train = train

    def run_trial(self, trial, **options):
        values = trial.hyperparameters
        data = batches(self.train, values.Float("augmentation_strength", 0.6, 1.4))
        return super().run_trial(trial, data, **options)


def main() -> None:
    folder = Path(sys.argv[1])
    keras.utils.set_random_seed(0)
    train, validation, test = splits()

    def built(values):
        rate = values.Float("learning_rate", 5e-4, 4e-3, sampling="log")
        values.Float("augmentation_strength", 0.6, 1.4)
        return compiled(rate, TRIAL_EPOCHS, len(train[0]))

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("plain", (folder / "artifacts").as_uri())
    mlflow.set_experiment("plain")
    search = Search(
        train,
        hypermodel=built,
        objective="val_loss",
        max_trials=TRIALS,
        seed=0,
        directory=folder,
        project_name="search",
    )
    said = {"verbose": 0, "validation_data": validation}
    search.search(epochs=TRIAL_EPOCHS, **said)
    best = search.get_best_hyperparameters()[0].values
    searched = time.time()
    with mlflow.start_run():
        mlflow.log_params(best)
        network = compiled(best["learning_rate"], EPOCHS, len(train[0]))
        stopping = keras.callbacks.EarlyStopping(patience=12, restore_best_weights=True)
        network.fit(
            batches(train, best["augmentation_strength"]),
            epochs=EPOCHS,
            callbacks=[stopping, mlflow.keras.MlflowCallback()],
            **said,
        )
        trained = time.time()
        _, accuracy = network.evaluate(*test, verbose=0)
        mlflow.log_metric("test_accuracy", accuracy)
        signature = mlflow.models.infer_signature(test[0][:1], network(test[0][:1]))
        mlflow.keras.log_model(
            network,
            name="model",
            signature=signature,
            registered_model_name="plain",
            pip_requirements=["keras", "tensorflow"],
        )
    ended = time.time()
    for name, seconds in {
        "imports": IMPORTED - psutil.Process().create_time(),
        "search": searched - IMPORTED,
        "training": trained - searched,
        "test and registration": ended - trained,
    }.items():
        print(f"{name} done in {seconds:.1f} s")
    print(f"accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
