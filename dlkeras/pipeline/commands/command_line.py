"""The command line of a pipeline script: every field of the configuration is a flag."""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from dlkeras.pipeline.configuration import script_help
from dlkeras.pipeline.configuration.config import (
    PipelineConfig,
    component_names,
    describe,
    load_config,
    merge,
)
from dlkeras.pipeline.configuration.environment import (
    NETWORKS,
    explain,
    from_environment,
    is_given,
    network_given,
    variables_of,
)
from dlkeras.pipeline.configuration.flags import Flag, argument_flags, flags_of, take
from dlkeras.pipeline.engine.lasting_output import lasting_output
from dlkeras.pipeline.machines.worker_watch import end_process
from dlkeras.pipeline.store.errors import (
    InputError,
    RunInterrupted,
    WorkerLostError,
    exit_code_of,
    report,
)

if TYPE_CHECKING:
    from dlkeras.pipeline.engine.execution import Run


# What a command runs of a script in place of the script's own graph.
instead: "ContextVar[Callable[[Run], Any] | None]" = ContextVar("instead", default=None)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with the flags that a wrong one resembles."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)

    def flags(self) -> list[str]:
        """All flags there are."""
        return [flag for action in self._actions for flag in action.option_strings]


def _run_options(names: Sequence[str]) -> _Parser:
    """The flags that say how to run, and are no part of the job."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    group = parser.add_argument_group("how to run")
    script_help.add_arguments(group)
    group.add_argument(
        "--config",
        metavar="FILE.json",
        help="a configuration, or a part of one, such as a run keeps",
    )
    group.add_argument(
        "--force",
        metavar="COMPONENT",
        action="append",
        default=[],
        choices=names,
        help=f"run it even where its artifact exists; one of {', '.join(names)}; "
        "may be given again",
    )
    group.add_argument(
        "--until", metavar="COMPONENT", choices=names, help="stop after it"
    )
    group.add_argument(
        "--no-tuner", action="store_true", help="do not search for hyperparameters"
    )
    group.add_argument(
        "--print-config",
        action="store_true",
        help="print the resolved configuration as JSON and stop",
    )
    return parser


def parse(
    default: PipelineConfig,
    arguments: Sequence[str],
    prog: str | None = None,
    names: Sequence[str] | None = None,
) -> tuple[PipelineConfig, argparse.Namespace]:
    """Resolve the configuration from a script's default, a file, and flags.

    Args:
        default: what the script defines.
        arguments: the command line, `sys.argv[1:]`.
        prog: name of the script, for the help.
        names: of components; by default all that the configuration has a section for.

    Returns:
        The configuration and the options of the run: config, force, until.

    Raises:
        InputError: a flag is unknown or ill-typed; the message names the flag, what is
            allowed and what came.

    Example:
    >>> config, options = parse(PipelineConfig(), ["--trainer.epochs", "5"])
    >>> config.trainer.epochs
    5
    """
    model = type(default)
    flags = flags_of(model)
    options_parser = _run_options(names or component_names(model))
    given, rest = take(arguments, flags, options_parser.flags())
    options, unknown = options_parser.parse_known_args(rest)
    base = load_config(Path(options.config), default) if options.config else default
    network = network_given(given)
    base = _of_one_network(base, network)
    more = _flags_of_network(base, network)
    if more:
        flags |= more
        given, rest = take(arguments, flags, options_parser.flags())
        options, unknown = options_parser.parse_known_args(rest)
    if options.help is not None or options.help_all:
        parser = _Parser(prog=prog, parents=[options_parser], add_help=False)
        script_help.show(options, parser, flags, base)
        raise SystemExit(0)
    if unknown:
        known = [*options_parser.flags(), *flags]
        raise InputError(explain(unknown[0].partition("=")[0], known))
    if options.no_tuner:
        given.setdefault("tuner", {})["enabled"] = False
    variables = variables_of(flags)
    said = from_environment(variables)
    if given.get("trainer", {}).keys() & NETWORKS:  # a flag wins over both variables
        for name in NETWORKS:
            said.get("trainer", {}).pop(name, None)
    try:
        # Not strict: what comes from a command line is text.
        config = model.model_validate(
            merge(base.model_dump(), merge(said, given)), strict=False
        )
    except ValidationError as error:
        text = describe(error, flag=True)
        flag = text.partition(":")[0]
        for name, of in variables.items():
            if of.name == flag and name in os.environ and not is_given(given, of.path):
                text = text.replace(flag, name, 1)
        raise InputError(text) from error
    return config, options


def _of_one_network(
    base: PipelineConfig, given: Mapping[str, str | None]
) -> PipelineConfig:
    """The script's configuration without the network that another replaces."""
    changed = {}
    if given:
        changed["network_args"] = {}
        if "network" not in given:
            changed["network"] = None
    trainer = base.trainer.model_copy(update=changed)
    return base.model_copy(update={"trainer": trainer})


