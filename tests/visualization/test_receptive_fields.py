"""Receptive fields: the published sizes, and the pixels that a change reaches."""

import keras
import numpy as np
import pytest

from dlkeras import visualization as show
from dlkeras.architectures import create, feature_extractor, lenet5, summary_table
from dlkeras.layers import InceptionModule, ResidualBlock
from tests.strangers.models import MODELS

SMALL = {"kernel_initializer": "zeros", "width_multiplier": 0.0625}


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("alexnet", "S8", 195),
        ("resnet50", "stage4", 483),
        ("resnet101", "stage4", 1027),
        ("resnet152", "stage4", 1507),
    ],
)
def test_receptive_fields_are_those_of_araujo_norris_and_sim(name, layer, size):
    """Distill 2019, the table of networks: alexnet_v2 and resnet_v1."""
    box = show.receptive_field_box(create(name, **SMALL), layer)
    assert (box.height, box.width) == (size, size)


@pytest.mark.parametrize(
    ("layer", "size"), [("C1", 5), ("S2", 6), ("C3", 14), ("S4", 16), ("C5", 32)]
)
def test_lenet5_sees_what_its_kernels_give(layer, size):
    """5; 5 + 1; 6 + 4 * 2; 14 + 2; 16 + 4 * 4, the whole input."""
    assert show.receptive_field_box(lenet5(), layer).height == size


def network():
    images = keras.Input((21, 26, 1), name="images")
    conv = {"kernel_initializer": "ones"}
    x = keras.layers.ZeroPadding2D(((1, 2), (0, 3)))(images)
    x = keras.layers.Conv2D(1, (3, 4), (1, 2), name="conv", **conv)(x)
    x = ResidualBlock(1, 2, name="block", normalization=None, activation="linear",
                      **conv)(x)  # fmt: skip
    x = InceptionModule(
        1, 1, 1, 1, 1, 1, name="inception", activation="linear", **conv
    )(x)
    x = keras.layers.AveragePooling2D(2, padding="same", name="pool")(x)
    dilated = keras.layers.Conv2D(1, 2, dilation_rate=2, name="dilated", **conv)
    return keras.Model(images, dilated(x))


@pytest.mark.parametrize("layer", ["conv", "block", "inception", "pool", "dilated"])
def test_a_box_holds_just_the_pixels_whose_change_reaches_the_pixel(layer):
    model = network()
    part = keras.Model(model.inputs[0], model.get_layer(layer).output)
    start = np.full((1, 21, 26, 1), 0.5, "float32")
    positions = np.indices((21, 26)).reshape(2, -1).T
    changed = np.repeat(start, len(positions), 0)
    # Upwards, so that a pixel reaches what a maximum lets through.
    changed[np.arange(len(positions)), positions[:, 0], positions[:, 1]] += 1
    before = keras.ops.convert_to_numpy(part(start))
    after = keras.ops.convert_to_numpy(part(changed))
    reached = np.abs(after - before).max(-1) > 1e-4 * np.abs(before).max()
    rows, columns = after.shape[1:3]
    for place in {(0, 0), (rows // 2, columns // 2), (rows - 1, columns - 1)}:
        seen = positions[reached[:, place[0], place[1]]]
        box = show.receptive_field_box(model, layer, place)
        top, left = max(box.top, 0), max(box.left, 0)
        bottom = min(box.top + box.height, 21) - 1
        right = min(box.left + box.width, 26) - 1
        assert seen.min(0).tolist() == [top, left], place
        assert seen.max(0).tolist() == [bottom, right], place


def test_the_figure_draws_the_boxes():
    figure = show.receptive_field(lenet5(), "C1", position=(3, 7))
    frame, box = figure.axes[0].patches
    assert (frame.get_width(), frame.get_height()) == (32, 32)
    assert (box.get_x(), box.get_y(), box.get_width()) == (6.5, 2.5, 5)
    with pytest.raises(ValueError, match="position needs one layer"):
        show.receptive_field(lenet5(), ["C1", "C3"], position=(0, 0))
    with pytest.raises(ValueError, match=r"model's size, \(32, 32\)"):
        show.receptive_field(lenet5(), "C1", np.zeros((28, 28, 1)))


def test_what_has_no_receptive_field_is_said():
    with pytest.raises(ValueError, match="whose output is maps"):
        show.receptive_field_box(lenet5(), "F6")
    with pytest.raises(ValueError, match=r"of \(28, 28\) pixels. Received.*\(28, 0\)"):
        show.receptive_field_box(lenet5(), "C1", (28, 0))
    noise = keras.Input((4,))
    x = keras.layers.Reshape((8, 8, 1), name="maps")(keras.layers.Dense(64)(noise))
    with pytest.raises(ValueError, match="'maps' sees no image"):
        show.receptive_field_box(keras.Model(noise, x), "maps")


STRANGERS = [
    "unet", "upsampling", "dilated", "spatial_normalization", "block_of_two",
    "autoencoder", "two_levels_deep", "shared_layer", "plain_operations",
    "squeeze_and_excitation", "custom_blocks", "subclassed", "vision_transformer",
    "sequential_of_sequentials", "separable", "rounded", "opaque_layer",
]  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_a_strangers_layers_see_the_pixels_whose_change_reaches_them(name):
    """Rows and columns of noise are changed one by one, and what moves is noted."""
    model = MODELS[name]()
    rows = [
        r for r in summary_table(model) if r.receptive_field and r.type != "InputLayer"
    ]
    names = [row.layer for row in rows]
    part = feature_extractor(model, names)
    size = part.inputs[0].shape[1]
    draw = np.random.default_rng(0)
    reached = [np.zeros((size, x.shape[1]), bool) for x in part.outputs]
    for _ in range(3):  # a ReLU or a maximum hides some
        start = draw.normal(size=(1, *part.inputs[0].shape[1:])).astype("float32")
        changed = np.repeat(start, size, 0)
        for row in range(size):
            changed[row, row] += 3 * draw.normal(size=changed.shape[2:])
        before = keras.tree.flatten(part(start, training=False))
        after = keras.tree.flatten(part(changed, training=False))
        for seen, a, b in zip(reached, after, before, strict=True):
            a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
            seen |= (np.abs(a - b) > 1e-6 * np.abs(b).max()).any((2, 3))
    for layer, row, seen in zip(names, rows, reached, strict=True):
        middle = seen.shape[1] // 2
        pixels = np.flatnonzero(seen[:, middle])
        box = show.receptive_field_box(model, layer)
        assert row.receptive_field == box.height, layer
        top, bottom = max(box.top, 0), min(box.top + box.height, size) - 1
        assert [pixels[0], pixels[-1]] == [top, bottom], layer


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("block_of_two", "block", 5),  # 3 + 2
        ("dilated", "dilated", 5),  # (3 - 1) * 2 + 1
        ("two_levels_deep", "middle", 7),  # 3 + 2 + 2
        ("plain_operations", "again", 5),
        ("spatial_normalization", "over_space", 10),  # the image of 8, and its padding
        ("transfer_guide", "stage1", 7),  # 3, stride 2; 3; 1
    ],
)
def test_a_strangers_field_is_the_sum_of_its_windows(name, layer, size):
    assert show.receptive_field_box(MODELS[name](), layer).height == size
