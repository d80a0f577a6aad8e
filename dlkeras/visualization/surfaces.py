"""Figures of cost surfaces: over two weights, and around a trained network."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlkeras.optimization import Descent, Surface
from dlkeras.visualization.figure import (
    AMBER,
    CYCLE,
    DASHES,
    ORANGE,
    in_language,
    new_figure,
    say,
)
from dlkeras.visualization.landscapes import Landscape

# Below a line: it is told from a surface of any shade.
_EDGE: dict[str, Any] = {"color": "white", "linewidth": 3.5, "zorder": 3}

Trajectories = Mapping[str, "Descent | Any"]


def cost_surface(
    surface: Surface,
    trajectories: Trajectories | Any = None,
    *,
    w1: tuple[float, float] | None = None,
    w2: tuple[float, float] | None = None,
    minimum: Any = None,
    view: str = "contour",
    gradients: bool = False,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw the cost over two weights, with the ways of descents across it.

    Args:
        surface: a cost over two weights with `cost(w)` for arrays `(..., 2)`, such as
            `QuadraticSurface`.
        trajectories: a `Descent`, an array `(points, 2)`, or several of them by name.
        w1: range of the first weight; by default around the trajectories and the
            minimum.
        w2: range of the second.
        minimum: the best weights, marked; by default `surface.minimizer` if it has
            one.
        view: `"contour"` from above, or `"bowl"` in three dimensions.
        gradients: whether arrows show the negative gradient (in `"contour"`).
        title: text above the figure.
        language: `"en"` or `"pt"`.

    Returns:
        The figure; each way starts at a circle.

    Raises:
        ValueError: there is nothing that says which weights to show, a trajectory is
            not of two weights, or the view or the language is unknown.

    Example:
    >>> from dlkeras.optimization import QuadraticSurface, steepest_descent
    >>> bowl = QuadraticSurface.bowl((5, 3), [[1, 0], [0, 4]])
    >>> figure = cost_surface(bowl, {
    ...     "eta = 0.1": steepest_descent(bowl, 0.1, [-4, 8]),
    ...     "eta = 0.45": steepest_descent(bowl, 0.45, [-4, 8]),
    ... })
    >>> figure.axes[0].get_xlabel()
    '$w_1$'

    Reference:
        Haykin, *Neural Networks*, 2nd ed., figure 3.2.
    """
    if view not in ("contour", "bowl"):
        raise ValueError(f"view must be 'contour' or 'bowl'. Received: view={view!r}")
    ways = _ways(trajectories)
    if minimum is None:
        minimum = getattr(surface, "minimizer", None)
    marks = [*ways.values()]
    if minimum is not None:
        marks.append(np.asarray(minimum, float)[None])
    if not marks and (w1 is None or w2 is None):
        raise ValueError(
            "w1 and w2 must say which weights to show where there is neither a "
            f"trajectory nor a minimum. Received: w1={w1}, w2={w2}"
        )
    ranges = [
        given if given is not None else _range(np.concatenate(marks)[:, index])
        for index, given in enumerate((w1, w2))
    ]
    x, y = (np.linspace(low, high, 121) for low, high in ranges)
    z = np.asarray(surface.cost(np.stack(np.meshgrid(x, y), -1)), float)
    cost_label = say(language, r"cost $E(w)$", r"custo $E(w)$")
    default = say(language, "Cost surface", "Superfície de custo")
    if view == "bowl":
        figure, axis = new_figure(
            6, 5, title or default, subplot_kw={"projection": "3d"}
        )
        axis.plot_surface(x[None], y[:, None], z, cmap="cividis", alpha=0.75)
        axis.set_zlabel(cost_label)
    else:
        figure, axis = new_figure(6, 4.8, title or default)
        bottom = float(z.min())
        top = float(z.max()) - bottom
        # Quadratic steps: on a bowl the lines lie at equal distances.
        levels = bottom + top * np.linspace(0, 1, 16) ** 2
        if top > 0:
            filled = axis.contourf(x, y, z, levels=levels, cmap="cividis", alpha=0.75)
            axis.contour(x, y, z, levels=levels, colors="white", linewidths=0.5)
            bar = figure.colorbar(filled, ax=axis, label=cost_label)
            digits = 2 - math.floor(math.log10(max(abs(bottom), bottom + top)))
            marks = [float(level) for level in levels[::2]]
            bar.set_ticks(marks, labels=[f"{round(mark, digits):g}" for mark in marks])
        if gradients:
            _arrows(axis, surface, ranges, language)
    for index, (name, way) in enumerate(ways.items()):
        _draw_way(axis, surface, way, name, index, view)
    if minimum is not None:
        place = list(np.asarray(minimum, float))
        if view == "bowl":
            place.append(float(surface.cost(np.asarray(minimum, float))))
        text = say(language, "minimum", "mínimo")
        axis.plot(
            *([value] for value in place), marker="*", markersize=14, color=AMBER,
            markeredgecolor="black", linestyle="none", label=text, zorder=5,
        )  # fmt: skip
    axis.set_xlim(*ranges[0])
    axis.set_ylim(*ranges[1])
    axis.set_xlabel("$w_1$")
    axis.set_ylabel("$w_2$")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="upper right", fontsize=9)
    return in_language(figure, language)


