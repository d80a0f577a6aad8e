"""Figures of the monitors: what is drawn is what was measured."""

import io

import numpy as np
import pytest
from PIL import Image

from dlkeras import visualization as show
from tests.strangers.looks import faults

LAYERS = ["conv", "dense_with_a_rather_long_name", "out"]
NORMS = np.array([[1e-6, 1e-3, 1.0], [1e-4, 1e-2, 3.0], [1e-5, 1e-1, 2.0]])


def test_gradient_flow_draws_median_and_range_on_a_logarithmic_scale():
    axis = show.gradient_flow(NORMS, LAYERS).axes[0]
    assert list(axis.lines[0].get_ydata()) == [1e-5, 1e-2, 2.0]
    band = axis.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1e-6, 3.0)
    assert axis.get_yscale() == "log"
    assert [label.get_text() for label in axis.get_xticklabels()] == LAYERS


def test_gradient_flow_marks_layers_without_a_gradient_and_with_nan():
    norms = NORMS.copy()
    norms[:, 0], norms[1, 2] = 0, np.nan
    axis = show.gradient_flow(norms, LAYERS).axes[0]
    crosses = {line.get_label(): list(line.get_xdata()) for line in axis.lines[1:]}
    assert crosses == {"always 0": [0], "NaN or infinity": [2]}


def test_the_gradient_map_has_a_row_for_each_layer():
    axis = show.gradient_map(NORMS, LAYERS, [1, 11, 21]).axes[0]
    np.testing.assert_array_equal(axis.images[0].get_array(), NORMS.T)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "11", "21"]
    assert axis.images[0].get_clim() == (1e-6, 3.0)
    with pytest.raises(ValueError, match=r"each of 3 samples. Received: 2"):
        show.gradient_map(NORMS, LAYERS, [1, 2])
    show.gradient_map(np.zeros((2, 3)), LAYERS, [1, 2])  # nothing to show, no error


def test_update_ratios_show_the_rule_of_1e_3():
    axis = show.update_ratios(np.where(NORMS > 0.5, np.nan, NORMS), LAYERS).axes[0]
    assert axis.lines[0].get_ydata()[0] == 1e-3
    np.testing.assert_array_equal(axis.lines[1].get_ydata(), [1e-5, 1e-2, np.nan])


def test_update_ratios_mark_layers_that_never_move_and_with_nan():
    ratios = NORMS.copy()
    ratios[:, 0], ratios[1, 2] = 0, np.nan
    axis = show.update_ratios(ratios, LAYERS).axes[0]
    crosses = {
        x.get_label(): list(x.get_xdata()) for x in axis.lines if x.get_marker() == "x"
    }
    assert crosses == {"always 0": [0], "NaN or infinity": [2]}


def test_norms_below_0_and_shares_beyond_1_are_refused():
    table = -NORMS
    for draw in (
        lambda: show.gradient_flow(table, LAYERS),
        lambda: show.update_ratios(table, LAYERS),
        lambda: show.gradient_map(table, LAYERS, [1, 2, 3]),
    ):
        with pytest.raises(ValueError, match=r"must be from 0 on\. Received: -3"):
            draw()
    row = [0.5, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"`std` must be from 0 on.*from -1 to 0\.5"):
        show.activation_statistics(row, [-1, 0.5, 0.5], row, row, LAYERS)
    with pytest.raises(ValueError, match=r"`dead_share` must be from 0 to 1.*to 50"):
        show.activation_statistics(row, row, [50, 0, 0], row, LAYERS)


def test_activation_statistics_mark_layers_with_nan():
    row = [0.5, 0.5, 0.5]
    figure = show.activation_statistics(
        [0, np.inf, 1], [1, 1, np.nan], row, row, LAYERS
    )
    assert list(figure.axes[0].lines[1].get_xdata()) == [1, 2]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["NaN or infinity"]


def test_activation_statistics_show_shares_where_they_have_a_meaning():
    nan = np.nan
    figure = show.activation_statistics(
        [0, 1, 2], [1, 1, nan], [0.25, nan, nan], [nan, 0.75, nan], LAYERS
    )
    upper, lower = figure.axes
    assert list(upper.lines[0].get_ydata()) == [0, 1]
    assert [bar.get_height() for bar in lower.patches] == [0.25, 0.75]


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (show.gradient_flow, "gradient_norm"),
        (show.update_ratios, "update_ratio"),
        (lambda table, layers: show.gradient_map(table, layers, [1]), "gradient_norm"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(draw, name):
    for table in (np.zeros((0, 3)), np.zeros((2, 2)), np.zeros(3)):
        with pytest.raises(
            ValueError, match=rf"`{name}` must be of shape \(samples, 3"
        ):
            draw(table, LAYERS)


@pytest.mark.parametrize("count", [3, 60])
def test_texts_do_not_leave_the_figures(count):
    layers = [f"a_layer_with_a_long_name_{i}" for i in range(count)]
    table = np.exp(np.random.default_rng(0).normal(size=(30, count)))
    row = table[0] / table.max()
    for figure in (
        show.gradient_flow(table, layers),
        show.gradient_map(table, layers, range(30)),
        show.update_ratios(table, layers),
        show.activation_statistics(row, row, row, row, layers),
    ):
        buffer = io.BytesIO()
        figure.savefig(buffer)
        image = np.asarray(Image.open(buffer).convert("RGB"))
        assert not [fault for fault in faults(figure) if "phone" in fault]
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert (border == 255).all()
