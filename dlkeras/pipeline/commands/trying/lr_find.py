"""`dlkeras lr-find`: suggests a learning rate for a pipeline script's network."""

import argparse
import runpy
import sys
from pathlib import Path

from dlkeras.pipeline.store.errors import InputError

HELP = "find the learning rate for a pipeline script's network"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "script", metavar="SCRIPT", type=Path, help="a script that calls main(CONFIG)"
    )
    parser.add_argument(
        "flags",
        metavar="FLAG",
        nargs=argparse.REMAINDER,
        help="flags of the script, such as --example-gen.image-folder photos",
    )


def run(options: argparse.Namespace) -> int:
    """Run the script up to its network, and print the suggested rate.

    Returns:
        The exit code of the script.
    """
    from dlkeras.pipeline.commands.command_line import instead
    from dlkeras.pipeline.graph import find_learning_rate

    script = options.script
    if not script.is_file():
        raise InputError(f"SCRIPT: expected a pipeline script; {script} does not exist")
    places = []
    if options.mlruns != Path("mlruns"):
        places += ["--mlruns", str(options.mlruns)]
    if options.tracking_uri is not None:
        places += ["--tracking-uri", options.tracking_uri]
    before, path = sys.argv, list(sys.path)
    sys.argv = [str(script), *places, *options.flags]
    sys.path.insert(0, str(script.resolve().parent))
    asked = instead.set(find_learning_rate)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    finally:
        instead.reset(asked)
        sys.argv, sys.path[:] = before, path
    return 0