def _flags_of_network(
    base: PipelineConfig, given: Mapping[str, str | None]
) -> dict[str, Flag]:
    """The flags of the arguments of a network of the user's own."""
    network = given.get("network", base.trainer.network)
    if network is None or not re.fullmatch(r"[^\s:/]+:[^\s:/]+", network):
        return {}
    from dlkeras.pipeline.training.own.network import builder_of, parameters

    trainer = base.trainer.model_copy(update={"network": network})
    name = network.rpartition(":")[2]
    path = ("trainer", "network_args")
    return argument_flags(path, parameters(builder_of(trainer)), name)


@lasting_output()
def main(
    default: PipelineConfig,
    arguments: Sequence[str] | None = None,
    *,
    graph: "Callable[[Run], Any] | None" = None,
    source: Any = None,
    network: Callable[..., Any] | None = None,
    loss: Any = None,
    metrics: Sequence[Any] = (),
    optimizer: Any = None,
    callbacks: Sequence[Any] = (),
    augmentation: Callable[[Any, Any], Any] | None = None,
) -> int:
    """Run a pipeline script: resolve its flags, run it, and show what came of it.

    Args:
        default: the script's configuration.
        arguments: the command line; default: `sys.argv[1:]`.
        graph: calls the components, one after the other; their configurations become
            flags, too. Default: the standard graph.
        source: a function that yields (image, label) or (image, label, name), a
            `tf.data.Dataset`, a PyDataset, a pair of arrays, a Hugging Face data set,
            or a dictionary of such by split.
        network: builds a network of your own: takes `input_shape` and `num_classes`,
            returns a `keras.Model` of images to probabilities. Its arguments with
            defaults become flags (`--trainer.network-args.filters 64`) and dimensions
            of the search (`--tuner.space filters=16,32`).
        loss: a function of the labels' shares `(batch, classes)` and the probabilities,
            or a loss of Keras's; its name, too.
        metrics: functions of the same two, or metrics of Keras's.
        optimizer: an optimizer of Keras's, with its learning rate.
        callbacks: classes of callbacks, functions that make one, or objects, which no
            other process sees; of their state checkpoints hold what `get_state`
            gives, or public attributes that are JSON or lists of arrays.
        augmentation: changes a training image; takes it and a seed of two integers, for
            `tf.image.stateless_random_flip_left_right` and its like.

    Returns:
        The exit code: 0; 1 where the run failed; 2 where a flag, a file or the data
        are at fault; 3 where the model was not blessed; 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # A container that is stopped is treated like Ctrl-C: the run is marked KILLED.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # its terminal may go
    if source is not None:
        default = _with_source(default, source)
    own = {
        "network": network,
        "loss": loss,
        "metrics": tuple(metrics) or None,
        "optimizer": optimizer,
        "callbacks": tuple(callbacks) or None,
        "augmentation": augmentation,
    }
    own = {name: thing for name, thing in own.items() if thing is not None}
    return exit_code_of(lambda: _run(_with_own(default, own), arguments, graph))


def _with_source(config: PipelineConfig, source: Any) -> PipelineConfig:
    from dlkeras.pipeline.configuration.references import refer_to_source

    fields = config.example_gen.model_dump() | {"source": refer_to_source(source)}
    section = type(config.example_gen).model_validate(fields)
    return config.model_copy(update={"example_gen": section})


def _with_own(config: PipelineConfig, own: Mapping[str, Any]) -> PipelineConfig:
    """The configuration with the names of what a script hands over."""
    if not own:
        return config
    from dlkeras.pipeline.configuration.references import refer_to_callback
    from dlkeras.pipeline.training.compiling import written

    names: dict[str, Any] = {}
    for argument, thing in own.items():
        if argument == "callbacks":
            names[argument] = tuple(map(refer_to_callback, thing))
        elif argument == "metrics":
            names[argument] = tuple(written(argument, one) for one in thing)
        else:
            names[argument] = written(argument, thing)
    fields = {**config.trainer.model_dump(), **names}
    trainer = type(config.trainer).model_validate(fields)
    return config.model_copy(update={"trainer": trainer})


def _run(
    default: PipelineConfig,
    arguments: Sequence[str],
    graph: "Callable[[Run], Any] | None",
) -> int:
    graph = instead.get() or graph
    try:
        names = None
        if graph is not None:
            default, names = _with_components(default, graph)
        config, options = parse(default, arguments, Path(sys.argv[0]).name, names)
        if options.print_config:
            print(json.dumps(config.model_dump(mode="json"), indent=2))
            return 0
        return _run_and_report(config, options, graph)
    except WorkerLostError as error:
        end_process(report(error))
    except RunInterrupted:
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted before a run began") from None


def _with_components(
    config: PipelineConfig, graph: "Callable[[Run], Any]"
) -> tuple[PipelineConfig, tuple[str, ...]]:
    """The configuration with the sections of a graph's components, and their names."""
    from dlkeras.pipeline.engine.component import (
        components_of,
        names_of,
        with_sections,
    )

    components = components_of(graph)
    config = with_sections(config, components)
    return config, names_of(config, components)


