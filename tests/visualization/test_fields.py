"""Stacked layers and local fields: sizes by hand, and what is drawn is what is seen."""

import keras
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from dlkeras import visualization as show
from dlkeras.architectures import lenet5
from dlkeras.visualization.fields.local_fields import strongest_line
from dlkeras.visualization.figure import TIMES
from tests.strangers.models import MODELS


def network(stride=1):
    conv = keras.layers.Conv2D
    return keras.Sequential(
        [
            keras.layers.Input((9, 12, 3)),
            conv(4, 3, padding="same", name="first"),
            conv(2, 3, strides=stride, padding="same", name="second"),
        ]
    )


def words(figure):
    texts = [text.get_text() for text in figure.axes[0].texts]
    return [text.replace("\N{MULTIPLICATION SIGN}", "x") for text in texts]


def test_two_layers_of_3_by_3_see_5_by_5_through_all_sheets():
    image, first, second = words(show.stacked_layers(network(), ["first", "second"]))
    assert image == "image\n9 x 12, 3 channels\n- - second sees 5 x 5"
    assert first == "first\n9 x 12, 4 maps\neach sees 3 x 3, stride 1"
    assert second == "second\n9 x 12, 2 maps\neach sees 3 x 3, stride 1"


def test_a_stride_of_2_halves_the_layer_and_is_said():
    second = words(show.stacked_layers(network(2), ["first", "second"]))[-1]
    assert second == "second\n5 x 6, 2 maps\neach sees 3 x 3, stride 2"


def test_layers_that_are_left_out_count():
    """Two 5 x 5 convolutions and a 2 x 2 pooling of stride 2 between them: 6 + 8."""
    (_, c3) = words(show.stacked_layers(lenet5(), "C3"))
    assert c3 == "C3\n10 x 10, 16 maps\neach sees 14 x 14, stride 2"


def test_what_a_neuron_sees_is_where_a_change_reaches_it():
    """The rectangle on the sheet below, against a measurement of the layer alone."""
    model = network()
    figure = show.stacked_layers(model, "first", position=(4, 5))
    layer, image = model.get_layer("first"), np.zeros((1, 9, 12, 3), "float32")
    before = keras.ops.convert_to_numpy(layer(image))[0, 4, 5]
    seen = []
    for row, column in np.ndindex(9, 12):
        changed = image.copy()
        changed[0, row, column] = 1
        after = keras.ops.convert_to_numpy(layer(changed))[0, 4, 5]
        if np.abs(after - before).max() > 1e-6:
            seen.append((row, column))
    rows, columns = np.array(seen).T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 5, 4, 6)
    # Unlean the blue rectangle on the lowest sheet; a pixel is 1 wide.
    blue = next(p for p in figure.axes[0].patches if p.get_zorder() == 4).get_xy()[:4]
    outline = next(p for p in figure.axes[0].patches if p.get_zorder() == 2).get_xy()
    across = (blue[1, 0] - blue[0, 0], blue[2, 1] - blue[0, 1])
    whole = (outline[1, 0] - outline[0, 0], outline[2, 1] - outline[0, 1])
    assert np.allclose(across[0] / whole[0], 3 / 12)
    assert np.allclose(across[1] / whole[1], 3 / 9)
    down = (blue[0, 1] - outline[0, 1]) / whole[1]
    assert np.isclose(down, rows.min() / 9)


