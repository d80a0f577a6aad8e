"""LeNet-5 against Table 13-1 of the course, row by row."""

import keras
import numpy as np
import pytest

from dlkeras.architectures import create, lenet5, names

# Name, type, maps, size, kernel, stride, activation: the rows as the course has them.
TABLE_13_1 = [
    ("C1", "Convolution", 6, 28, 5, 1, "tanh"),
    ("S2", "Avg Pooling", 6, 14, 2, 2, "tanh"),
    ("C3", "Convolution", 16, 10, 5, 1, "tanh"),
    ("S4", "Avg Pooling", 16, 5, 2, 2, "tanh"),
    ("C5", "Convolution", 120, 1, 5, 1, "tanh"),
]
TYPES = {
    "Convolution": keras.layers.Conv2D,
    "Avg Pooling": keras.layers.AveragePooling2D,
}


@pytest.mark.parametrize("row", TABLE_13_1, ids=[row[0] for row in TABLE_13_1])
def test_each_row_of_table_13_1_is_a_layer(row):
    name, kind, maps, size, kernel, stride, activation = row
    model = lenet5()
    layer = model.get_layer(name)
    assert isinstance(layer, TYPES[kind])
    assert layer.output.shape == (None, size, size, maps)
    window = layer.kernel_size if kind == "Convolution" else layer.pool_size
    assert tuple(window) == (kernel, kernel)
    assert tuple(layer.strides) == (stride, stride)
    assert layer.padding == "valid"
    if kind == "Avg Pooling":
        layer = model.get_layer(f"{name}_activation")
    assert layer.activation.__name__ == activation


def test_f6_has_84_units_and_the_output_10():
    model = lenet5()
    assert model.input_shape == (None, 32, 32, 1)
    assert model.get_layer("F6").units == 84
    assert model.get_layer("F6").activation.__name__ == "tanh"
    assert model.output_shape == (None, 10)


def test_it_has_61_706_parameters():
    assert lenet5().count_params() == 61_706


def test_it_has_416_520_multiply_adds():
    total = 0
    for layer in lenet5().layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            total += height * width * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Dense):
            total += int(np.prod(layer.kernel.shape))
    assert total == 416_520


def test_it_computes_what_a_numpy_lenet_computes():
    keras.utils.set_random_seed(0)
    model = lenet5()
    image = np.random.default_rng(0).normal(size=(32, 32, 1))
    x = image
    for name in ("C1", "S2", "C3", "S4", "C5"):
        if name.startswith("C"):
            kernel, bias = (np.asarray(w, "float64") for w in model.get_layer(name).
                            get_weights())  # fmt: skip
            windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(0, 1))
            x = np.einsum("hwcij,ijcf->hwf", windows, kernel) + bias
        else:
            height, width, maps = x.shape
            x = x.reshape(height // 2, 2, width // 2, 2, maps).mean(axis=(1, 3))
        x = np.tanh(x)
    x = x.reshape(-1)
    for name in ("F6", "Out"):
        kernel, bias = model.get_layer(name).get_weights()
        x = x @ kernel + bias
        x = np.tanh(x) if name == "F6" else np.exp(x) / np.exp(x).sum()
    output = np.asarray(model(image[None].astype("float32")))[0]
    assert np.allclose(output, x, atol=1e-5)


def test_an_input_too_small_for_c5_is_refused():
    with pytest.raises(ValueError, match=r"at least 32x32.*\(28, 28, 1\)"):
        lenet5(input_shape=(28, 28, 1))
    with pytest.raises(ValueError, match="num_classes must be at least 1"):
        lenet5(num_classes=0)


def test_the_registry_creates_by_name_and_names_near_ones():
    assert "lenet5" in names()
    assert names("x*") == []
    assert create("lenet5", num_classes=3).output_shape == (None, 3)
    with pytest.raises(
        ValueError, match=r"did you mean lenet5\? Received: name='lenet'"
    ):
        create("lenet")
