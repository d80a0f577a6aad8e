"""A window for a figure that pyplot did not make."""

import warnings
from typing import Any

from matplotlib.backend_bases import FigureManagerBase
from matplotlib.figure import Figure


def open_window(figure: Figure, warn: bool = True) -> None:
    """Show a figure in a window until it is closed, or say that there is none.

    Args:
        figure: the figure; pyplot does not know of it before or afterwards.
        warn: whether to warn where no window can be opened, as on a server.
    """
    from matplotlib import pyplot  # chooses a window system: only now

    made: Any = lambda *sizes, **options: figure  # noqa: E731
    pyplot.figure(FigureClass=made)
    manager, usual = type(figure.canvas.manager), FigureManagerBase
    ways: Any = [(manager.pyplot_show, usual.pyplot_show)]
    ways.append((manager.start_main_loop, usual.start_main_loop))
    if any(own.__func__ is not other.__func__ for own, other in ways):
        pyplot.show(block=True)
    elif warn:
        warnings.warn(
            f"No window can be opened (matplotlib's backend is {pyplot.get_backend()}):"
            " figure.savefig('figure.png') writes the picture.",
            stacklevel=3,
        )
    pyplot.close(figure)
