"""The inception module equals its figure, and counts what its table says."""

import keras
import numpy as np
import pytest
from numpy_images import convolve, pool, randomize, standardize

from dlkeras.layers import InceptionModule

# Table 1 of the paper: channels in, then the six columns.
TABLE_1 = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def image(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_inception_3a_has_163_696_parameters():
    module = InceptionModule(*TABLE_1["3a"][1:])
    module.build((None, 28, 28, 192))
    assert module.count_params() == 163_696


def test_nine_modules_are_googlenet_less_stem_and_classifier():
    total = 0
    for channels, *filters in TABLE_1.values():
        module = InceptionModule(*filters, kernel_initializer="zeros")
        module.build((None, 7, 7, channels))
        total += module.count_params()
    stem = (7 * 7 * 3 + 1) * 64 + (64 + 1) * 64 + (3 * 3 * 64 + 1) * 192
    assert total == 6_998_552 - stem - (1024 + 1) * 1000


def test_each_module_puts_out_what_the_next_one_takes():
    rows = list(TABLE_1.values())
    widths = [
        InceptionModule(*row[1:]).compute_output_shape((None, None, None, row[0]))[-1]
        for row in rows
    ]
    assert widths == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


def test_inception_equals_loops_in_numpy():
    module = InceptionModule(3, 2, 4, 2, 3, 2)
    x = image(2, 6, 5, 4)
    module.build(x.shape)
    randomize(module)

    def view(name, x):
        kernel, bias = (numpy(w) for w in module.convolutions[name].weights)
        return np.maximum(convolve(x, kernel, pad=kernel.shape[0] // 2) + bias, 0)

    pooled = pool(x, 3, 1, np.max, pad=1, fill=-np.inf)
    expected = np.concatenate(
        [
            view("1x1", x),
            view("3x3", view("3x3_reduce", x)),
            view("5x5", view("5x5_reduce", x)),
            view("pool_proj", pooled),
        ],
        axis=-1,
    )
    np.testing.assert_allclose(numpy(module(x)), expected, atol=1e-5)


def test_inception_equals_torch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    module = InceptionModule(8, 6, 12, 4, 6, 5)
    x = image(2, 9, 8, 7)
    module.build(x.shape)
    randomize(module)

    def view(name, x, pad=0):
        kernel, bias = (numpy(w) for w in module.convolutions[name].weights)
        kernel = torch.tensor(kernel).permute(3, 2, 0, 1)
        y = functional.conv2d(x, kernel, torch.tensor(bias), padding=pad)
        return functional.relu(y)

    with torch.no_grad():
        nchw = torch.tensor(x).permute(0, 3, 1, 2)
        views = [
            view("1x1", nchw),
            view("3x3", view("3x3_reduce", nchw), pad=1),
            view("5x5", view("5x5_reduce", nchw), pad=2),
            view("pool_proj", functional.max_pool2d(nchw, 3, 1, 1)),
        ]
        expected = torch.cat(views, 1).permute(0, 2, 3, 1).cpu().numpy()
    np.testing.assert_allclose(numpy(module(x)), expected, atol=1e-5)


def test_batch_normalisation_replaces_the_biases_and_precedes_the_activation():
    module = InceptionModule(3, 2, 4, 2, 3, 2, normalization="batch")
    x = image(2, 4, 4, 5)
    module.build(x.shape)
    filters = 3 + 2 + 4 + 2 + 3 + 2
    plain = InceptionModule(3, 2, 4, 2, 3, 2)
    plain.build(x.shape)
    trainable = sum(int(np.prod(w.shape)) for w in module.trainable_weights)
    assert trainable == plain.count_params() + filters
    randomize(module)
    kernel = numpy(module.convolutions["1x1"].kernel)
    normal = standardize(convolve(x, kernel), module.normalizations["1x1"], 1e-3)
    np.testing.assert_allclose(
        numpy(module(x))[..., :3], np.maximum(normal, 0), atol=1e-5
    )


@pytest.mark.parametrize("normalization", ["group", "layer"])
def test_normalisations_over_an_example_ignore_the_rest_of_the_batch(normalization):
    module = InceptionModule(4, 2, 4, 2, 4, 4, normalization=normalization)
    x = image(3, 4, 4, 5)
    together = numpy(module(x, training=True))
    alone = numpy(module(x[:1], training=True))
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_convolutions_of_one_shape_start_apart_even_with_a_seed():
    initializer = keras.initializers.GlorotUniform(seed=5)
    module = InceptionModule(4, 4, 4, 4, 4, 4, kernel_initializer=initializer)
    module.build((None, 4, 4, 3))
    first = numpy(module.convolutions["1x1"].kernel)
    second = numpy(module.convolutions["3x3_reduce"].kernel)
    assert not np.allclose(first, second)


@pytest.mark.parametrize("value", [0, -3, 1.5, True, None])
def test_a_number_of_filters_that_is_no_positive_integer_is_refused(value):
    with pytest.raises(ValueError, match=r"`filters_3x3` must be a positive .*'mix'"):
        InceptionModule(1, 1, value, 1, 1, 1, name="mix")


def test_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="Received: normalization='batchnorm'"):
        InceptionModule(1, 1, 1, 1, 1, 1, normalization="batchnorm")


def test_integers_are_refused():
    module = InceptionModule(1, 1, 1, 1, 1, 1, name="mix")
    with pytest.raises(ValueError, match=r"floating-point.*dtype=int32 .*'mix'"):
        module(np.ones((1, 4, 4, 2), "int32"))
