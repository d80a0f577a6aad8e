"""Figures of cost surfaces: over two weights, and around a trained network."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlkeras.optimization import Descent, Surface
from dlkeras.visualization.figure import (
    drawing,
    ink,
    legend_below,
    new_figure,
    plain,
    say,
)
from dlkeras.visualization.inputs import numbers, received
from dlkeras.visualization.look.colours import AMBER, CYCLE, DASHES, ORANGE
from dlkeras.visualization.training.landscapes import Landscape
from dlkeras.visualization.training.loss_label import loss_label as label_of

# Below a line: it is told from a surface of any shade.
_EDGE: dict[str, Any] = {"color": "white", "linewidth": 3.5, "zorder": 3}

Trajectories = Mapping[str, "Descent | Any"]


@drawing()
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
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the cost over two weights, with the paths of descents across it.

    Args:
        surface: a cost over two weights with `cost(w)` for arrays `(..., 2)`, such as
            `QuadraticSurface`; or that function itself.
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
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

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
    cost = getattr(surface, "cost", surface)
    if not callable(cost) or (gradients and not hasattr(surface, "gradient")):
        raise TypeError(
            "surface must have cost(w), and gradient(w) for gradients=True, such as "
            f"QuadraticSurface. Received: {received(surface)}"
        )
    ways = _ways(trajectories)
    if minimum is None:
        minimum = getattr(surface, "minimizer", None)
    marks = [*ways.values()]
    if minimum is not None:
        minimum = numbers(minimum, "minimum", "two weights (2,)", axes=1).astype(float)
        marks.append(_two(minimum[None], "minimum"))
    if not marks and (w1 is None or w2 is None):
        raise ValueError(
            "w1 and w2 must say which weights to show where there is neither a "
            f"trajectory nor a minimum. Received: w1={w1}, w2={w2}"
        )
    ranges = [
        _given_range(given, f"w{index + 1}")
        if given is not None
        else _range_around(np.concatenate(marks)[:, index])
        for index, given in enumerate((w1, w2))
    ]
    x, y = (np.linspace(low, high, 121) for low, high in ranges)
    z = np.asarray(cost(np.stack(np.meshgrid(x, y), -1)), float)
    if z.shape != (121, 121) or not np.isfinite(z).any():
        raise ValueError(
            "surface.cost must take weights (..., 2) and give a cost (...), finite "
            f"somewhere. Received: for (121, 121, 2) an array {z.shape}"
        )
    z = np.where(np.isfinite(z), z, np.nan)
    cost_label = say(language, r"cost $E(w)$", r"custo $E(w)$")
    default = say(language, "Cost surface", "Superfície de custo")
    if view == "bowl":
        figure, axis = new_figure(
            6, 5, title or default, figsize=figsize, ax=ax,
            subplot_kw={"projection": "3d"},
        )  # fmt: skip
        axis.plot_surface(x[None], y[:, None], z, cmap="cividis", alpha=0.75)
        axis.set_zlabel(cost_label)
    else:
        figure, axis = new_figure(6, 4.8, title or default, figsize=figsize, ax=ax)
        axis.set_facecolor("white")  # shines through the surface
        bottom = float(np.nanmin(z))
        top = float(np.nanmax(z)) - bottom
        # Quadratic steps: on a bowl the lines lie at equal distances.
        levels = bottom + top * np.linspace(0, 1, 16) ** 2
        if top > 0:
            filled = axis.contourf(x, y, z, levels=levels, cmap="cividis", alpha=0.75)
            axis.contour(x, y, z, levels=levels, colors="white", linewidths=0.5)
            bar = figure.colorbar(filled, ax=axis, label=cost_label)
            bar.ax.set_facecolor("white")  # as through the surface
            digits = 2 - math.floor(math.log10(max(abs(bottom), bottom + top)))
            marks = [float(level) for level in levels[::2]]
            bar.set_ticks(marks, labels=[f"{round(mark, digits):g}" for mark in marks])
        if gradients:
            _arrows(axis, surface, ranges, language)
    for index, (name, way) in enumerate(ways.items()):
        _draw_way(axis, cost, way, name, index, view)
    _count_gaps(axis, list(ways.values()), language)
    _count_missing(axis, z, language)
    if minimum is not None:
        place = list(minimum)
        if view == "bowl":
            place.append(float(np.asarray(cost(minimum))))
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
        legend_below(figure, axis, fontsize=9)
    return figure


@drawing()
def loss_landscape(
    landscape: Landscape,
    trajectory: Any = None,
    *,
    loss_label: str | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the loss of a network along two directions through its weights.

    Args:
        landscape: what `loss_along` measured.
        trajectory: the way of the training in the plane, `(points, 2)`, as
            `Landscape.project` gives it.
        loss_label: what the loss measures, with its unit; by default what `loss_along`
            measured.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure; the trained weights are the star in the middle.

    Raises:
        ValueError: the loss is nowhere finite, the trajectory not of two columns, or
            the language unknown.
        TypeError: it is no landscape.

    Example:
    >>> steps = np.linspace(-1, 1, 5)
    >>> loss = 1 + steps[:, None] ** 2 + steps**2
    >>> figure = loss_landscape(Landscape(steps, steps, loss, (), ()))
    >>> figure.axes[1].get_ylabel()
    'loss'

    Reference:
        Li, Xu, Taylor, Studer and Goldstein, "Visualizing the loss landscape of
        neural nets", NeurIPS 2018.
    """
    default = say(
        language,
        "Loss around the trained weights",
        "Perda em torno dos pesos treinados",
    )
    if not isinstance(landscape, Landscape):
        raise TypeError(
            "landscape must be what loss_along returns. Received: "
            f"{received(landscape)}"
        )
    shape = len(landscape.second), len(landscape.first)
    loss = numbers(landscape.loss, "landscape.loss", f"{shape}, as the steps", axes=2)
    loss = np.where(np.isfinite(loss), loss, np.nan)
    if loss.shape != shape or min(shape) < 2 or np.isnan(loss).all():
        raise ValueError(
            f"landscape.loss must be {shape}, as the steps, from (2, 2) on, and finite "
            f"somewhere. Received: {loss.shape}"
        )
    label = loss_label or label_of(landscape.loss_name, language)
    figure, axis = new_figure(5.8, 4.6, title or default, figsize=figsize, ax=ax)
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
        bar.set_ticks(marks, labels=_apart(marks))
    else:
        axis.set_xlim(landscape.first[0], landscape.first[-1])
        axis.set_ylim(landscape.second[0], landscape.second[-1])
        text = say(language, "the loss is the same everywhere", "perda igual em tudo")
        axis.plot([], [], linestyle="none", label=f"{text}: {low:.3g}")
    if trajectory is not None:
        way = numbers(trajectory, "trajectory", "of shape (points, 2)").astype(float)
        way = _two(way, "trajectory")
        axis.plot(*way.T, **_EDGE)
        _count_gaps(axis, [way], language)
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
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(MaxNLocator(5))
    _count_missing(axis, loss, language)
    legend_below(figure, axis, fontsize=9)
    return figure


