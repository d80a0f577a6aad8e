"""Residual blocks equal their figures and add up to the papers' networks."""

from typing import Any

import keras
import numpy as np
import pytest
from numpy_images import convolve, randomize, standardize

from dlkeras.layers import BottleneckBlock, ResidualBlock
from dlkeras.layers.blocks.squeeze_excitation import SqueezeExcitation

BLOCKS = [ResidualBlock, BottleneckBlock]


def image(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def relu(x):
    return np.maximum(x, 0)


def trainable(layer):
    return sum(int(np.prod(w.shape)) for w in layer.trainable_weights)


def stack(block, channels, stages, **options):
    """Return trainable parameters and output channels of a network's blocks."""
    total = 0
    for stage, (filters, count) in enumerate(stages):
        for number in range(count):
            strides = 2 if stage and number == 0 else 1
            layer = block(filters, strides, kernel_initializer="zeros", **options)
            layer.build((None, 8, 8, channels))
            channels = layer.compute_output_shape((None, 8, 8, channels))[-1]
            total += trainable(layer)
    return total, channels


STEM = 7 * 7 * 3 * 64 + 2 * 64  # a convolution without bias and its normalisation


@pytest.mark.parametrize(
    ("block", "depths", "parameters"),
    [
        (ResidualBlock, (2, 2, 2, 2), 11_689_512),
        (ResidualBlock, (3, 4, 6, 3), 21_797_672),
        (BottleneckBlock, (3, 4, 6, 3), 25_557_032),
    ],
    ids=["resnet18", "resnet34", "resnet50"],
)
def test_blocks_add_up_to_resnet(block, depths, parameters):
    stages = list(zip((64, 128, 256, 512), depths, strict=True))
    total, channels = stack(block, 64, stages)
    assert STEM + total + (channels + 1) * 1000 == parameters


def test_pre_activation_blocks_add_up_to_resnet_50_v2():
    stages = list(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True))
    total, channels = stack(BottleneckBlock, 64, stages, version="v2")
    head = 2 * channels + (channels + 1) * 1000  # the last normalisation, then dense
    assert 7 * 7 * 3 * 64 + total + head == 25_549_352


def test_blocks_with_shortcut_a_add_up_to_cifar_resnet_20():
    stages = [(16, 3), (32, 3), (64, 3)]
    total, channels = stack(ResidualBlock, 16, stages, shortcut="A")
    stem = 3 * 3 * 3 * 16 + 2 * 16
    assert stem + total + (channels + 1) * 10 == 269_722


def kernels(block):
    return [numpy(layer.kernel) for layer in block.convolutions]


def normal(block, index, x):
    return standardize(x, block.normalizations[index], block.normalization_epsilon)


def test_basic_block_v1_with_projection_equals_loops_in_numpy():
    block = ResidualBlock(5, 2)
    x = image(2, 6, 7, 3)
    block.build(x.shape)
    randomize(block)
    first, second = kernels(block)
    y = relu(normal(block, 0, convolve(x, first, 2, pad=1)))
    y = normal(block, 1, convolve(y, second, pad=1))
    shortcut = standardize(
        convolve(x, numpy(block.projection.kernel), 2),
        block.projection_normalization,
        1e-5,
    )
    np.testing.assert_allclose(numpy(block(x)), relu(y + shortcut), atol=2e-5)


@pytest.mark.parametrize(("version", "strides"), [("v1", (2, 1)), ("v1.5", (1, 2))])
def test_bottleneck_has_its_stride_where_its_version_says(version, strides):
    block = BottleneckBlock(3, 2, version=version)
    x = image(2, 6, 8, 4)
    block.build(x.shape)
    randomize(block)
    reduce, middle, expand = kernels(block)
    y = relu(normal(block, 0, convolve(x, reduce, strides[0])))
    y = relu(normal(block, 1, convolve(y, middle, strides[1], pad=1)))
    y = normal(block, 2, convolve(y, expand))
    shortcut = standardize(
        convolve(x, numpy(block.projection.kernel), 2),
        block.projection_normalization,
        1e-5,
    )
    np.testing.assert_allclose(numpy(block(x)), relu(y + shortcut), atol=5e-5)


