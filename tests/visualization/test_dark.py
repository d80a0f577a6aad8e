"""In a dark style every line, bar, mark and word stands out from the paper."""

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from pictures import PICTURES

from dlkeras.visualization.look.colours import CYCLE

DRAWN = (
    "accuracy_by_examples", "activation_distributions", "activation_statistics",
    "brightness_and_contrast", "class_balance", "constellation", "gradient_flow",
    "image_sizes", "learning_curves", "lms_learning_curve", "pixel_distribution",
    "reliability_diagram", "update_ratios", "weights_over_time",
)  # fmt: skip


def contrast(colour, opacity):
    """With black, as WCAG 2.2 defines it; 3 is what it asks of graphics."""
    light = np.asarray(colour) * opacity
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    return (light @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.05


def colours(axis):
    """What an axis shows of data and words, with its opacity."""
    for artist in axis.findobj():
        if artist in axis.get_xgridlines() + axis.get_ygridlines():
            continue
        if artist is axis.patch or not artist.get_visible():
            continue
        if isinstance(artist, (Line2D, Text)):
            found = to_rgba_array(artist.get_color(), artist.get_alpha())
        elif isinstance(artist, PathCollection | LineCollection):
            found = to_rgba_array(artist.get_edgecolor())
        elif isinstance(artist, Rectangle) and artist.get_fill():
            found = to_rgba_array(artist.get_facecolor())
        else:
            continue  # bands between the smallest and the largest are paler
        for rgba in found:
            if rgba[3] > 0.25:
                yield artist, rgba


@pytest.mark.parametrize("name", DRAWN)
def test_on_black_paper_everything_has_a_contrast_of_3(name):
    with pyplot.style.context("dark_background"):
        figure = PICTURES[name]()
    seen = 0
    for axis in figure.axes:
        paper = axis.legend_ and axis.legend_.get_frame()
        for artist, rgba in colours(axis):
            if artist is not paper:
                assert contrast(rgba[:3], rgba[3]) >= 3, (artist, rgba)
                seen += 1
    assert seen > 10


def test_on_white_paper_the_palette_stays_what_it_is():
    lines = PICTURES["learning_curves"]().axes[0].lines
    assert {to_rgb(line.get_color()) for line in lines} <= {*map(to_rgb, CYCLE)}
