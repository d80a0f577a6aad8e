"""A network of more layers than a slide has room for is drawn in blocks."""

import re

import keras
import pytest
from keras import layers
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from dlkeras import visualization as show
from dlkeras.visualization.figure import TIMES
from dlkeras.visualization.look.sizes import LEAST, on_slide
from tests.strangers.looks import faults

SMALL = {"input_shape": (32, 32, 3), "weights": None, "classes": 5}
COUNT = re.compile(rf"(\d+) layers(?: {TIMES} (\d+))?")


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def counted(figure):
    """(layers, how often) of each box that holds several."""
    found = [COUNT.fullmatch(text) for text in texts(figure)]
    return [(int(f[1]), int(f[2] or 1)) for f in found if f]


def u_net():
    """Ronneberger et al. (2015): four times down and up again, at each a shortcut."""

    def twice(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    image = x = keras.Input((64, 64, 3))
    kept = []
    for filters in (2, 4, 8, 16):
        x = twice(x, filters)
        kept.append(x)
        x = layers.MaxPooling2D()(x)
    x = twice(x, 32)
    for filters, other in zip((16, 8, 4, 2), kept[::-1], strict=True):
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = twice(layers.Concatenate()([x, other]), filters)
    return keras.Model(image, layers.Conv2D(1, 1, name="mask")(x))


def vision_transformer():
    image = keras.Input((64, 64, 3))
    x = layers.Conv2D(8, 8, strides=8, name="patches")(image)
    x = layers.Reshape((64, 8))(x)
    for _ in range(12):
        normal = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(normal, normal)])
        wide = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(8)(wide)])
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize(
    "build",
    [
        lambda: keras.applications.MobileNetV3Small(**SMALL),
        lambda: keras.applications.DenseNet121(**SMALL),
        lambda: keras.applications.EfficientNetV2B0(**SMALL),
        u_net,
        vision_transformer,
    ],
)
def test_letters_of_a_long_network_are_read_from_the_last_row(build):
    model = build()
    figure = show.architecture_diagram(model)
    assert not faults(figure)
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) * on_slide(*figure.get_size_inches()) >= LEAST
    whole = show.architecture_diagram(model, blocks=False)
    assert 7.5 * on_slide(*whole.get_size_inches()) < LEAST  # points


def test_every_layer_is_in_a_box():
    """DenseNet121 of Keras has 429 with its input."""
    for build in (u_net, keras.applications.DenseNet121):
        model = build() if build is u_net else build(**SMALL)
        figure = show.architecture_diagram(model)
        several = counted(figure)
        boxes = figure.axes[0].findobj(FancyBboxPatch)
        inside = sum(number * times for number, times in several)
        assert inside + len(boxes) - len(several) == len(model.layers)


def test_the_blocks_of_resnet_50_are_those_of_its_paper():
    """He et al. (2016), table 1: 3, 4, 6 and 3 blocks, the first with a projection."""
    figure = show.architecture_diagram(keras.applications.ResNet50(**SMALL))
    assert [times for number, times in counted(figure) if times > 1] == [2, 3, 5, 2]
    assert "conv5_block1" in texts(figure)


def test_two_boxes_that_are_repeated_together_are_one():
    """Seven layers of each of the twelve blocks: two normalisations, two sums."""
    figure = show.architecture_diagram(vision_transformer())
    assert (7, 12) in counted(figure)


def test_the_shortcuts_of_a_u_net_say_where_they_come_from():
    figure = show.architecture_diagram(u_net())
    assert len([text for text in texts(figure) if text.startswith("from")]) == 4


def test_blocks_are_asked_for_and_left_out():
    image = x = keras.Input((8, 8, 1))
    for _ in range(3):
        x = layers.ReLU()(layers.Conv2D(1, 3, padding="same")(x))
    model = keras.Model(image, x)
    assert counted(show.architecture_diagram(model)) == []
    assert counted(show.architecture_diagram(model, blocks=True)) == [(2, 3)]
    in_portuguese = texts(show.architecture_diagram(model, blocks=True, language="pt"))
    assert f"2 camadas {TIMES} 3" in in_portuguese
