"""Texts on figures: not cut, not taken for mathematics, to be read on a dark ground."""

import io
import warnings

import keras
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text
from pictures import PICTURES
from PIL import Image

from dlkeras import visualization as show
from tests.strangers.looks import faults

LONG = "The digits that the network of the third lecture took for another class, again"
NAMES = [f"a class with quite a long name, number {number}" for number in range(4)]


def rendered(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return np.asarray(Image.open(buffer).convert("L")).astype(int)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: show.misclassified(
            np.zeros((3, 8, 8, 1)), [0, 1, 1], [[0.9, 0.1], [0.7, 0.3], [0, 1]]
        ),
        lambda: show.image_grid(np.zeros((2, 8, 8)), NAMES[:2], title=LONG),
        lambda: show.augmentation_grid(
            np.zeros((1, 8, 8)), np.zeros((1, 1, 8, 8)), captions=NAMES[:1]
        ),
        lambda: show.confusion_matrix(np.eye(4, dtype=int), NAMES, title=LONG),
        lambda: show.class_balance({name: {"cat": 3} for name in NAMES}),
        lambda: show.image_sizes({name: [[3, 4]] for name in NAMES}),
        lambda: show.feature_maps(np.zeros((8, 8, 1)), {NAMES[0]: np.zeros((4, 4, 2))}),
        lambda: show.activation_distributions({name: [1, 2] for name in NAMES}),
        lambda: show.learning_curves({"loss": [1.0]}, title=LONG + LONG),
    ],
)
def test_nothing_is_cut_at_the_border(figure):
    """A cut text has ink in the outermost pixels."""
    image = rendered(figure())
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (border == 255).all()


def drawn_text(title):
    figure = show.image_grid(np.zeros((1, 4, 4)), title=title, figsize=(5, 2))
    (text,) = [t for t in figure.texts if t.get_text() == figure.get_suptitle()]
    return text.get_window_extent().width


def test_dollars_of_money_are_no_mathematics():
    """Pandoc's rule of `tex_math_dollars`; in mathematics the spaces would vanish."""
    money, same = (
        drawn_text("Prices of $10 to $20"),
        drawn_text(r"Prices of \$10 to \$20"),
    )
    assert money == same
    names = ["$5 off", "$9 off"]
    figure = show.confusion_matrix(np.eye(2, dtype=int), names)
    figure.draw_without_rendering()
    assert drawn_text("$w_1$") < drawn_text(r"\$w_1\$")  # still is mathematics
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [r"\$5 off", r"\$9 off"]  # escaped: drawn as a dollar


def contrast(figure):
    """The least difference of a text and what is behind it, of 255 grey levels."""
    image, found = rendered(figure), []
    scales = [scale for a in figure.axes for scale in (a.xaxis, a.yaxis)]
    ticks = {t for s in scales for t in s.get_ticklabels(which="both")}
    for text in set(figure.findobj(Text)) - ticks:  # some ticks are out of the view
        if text.get_text().strip() and text.get_visible():
            box = text.get_window_extent()
            rows = image.shape[0] - int(box.y1), image.shape[0] - int(box.y0)
            part = image[max(rows[0], 0) : rows[1], max(int(box.x0), 0) : int(box.x1)]
            if part.size:
                found.append(int(np.ptp(part)))
    return min(found)


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_text_is_read_on_a_light_and_on_a_dark_ground(style, name):
    keras.utils.set_random_seed(0)
    with plt.style.context(style):
        assert contrast(PICTURES[name]()) > 80


# Twenty boxes and more are a page, not a slide: 12 pixels of a slide's 1,080.
PAGES = {"architecture_googlenet"}


@pytest.mark.parametrize("name", PICTURES)
def test_on_a_slide_every_text_is_read_and_none_is_below_another(name):
    keras.utils.set_random_seed(0)
    found = faults(PICTURES[name]())
    if name in PAGES:
        found = [fault for fault in found if "pixels on" not in fault]
    assert not found


@pytest.mark.parametrize(("classes", "letters"), [(8, 24), (20, 3), (40, 20), (200, 9)])
def test_a_matrix_of_many_classes_is_read_on_a_slide(classes, letters):
    names = [f"{number}".rjust(letters, "a") for number in range(classes)]
    counts = np.diag([99] * classes) + np.eye(classes, k=1, dtype=int) * 12
    assert not faults(show.confusion_matrix(counts, names))


def test_every_kind_of_fault_is_found():
    figure = show.learning_curves({"loss": [1.0, 0.5], "val_loss": [1.0, 0.6]})
    assert not faults(figure)
    (axis,) = figure.axes
    axis.get_legend().remove()
    axis.legend(bbox_to_anchor=(0, 0, 1, 1), mode="expand", loc="upper left")
    figure.text(0.9, 0.5, "cut at the border, " * 5)
    for _ in range(2):
        figure.text(0.5, 0.5, "twice at one place", fontsize=4)
    words = " ".join(faults(figure))
    for fault in ("beyond the border", "over each other", "below the legend", "pixels"):
        assert fault in words


def test_captions_of_any_length_stay_below_their_images():
    words = "a caption of very many words " * 20
    figure = show.image_grid(np.zeros((4, 8, 8, 1)), [words] * 4)
    assert not faults(figure)
    assert figure.get_figheight() < 5


def test_strips_have_room_for_their_heads():
    strips = np.zeros((1, 3, 64, 1, 1))
    assert not faults(show.image_table(strips, ["row"], ["cat", "dog", "owl"]))


def test_rates_of_half_precision_are_summed_without_a_warning():
    rates = np.eye(3, dtype="float16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not faults(show.confusion_matrix(rates))
        show.confusion_matrix(np.full((3, 3), 6e4, "float16"))


def test_a_legend_of_many_long_names_stays_inside_of_its_figure():
    histograms = {f"a_rather_long_{n}": [n + 1, 2] for n in range(11)}
    assert not faults(show.pixel_distribution(histograms))
