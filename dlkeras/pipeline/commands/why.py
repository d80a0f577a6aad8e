"""`dlkeras why`: says what changed, so that a component ran again."""

import argparse

from dlkeras.pipeline.commands.arguments import add_run

HELP = "say why a component ran: which part of its key changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_run(parser)
    parser.add_argument("component", metavar="COMPONENT", help="such as Trainer")


def run(options: argparse.Namespace) -> int:
    """Print the reasons."""
    from dlkeras.pipeline.engine.lineage import read_lineage
    from dlkeras.pipeline.engine.provenance import reasons
    from dlkeras.pipeline.engine.store_report import existing_store

    store = existing_store(options.mlruns)
    for line in reasons(store, read_lineage(store, options.run), options.component):
        print(line)
    return 0
