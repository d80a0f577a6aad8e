"""Draws what the monitors have measured by the end of an epoch."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dlkeras.visualization.figure import Figure

Measured = Mapping[str, np.ndarray]


def epoch_figures(
    measured: Measured, epoch: int, before: int
) -> Sequence[tuple[str, "Figure"]]:
    """Draw the gradients and the activations after an epoch.

    Args:
        measured: arrays of the gradient monitor: `layers` (names), `steps` and `epochs`
            (from 0) of each measurement, `gradient_norm` and `update_ratio`
            `(measurements, layers)`; and of the activation monitor: `probed_layers`
            (names), `probed_epochs` (from 1) of each probe, and `mean`, `std`,
            `dead_share` and `saturated_share` `(probes, layers)`.
        epoch: the epoch, from 1; later measurements are left out.
        before: the epoch whose figures came last; 0: none.

    Returns:
        Names and figures: the gradients' flow and map and the updates, where a gradient
        was measured since `before`; and the activations, where any was probed.

    Example:
    >>> measured = {"layers": np.array(["C1"]), "steps": np.array([0, 10]),
    ...     "epochs": np.array([0, 0]), "gradient_norm": np.ones((2, 1)),
    ...     "update_ratio": np.ones((2, 1)), "probed_layers": np.array([], "U1"),
    ...     "probed_epochs": np.array([], int)}
    >>> [name for name, figure in epoch_figures(measured, 1, 0)]
    ['gradient_flow', 'gradient_map', 'update_ratios']
    """
    return [(name, draw()) for name, draw in epoch_drawings(measured, epoch, before)]


def epoch_drawings(
    measured: Measured, epoch: int, before: int
) -> Sequence[tuple[str, Callable[[], "Figure"]]]:
    """The same, not drawn yet: names, and functions of nothing that draw."""
    from dlkeras import visualization as show

    drawn: list[tuple[str, Any]] = []
    layers, epochs = measured["layers"].tolist(), measured["epochs"]
    known = epochs < epoch
    recent = known & (epochs >= before)
    span = (
        f"epoch {epoch}" if before == epoch - 1 else f"epochs {before + 1} to {epoch}"
    )
    if recent.any() and layers:
        norms = measured["gradient_norm"]
        drawn.append(
            (
                "gradient_flow",
                partial(
                    show.gradient_flow,
                    norms[recent],
                    layers,
                    title=f"Gradients, {span}",
                ),
            )
        )
        drawn.append(
            (
                "gradient_map",
                partial(
                    show.gradient_map,
                    norms[known],
                    layers,
                    measured["steps"][known].tolist(),
                    title=f"Gradients by layer and step, until epoch {epoch}",
                ),
            )
        )
        drawn.append(
            (
                "update_ratios",
                partial(
                    show.update_ratios,
                    measured["update_ratio"][recent],
                    layers,
                    title=f"Updates, {span}",
                ),
            )
        )
    probed = np.flatnonzero(measured["probed_epochs"] <= epoch)
    names = measured["probed_layers"].tolist()
    if len(probed) and names:
        last = probed[-1]
        drawn.append(
            (
                "activations",
                partial(
                    show.activation_statistics,
                    measured["mean"][last],
                    measured["std"][last],
                    measured["dead_share"][last],
                    measured["saturated_share"][last],
                    names,
                    title=f"Activations after epoch {measured['probed_epochs'][last]}",
                ),
            )
        )
    return drawn
