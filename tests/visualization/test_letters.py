"""Names in any script, in a font that has them; lines that keep off each other."""

import io
import warnings

import keras
import numpy as np
from matplotlib import font_manager
from matplotlib.text import Text
from PIL import Image

from dlkeras import visualization as show
from dlkeras.visualization.look import fonts


def drawn(*names):
    figure = show.class_balance({"train": dict.fromkeys(names, 3)})
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(buffer)
    return figure, np.asarray(Image.open(buffer).convert("L"))


def test_an_emoji_that_no_font_has_is_a_box_and_no_warning(monkeypatch):
    monkeypatch.setattr(fonts, "font_of", lambda letter: None)
    _, with_emoji = drawn("dog \N{DOG FACE}", "cat")
    _, without = drawn("dog", "cat")
    assert with_emoji.shape != without.shape or (with_emoji != without).any()


def test_a_letter_is_taken_from_a_font_that_has_it(monkeypatch):
    """STIX, which comes with matplotlib, has a letter that DejaVu Sans lacks."""
    stix = font_manager.findfont("STIXGeneral")
    usual = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    only = sorted(
        set(font_manager.get_font(stix).get_charmap()) - set(usual.get_charmap())
    )
    letter = next(chr(c) for c in only if chr(c) >= fonts.KNOWN_BELOW)
    assert fonts.font_of("a") is None  # the usual font's own
    found = fonts.font_of(letter)
    assert found is not None
    file = font_manager.findfont(font_manager.FontProperties(family=[found]))
    assert ord(letter) in font_manager.get_font(file).get_charmap()
    figure, _ = drawn(f"class {letter}", "other")
    texts = [t for t in figure.findobj(Text) if letter in t.get_text()]
    assert texts and all(found in t.get_fontfamily() for t in texts)


def test_the_two_lines_of_a_name_keep_off_each_other():
    images = keras.Input((8, 8, 3))
    pool = keras.layers.GlobalAveragePooling2D(name="global_average_pooling2d")
    figure = show.architecture_diagram(keras.Model(images, pool(images)))
    (text,) = [t for t in figure.findobj(Text) if "\n" in t.get_text()]
    pitch = text.get_window_extent().height / 2
    # From the top of an l to the bottom of an underscore is what the size says.
    assert pitch > 1.05 * text.get_fontsize() * figure.dpi / 72