def test_pre_activation_bottleneck_equals_loops_in_numpy():
    block = BottleneckBlock(3, 2, version="v2")
    x = image(2, 6, 6, 4)
    block.build(x.shape)
    randomize(block)
    reduce, middle, expand = kernels(block)
    before = relu(normal(block, 0, x))
    y = relu(normal(block, 1, convolve(before, reduce)))
    y = relu(normal(block, 2, convolve(y, middle, 2, pad=1)))
    y = convolve(y, expand)
    shortcut = convolve(before, numpy(block.projection.kernel), 2)
    np.testing.assert_allclose(numpy(block(x)), y + shortcut, atol=5e-5)


def test_pre_activation_block_hands_its_input_on_untouched():
    block = ResidualBlock(4, version="v2")
    x = image(2, 5, 5, 4)
    block.build(x.shape)
    block.convolutions[-1].kernel.assign(np.zeros((3, 3, 4, 4)))
    np.testing.assert_array_equal(numpy(block(x)), x)


def test_shortcut_a_takes_every_second_pixel_and_appends_zeros():
    block = ResidualBlock(5, 2, shortcut="A", activation="linear", zero_gamma=True)
    x = image(2, 5, 6, 3)
    expected = np.concatenate([x[:, ::2, ::2], np.zeros((2, 3, 3, 2))], axis=-1)
    np.testing.assert_allclose(numpy(block(x)), expected, atol=1e-6)
    assert block.projection is None


@pytest.mark.parametrize(
    ("shortcut", "filters", "projects"),
    [("A", 8, 0), ("B", 4, 0), ("B", 8, 1), ("C", 4, 1), ("identity", 4, 0)],
)
def test_only_options_b_and_c_have_a_projection(shortcut, filters, projects):
    block = ResidualBlock(filters, shortcut=shortcut)
    block.build((None, 5, 5, 4))
    branch = (4 * 9 + 2) * filters + (filters * 9 + 2) * filters
    assert trainable(block) == branch + projects * (4 + 2) * filters


def test_symmetric_padding_at_stride_2_equals_torch_and_same_does_not():
    torch = pytest.importorskip("torch")
    x = image(1, 8, 8, 3)
    results = {}
    for padding in ("symmetric", "same"):
        block = ResidualBlock(
            3, 2, shortcut="A", normalization=None, activation="linear", padding=padding
        )
        block.build(x.shape)
        randomize(block)
        results[padding] = numpy(block(x))
        weights = [torch.from_numpy(numpy(w)) for w in block.weights]
    nchw = torch.from_numpy(x).permute(0, 3, 1, 2)
    with torch.no_grad():
        y = nchw
        for number in range(2):
            kernel, bias = weights[2 * number], weights[2 * number + 1]
            y = torch.nn.functional.conv2d(
                y, kernel.permute(3, 2, 0, 1), bias, stride=2 - number, padding=1
            )
        expected = (y + nchw[:, :, ::2, ::2]).permute(0, 2, 3, 1).cpu().numpy()
    np.testing.assert_allclose(results["symmetric"], expected, atol=1e-5)
    assert not np.allclose(results["same"], expected, atol=1e-2)


@pytest.mark.parametrize("block", BLOCKS)
def test_zero_gamma_starts_the_block_as_its_shortcut(block):
    layer = block(4, zero_gamma=True, shortcut="identity")
    x = image(2, 5, 5, 16 if block is BottleneckBlock else 4)
    np.testing.assert_allclose(numpy(layer(x)), relu(x), atol=1e-6)