def _ways(trajectories: Any) -> dict[str, np.ndarray]:
    """The trajectories as arrays, by name."""
    if trajectories is None:
        return {}
    if not isinstance(trajectories, Mapping):
        trajectories = {"": trajectories}
    ways = {}
    for name, way in trajectories.items():
        points = way.weights if hasattr(way, "weights") else way
        points = numbers(points, "A trajectory", "of shape (points, 2)").astype(float)
        ways[plain(name)] = _two(points, f"{name!r}")
    return ways


def _two(points: np.ndarray, name: str) -> np.ndarray:
    """Points of two weights, at least one of them finite."""
    two = points.ndim == 2 and points.shape[1] == 2
    if not two or not np.isfinite(points).all(1).any():
        raise ValueError(
            "A trajectory must be of shape (points, 2), one row for each w(n), and "
            f"finite somewhere. Received: {name} of shape {points.shape}"
        )
    return points


def _given_range(given: Any, name: str) -> tuple[float, float]:
    low_high = numbers(given, name, "(lowest, highest)").astype(float)
    if low_high.shape != (2,) or not low_high[0] < low_high[1]:
        raise ValueError(f"{name} must be (lowest, highest). Received: {name}={given}")
    return float(low_high[0]), float(low_high[1])


def _range_around(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    margin = 0.25 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_way(
    axis: Any, cost: Any, way: np.ndarray, name: str, index: int, view: str
) -> None:
    colour = CYCLE[(index + 1) % len(CYCLE)]
    points = list(way.T)
    if view == "bowl":
        points.append(np.asarray(cost(way), float))
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


def _count_missing(axis: Any, costs: np.ndarray, language: str) -> None:
    """Say what has no colour, and how much of it there is."""
    missing = int(np.isnan(costs).sum())
    if missing:
        text = say(language, "no colour: NaN or infinity", "sem cor: NaN ou infinito")
        axis.plot([], [], linestyle="none", label=f"{text} ({missing}/{costs.size})")


def _count_gaps(axis: Any, ways: list[np.ndarray], language: str) -> None:
    """A cross at the last point before NaN or infinity, and how many there are."""
    known: list[Any] = [np.isfinite(way).all(1) for way in ways]
    missing, points = sum((~k).sum() for k in known), sum(map(len, ways))
    if not missing:
        return
    ends = [way[:-1][k[:-1] & ~k[1:]] for way, k in zip(ways, known, strict=True)]
    places = np.concatenate(ends)
    text = say(language, "then NaN or infinity", "depois NaN ou infinito")
    marker = "x"
    if axis.name == "3d" or not len(places):
        text = say(language, "no line: NaN or infinity", "sem linha: NaN ou infinito")
        marker, places = "", np.empty((0, 2))
    axis.plot(
        *places.T, linestyle="none", marker=marker, color="black", markersize=9,
        markeredgewidth=2, zorder=6, label=f"{text} ({missing}/{points})",
    )  # fmt: skip


def _arrows(axis: Any, surface: Any, ranges: list, language: str) -> None:
    x, y = (np.linspace(low, high, 15)[1:-1] for low, high in ranges)
    slope = -np.asarray(surface.gradient(np.stack(np.meshgrid(x, y), -1)))
    axis.quiver(
        x, y, slope[..., 0], slope[..., 1], color="black", alpha=0.6, width=0.003
    )
    axis.plot(
        [], [], color=ink(), alpha=0.6, marker=r"$\rightarrow$", markersize=12,
        linestyle="none",
        label=say(language, "negative gradient", "gradiente negativo"),
    )  # fmt: skip


def _apart(marks: list[float]) -> list[str]:
    """Numbers of two digits, or of as many as tell them apart."""
    for digits in range(2, 8):
        labels = [f"{float(f'{mark:.{digits}g}'):g}" for mark in marks]
        if digits > 6:
            labels = [f"{mark:.{digits + 2}g}" for mark in marks]
        if len({*labels}) == len(marks):
            break
    return labels
