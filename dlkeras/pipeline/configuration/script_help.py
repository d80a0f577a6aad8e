"""`--help` of a pipeline script: the flags that people use, of a component, or all."""

import argparse
from collections.abc import Mapping

from pydantic import BaseModel

from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.configuration.flags import Flag, add_help
from dlkeras.pipeline.store.errors import InputError

# What is changed from job to job, beside all flags of components of the user's own.
COMMON = (
    "--name",
    "--seed",
    "--mlruns",
    "--example-gen.dataset",
    "--example-gen.image-folder",
    "--example-gen.manifest",
    "--transform.height",
    "--transform.width",
    "--transform.augment",
    "--tuner.max-trials",
    "--tuner.space",
    "--trainer.architecture",
    "--trainer.transfer.source",
    "--trainer.epochs",
    "--trainer.batch-size",
    "--trainer.learning-rate",
    "--trainer.optimizer",
    "--trainer.dropout",
    "--evaluator.min-accuracy",
    "--pusher.model-name",
)
DESCRIPTION = (
    "Run the pipeline: what its store has already is reused. Flags override "
    "environment variables (DLKERAS_TRAINER__EPOCHS=5), which override --config, which "
    "overrides the script; each says what it says, and leaves the rest as it was. "
    "VALUE None unsets what may be left out."
)


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare the two flags that ask for help."""
    parser.add_argument(
        "-h",
        "--help",
        nargs="?",
        const="",
        metavar="COMPONENT",
        help="show the flags that are used most, or all flags of a component",
    )
    parser.add_argument("--help-all", action="store_true", help="show all flags")


def show(
    options: argparse.Namespace,
    parser: argparse.ArgumentParser,
    flags: Mapping[str, Flag],
    base: BaseModel,
) -> None:
    """Print what was asked for.

    Args:
        options: with `help` and `help_all`.
        parser: has the flags that are no part of the configuration.
        flags: those of the configuration.
        base: the script's configuration, for the defaults.

    Raises:
        InputError: there is no such component.
    """
    components = {flag.path[0].replace("_", "-"): None for flag in flags.values()}
    for name in [n for n in components if f"--{n}" in flags]:
        del components[name]  # a flag by itself
    parser.usage = "%(prog)s [--FLAG VALUE ...]"
    parser.description = DESCRIPTION
    if options.help_all:
        add_help(parser, flags, base)
    elif not options.help:
        own = [
            n
            for n, f in flags.items()
            if f.path[0] not in PipelineConfig.model_fields
            or (f.path[:2] == ("trainer", "network_args") and len(f.path) > 2)
        ]
        shown = [*(name for name in COMMON if name in flags), *own]
        add_help(parser, {name: flags[name] for name in shown}, base, grouped=False)
    else:
        plain = options.help.replace("-", "").replace("_", "").lower()
        chosen = [name for name in components if name.replace("-", "") == plain]
        if not chosen:
            raise InputError(
                f"--help: expected a component, one of {', '.join(components)}; "
                f"received {options.help!r}"
            )
        prefix = f"--{chosen[0]}."
        only = {name: flag for name, flag in flags.items() if name.startswith(prefix)}
        add_help(parser, only, base)
    parser.epilog = (
        f"More flags: --help COMPONENT, one of {', '.join(components)}, or --help-all."
    )
    parser.print_help()
