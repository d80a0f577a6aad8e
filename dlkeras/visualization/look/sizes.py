"""Sizes of letters: what is read on a phone, and from the last row of a room."""

# Of a slide, and of a letter on it that is read from the last row, in pixels.
SLIDE = 1920, 1080
LEAST = 18
# A phone's width, and a letter on it that is read, in pixels.
PHONE, LEAST_ON_PHONE = 390, 6
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
    """Points that are read from the last row and on a phone, within what looks well.

    Args:
        width: width of the figure in inches.
        height: height in inches.
        least: points where the figure is small.
        most: points for which there is room.

    Example:
    >>> readable(6.4, 4.8, 8, 12)
    8
    >>> round(readable(8, 8, 8, 12), 1)  # a point is less of a slide
    9.8
    >>> round(readable(10, 4, 8, 12), 1)  # and of a phone
    11.1
    """
    return min(
        max((LEAST + 0.3) / on_slide(width, height), legible(width, least)), most
    )


def legible(width: float, least: float) -> float:
    """Points that are read where a figure of so many inches is as wide as a phone.

    Example:
    >>> legible(6.4, 8)
    8
    >>> round(legible(9, 8), 1)
    10.0
    """
    return max(least, (LEAST_ON_PHONE + 0.02) / PHONE * 72 * width)


def panel(columns: int) -> float:
    """Inches of an image, smaller beside many: its letters are larger beside it.

    Example:
    >>> panel(4), round(panel(8), 2), panel(20)
    (1.15, 0.93, 0.8)
    """
    return min(1.15, max(0.8, 7.4 / columns))


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
