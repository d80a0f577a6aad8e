"""The command `dlkeras`: parses, and calls one of `dlkeras.pipeline.commands`.

It starts without TensorFlow and MLflow; a command imports what it needs.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from dlkeras.pipeline.commands import command_modules
from dlkeras.pipeline.commands.arguments import add_places
from dlkeras.pipeline.store.errors import exit_code_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `dlkeras`.

    Args:
        arguments: the command line; default: `sys.argv[1:]`.

    Returns:
        The exit code: 0; 1 where something failed; 2 where the input is at fault.
    """
    return exit_code_of(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlkeras",
        description="Look at the runs of a pipeline, and use the models it pushed.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module in command_modules().items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            allow_abbrev=False,
        )
        add_places(command)
        module.add_arguments(command)
        command.set_defaults(command=module.run)
    return parser


class _Version(argparse.Action):
    """Print the version and stop."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import dlkeras

        print(f"dlkeras {dlkeras.__version__}")
        parser.exit()


if __name__ == "__main__":
    raise SystemExit(main())
