"""`dlkeras runs`: the latest runs as a table."""

import argparse

from dlkeras.pipeline.commands.arguments import count

HELP = "list the latest runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--limit", type=count, default=20, help="how many (default: 20)"
    )


def run(options: argparse.Namespace) -> int:
    """Print a line for each run."""
    from rich.console import Console
    from rich.table import Table

    from dlkeras.pipeline import tracking
    from dlkeras.pipeline.engine.progress import TABLE_WIDTH

    runs = []
    mistyped = not options.mlruns.is_dir()
    if mistyped or tracking.exists(options.tracking_uri, options.mlruns):
        runs = tracking.list_runs(options.tracking_uri, options.mlruns, options.limit)
    if not runs:
        print(f"no runs in {options.mlruns}")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Run", "Name", "Status", "Started", "Time", "Score", "Model"):
        table.add_column(column, no_wrap=True)
    for run in runs:
        seconds, score = run["seconds"], run["score"]
        table.add_row(
            run["run_id"][:8],
            run["name"],
            run["status"],
            f"{run['started']:%Y-%m-%d %H:%M}",
            f"{seconds:.0f} s" if seconds is not None else "",
            f"{score[0].replace('_', ' ')} {score[1]:.4f}" if score else "",
            run["model"] or "",
        )
    Console(highlight=False, width=TABLE_WIDTH).print(table)
    return 0
