"""Networks in half precision: their answers, and where their training ends."""

import keras
import numpy as np
import pytest

from dlkeras.architectures import create, names, resnet20
from dlkeras.transfer import replace_head
from dlkeras.visualization import grad_cam_map, saliency_map

# Deeper networks of a family have the same head.
SMALL = [n for n in names() if n in ("resnet18", "resnet20") or "resnet" not in n]
OPTIONS = {
    "alexnet": {"width_multiplier": 0.25},
    "googlenet": {"auxiliary": True, "width_multiplier": 0.25},
    "resnet18": {"width_multiplier": 0.25},
}


def built(policy, make):
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", SMALL)
def test_networks_of_half_precision_answer_in_float32(name):
    """Keras's guide to mixed precision asks for it: softmax loses most of all."""
    size = 96 if name in ("alexnet", "googlenet") else 32
    options = {"input_shape": (size, size, 3), "num_classes": 7}

    def make():
        return create(name, **options, **OPTIONS.get(name, {}))

    for policy in ("mixed_bfloat16", "mixed_float16", "bfloat16"):
        assert built(policy, make).output.dtype == "float32"
    model = built("mixed_bfloat16", make)
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    answers = keras.ops.convert_to_numpy(model(np.ones((2, size, size, 3), "float32")))
    assert answers.dtype == "float32"
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-6)  # bfloat16: up to 0.004
    headed = built("mixed_bfloat16", lambda: replace_head(model, 3))
    assert headed.output.dtype == "float32"


def test_explanations_of_a_network_of_half_precision_are_in_float32():
    model = built("mixed_bfloat16", lambda: create("lenet5"))
    images = np.random.default_rng(0).random((2, 32, 32, 1), "float32")
    for explain in (grad_cam_map, saliency_map):
        found, _ = explain(model, images)
        assert found.dtype == "float32"


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
