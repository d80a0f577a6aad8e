"""Figures of what an adaptive filter does: weights, spectra and constellations."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, legend_below, new_figure, say
from dlkeras.visualization.inputs import numbers
from dlkeras.visualization.look.colours import CYCLE, GREY, ORANGE
from dlkeras.visualization.look.scales import whole_numbers


@drawing()
def weights_over_time(
    weights: Any,
    optimum: Any = None,
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw how an adaptive filter's weights move, sample by sample.

    Args:
        weights: `(samples, taps)`: one filter's, of `return_weights=True`. Of complex
            weights the magnitude is drawn.
        optimum: `(taps,)`, where they should go; drawn dashed.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Raises:
        ValueError: the weights are no table, the optimum has another number of taps, or
            the language is unknown.
        TypeError: they are no numbers.

    Example:
    >>> from dlkeras.layers import LMSFilter
    >>> x = np.random.default_rng(0).normal(size=200)
    >>> weights = LMSFilter(1, 0.1, return_weights=True)(x, 0.5 * x)[2]
    >>> figure = weights_over_time(weights, [0.5])
    >>> [line.get_label() for line in figure.axes[0].lines][:1]
    ['$w_{0}$']
    """
    expected = "of shape (samples, taps), at least one of each"
    table = numbers(weights, "weights", expected, axes=2, kinds="biufc")
    if not table.size:
        raise ValueError(f"weights must be {expected}. Received: {table.shape}")
    ends = np.array([])
    if optimum is not None:
        wanted = f"of shape ({table.shape[1]},), as the weights"
        ends = numbers(optimum, "optimum", wanted, axes=1, kinds="biufc")
        if len(ends) != table.shape[1]:
            raise ValueError(f"optimum must be {wanted}. Received: {ends.shape}")
    complex_valued = np.iscomplexobj(table)
    if complex_valued:
        table, ends = np.abs(table), np.abs(ends)
    default = say(language, "Weights over time", "Pesos ao longo do tempo")
    figure, axis = new_figure(6.4, 4, title or default, figsize=figsize, ax=ax)
    few = table.shape[1] <= 8  # more would need no legend but a page
    known = np.isfinite(table)
    for k, path in enumerate(np.where(known, table, np.nan).T):
        colour = CYCLE[k % len(CYCLE)]
        label = f"$w_{{{k}}}$" if few else None
        dashes = "-" if k < len(CYCLE) else "-."
        # A point without neighbours has no line to be seen by.
        mark = None if (known[1:, k] & known[:-1, k]).any() else "o"
        axis.plot(path, dashes, color=colour, lw=1.2, marker=mark, label=label)
    if not known.all():
        first = int(np.flatnonzero(~known.all(1))[0])
        says = say(language, "NaN or infinity from n =", "NaN ou infinito desde n =")
        axis.axvline(
            first, color=GREY, lw=1, linestyle=(0, (1, 3)), label=f"{says} {first}"
        )
    for k, end in enumerate(ends):
        label = say(language, "optimum", "ótimo") if few and k == 0 else None
        colour = CYCLE[k % len(CYCLE)]
        axis.axhline(end, color=colour, lw=1, linestyle="--", label=label)
    axis.set_xlabel(say(language, "sample n", "amostra n"))
    axis.set_ylabel("$|w_k(n)|$" if complex_valued else "$w_k(n)$")
    axis.grid(alpha=0.3)
    whole_numbers(axis, 0, len(table) - 1)
    if axis.get_legend_handles_labels()[0]:
        legend_below(figure, axis, fontsize=9)
    return figure