def _command() -> str:
    """The command `dlkeras` as the user can call it from here."""
    if shutil.which("dlkeras"):
        return "dlkeras"
    beside = Path(sys.executable).with_name("dlkeras")
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


def _run_and_report(
    config: PipelineConfig,
    options: argparse.Namespace,
    graph: "Callable[[Run], Any] | None",
) -> int:
    from dlkeras.pipeline.engine.progress import Progress
    from dlkeras.pipeline.graph import run, standard
    from dlkeras.pipeline.serving.tasks.registry import task_of

    progress = Progress()
    result = run(
        config,
        graph=graph or standard,
        force=options.force,
        until=options.until,
        progress=progress,
    )
    if not result.run_link:  # of a worker whose chief has the run
        progress.say(result.reason)
        return result.exit_code
    progress.table(result.steps)
    evaluation = result.artifacts.get("Evaluation")
    if evaluation is not None:
        p = evaluation.properties
        progress.say(task_of(p.get("task", "")).result(p))
    if result.model_version is not None:
        progress.say(
            f"Blessed ({result.reason}) and pushed as "
            f"models:/{config.model_name}/{result.model_version}, "
            f"alias {config.pusher.alias}"
        )
    elif result.blessed is False:
        progress.say(f"Not blessed, not pushed: {result.reason}")
    progress.say(f"This run:  {result.run_link}")
    progress.say(f"Compare:   {result.compare_link}")
    if config.tracking_uri is None and "MLFLOW_TRACKING_URI" not in os.environ:
        where = [] if config.mlruns == Path("mlruns") else ["--mlruns", config.mlruns]
        command = shlex.join(map(str, [_command(), "ui", *where]))
        progress.say(f"The links open while this runs: {command}")
    return result.exit_code
