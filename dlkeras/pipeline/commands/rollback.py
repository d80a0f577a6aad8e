"""`dlkeras rollback`: an earlier version of a model becomes the champion again."""

import argparse

from dlkeras.pipeline.commands.arguments import count

HELP = "give a model's alias to an earlier version"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", metavar="NAME", help="a registered model")
    parser.add_argument("--alias", default="champion", help="default: champion")
    parser.add_argument(
        "--to", type=count, metavar="VERSION", help="default: the one before"
    )


def run(options: argparse.Namespace) -> int:
    """Move the alias, and print from where to where."""
    from dlkeras.pipeline import tracking

    before, now = tracking.roll_back(
        options.tracking_uri, options.mlruns, options.name, options.alias, options.to
    )
    print(f"{options.name}@{options.alias}: version {now}, before {before}")
    return 0