@drawing()
def spectrogram(
    before: Any,
    after: Any = None,
    *,
    rate: float = 1.0,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the spectrogram of a signal, before and after a filter.

    Both have one scale, in dB below the strongest bin of either, so that what the
    filter took away is what is darker.

    Args:
        before: `(samples,)`, real, at least 16.
        after: the filter's error or output, of the same length.
        rate: samples a second.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Raises:
        ValueError: a signal is not of one axis, or too short, or the two have not one
            length, or the rate is not positive, or the language is unknown.
        TypeError: they are no real numbers.

    Example:
    >>> t = np.arange(8000) / 8000
    >>> hum = np.sin(2 * np.pi * 500 * t)
    >>> figure = spectrogram(hum, 0.1 * hum, rate=8000)
    >>> [axis.get_title() for axis in figure.axes[:2]]
    ['before', 'after']
    """
    expected = "of shape (samples,), at least 16"
    signals = [numbers(before, "before", expected, axes=1)]
    if after is not None:
        signals.append(numbers(after, "after", expected, axes=1))
    lengths = [len(signal) for signal in signals]
    if min(lengths) < 16 or len(set(lengths)) > 1:
        raise ValueError(
            f"before and after must be {expected}, of one length. Received: {lengths}"
        )
    if not 0 < rate < np.inf:
        raise ValueError(f"rate must be positive. Received: rate={rate!r}")
    length = min(256, 1 << (lengths[0] // 4).bit_length() - 1)
    levels = [_levels(signal, length) for signal in signals]
    finite = np.concatenate([level[np.isfinite(level)] for level in levels])
    top = finite.max() if finite.size else 0.0
    default = say(language, "Spectrogram", "Espectrograma")
    figure, axes = new_figure(
        6.4 if after is None else 9, 4, title or default, figsize=figsize, ax=ax,
        ncols=len(signals), squeeze=False,
    )  # fmt: skip
    names = say(language, "before", "antes"), say(language, "after", "depois")
    drawn = None
    for axis, level, name in zip(np.ravel(axes), levels, names, strict=False):
        drawn = axis.imshow(
            level - top, origin="lower", aspect="auto", vmin=-80, vmax=0,
            extent=(0, lengths[0] / rate, 0, rate / 2), interpolation="nearest",
        )  # fmt: skip
        if len(signals) > 1:
            axis.set_title(name)
        axis.set_xlabel(
            say(language, "sample n", "amostra n")
            if rate == 1
            else say(language, "time (s)", "tempo (s)")
        )
    hertz = say(language, "frequency (Hz)", "frequência (Hz)")
    cycles = say(language, "cycles a sample", "ciclos por amostra")
    np.ravel(axes)[0].set_ylabel(cycles if rate == 1 else hertz)
    figure.colorbar(drawn, ax=list(np.ravel(axes)), label="dB")
    return figure


def _levels(signal: np.ndarray, length: int) -> np.ndarray:
    """Power of half-overlapping Hann windows in dB: `(bins, windows)`."""
    frames = np.lib.stride_tricks.sliding_window_view(
        signal.astype("float64"), length
    )[:: length // 2]  # fmt: skip
    power = np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)) ** 2
    return 10 * np.log10(power.T + np.finfo("float64").tiny)


@drawing()
def constellation(
    before: Any,
    after: Any = None,
    *,
    symbols: Any = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw received symbols in the complex plane, before and after an equaliser.

    Args:
        before: `(samples,)`, what was received.
        after: `(samples,)`, what the equaliser makes of it.
        symbols: what may be sent; drawn as crosses.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Raises:
        ValueError: what is given is not of one axis, or empty, or the language is
            unknown.
        TypeError: they are no numbers.

    Example:
    >>> qpsk = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j])
    >>> noise = np.random.default_rng(0).normal(size=(2, 400)) * 0.1
    >>> sent = np.tile(qpsk, 100)
    >>> figure = constellation(sent * 1j**0.3, sent + noise[0], symbols=qpsk)
    >>> [axis.get_title() for axis in figure.axes]
    ['before', 'after']
    """
    expected = "of shape (samples,), at least one"
    given = {"before": before, "after": after, "symbols": symbols}
    found = {
        name: numbers(value, name, expected, axes=1, kinds="biufc")
        for name, value in given.items()
        if value is not None or name == "before"
    }
    for name, values in found.items():
        if not values.size:
            raise ValueError(f"{name} must be {expected}. Received: {values.shape}")
    points = [found[name] for name in ("before", "after") if name in found]
    default = say(language, "Constellation", "Constelação")
    figure, axes = new_figure(
        4.2 * len(points), 4.4, title or default, figsize=figsize, ax=ax,
        ncols=len(points), squeeze=False,
    )  # fmt: skip
    parts = np.concatenate(list(found.values()))
    parts = np.abs(np.concatenate([parts.real, parts.imag]))
    parts = parts[np.isfinite(parts)]
    edge = 1.1 * parts.max() if parts.size and parts.max() > 0 else 1.0
    names = say(language, "before", "antes"), say(language, "after", "depois")
    for axis, values, name in zip(np.ravel(axes), points, names, strict=False):
        received = say(language, "received", "recebidos")
        few = len(values) <= 50
        axis.plot(
            values.real, values.imag, ".", color=GREY, label=received,
            ms=7 if few else 2.5, alpha=0.9 if few else 0.5,
        )  # fmt: skip
        if "symbols" in found:
            sent = found["symbols"]
            label = say(language, "sent", "enviados")
            axis.plot(
                sent.real, sent.imag, "+", color=ORANGE, ms=10, mew=2, label=label
            )
        if len(points) > 1:
            axis.set_title(name)
        axis.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
        axis.set_xlabel(say(language, "in phase", "em fase"))
        axis.grid(alpha=0.3)
    np.ravel(axes)[0].set_ylabel(say(language, "in quadrature", "em quadratura"))
    if "symbols" in found:
        legend_below(figure, np.ravel(axes)[0])
    return figure
