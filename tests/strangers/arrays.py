"""What strangers bring to the figures: arrays, labels and histories as they come.

Every fault that somebody finds with data of their own adds a line here.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
from scipy import sparse


def _random(*shape):
    return np.random.default_rng(0).random(shape)


def _with(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


def _history(**metrics):
    """What `fit` returns, without the hours before it."""
    return SimpleNamespace(history=metrics, model=SimpleNamespace(loss="mse"))


EPOCHS = {"loss": [1.0, 0.5, 0.3, 0.2], "mae": [0.9, 0.6, 0.5, 0.4]}
RATES = np.array([[0.75, 0.25, 0.0], [0.1, 0.9, 0.0], [0.0, 0.002, 0.998]])
PHOTOS = (_random(3, 8, 8, 3) * 255).astype("uint8")


def zoo():
    """A fresh value for each name."""
    return {
        # Images
        "mnist, no channels": (_random(3, 28, 28) * 255).astype("uint8"),
        "mnist": (_random(3, 28, 28, 1) * 255).astype("uint8"),
        "photos": PHOTOS,
        "photos of 0 to 1": PHOTOS / 255,
        "photos of -1 to 1": PHOTOS / 127.5 - 1,
        "photos, standardised": (PHOTOS - PHOTOS.mean()) / PHOTOS.std(),
        "photos of half precision": (PHOTOS / 255).astype("float16"),
        "photos, channels first": np.moveaxis(PHOTOS, -1, 1),
        "photos with alpha": np.concatenate([PHOTOS, PHOTOS[..., :1]], -1),
        "photos of six bands": np.concatenate([PHOTOS, PHOTOS], -1),
        "photos of two sizes": [PHOTOS[0], PHOTOS[1, :5, :6]],
        "photos as a tensor": keras.ops.convert_to_tensor(PHOTOS / np.float32(255)),
        "photos as a variable": keras.Variable(PHOTOS / np.float32(255)),
        "photos of bfloat16": keras.ops.cast(PHOTOS / np.float32(255), "bfloat16"),
        "one photo": PHOTOS[0],
        "one grey photo": PHOTOS[0, ..., 0],
        "white photos": np.full((3, 8, 8, 3), 255, "uint8"),
        "a white photo of 0 to 1": np.ones((1, 8, 8, 1)),
        "a pixel of NaN": _with(PHOTOS / 255, (0, 2, 3), np.nan),
        "a pixel of infinity": _with(PHOTOS / 255, (0, 2, 3, 0), np.inf),
        "photos of NaN": np.full((3, 8, 8, 3), np.nan),
        "a mask": _random(3, 8, 8) > 0.5,
        "images of 16 bits": (_random(3, 8, 8, 1) * 65535).astype("uint16"),
        "no photo": np.zeros((0, 8, 8, 3)),
        # Labels and answers
        "labels": np.array([0, 1, 2]),
        "labels of keras.datasets": np.array([[0], [1], [2]], "uint8"),
        "labels, one-hot": np.eye(3),
        "labels of text": np.array(["cat", "dog", "owl"]),
        "labels as a series": pd.Series(["cat", "dog", "owl"]),
        "labels from 1": [1, 2, 3],
        "labels with -1": [0, -1, 2],
        "a column of a sigmoid": np.array([[0.99], [0.2], [0.6]]),
        "logits": np.array([[5.0, -2.0, 1.0], [0.0, 3.0, 9.0], [1.0, 2.0, 3.0]]),
        # Counts and rates
        "counts": np.array([[5, 1, 0], [0, 6, 0], [2, 0, 4]]),
        "rates": RATES,
        "rates with a class without examples": _with(RATES, 1, np.nan),
        "rates, one masked": np.ma.masked_array(RATES, RATES == 0.25),
        "vanishing numbers": np.full((3, 3), 1e-320),
        "counts of 150 classes": np.diag(np.arange(150)) + np.eye(150, k=3, dtype=int),
        # Errors, kernels and outputs
        "complex errors": np.full((2, 30), 1 + 1j),
        "kernel of a Conv1D": _random(3, 1, 8) - 0.5,
        "kernel of a Dense": _random(5, 3),
        "output of a Dense": _random(10),
        "vanished outputs": np.array([1e-9, 3e-9] * 5),
        # Histories
        "history": EPOCHS,
        "history of fit": _history(**EPOCHS),
        "history as a frame": pd.DataFrame(EPOCHS),
        "history with gaps": pd.DataFrame(
            {"loss": [1.0, None, 0.5], "val_loss": [None, None, 0.7]}
        ),
        "history of dictionaries": [{"loss": 1.0}, {"loss": 0.5, "val_loss": 0.6}],
        "history, validated every second": {**EPOCHS, "val_loss": [0.7, 0.6]},
        "history that begins with NaN": {
            "loss": [np.nan, 1.0, 0.5],
            "val_loss": [np.nan, 0.8, 0.9],
        },
        "history of one epoch": {"loss": [0.5], "val_loss": [0.6]},
        "history of no epoch": {"loss": []},
        "history below 0": {"loss": [0.5, -0.5, -1.5]},
        "history of several outputs": {"loss": [[1.0, 2.0], [3.0, 4.0]]},
        "history of eleven layers": {f"a_rather_long_{n}": [n, 2] for n in range(11)},
        # Numbers at the ends, and of other libraries
        "infinities": np.full((3, 3), np.inf),
        "huge numbers": np.full((3, 3), 1e300),
        "numbers of 80 bits": _random(3, 3).astype("longdouble"),
        "a sparse matrix": sparse.csr_array(np.eye(3)),
        # What is nothing of all that
        "nothing": None,
        "a number": 3.5,
        "a number as an array": np.array(3),
        "a word": "relu",
        "words": ["cat", "dog", "owl"],
        "an empty list": [],
        "an empty dictionary": {},
        "ragged rows": [[1.0, 2.0], [3.0]],
        "objects": np.array([None, object(), 3], object),
        "a nested dictionary": {"train": {"cat": 3}},
        "a dictionary of pairs": {"train": [[1, 2], [3, 4]]},
        "a dictionary of text": {"train": "cat"},
        "a generator": (x for x in PHOTOS),
    }
