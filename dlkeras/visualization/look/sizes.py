"""Sizes of letters: what is read from the last row where a figure fills a slide."""

# Of a slide, and of a letter on it that is read from the last row, in pixels.
SLIDE = 1920, 1080
LEAST = 18
# A letter's width as a share of its size.
LETTER, BOLD = 0.57, 0.66


def on_slide(width: float, height: float) -> float:
    """How many pixels of a slide are a point of a figure that fills it.

    Example:
    >>> round(8 * on_slide(6.4, 4.8))  # 8 points
    25
    """
    return min(SLIDE[0] / width, SLIDE[1] / height) / 72


def readable(width: float, height: float, least: float, most: float) -> float:
    """Points that are read from the last row, between what looks well and what fits.

    Args:
        width: width of the figure in inches.
        height: height in inches.
        least: points where the figure is small.
        most: points for which there is room.

    Example:
    >>> readable(6.4, 4.8, 8, 12)
    8
    >>> round(readable(14, 8, 8, 12), 1)  # a point is less of a slide
    9.8
    """
    return min(max(least, (LEAST + 0.3) / on_slide(width, height)), most)


def fits(text: str, inches: float, most: float, letter: float = LETTER) -> float:
    """Points at which the longest line of a text fits into a box.

    Example:
    >>> fits("conv", 1.2, 8)
    8
    """
    longest = max(map(len, text.splitlines()), default=1)
    return min(most, 72 * (inches - 0.06) / (letter * longest))


def in_two_lines(name: str, inches: float) -> tuple[str, float]:
    r"""A name in bold letters, in two lines where one would be too small to read.

    Example:
    >>> in_two_lines("discriminator/global_max_pooling2d", 1.22)[0]
    'discriminator/\nglobal_max_pooling2d'
    """
    size = fits(name, inches, 8.5, BOLD)
    if size >= 7.5:
        return name, size
    breaks = [i + 1 for i, letter in enumerate(name[:-1]) if letter in "/_ …"]
    cut = min(breaks, key=lambda i: abs(i - len(name) / 2), default=0)
    lines = [name[:cut], name[cut:]] if cut else [name]
    name = "\n".join(line if len(line) <= 20 else _short(line) for line in lines)
    return name, fits(name, inches, 7.5, BOLD)


def _short(line: str) -> str:
    return f"{line[:10]}…{line[-9:]}"