def loss_landscape(
    landscape: Landscape,
    trajectory: Any = None,
    *,
    loss_label: str | None = None,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw the loss of a network along two directions through its weights.

    Args:
        landscape: what `loss_along` measured.
        trajectory: the way of the training in the plane, `(points, 2)`, as
            `Landscape.project` gives it.
        loss_label: what the loss measures, with its unit; by default cross-entropy.
        title: text above the figure.
        language: `"en"` or `"pt"`.

    Returns:
        The figure; the trained weights are the star in the middle.

    Raises:
        ValueError: the language is unknown.

    Example:
    >>> steps = np.linspace(-1, 1, 5)
    >>> loss = 1 + steps[:, None] ** 2 + steps**2
    >>> figure = loss_landscape(Landscape(steps, steps, loss, (), ()))
    >>> figure.axes[1].get_ylabel()
    'cross-entropy loss (nats)'

    Reference:
        Li, Xu, Taylor, Studer and Goldstein, "Visualizing the loss landscape of
        neural nets", NeurIPS 2018.
    """
    default = say(
        language,
        "Loss around the trained weights",
        "Perda em torno dos pesos treinados",
    )
    label = loss_label or say(
        language, "cross-entropy loss (nats)", "perda de entropia cruzada (nats)"
    )
    figure, axis = new_figure(5.8, 4.6, title or default)
    loss = np.where(np.isfinite(landscape.loss), landscape.loss, np.nan)
    low, high = float(np.nanmin(loss)), float(np.nanmax(loss))
    logarithmic = low > 0 and high > 20 * low
    levels = np.geomspace(low, high, 16) if logarithmic else np.linspace(low, high, 16)
    if high > low:
        filled = axis.contourf(
            landscape.first,
            landscape.second,
            loss,
            levels=levels,
            cmap="cividis",
            norm=LogNorm(low, high) if logarithmic else None,
        )
        axis.contour(
            landscape.first,
            landscape.second,
            loss,
            levels=levels,
            colors="white",
            linewidths=0.4,
        )
        bar = figure.colorbar(filled, ax=axis, label=label)
        bar.ax.minorticks_off()
        marks = [float(level) for level in levels[::3]]
        bar.set_ticks(marks, labels=[f"{mark:.2g}" for mark in marks])
    if trajectory is not None:
        way = np.asarray(trajectory, float)
        axis.plot(*way.T, **_EDGE)
        axis.plot(
            *way.T, color=ORANGE, marker="o", markersize=3, linewidth=1.2, zorder=4,
            label=say(language, "training", "treinamento"),
        )  # fmt: skip
    axis.plot(
        0, 0, marker="*", markersize=14, color=AMBER, markeredgecolor="black",
        linestyle="none", label=say(language, "trained weights", "pesos treinados"),
        zorder=5,
    )  # fmt: skip
    axis.set_xlabel(say(language, "step along direction 1", "passo na direção 1"))
    axis.set_ylabel(say(language, "step along direction 2", "passo na direção 2"))
    axis.legend(loc="upper right", fontsize=9)
    return in_language(figure, language)


def _ways(trajectories: Any) -> dict[str, np.ndarray]:
    """The trajectories as arrays, by name."""
    if trajectories is None:
        return {}
    if not isinstance(trajectories, Mapping):
        trajectories = {"": trajectories}
    ways = {}
    for name, way in trajectories.items():
        points = np.asarray(way.weights if hasattr(way, "weights") else way, float)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(
                "A trajectory must be of shape (points, 2), one row for each w(n). "
                f"Received: {name!r} of shape {points.shape}"
            )
        ways[name] = points
    return ways


def _range(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    margin = 0.25 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_way(
    axis: Any, surface: Any, way: np.ndarray, name: str, index: int, view: str
) -> None:
    colour = CYCLE[(index + 1) % len(CYCLE)]
    points = list(way.T)
    if view == "bowl":
        points.append(np.asarray(surface.cost(way), float))
    line = {"color": colour, "zorder": 4}
    axis.plot(*points, **_EDGE)
    axis.plot(
        *points, marker="o", markersize=3, linewidth=1.5, label=name or None,
        linestyle=DASHES[index % len(DASHES)], **line,
    )  # fmt: skip
    axis.plot(
        *(values[:1] for values in points), marker="o", markersize=9,
        markerfacecolor="none", markeredgewidth=2, **line,
    )  # fmt: skip


def _arrows(axis: Any, surface: Any, ranges: list, language: str) -> None:
    x, y = (np.linspace(low, high, 15)[1:-1] for low, high in ranges)
    slope = -np.asarray(surface.gradient(np.stack(np.meshgrid(x, y), -1)))
    axis.quiver(
        x, y, slope[..., 0], slope[..., 1], color="black", alpha=0.6, width=0.003
    )
    axis.plot(
        [], [], color="black", alpha=0.6, marker=r"$\rightarrow$", markersize=12,
        linestyle="none",
        label=say(language, "negative gradient", "gradiente negativo"),
    )  # fmt: skip
