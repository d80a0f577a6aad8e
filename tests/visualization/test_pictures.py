"""Every figure looks as it did when somebody looked at it: stored pictures."""

import functools
import importlib
import inspect
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from matplotlib.testing.exceptions import ImageComparisonFailure
from matplotlib.text import Text
from pictures import BASELINE, DPI, PICTURES

# Root mean square of the difference, of 255 grey levels: one drawn on another backend
# stays below, a missing line does not.
TOLERANCE = 3


def compared(figure, name, folder):
    drawn = Path(folder) / f"{name}.png"
    figure.savefig(drawn, dpi=DPI)
    return compare_images(BASELINE / f"{name}.png", drawn, TOLERANCE)


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_looks_like_its_stored_picture(name, tmp_path):
    assert compared(PICTURES[name](), name, tmp_path) is None


def test_a_missing_line_or_another_size_is_seen(tmp_path):
    figure = PICTURES["learning_curves"]()
    figure.axes[0].lines[1].remove()
    assert "RMS Value" in compared(figure, "learning_curves", tmp_path)
    figure.set_figwidth(5)
    with pytest.raises(ImageComparisonFailure, match="sizes do not match"):
        compared(figure, "learning_curves", tmp_path)


def test_every_function_that_draws_has_a_stored_picture():
    package = importlib.import_module("dlkeras.visualization")
    arrays = {"Box", "Landscape", "grad_cam_map", "loss_along", "receptive_field_box"}
    drawing = {*package.__all__} - arrays - {"saliency_map", "in_language", "Figure"}
    names = " ".join(PICTURES)
    renamed = {"architecture_diagram": "architecture"}
    assert len(drawing) > 18
    assert not [name for name in drawing if renamed.get(name, name) not in names]


# Nobody else's words: the images' captions are the caller's.
WITHOUT_WORDS = {"image_grid", "image_table"}
# "classes" is a word of both languages.
ENGLISH = re.compile(
    r"\b(accuracy|and|by|class|each|examples|gradient|image|layer|layers|loss|"
    r"number|of|output|outputs|parameters|share|step|the|to|weights?|with)\b", re.I
)  # fmt: skip


# As English writes 0.5 and 61,706; Portuguese has 0,5 and 61.706.
ENGLISH_NUMBER = re.compile(r"\d\.\d{1,2}(?!\d)|\d\.\d{4,}|\b[1-9]\d{0,2},\d{3}(?!\d)")


def _with(drawn, options, *arguments, **own):
    return drawn(*arguments, **own | options)


@pytest.fixture
def drawn_with(monkeypatch):
    """Draw a picture with options of its figure besides its own."""
    package = importlib.import_module("dlkeras.visualization")
    plain = {name: getattr(package, name) for name in package.__all__}

    def draw(picture, **options):
        for name, drawn in plain.items():
            if callable(drawn) and "language" in inspect.signature(drawn).parameters:
                if name != "in_language":
                    drawn = functools.partial(_with, drawn, options)
                monkeypatch.setattr(package, name, drawn)
        return PICTURES[picture]()

    return draw


@pytest.mark.parametrize("name", PICTURES)
def test_every_figure_takes_a_title_a_size_and_the_callers_axes(name, drawn_with):
    own = "Sold for $10 to $20"
    figure = drawn_with(name, title=own, figsize=(9, 7), ax=None)
    texts = {text.get_text().replace("\\", "") for text in figure.findobj(Text)}
    assert own in texts
    assert figure.get_size_inches().tolist() == [9, 7]
    host = Figure(figsize=(12, 8), layout="constrained")
    left, right = host.subplots(1, 2)
    assert drawn_with(name, title=own, figsize=None, ax=right) is host
    texts = {text.get_text().replace("\\", "") for text in host.findobj(Text)}
    assert own in texts
    assert not left.has_data()
    host.draw_without_rendering()


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_in_portuguese_has_no_english_words_or_numbers(name, drawn_with):
    figure = drawn_with(name, language="pt")
    figure.draw_without_rendering()  # which writes the ticks
    words = [text.get_text() for text in figure.findobj(Text)]
    if name not in WITHOUT_WORDS:
        assert not [word for word in words if ENGLISH.search(word)]
        assert not [word for word in words if ENGLISH_NUMBER.search(word)]
