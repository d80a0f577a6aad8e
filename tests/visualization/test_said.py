"""What a figure leaves without colour or line is said in it."""

import numpy as np
import pytest
from matplotlib import pyplot, rc_context

from dlkeras import visualization as show
from dlkeras.optimization import QuadraticSurface


def said(figure):
    legends = [*figure.legends, *(a.get_legend() for a in figure.axes)]
    return {t.get_text() for x in legends if x for t in x.get_texts()}


def test_a_gradient_map_tells_0_from_nan():
    table = [[1.0, 0.1, 0.0], [2.0, np.nan, 0.0]]
    figure = show.gradient_map(table, ["a", "b", "c"], [1, 2])
    assert said(figure) == {"no colour: 0", "NaN or infinity"}
    (cross,) = (x for x in figure.axes[0].lines if len(x.get_xdata()))
    assert cross.get_xydata().tolist() == [[1, 1]]  # the second step of layer b
    assert not said(show.gradient_map([[1.0, 0.1]], ["a", "b"], [1]))


def test_a_colour_bar_has_plain_numbers():
    figure = show.gradient_map([[1.0, 2.0], [6.0, 3.0]], ["a", "b"], [1, 2])
    figure.draw_without_rendering()
    ticks = [t.get_text() for t in figure.axes[1].get_yticklabels(which="both")]
    assert {"2", "3"} <= {*ticks}
    assert not any("times" in tick for tick in ticks)


def test_a_layer_without_a_ratio_is_marked():
    assert "always 0" in said(show.update_ratios([[0.1, 0.0]], ["a", "b"]))
    plain = said(show.update_ratios([[0.1, 0.2]], ["a", "b"]))
    assert "always 0" not in plain and "not known" not in plain


def test_a_flat_landscape_says_its_loss():
    steps = np.linspace(-1, 1, 3)
    flat = show.Landscape(steps, steps, np.full((3, 3), 0.25), (), ())
    figure = show.loss_landscape(flat)
    assert "the loss is the same everywhere: 0.25" in said(figure)
    assert figure.axes[0].get_xlim() == (-1, 1)


def test_errors_between_gaps_are_seen():
    (line, _) = show.lms_learning_curve([1.0, np.nan, 2.0]).axes[0].lines
    assert line.get_marker() == "o"
    assert show.lms_learning_curve([1.0, 2.0]).axes[0].lines[0].get_marker() != "o"


def test_standardised_variants_beside_bytes_are_not_black():
    originals = np.linspace(0, 255, 64).reshape(1, 8, 8, 1).astype("uint8")
    variants = ((originals - 127.0) / 74)[:, None]
    figure = show.augmentation_grid(originals, variants)
    first, second = (axis.images[0].get_array() for axis in figure.axes)
    assert np.abs(first - second).max() < 0.02
    assert "variants from -1.72 to 1.73" in figure.get_supxlabel().replace("\n", " ")


def test_the_bar_has_the_colours_of_the_surface_on_black_paper():
    with rc_context():
        pyplot.style.use("dark_background")
        bowl = QuadraticSurface.bowl((0, 0), [[1, 0], [0, 2]])
        surface, bar = show.cost_surface(bowl, [[1.0, 1.0]]).axes
    assert surface.get_facecolor() == bar.get_facecolor()


@pytest.mark.parametrize("draw", [show.saliency, show.grad_cam])
def test_a_map_of_zeros_is_said_to_be_one(draw):
    import keras

    images = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(1, 3, kernel_initializer="zeros")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2)(x))
    figure = draw(model, np.ones((1, 6, 6, 1), "float32"))
    assert figure.axes[1].get_xlabel() == "0 everywhere"


def test_channels_that_stand_first_are_refused():
    import keras

    images = keras.Input((3, 12, 12))
    first = {"data_format": "channels_first"}
    x = keras.layers.Conv2D(4, 3, name="maps", **first)(images)
    x = keras.layers.GlobalAveragePooling2D(**first)(x)
    model = keras.Model(images, keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match="channels last"):
        show.saliency_map(model, np.ones((1, 3, 12, 12)))
    with pytest.raises(ValueError, match="channels stand first"):
        show.receptive_field_box(model, "maps")