def test_with_an_image_each_sheet_shows_what_the_layer_makes_of_it():
    model = network()
    image = np.random.default_rng(0).random((9, 12, 3)).astype("float32")
    figure = show.stacked_layers(model, "first", image)
    meshes = [c for c in figure.axes[0].collections if c.get_array() is not None]
    assert len(meshes) == 3 + 4
    maps = keras.ops.convert_to_numpy(model.get_layer("first")(image[None]))[0]
    scaled = (maps - maps.min()) / np.ptp(maps)
    drawn = [np.asarray(mesh.get_array()).ravel() for mesh in meshes]
    assert np.allclose(drawn[3], scaled[..., 0].ravel(), atol=1e-5)
    assert np.allclose(drawn[1], image[..., 1].ravel())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"layers": ["second", "first"]}, "one behind the other"),
        ({"layers": []}, "at least one layer"),
        ({"layers": "second", "position": (9, 0)}, "must lie in the layer's maps"),
        ({"layers": "first", "image": np.zeros((9, 11, 3))}, "of the model's size"),
        ({"layers": "third"}, "third"),
    ],
)
def test_what_cannot_be_stacked_is_said(options, line):
    with pytest.raises(ValueError, match=line):
        show.stacked_layers(network(), **options)


@pytest.mark.parametrize(
    ("line", "rises"), [("level", None), ("upright", None), ("up", 1), ("down", -1)]
)
def test_a_neuron_takes_the_direction_of_the_line_in_its_circle(line, rises):
    drawn = {
        "level": np.eye(21)[10][:, None] * np.ones(21),
        "upright": np.eye(21)[10] * np.ones((21, 1)),
        "up": np.eye(21)[::-1],
        "down": np.eye(21),
    }[line]
    found = strongest_line(drawn, 10, 10, 9)
    y, x = np.nonzero(found > 0.9 * found.max())
    if rises is None:
        assert np.ptp(y if line == "level" else x) == 0
    else:
        assert np.sign(np.corrcoef(x, -y)[0, 1]) == rises


def test_a_neuron_sees_nothing_outside_of_its_circle():
    draw = np.random.default_rng(0)
    image, other = draw.random((2, 40, 40))
    y, x = np.indices(image.shape)
    inside = (y - 20) ** 2 + (x - 20) ** 2 <= 5.5**2
    other[inside] = image[inside]
    assert np.array_equal(
        strongest_line(image, 20, 20, 11), strongest_line(other, 20, 20, 11)
    )
    assert strongest_line(np.ones((9, 9)), 4, 4, 5) is None  # nothing to see


def test_neighbours_are_joined_unless_groups_say_otherwise():
    image = np.eye(24)
    places = [(6, 6), (12, 12), (18, 18)]
    count = [
        len(show.local_receptive_fields(image, places, 7, **o).axes[0].images)
        for o in ({}, {"groups": [(1, 2, 3)]}, {"groups": []})
    ]
    assert count == [1 + 3 + 2, 1 + 3 + 1, 1 + 3]
    for groups in ([(0, 1)], [(1, 4)], [()], 3):
        with pytest.raises(ValueError, match="groups must be lists of neurons 1 to 3"):
            show.local_receptive_fields(image, places, 7, groups=groups)
    with pytest.raises(ValueError, match="size must be"):
        show.local_receptive_fields(image, places, 2)


@pytest.mark.parametrize("value", [0, 1])
def test_an_image_of_the_paper_s_colour_has_an_edge(value):
    image = np.full((8, 12), value, "uint8")
    (edge,) = [
        patch
        for patch in show.local_receptive_fields(image, [(4, 4)], 3).axes[0].patches
        if isinstance(patch, Rectangle)
    ]
    assert edge.get_bbox().bounds == (0, 0, 1.5, 1)
    assert edge.get_edgecolor() == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("name", "layer", "said"),
    [
        ("upsampling", "smooth", "each sees 2 x 2, stride 0.5"),
        ("unet", "mask", "each sees 10 x 10, stride 1"),
        ("spatial_normalization", "after", "each sees 10 x 10"),  # all see all
        ("dilated", "next", "each sees 7 x 7, stride 1"),
    ],
)
def test_the_stride_of_upsampled_layers_is_a_fraction(name, layer, said):
    figure = show.stacked_layers(MODELS[name](), layer)
    assert figure.axes[0].texts[-1].get_text().splitlines()[-1] == said.replace(
        "x", TIMES
    )
