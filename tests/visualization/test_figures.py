"""Figures: what is drawn is what was given, and nothing needs a display."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dlkeras import visualization as show


def rendered(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return np.asarray(Image.open(buffer).convert("RGB"))


HISTORY = [
    {"loss": 2.0, "val_loss": 1.8, "accuracy": 0.3, "val_accuracy": 0.4},
    {"loss": 1.0, "val_loss": 0.9, "accuracy": 0.7, "val_accuracy": 0.8},
    {"loss": 0.5, "val_loss": 1.1, "accuracy": 0.9, "val_accuracy": 0.7},
]


def test_learning_curves_draw_the_history_and_mark_the_best_epoch():
    figure = show.learning_curves(HISTORY)
    loss, accuracy = figure.axes
    training, validation, best = loss.lines
    assert list(training.get_xdata()) == [1, 2, 3]
    assert list(training.get_ydata()) == [2.0, 1.0, 0.5]
    assert list(validation.get_ydata()) == [1.8, 0.9, 1.1]
    assert best.get_xdata()[0] == 2
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    assert accuracy.get_ylabel() == "accuracy"


def test_learning_curves_need_an_epoch():
    with pytest.raises(ValueError, match="at least one epoch"):
        show.learning_curves([])


def test_a_confusion_matrix_writes_its_counts():
    counts = [[5, 1, 0], [0, 6, 0], [2, 0, 4]]
    figure = show.confusion_matrix(counts, ["a", "b", "c"])
    axis = figure.axes[0]
    texts = {t.get_position(): t.get_text() for t in axis.texts}
    assert texts == {(0, 0): "5", (1, 0): "1", (1, 1): "6", (0, 2): "2", (2, 2): "4"}
    assert figure.get_suptitle() == "3 of 18 examples taken for another class"
    with pytest.raises(ValueError, match=r"shape \(2, 2\).*\(3, 3\)"):
        show.confusion_matrix(counts, ["a", "b"])


def test_an_image_grid_shows_the_pixels():
    images = np.random.default_rng(0).random((5, 8, 8, 1))
    figure = show.image_grid(images, list("abcde"), columns=3)
    assert len(figure.axes) == 5
    shown = figure.axes[4].images[0].get_array()
    assert np.allclose(shown, images[4, ..., 0])  # 0 to 1 is black to white
    assert figure.axes[4].get_xlabel() == "e"
    with pytest.raises(ValueError, match="at least one image"):
        show.image_grid([])
    with pytest.raises(ValueError, match=r"each of 5 images. Received: 2"):
        show.image_grid(images, ["a", "b"])


def test_filters_are_drawn_on_one_scale_about_zero():
    kernel = np.random.default_rng(0).normal(size=(5, 5, 1, 6))
    figure = show.filters(kernel)
    drawn = [axis.images[0] for axis in figure.axes if axis.images]
    assert len(drawn) == 6
    limit = np.abs(kernel).max()
    for index, image in enumerate(drawn):
        assert image.get_clim() == pytest.approx((-limit, limit))
        assert np.allclose(image.get_array(), kernel[:, :, 0, index])


def test_filters_of_three_channels_are_drawn_in_colour():
    figure = show.filters(np.random.default_rng(0).normal(size=(7, 7, 3, 4)))
    assert figure.axes[0].images[0].get_array().shape == (7, 7, 3)


def test_feature_maps_have_a_row_for_the_image_and_for_each_layer():
    maps = {"C1": np.zeros((28, 28, 6)), "C3": np.zeros((10, 10, 16))}
    figure = show.feature_maps(np.zeros((32, 32, 1)), maps)
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["image", "C1, maps 1-6", "C3, maps 1-8", "C3, maps 9-16"]
    assert len(figure.axes) == 1 + 6 + 16


def test_a_reliability_diagram_leaves_out_empty_bins():
    figure = show.reliability_diagram([0, 0.6, 0.9], [0, 0.5, 1], [0, 4, 20], 0.08)
    upper, lower = figure.axes
    model = upper.lines[1]
    assert list(model.get_xdata()) == [0.6, 0.9]
    assert list(model.get_ydata()) == [0.5, 1]
    assert [bar.get_height() for bar in lower.patches] == [4, 20]
    assert "0.080" in figure.get_suptitle()


@pytest.mark.parametrize(
    "figure",
    [
        show.learning_curves(HISTORY),
        show.confusion_matrix(np.eye(10, dtype=int) * 36, [str(i) for i in range(10)]),
        show.image_grid(np.random.default_rng(0).random((25, 8, 8, 1)), ["x\ny"] * 25),
        show.filters(np.random.default_rng(0).normal(size=(5, 5, 1, 6)), title="title"),
        show.reliability_diagram([0.6, 0.9], [0.5, 1.0], [4, 20], 0.1),
    ],
    ids=["curves", "confusion", "grid", "filters", "reliability"],
)
def test_texts_do_not_leave_the_figure(figure):
    """A cut label has ink in the outermost pixels."""
    image = rendered(figure)
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (border == 255).all()


def ticks(axis):
    axis.figure.draw_without_rendering()
    return [label.get_text() for label in axis.get_ticklabels()]


def test_numbers_in_portuguese_have_a_comma_and_thousands_a_point():
    figure = Figure()
    axis = figure.subplots()
    axis.plot([0, 0.5, 1], label=r"v1.5, $\eta = 0.1$")
    axis.set(title="61,706 of 1,234.5", xticks=[0.25, 1], xticklabels=["p = 0.25", 15])
    axis.set_ylim(0, 1)
    axis.legend()
    assert show.in_language(figure, "en") is figure
    assert axis.get_title() == "61,706 of 1,234.5"
    for _ in range(2):  # the second time changes nothing
        assert show.in_language(figure, "pt") is figure
        assert axis.get_title() == "61.706 of 1.234,5"
        assert axis.get_legend().get_texts()[0].get_text() == r"v1.5, $\eta = 0{,}1$"
        assert ticks(axis.yaxis) == ["0,0", "0,2", "0,4", "0,6", "0,8", "1,0"]
        assert ticks(axis.xaxis) == ["p = 0,25", "15"]
    with pytest.raises(ValueError, match="language must be one of"):
        show.in_language(figure, "de")


def test_a_fifth_way_to_train_has_a_line_of_its_own():
    ways = {f"way {number}": {10: [0.5 + 0.1 * number]} for number in range(5)}
    axis = show.accuracy_by_examples(ways).axes[0]
    assert len(axis.get_legend().get_texts()) == 5
    means = [line for line in axis.lines if line.get_label() in ways]
    assert len({line.get_color() for line in means}) == 5
