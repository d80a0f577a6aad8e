"""Axes of logarithms and of counts: what their ticks say."""

from typing import Any

from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator


class PlainLogarithms(LogFormatterSciNotation):
    """Ticks as 0.5 and 20 where an axis has no value of many zeros.

    `6 x 10^-1` is right, and nobody reads it at a glance.
    """

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write a tick."""
        text = super().__call__(x, pos)
        low, high = sorted(self.axis.get_view_interval())
        return f"{x:g}" if text and low >= 1e-3 and high <= 1e4 else text


def logarithmic(axis: Any) -> None:
    """Give an axis of values logarithmic steps, with plain numbers where they fit."""
    axis.set_yscale("log")
    plain_steps(axis.yaxis)


def plain_steps(scale: Any) -> None:
    """Write the steps of a logarithmic x or y axis, or of a colour bar, plainly."""
    scale.set_major_formatter(PlainLogarithms())
    scale.set_minor_formatter(PlainLogarithms(minor_thresholds=(1, 0.4)))


def whole_numbers(axis: Any, first: float, last: float) -> None:
    """Ticks of samples or epochs: whole numbers, also where there is only one."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if first == last:
        axis.set_xlim(first - 0.5, last + 0.5)
