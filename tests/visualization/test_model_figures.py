"""Figures of models and courses: what is drawn is what is there."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from dlkeras import visualization as show
from dlkeras.architectures import googlenet, lenet5, resnet50
from dlkeras.layers import GroupedConv2D
from dlkeras.optimization import QuadraticSurface, lms_theory, steepest_descent
from dlkeras.visualization.figure import TIMES
from tests.strangers.models import MODELS


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_importing_the_figures_of_arrays_imports_no_keras():
    code = (
        "import sys\nfrom dlkeras.visualization import learning_curves, image_grid\n"
        "print('keras' in sys.modules)\n"
        "from dlkeras.visualization import grad_cam\nprint('keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_derivatives_are_the_closed_forms():
    figure = show.activation_functions(["sigmoid", "tanh", "relu", "leaky_relu"])
    v = figure.axes[0].lines[0].get_xdata().astype("float64")
    sigmoid = 1 / (1 + np.exp(-v))
    expected = [sigmoid * (1 - sigmoid), 1 - np.tanh(v) ** 2, v > 0]
    expected.append(np.where(v > 0, 1, 0.2))
    for axis, slope in zip(figure.axes, expected, strict=True):
        drawn = axis.lines[1].get_ydata()
        bends = np.abs(v) < 1e-6  # where ReLU has no derivative
        np.testing.assert_allclose(drawn[~bends], slope[~bends], atol=1e-5)


def test_the_learning_curve_of_lms_is_measured_beside_its_theory():
    theory = lms_theory([[1, 0.5], [0.5, 1]], [0.5, 0.25], 0.05)
    errors = np.random.default_rng(0).normal(size=(7, 50))
    measured, predicted, *_ = show.lms_learning_curve(errors, theory).axes[0].lines
    np.testing.assert_allclose(measured.get_ydata(), (errors**2).mean(0))
    np.testing.assert_allclose(predicted.get_ydata(), theory.learning_curve(50))
    with pytest.raises(ValueError, match=r"\(runs, samples\)"):
        show.lms_learning_curve(np.zeros((2, 2, 2)))


def test_a_trajectory_is_drawn_from_its_start_to_the_minimum():
    bowl = QuadraticSurface.bowl((5, 3))
    run = steepest_descent(bowl, 0.5, [-4, 8])
    axis = show.cost_surface(bowl, run).axes[0]
    edge, way, start, minimum = axis.lines
    for line in (edge, way):
        np.testing.assert_array_equal(line.get_xydata(), run.weights)
    assert start.get_xydata().tolist() == [[-4, 8]]
    assert minimum.get_xydata()[0] == pytest.approx([5, 3])
    with pytest.raises(ValueError, match=r"\(points, 2\).*'' of shape \(3, 3\)"):
        show.cost_surface(bowl, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="'contour' or 'bowl'"):
        show.cost_surface(bowl, view="side")


def test_a_trajectory_says_where_it_goes_on_to_nan():
    bowl = QuadraticSurface.bowl((5, 3))
    way = np.array([[0.0, 0.0], [1.0, 1.0], [np.nan, 2.0], [np.inf, np.inf]])
    for view, said in (("contour", "then"), ("bowl", "no line:")):
        figure = show.cost_surface(bowl, {"eta": way}, view=view)
        words = [text.get_text() for text in figure.legends[0].get_texts()]
        assert f"{said} NaN or infinity (2/4)" in words
    cross = show.cost_surface(bowl, way).axes[0].lines[-2]
    assert cross.get_xydata().tolist() == [[1, 1]]
    steps = np.linspace(-1, 1, 3)
    landscape = show.Landscape(steps, steps, np.ones((3, 3)), (), ())
    figure = show.loss_landscape(landscape, way)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "then NaN or infinity (2/4)" in words


def test_a_diagram_names_every_layer_with_its_shape():
    model = lenet5()
    drawn = " ".join(texts(show.architecture_diagram(model)))
    for row in ("C1", "28x28x6", "S2", "14x14x6", "C3", "10x10x16", "F6", "84"):
        assert row.replace("x", "\N{MULTIPLICATION SIGN}") in drawn


def test_an_inception_module_shows_its_four_views():
    model = googlenet(kernel_initializer="zeros")
    drawn = texts(show.architecture_diagram(model))
    times = "\N{MULTIPLICATION SIGN}"
    start = drawn.index("inception_3a")
    table = ("1{}1, 64", "1{}1, 96", "3{}3, 128", "1{}1, 16", "5{}5, 32",
             "max pool 3{}3", "1{}1, 32")  # fmt: skip
    views = [view.format(times) for view in table]
    assert drawn[start + 2 : start + 9] == views
    assert drawn.count(f"max pool 3{times}3") == 9


def test_equal_residual_blocks_are_drawn_once_with_their_number():
    """ResNet-50 has 3, 4, 6 and 3 blocks, the first of each with a projection."""
    model = resnet50(kernel_initializer="zeros", width_multiplier=0.125)
    drawn = texts(show.architecture_diagram(model))
    counts = [int(text.split()[-1]) for text in drawn if "…" in text]
    assert counts == [2, 3, 5, 2]
    assert drawn.count("+") == 8
    assert drawn.count("identity") == 4


def test_squeeze_and_excitation_and_the_shortcuts_pooling_are_drawn():
    """He et al. (2019), figure 2 c: an average pooling of 2x2, stride 2, before 1x1."""
    model = resnet50(
        (64, 64, 3),
        kernel_initializer="zeros",
        width_multiplier=0.25,
        version="v1.5",
        stem="deep",
        shortcut="D",
        reduction_ratio=16,
        groups=4,
    )
    drawn = texts(show.architecture_diagram(model))
    times = "\N{MULTIPLICATION SIGN}"
    # One pooling for each of the three stages with a stride, none for the first.
    assert drawn.count(f"avg 2{times}2 /2") == 3
    assert drawn.count("squeeze,\nexcite 16") == drawn.count("+") == 8
    assert (
        drawn.count(f"3{times}3 /2\n256 (4 g)") == 1
    )  # 64 wide, a quarter of 4 groups
    assert not [text for text in drawn if text.startswith(f"1{times}1 /2")]
    in_portuguese = texts(show.architecture_diagram(model, language="pt"))
    assert in_portuguese.count("aperta,\nexcita 16") == 8
    plain = texts(show.architecture_diagram(resnet50((64, 64, 3), num_classes=2)))
    assert not [text for text in plain if "excite" in text or "avg" in text]


@pytest.mark.parametrize(
    ("name", "boxes", "distant"),
    [
        ("sequential", ["first", "pool", "second", "classes"], []),
        ("shared_layer", ["shared", "shared#2", "head"], []),
        ("plain_operations", ["conv", "again"], ["from input"]),
        ("siamese", ["left", "branch/eye", "branch#2/eye"],
         ["from input", "from branch/embedding"]),
        ("transfer_guide", ["base", "head"], []),  # its layers are one box
        ("two_levels_deep", ["middle/inner/deep", "middle/mid", "last"], []),
        ("subclassed", ["conv", "block", "out"], []),
    ],
)  # fmt: skip
def test_a_strangers_model_is_drawn_call_by_call(name, boxes, distant):
    model = MODELS[name]()
    drawn = texts(show.architecture_diagram(model))
    drawn = [text.replace("/\n", "/") for text in drawn]  # a long name in two lines
    assert [text for text in drawn if text in boxes] == boxes
    far = {text for text in drawn if text.startswith("from ")}
    assert {text.replace(drawn[0], "input") for text in far} >= set(distant)
    assert bool(far) == bool(distant)


def test_what_reads_a_distant_layer_says_which():
    model = googlenet(auxiliary=True, kernel_initializer="zeros", width_multiplier=0.1)
    drawn = texts(show.architecture_diagram(model))
    assert "from inception_4a" in drawn
    assert "from inception_4d" in drawn


def test_the_gallery_has_the_surest_mistake_first():
    answers = [[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]
    images = np.zeros((3, 4, 4, 1))
    figure = show.misclassified(images, [1, 1, 1], answers, ["cat", "dog"])
    captions = [axis.get_xlabel() for axis in figure.axes]
    assert captions == ["cat\nnot dog\np = 0.90", "cat\nnot dog\np = 0.60"]
    perfect = show.misclassified(images, [0, 0, 1], answers, language="pt")
    assert perfect.get_suptitle() == "0 de 3 exemplos mal classificados"
    with pytest.raises(ValueError, match="same number of examples"):
        show.misclassified(images, [0, 1], answers)


def test_augmentation_shows_the_original_beside_its_variants():
    rows = np.random.default_rng(0).random((2, 3, 6, 6, 1))
    figure = show.augmentation_grid(rows[:, 0], rows, captions=["a", "b", "c"])
    first = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(first, figure.axes[1].images[0].get_array())
    assert [axis.get_title() for axis in figure.axes[:4]] == ["original", *"abc"]
    with pytest.raises(ValueError, match=r"each of 3 columns.*Received: 1"):
        show.augmentation_grid(rows[:, 0], rows, captions=["a"])
    with pytest.raises(ValueError, match="each of the originals"):
        show.augmentation_grid(rows[:, 0], rows[:1])


def test_distributions_count_the_outputs():
    outputs = {"a": np.array([0.0, 0.0, 1.0]), "b": np.array([[1.0], [1.0], [0.5]])}
    figure = show.activation_distributions(outputs, bins=2)
    heights = [axis.patches[0].get_data().values.tolist() for axis in figure.axes]
    assert heights == [[1.0, 0.5], [0.0, 1.0]]
    with pytest.raises(ValueError, match=r"none finite of \['c'\]"):
        show.activation_distributions({"c": [np.nan]})


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match=r"\('en', 'pt'\).*'de'"):
        show.learning_curves({"loss": [1.0]}, language="de")


def test_alexnets_grouped_convolution_is_told_by_its_groups_within_its_box():
    images = keras.Input((27, 27, 8), name="In")
    model = keras.Model(images, GroupedConv2D(16, 5, groups=2, name="C3")(images))
    figure = show.architecture_diagram(model)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    (kind,) = [t for t in axis.texts if t.get_text() == f"conv 5{TIMES}5 (2 g)"]
    words = kind.get_window_extent()
    boxes = [patch.get_window_extent() for patch in axis.patches]
    assert any(box.x0 < words.x0 and words.x1 < box.x1 for box in boxes)
