"""Letters that the usual font lacks: of another font that is installed, or a box."""

import functools
import warnings
from typing import Any

from matplotlib import figure as mpl
from matplotlib import font_manager
from matplotlib.text import Text

# Every letter below is in DejaVu Sans, matplotlib's own font.
KNOWN_BELOW = "\u0500"


class AnyLetters(mpl.Figure):
    """A figure that draws letters of any script, as far as fonts are installed."""

    def draw(self, renderer: Any) -> None:
        """Draw; what no font has is a box, and nobody is warned of each."""
        for text in self.findobj(Text):
            missing = {c for c in text.get_text() if c >= KNOWN_BELOW}
            families = text.get_fontfamily()
            more = [f for f in map(font_of, sorted(missing)) if f not in families]
            if found := [f for f in dict.fromkeys(more) if f]:
                text.set_fontfamily([*families, *found])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            super().draw(renderer)


@functools.cache
def font_of(letter: str) -> str | None:
    """The name of an installed font that has a letter; None where none has."""
    usual = font_manager.findfont(font_manager.FontProperties())
    files = [usual, *(f.fname for f in font_manager.fontManager.ttflist)]
    for file in dict.fromkeys(files):
        try:
            font = font_manager.get_font(file)
        except (OSError, RuntimeError):  # a kind of font that matplotlib cannot draw
            continue
        # matplotlib's last resort has a box for every letter.
        own = not font.family_name.startswith("Last Resort")
        if own and ord(letter) in font.get_charmap():
            return None if file == usual else font.family_name
    return None
