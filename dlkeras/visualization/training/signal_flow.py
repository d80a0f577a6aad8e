"""Signal-flow graphs of the lectures, drawn from their equations."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from dlkeras.visualization.figure import drawing, ink, new_figure, paper, say
from dlkeras.visualization.inputs import received

GRAPHS = ("adaptive_model", "back_propagated_error")


@drawing()
def signal_flow_graph(
    graph: str = "adaptive_model",
    *,
    nodes: int = 3,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw a signal-flow graph: nodes are signals, arrows what they are multiplied by.

    Args:
        graph: `"adaptive_model"`, the neuron beside an unknown system: y(i) is the sum
            of weights times inputs, e(i) = d(i) - y(i). `"back_propagated_error"`, how
            errors of the layer above come to neuron j of the layer below: the sum of
            w_kj phi'(v_k) e_k, times phi'(v_j), is the local gradient of j.
        nodes: inputs of the neuron, or neurons of the layer above: 2 to 6. The last is
            written m.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Raises:
        ValueError: the graph or the language is unknown, or nodes is not in its range.

    Example:
    >>> figure = signal_flow_graph("adaptive_model", nodes=3)
    >>> texts = [text.get_text() for text in figure.axes[0].texts]
    >>> "$w_{m}(i)$" in texts and "$e(i)$" in texts
    True

    Reference:
        Haykin, *Neural Networks*, 2nd ed., figures 3.1 and 4.6.
    """
    if not isinstance(graph, str) or graph not in GRAPHS:
        raise ValueError(f"graph must be one of {GRAPHS}. Received: {received(graph)}")
    if nodes not in range(2, 7):
        raise ValueError(f"nodes must be 2 to 6. Received: nodes={nodes!r}")
    titles = {
        "adaptive_model": say(
            language,
            "Signal-flow graph of the adaptive model",
            "Grafo de fluxo de sinal do modelo adaptativo",
        ),
        "back_propagated_error": say(
            language,
            "Signal-flow graph of the back-propagated error",
            "Grafo de fluxo de sinal do erro retropropagado",
        ),
    }
    size = (6.4, 1.2 + 0.8 * nodes)
    figure, axis = new_figure(*size, title or titles[graph], figsize=figsize, ax=ax)
    axis.set_axis_off()
    names = [*map(str, range(1, nodes)), "m"]
    rows = [nodes - 1 - k for k in range(nodes)]
    middle = (nodes - 1) / 2
    if graph == "adaptive_model":
        for name, row in zip(names, rows, strict=True):
            _node(axis, 0, row, f"$x_{{{name}}}(i)$", "left")
            _branch(axis, (0, row), (2, middle), f"$w_{{{name}}}(i)$")
        _node(axis, 2, middle, "$v(i)$", "above")
        _branch(axis, (2, middle), (3.4, middle), "$1$")
        _node(axis, 3.4, middle, "$y(i)$", "above")
        _branch(axis, (3.4, middle), (4.8, middle), "$-1$")
        _node(axis, 4.8, middle, "$e(i)$", "right")
        _branch(axis, (4.8, middle + 1), (4.8, middle), "$1$")
        _node(axis, 4.8, middle + 1, "$d(i)$", "right")
    else:
        for name, row in zip(names, rows, strict=True):
            _node(axis, 4.8, row, f"$e_{{{name}}}(n)$", "right")
            slope = rf"$\varphi_{{{name}}}'(v_{{{name}}}(n))$"
            _branch(axis, (4.8, row), (3.2, row), slope)
            side = "above" if row >= middle else "below"  # away from its branch
            _node(axis, 3.2, row, rf"$\delta_{{{name}}}(n)$", side)
            _branch(axis, (3.2, row), (1.2, middle), f"$w_{{{name}j}}(n)$")
        _node(axis, 1.2, middle, "", "above")
        _branch(axis, (1.2, middle), (0, middle), r"$\varphi_j'(v_j(n))$")
        _node(axis, 0, middle, r"$\delta_j(n)$", "left")
    axis.set(xlim=(-0.9, 5.7), ylim=(-0.6, max(nodes - 0.4, middle + 1.4)))
    return figure


def _node(axis: Any, x: float, y: float, name: str, side: str) -> None:
    """A signal: a small circle, and its name beside it."""
    axis.plot(x, y, "o", color=ink(), mfc=paper(), ms=6, zorder=3)
    apart, across, up = {
        "left": ((-10, 0), "right", "center"),
        "right": ((10, 0), "left", "center"),
        "above": ((0, 9), "center", "bottom"),
        "below": ((0, -9), "center", "top"),
    }[side]
    axis.annotate(
        name, (x, y), apart, textcoords="offset points", ha=across,
        va=up, fontsize=11,
    )  # fmt: skip


def _branch(axis: Any, start: tuple, end: tuple, gain: str) -> None:
    """A branch with its gain: a line, and an arrow on the middle of it."""
    (x, y), (u, v) = start, end
    axis.plot([x, u], [y, v], color=ink(), lw=1, zorder=1)
    near, far = ((x + k * (u - x), y + k * (v - y)) for k in (0.4, 0.5))
    axis.add_patch(
        FancyArrowPatch(
            near, far, arrowstyle="-|>", mutation_scale=12, color=ink(), lw=0,
            shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip
    place = (x + 0.32 * (u - x), y + 0.32 * (v - y))
    apart, across = ((5, 0), "left") if x == u else ((0, 4), "center")
    axis.annotate(
        gain, place, apart, textcoords="offset points", ha=across, va="bottom",
        fontsize=10, bbox={"facecolor": paper(), "edgecolor": "none", "pad": 0.5},
    )  # fmt: skip
