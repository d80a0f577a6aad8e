"""`dlkeras status`: what the store holds, who works, and whether files are whole."""

import argparse

HELP = "show what the store holds and who is working"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--verify", action="store_true", help="compare every file with its SHA-256"
    )


def run(options: argparse.Namespace) -> int:
    """Print the store's state; 1 where a file is damaged."""
    from dlkeras.pipeline.engine import store_report

    store = store_report.existing_store(options.mlruns)
    lines = list(store_report.status(store))
    print("\n".join(lines) or "the store is empty")
    damaged = 0
    if options.verify and lines:
        for line in store_report.damaged_files(store):
            print(f"DAMAGED {line}")
            damaged += 1
        if unsealed := store_report.unsealed_records(store):
            print(f"of an earlier version, whose records have no SHA-256: {unsealed}")
        print(f"damaged artifacts: {damaged}" if damaged else "every file is whole")
    return 1 if damaged else 0
