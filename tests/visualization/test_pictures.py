"""Every figure looks as it did when somebody looked at it: stored pictures."""

import functools
import importlib
import inspect
import re
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_in_portuguese_has_no_english_words_or_numbers(name, monkeypatch):
    package = importlib.import_module("dlkeras.visualization")
    for function in package.__all__:
        drawn = getattr(package, function)
        if callable(drawn) and "language" in inspect.signature(drawn).parameters:
            monkeypatch.setattr(
                package, function, functools.partial(drawn, language="pt")
            )
    figure = PICTURES[name]()
    figure.draw_without_rendering()  # which writes the ticks
    words = [text.get_text() for text in figure.findobj(Text)]
    if name not in WITHOUT_WORDS:
        assert not [word for word in words if ENGLISH.search(word)]
        assert not [word for word in words if ENGLISH_NUMBER.search(word)]