def test_stochastic_depth_drops_whole_branches_and_keeps_the_expectation():
    block = ResidualBlock(
        2, version="v2", normalization=None, stochastic_depth=0.25, seed=3
    )
    x = np.repeat(image(1, 4, 4, 2), 4000, axis=0)
    branch = numpy(block(x[:1])) - x[:1]
    trained = numpy(block(x, training=True)) - x
    dropped = np.abs(trained).max(axis=(1, 2, 3)) < 1e-6
    kept = np.broadcast_to(branch / 0.75, trained[~dropped].shape)
    np.testing.assert_allclose(trained[~dropped], kept, atol=1e-5)
    # 4 standard deviations of the share of 4,000 coins that show 0.25
    assert abs(dropped.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_without_normalisation_the_convolutions_have_a_bias():
    block = BottleneckBlock(2, normalization=None)
    block.build((None, 4, 4, 8))
    assert trainable(block) == (8 * 2 + 2) + (2 * 9 * 2 + 2) + (2 * 8 + 8)


def test_training_updates_the_moving_statistics_with_momentum_0_9():
    block = ResidualBlock(3)
    x = image(4, 5, 5, 3) + 2
    block.build(x.shape)
    mean = convolve(x, kernels(block)[0], pad=1).mean(axis=(0, 1, 2))
    block(x, training=True)
    np.testing.assert_allclose(
        numpy(block.normalizations[0].moving_mean), 0.1 * mean, atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "`filters` must be a positive integer.*filters=0"),
        ({"strides": 0}, "`strides` must be a positive integer"),
        ({"version": "v3"}, "'v1', 'v1.5', 'v2'.*version='v3'"),
        ({"shortcut": "E"}, "shortcut='E'"),
        ({"stochastic_depth": 1}, "`stochastic_depth` must be a probability"),
        ({"version": "v2", "zero_gamma": True}, "`zero_gamma` needs"),
        ({"normalization": None, "zero_gamma": True}, "`zero_gamma` needs"),
        ({"padding": "valid"}, "padding='valid'"),
        ({"reduction_ratio": 0}, "`reduction_ratio` must be a positive integer"),
    ],
)
@pytest.mark.parametrize("block", BLOCKS)
def test_a_wrong_argument_is_refused_with_its_value_and_the_layer(
    block, arguments, message
):
    with pytest.raises(ValueError, match=message + ".*'unit'"):
        block(**{"filters": 4, "name": "unit", **arguments})


@pytest.mark.parametrize("options", [{"strides": 2}, {"filters": 5}])
def test_an_identity_that_would_change_shape_is_refused(options):
    block = ResidualBlock(**{"filters": 4, "shortcut": "identity", **options})
    with pytest.raises(ValueError, match="needs an output of the input's shape"):
        block.build((None, 8, 8, 4))


def test_shortcut_a_cannot_remove_channels():
    with pytest.raises(ValueError, match="cannot remove any: at most 4 channels"):
        ResidualBlock(4, shortcut="A").build((None, 8, 8, 6))


def test_the_parts_of_a_block_that_is_made_frozen_are_frozen():
    block = ResidualBlock(4, strides=2, trainable=False)
    images = keras.Input((8, 8, 2))
    model = keras.Model(images, block(images))
    assert model.trainable_weights == []
    moving = block.normalizations[0].moving_mean
    before = keras.ops.convert_to_numpy(moving).copy()
    model(np.ones((2, 8, 8, 2), "float32"), training=True)
    assert np.array_equal(keras.ops.convert_to_numpy(moving), before)


def test_a_file_has_what_is_frozen_within_a_squeeze_and_excitation(tmp_path):
    block = ResidualBlock(4, reduction_ratio=2)
    images = keras.Input((8, 8, 4))
    model = keras.Model(images, block(images))
    block.excitation.reduce.trainable = False
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras")
    paths = [weight.path for weight in loaded.trainable_weights]
    assert paths == [weight.path for weight in model.trainable_weights]
    assert not [path for path in paths if "reduce" in path]


def test_squeeze_and_excitation_refuses_what_it_cannot_take():
    with pytest.raises(ValueError, match="`reduction_ratio` must be a positive int"):
        SqueezeExcitation(-1)
    with pytest.raises(ValueError, match="expects a floating-point input"):
        SqueezeExcitation(2)(np.ones((1, 2, 2, 4), "int32"))
    with pytest.raises(ValueError, match="expected ndim=4"):
        SqueezeExcitation(2)(np.ones((1, 4), "float32"))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_file_from_before_a_block_had_groups_is_read(block):
    made = block(8, strides=2, name="unit")
    config = made.get_config()
    for name in ("groups", "width_per_group", "reduction_ratio"):
        del config[name]
    loaded = keras.saving.deserialize_keras_object(
        {
            "module": "dlkeras.layers.residual",
            "class_name": block.__name__,
            "registered_name": f"dlkeras>{block.__name__}",
            "config": config,
        }
    )
    assert type(loaded) is block
    assert loaded.get_config() == made.get_config()
