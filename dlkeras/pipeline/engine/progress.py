"""What the user sees of a run: a line for each step, and a table at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dlkeras.pipeline.engine.result import Step

# More than any path needs: a table is cut neither to a narrow terminal nor in a log.
TABLE_WIDTH = 1000


class Progress:
    """Shows a run on a console: plain lines where it is not a terminal.

    Args:
        console: where to; default: standard output.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False, soft_wrap=True)

    @property
    def keras_verbose(self) -> Any:
        """Keras's own progress: 1, a moving bar; 2, a line an epoch, in a log."""
        return 1 if self.console.is_terminal else 2

    def say(self, text: str) -> None:
        """Show a line."""
        self.console.print(escape(text))

    def begin(self, component: str) -> None:
        """Say that a component starts."""
        self.console.print(f"[bold]{component}[/bold] ...")

    def end(self, component: str, cached: bool, seconds: float, path: Path) -> None:
        """Say what became of a component."""
        if cached:
            self.console.print(f"[bold]{component}[/bold] reused {escape(str(path))}")
        else:
            self.console.print(f"[bold]{component}[/bold] done in {seconds:.1f} s")

    def table(self, steps: Sequence["Step"]) -> None:
        """Show all steps: component, time, cached or run, artifact."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("Component")
        table.add_column("Time", justify="right")
        table.add_column("")
        table.add_column("Artifact", no_wrap=True)
        names = [step.component for step in steps]
        for step in steps:
            several = names.count(step.component) > 1
            output = f": {step.artifact.record.type}" if several else ""
            table.add_row(
                step.component + output,
                f"{step.seconds:.1f} s",
                "cached" if step.cached else "run",
                escape(str(step.artifact.path)),
            )
        wide = Console(
            file=self.console.file,
            width=TABLE_WIDTH,
            force_terminal=self.console.is_terminal,
            quiet=self.console.quiet,
            highlight=False,
        )
        wide.print()
        wide.print(table)
        wide.print()
