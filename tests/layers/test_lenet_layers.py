"""LeNet-5's parts equal the paper's equations and count what the paper counts."""

import keras
import numpy as np
import pytest
from numpy_images import convolve, pool, randomize

from dlkeras.layers import (
    LENET5_C3_TABLE,
    PartiallyConnectedConv2D,
    Subsampling2D,
    scaled_tanh,
)


def image(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_scaled_tanh_is_1_7159_tanh_of_two_thirds():
    x = np.linspace(-3, 3, 25, dtype="float32")
    expected = 1.7159 * np.tanh(2 / 3 * x.astype("float64"))
    np.testing.assert_allclose(numpy(scaled_tanh(x)), expected, atol=1e-6)
    np.testing.assert_allclose(numpy(scaled_tanh(np.float32(1.0))), 1.0, atol=1e-4)


def test_scaled_tanh_is_an_activation_that_saves():
    layer = keras.layers.Dense(2, activation=scaled_tanh)
    again = keras.layers.Dense.from_config(layer.get_config())
    assert again.activation is scaled_tanh


def test_table_1_has_60_connections_in_the_papers_groups():
    assert LENET5_C3_TABLE.shape == (6, 16)
    assert LENET5_C3_TABLE.sum() == 60
    # "The first six C3 feature maps take inputs from every contiguous subset of three
    # feature maps", the next six of four, three from discontinuous four, one from all
    fan_in = LENET5_C3_TABLE.sum(axis=0)
    assert fan_in.tolist() == [3] * 6 + [4] * 9 + [6]
    for maps, size in ((range(6), 3), (range(6, 12), 4)):
        for start, output in enumerate(maps):
            inputs = {(start + step) % 6 for step in range(size)}
            assert set(np.flatnonzero(LENET5_C3_TABLE[:, output])) == inputs


def test_c3_has_1_516_parameters():
    c3 = PartiallyConnectedConv2D(LENET5_C3_TABLE, 5)
    c3.build((None, 14, 14, 6))
    assert c3.count_params() == 1_516


def test_lenet_5_has_60_000_trainable_parameters():
    layers = [
        (keras.layers.Conv2D(6, 5), (None, 32, 32, 1)),
        (Subsampling2D(), (None, 28, 28, 6)),
        (PartiallyConnectedConv2D(LENET5_C3_TABLE, 5), (None, 14, 14, 6)),
        (Subsampling2D(), (None, 10, 10, 16)),
        (keras.layers.Conv2D(120, 5), (None, 5, 5, 16)),
        (keras.layers.Dense(84), (None, 120)),
    ]
    for layer, shape in layers:
        layer.build(shape)
    assert sum(layer.count_params() for layer, _ in layers) == 60_000


@pytest.mark.parametrize(("size", "strides"), [(2, None), (3, 2), (2, 3)])
def test_subsampling_equals_loops_in_numpy(size, strides):
    layer = Subsampling2D(size, strides, activation=scaled_tanh)
    x = image(2, 7, 8, 3)
    layer.build(x.shape)
    randomize(layer)
    coefficient, bias = (numpy(w).astype("float64") for w in layer.weights)
    induced = coefficient * pool(x, size, strides or size, np.sum) + bias
    expected = 1.7159 * np.tanh(2 / 3 * induced)
    np.testing.assert_allclose(numpy(layer(x)), expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


def test_subsampling_starts_as_average_pooling():
    x = image(2, 6, 6, 3)
    expected = pool(x, 2, 2, np.mean)
    np.testing.assert_allclose(numpy(Subsampling2D()(x)), expected, atol=1e-6)


@pytest.mark.parametrize("implementation", [1, 2])
def test_c3_equals_one_convolution_per_output_map(implementation):
    c3 = PartiallyConnectedConv2D(
        LENET5_C3_TABLE, 5, bias_initializer="ones", implementation=implementation
    )
    x = image(2, 9, 8, 6)
    got = numpy(c3(x))
    kernels = numpy(c3.kernel)
    connection = 0
    full = np.zeros((5, 5, 6, 16))
    for row in range(6):
        for column in range(16):
            if LENET5_C3_TABLE[row, column]:
                full[:, :, row, column] = kernels[:, :, connection]
                connection += 1
    for column in range(16):
        inputs = np.flatnonzero(LENET5_C3_TABLE[:, column])
        alone = convolve(x[..., inputs], full[:, :, inputs, column : column + 1])
        np.testing.assert_allclose(got[..., column], alone[..., 0] + 1, atol=1e-5)


def counted_operations(layer, x):
    """Floating-point operations of a call, as the backend itself counts them."""
    x = keras.ops.convert_to_tensor(x)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(layer).lower(x).cost_analysis()["flops"]
    if keras.backend.backend() == "torch":
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            layer(x)
        return counter.get_total_flops()
    import tensorflow as tf

    graph = tf.function(layer).get_concrete_function(x).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


@pytest.mark.parametrize(("implementation", "products"), [(1, 2_400), (2, 1_500)])
def test_the_second_implementation_multiplies_for_existing_connections_only(
    implementation, products
):
    c3 = PartiallyConnectedConv2D(
        LENET5_C3_TABLE, 5, use_bias=False, implementation=implementation
    )
    x = image(2, 14, 14, 6)
    c3.build(x.shape)
    pixels = 2 * 10 * 10
    counted = counted_operations(c3, x)
    assert counted == pytest.approx(2 * products * pixels, rel=0.05)


def test_both_implementations_have_the_same_gradients_of_the_loss():
    x, y = image(8, 9, 9, 6), image(8, 5, 5, 16)
    trained = []
    for implementation in (1, 2):
        layer = PartiallyConnectedConv2D(
            LENET5_C3_TABLE, 5, implementation=implementation
        )
        model = keras.Sequential([keras.Input((9, 9, 6)), layer])
        layer.kernel.assign(0.1 * image(*layer.kernel.shape))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        trained.append([numpy(w) for w in layer.weights])
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("implementation", [1, 2])
def test_c3_equals_torch(implementation):
    torch = pytest.importorskip("torch")
    table = np.array([[1, 0, 1, 1], [0, 1, 1, 0]])
    layer = PartiallyConnectedConv2D(
        table, (3, 2), (1, 2), activation="relu", implementation=implementation
    )
    x = image(2, 7, 8, 2)
    layer.build(x.shape)
    randomize(layer)
    kernel, bias = (torch.from_numpy(numpy(w)) for w in layer.weights)
    full = torch.zeros(4, 2, 3, 2)
    for number, (row, column) in enumerate(np.argwhere(table)):
        full[column, row] = kernel[..., number]
    with torch.no_grad():
        nchw = torch.from_numpy(x).permute(0, 3, 1, 2)
        y = torch.nn.functional.conv2d(nchw, full, bias, stride=(1, 2)).relu()
    np.testing.assert_allclose(
        numpy(layer(x)), y.permute(0, 2, 3, 1).cpu().numpy(), atol=1e-5
    )


def test_an_output_map_ignores_the_maps_it_is_not_connected_to():
    c3 = PartiallyConnectedConv2D(LENET5_C3_TABLE, 3)
    x = image(1, 5, 5, 6)
    before = numpy(c3(x))
    x[..., 0] += 100
    changed = np.abs(numpy(c3(x)) - before).max(axis=(0, 1, 2)) > 0
    np.testing.assert_array_equal(changed, LENET5_C3_TABLE[0])


def test_a_full_table_is_an_ordinary_convolution():
    layer = PartiallyConnectedConv2D(np.ones((3, 4)), 3, padding="same")
    plain = keras.layers.Conv2D(4, 3, padding="same")
    x = image(2, 5, 6, 3)
    plain.build(x.shape)
    layer.build(x.shape)
    kernel, bias = plain.get_weights()
    layer.set_weights([kernel.reshape(3, 3, 12), bias])
    np.testing.assert_allclose(numpy(layer(x)), numpy(plain(x)), atol=1e-6)


def test_a_table_with_an_empty_column_is_refused():
    table = np.array([[1, 0, 1], [1, 0, 0]])
    with pytest.raises(ValueError, match=r"empty columns \[1\] \(layer 'c3'\)"):
        PartiallyConnectedConv2D(table, name="c3")


@pytest.mark.parametrize("table", [[1, 0], [[0.5]], [[]], [[[True]]], [[2]]])
def test_a_table_that_is_not_of_truth_values_is_refused(table):
    with pytest.raises(ValueError, match="must be a table of truth values"):
        PartiallyConnectedConv2D(table)


def test_an_input_with_another_number_of_maps_is_refused():
    layer = PartiallyConnectedConv2D(LENET5_C3_TABLE, name="c3")
    with pytest.raises(ValueError, match=r"layer 'c3' is incompatible.*value 6"):
        layer(image(1, 9, 9, 5))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Subsampling2D(3, name="s2"), (1, 2, 9, 4), r"at least 3 pixels.*axis 1.*'s2'"),
        (
            PartiallyConnectedConv2D(LENET5_C3_TABLE, 5, name="c3"),
            (1, 9, 4, 6),
            r"at least 5 pixels.*axis 2.*'c3'",
        ),
    ],
)
def test_an_image_that_leaves_no_pixels_is_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build(shape)


@pytest.mark.parametrize("size", [0, (2, 0), (1, 2, 3), 2.0])
def test_a_pool_size_that_is_no_size_is_refused(size):
    with pytest.raises(ValueError, match="`pool_size` must be"):
        Subsampling2D(size)
