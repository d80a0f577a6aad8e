"""Training in bfloat16 ends where training in float32 does, within the seeds' noise."""

import keras
import numpy as np
import pytest

from dlkeras.architectures import resnet20


def accuracy(policy, seed, x, y):
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    try:
        model = resnet20((8, 8, 1), num_classes=10, width_multiplier=0.5)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(
        keras.optimizers.Adam(2e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    train, test = slice(0, 1200), slice(1200, None)
    model.fit(x[train], y[train], batch_size=64, epochs=8, verbose=0)
    return model.evaluate(x[test], y[test], batch_size=597, verbose=0)[1]


@pytest.mark.slow
def test_bfloat16_is_as_accurate_as_float32_within_the_noise_of_the_seeds():
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    x = (digits.images[..., None] / 8 - 1).astype("float32")
    found = {
        policy: [accuracy(policy, seed, x, digits.target) for seed in range(5)]
        for policy in ("float32", "mixed_bfloat16")
    }
    single, half = found["float32"], found["mixed_bfloat16"]
    assert np.mean(single) > 0.9  # it learns
    noise = np.sqrt((np.var(single, ddof=1) + np.var(half, ddof=1)) / 5)
    assert abs(np.mean(single) - np.mean(half)) < 3 * noise + 0.002, found
