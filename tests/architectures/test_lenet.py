"""LeNet-5 against Table 13-1 of the course, row by row, and the paper of 1998."""

import keras
import numpy as np
import pytest
from published import TABLES, built

from dlkeras.architectures import MaximumAPosteriori, create, lenet5, names
from dlkeras.layers import (
    PartiallyConnectedConv2D,
    RBFOutput,
    Subsampling2D,
    digit_bitmaps,
    scaled_tanh,
)

ROWS = TABLES["table_13_1"]["rows"]
TABLE_13_1 = [row for row in ROWS if row[1] != "Fully Connected"]
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
    assert [row[3] for row in ROWS if row[1] == "Fully Connected"] == [84, 10]
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
    output = keras.ops.convert_to_numpy(model(image[None].astype("float32")))[0]
    assert np.allclose(output, x, atol=1e-5)


def test_an_input_too_small_for_c5_is_refused():
    with pytest.raises(ValueError, match=r"at least 32x32.*\(28, 28, 1\)"):
        lenet5(input_shape=(28, 28, 1))
    with pytest.raises(ValueError, match="num_classes must be at least 1"):
        lenet5(num_classes=-1)


def test_the_registry_creates_by_name_and_names_near_ones():
    assert "lenet5" in names()
    assert names("x*") == []
    assert create("lenet5", num_classes=3).output_shape == (None, 3)
    with pytest.raises(
        ValueError, match=r"did you mean lenet5 or.*Received: name='lenet'"
    ):
        create("lenet")


def connections(layer):
    """Return what the paper counts: weights and biases, once for each pixel."""
    pixels = 1
    if len(layer.output.shape) == 4:
        pixels = layer.output.shape[1] * layer.output.shape[2]
    if isinstance(layer, Subsampling2D):  # four pixels and a bias for each map
        return pixels * layer.output.shape[-1] * (2 * 2 + 1)
    return pixels * layer.count_params()


def test_the_network_of_1998_has_the_papers_340_908_connections():
    model = built("lenet5", version="1998")
    counts = {layer.name: connections(layer) for layer in model.layers if layer.weights}
    assert counts == {  # section II.B, layer by layer
        "C1": 122_304,
        "S2": 5_880,
        "C3": 151_600,
        "S4": 2_000,
        "C5": 48_120,
        "F6": 10_164,
        "Out": 840,
    }
    assert sum(counts.values()) == 340_908


def test_the_network_of_1998_is_made_of_the_papers_parts():
    model = built("lenet5", version="1998")
    assert isinstance(model.get_layer("C3"), PartiallyConnectedConv2D)
    assert isinstance(model.get_layer("S2"), Subsampling2D)
    assert isinstance(model.get_layer("S4"), Subsampling2D)
    assert isinstance(model.get_layer("Out"), RBFOutput)
    for name in ("C1", "S2", "C3", "S4", "C5", "F6"):
        assert model.get_layer(name).activation is scaled_tanh
    kernel, _ = model.get_layer("F6").get_weights()
    assert 0.95 * 2.4 / 120 < np.abs(kernel).max() <= 2.4 / 120


def test_table_13_1_can_be_built_with_rbf_units():
    model = lenet5(output="rbf")
    assert isinstance(model.get_layer("Out"), RBFOutput)
    assert model.count_params() == 61_706 - 850 + 840


def test_the_map_loss_is_equation_9():
    distances = np.array([[3.0, 50.0, 7.0], [20.0, 0.5, 90.0]])
    classes = np.array([2, 1])
    own = distances[[0, 1], classes]
    expected = own + np.log(np.exp(-42.0) + np.exp(-distances).sum(axis=1))
    loss = MaximumAPosteriori(reduction=None)(classes, distances.astype("float32"))
    assert np.allclose(keras.ops.convert_to_numpy(loss), expected, rtol=1e-6)
    # Squared distances of hundreds must not overflow the exponentials.
    far = MaximumAPosteriori(j=1.0)(np.array([0]), np.array([[900.0, 800.0]], "f"))
    assert float(far) == pytest.approx(900 - 1, rel=1e-6)
    again = MaximumAPosteriori.from_config(MaximumAPosteriori(j=7.0).get_config())
    assert again.j == 7.0
    with pytest.raises(ValueError, match="j must be positive"):
        MaximumAPosteriori(j=0)


def test_the_network_of_1998_learns_bitmaps_with_the_map_loss():
    keras.utils.set_random_seed(0)
    model = lenet5(version="1998")
    model.compile(keras.optimizers.Adam(0.003), MaximumAPosteriori())
    # Ten images of blocks, one for each class: whole, so that the fact is quick.
    rng = np.random.default_rng(0)
    blocks = rng.uniform(-0.1, 1.175, size=(10, 8, 8, 1))
    images = np.kron(blocks, np.ones((1, 4, 4, 1))).astype("float32")
    model.fit(images, np.arange(10), epochs=60, batch_size=10, verbose=0)
    distances = model.predict(images, verbose=0)
    assert distances.argmin(axis=1).tolist() == list(range(10))
    assert np.allclose(
        keras.ops.convert_to_numpy(model.get_layer("Out").centers), digit_bitmaps()
    )


def test_breadth_of_lenets_options():
    assert lenet5(num_classes=0).output_shape == (None, 1, 1, 120)
    assert lenet5((48, 40, 3), num_classes=0, pooling="avg").output_shape == (None, 120)
    assert lenet5(width_multiplier=2.0).get_layer("C3").filters == 32
    assert lenet5(dropout=0.5).get_layer("dropout").rate == 0.5
    assert lenet5(version="1998", num_classes=4).output_shape == (None, 4)
    ink = lenet5(include_preprocessing=True).get_layer("preprocessing")
    ends = ink(np.array([0.0, 255.0], "float32"))
    assert keras.ops.convert_to_numpy(ends).tolist() == pytest.approx([-0.1, 1.175])
    with pytest.raises(ValueError, match="width_multiplier must be 1"):
        lenet5(version="1998", width_multiplier=2.0)
    with pytest.raises(ValueError, match="output must be one of"):
        lenet5(output="softmax")
