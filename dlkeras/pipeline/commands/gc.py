"""`dlkeras gc`: the artifacts that nothing needs, listed or removed."""

import argparse

from dlkeras.pipeline.commands.arguments import count, hours

HELP = "list artifacts that nothing needs, and remove them if asked"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--delete", action="store_true", help="remove them (default: only list them)"
    )
    parser.add_argument(
        "--keep-runs",
        type=count,
        default=5,
        help="keep what the latest runs made or reused (default: 5)",
    )
    parser.add_argument(
        "--min-age",
        type=hours,
        default=24.0,
        metavar="HOURS",
        help="keep what was used within so many hours (default: 24)",
    )


def run(options: argparse.Namespace) -> int:
    """Print what could go, and remove it if you asked for that."""
    from dlkeras.pipeline.engine.garbage import collect, garbage
    from dlkeras.pipeline.engine.store_report import existing_store

    store, min_age = existing_store(options.mlruns), options.min_age * 3600
    found = garbage(store, keep_runs=options.keep_runs, min_age=min_age)
    for piece in found:
        print(f"{piece.size / 2**20:8.1f} MiB  {piece.path}  {piece.what}")
    total = sum(piece.size for piece in found) / 2**20
    if options.delete:
        freed = collect(store, found, print) / 2**20
        print(f"removed: {freed:.1f} MiB")
    else:
        print(f"could be removed with --delete: {total:.1f} MiB")
    return 0
