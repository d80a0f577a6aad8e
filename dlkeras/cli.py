"""The command `dlkeras`: runs, artifacts, MLflow's pages, predictions, diagnosis.

It starts without TensorFlow and MLflow; a command imports what it needs.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `dlkeras`.

    Args:
        arguments: the command line; default: `sys.argv[1:]`.

    Returns:
        The exit code: 0; 1 where something failed; 2 where the input is at fault.
    """
    options = _parser().parse_args(arguments)
    if options.command is None:
        _parser().print_help()
        return 0
    from dlkeras.pipeline.errors import PipelineError

    try:
        code = options.command(options)
        sys.stdout.flush()
        return code
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"error: standard output: {error.strerror}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument(
        "--mlruns",
        type=Path,
        default=Path("mlruns"),
        help="folder of the runs (default: mlruns)",
    )
    places.add_argument(
        "--tracking-uri",
        help="MLflow server or database (default: MLFLOW_TRACKING_URI, else "
        "mlflow.db in the folder of the runs)",
    )
    parser = argparse.ArgumentParser(
        prog="dlkeras",
        description="Look at the runs of a pipeline, and use the models it pushed.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, parents=[places], help=text, description=text, allow_abbrev=False
        )
        command.set_defaults(command=function)
        return command

    ui = add("ui", _ui, "serve MLflow's pages on this machine")
    ui.add_argument("--port", type=_port, default=5000, help="port (default: 5000)")
    runs = add("runs", _runs, "list the latest runs")
    runs.add_argument("--limit", type=_count, default=20, help="how many (default: 20)")
    show = add("show", _show, "show a run's artifacts, and what each was made of")
    show.add_argument("run", metavar="RUN", help="a run's id, its beginning, or last")
    augment = add("augment", _augment, "draw what the augmentation makes of images")
    augment.add_argument("images", metavar="IMAGE", nargs="+", type=Path)
    augment.add_argument(
        "--output",
        type=Path,
        default=Path("augmented.png"),
        help="the picture (default: augmented.png)",
    )
    augment.add_argument(
        "--config", type=Path, metavar="FILE.json", help="the configuration of a run"
    )
    augment.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of the transform, such as rotation=30; may be given again",
    )
    augment.add_argument("--epochs", type=_count, default=6, help="versions of each")
    augment.add_argument("--seed", type=_seed, default=0, help="decides them")
    why = add("why", _why, "say why a component ran: which part of its key changed")
    why.add_argument("run", metavar="RUN", help="a run's id, its beginning, or last")
    why.add_argument("component", metavar="COMPONENT", help="such as Trainer")
    status = add("status", _status, "show what the store holds and who is working")
    status.add_argument(
        "--verify", action="store_true", help="compare every file with its SHA-256"
    )
    gc = add("gc", _gc, "list artifacts that nothing needs, and remove them if asked")
    gc.add_argument(
        "--delete", action="store_true", help="remove them (default: only list them)"
    )
    gc.add_argument(
        "--keep-runs",
        type=_count,
        default=5,
        help="keep what the latest runs made or reused (default: 5)",
    )
    gc.add_argument(
        "--min-age",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="keep what was used within so many hours (default: 24)",
    )
    predict = add("predict", _predict, "classify images with a pushed model")
    predict.add_argument(
        "model",
        metavar="MODEL",
        help="a registered name, name@alias, name/version, or a .keras file",
    )
    predict.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=Path,
        help="files, or folders of them",
    )
    predict.add_argument(
        "--invert", action="store_true", help="dark on light: invert the grey levels"
    )
    predict.add_argument("--json", action="store_true", help="print JSON")
    serve = add("serve", _serve, "answer requests for a pushed model on this machine")
    serve.add_argument(
        "model", metavar="MODEL", help="a registered name, name@alias or name/version"
    )
    serve.add_argument("--port", type=_port, default=5001, help="default: 5001")
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine alone); put a "
        "server that encrypts and asks who calls before any other",
    )
    serve.add_argument(
        "--max-body",
        type=_count,
        default=16,
        metavar="MIB",
        help="largest body of a request in MiB (default: 16)",
    )
    rollback = add("rollback", _rollback, "give a model's alias to an earlier version")
    rollback.add_argument("name", metavar="NAME", help="a registered model")
    rollback.add_argument("--alias", default="champion", help="default: champion")
    rollback.add_argument(
        "--to", type=_count, metavar="VERSION", help="default: the one before"
    )
    add("doctor", _doctor, "check versions, backend, devices and folders")
    return parser


def _whole_number(text: str, low: int, high: float, what: str) -> int:
    if not text.isdigit() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"expected {what}; received {text!r}")
    return int(text)


def _count(text: str) -> int:
    return _whole_number(text, 1, float("inf"), "a whole number of at least 1")


def _seed(text: str) -> int:
    return _whole_number(text, 0, float("inf"), "a whole number of at least 0")


def _port(text: str) -> int:
    return _whole_number(text, 1, 65535, "a port from 1 to 65535")


class _Version(argparse.Action):
    """Print the version and stop."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import dlkeras

        print(f"dlkeras {dlkeras.__version__}")
        parser.exit()


def _ui(options: argparse.Namespace) -> int:
    import socket

    from dlkeras.pipeline import tracking
    from dlkeras.pipeline.errors import PipelineError

    uri = tracking.resolve_tracking_uri(options.tracking_uri, options.mlruns)
    if uri.startswith(("http://", "https://")):
        print(f"these runs are kept by an MLflow server; its pages are on {uri}")
        return 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", options.port))
        except OSError as error:
            raise PipelineError(
                f"--port: expected a free port; {options.port}: {error.strerror}. "
                "Another `dlkeras ui` may be running"
            ) from error
    mistyped = not options.mlruns.is_dir()
    tracking.connect(options.tracking_uri, options.mlruns, make=not mistyped)
    command = tracking.ui_command(options.tracking_uri, options.mlruns, options.port)
    address = f"http://127.0.0.1:{options.port}"
    print(f"MLflow is on {address} in some seconds; Ctrl-C ends it", flush=True)
    # One worker and no job runner: 2 processes and a third of the memory.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.execv(command[0], command)


def _runs(options: argparse.Namespace) -> int:
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
    for column in ("Run", "Name", "Status", "Started", "Time", "Accuracy", "Model"):
        table.add_column(column, no_wrap=True)
    for run in runs:
        seconds, accuracy = run["seconds"], run["accuracy"]
        table.add_row(
            run["run_id"][:8],
            run["name"],
            run["status"],
            f"{run['started']:%Y-%m-%d %H:%M}",
            f"{seconds:.0f} s" if seconds is not None else "",
            f"{accuracy:.4f}" if accuracy is not None else "",
            run["model"] or "",
        )
    Console(highlight=False, width=TABLE_WIDTH).print(table)
    return 0


def _show(options: argparse.Namespace) -> int:
    from dlkeras.pipeline.engine.lineage import read_lineage
    from dlkeras.pipeline.engine.store_report import existing_store

    lineage = read_lineage(existing_store(options.mlruns), options.run)
    print(f"run {lineage['run_id']} of pipeline {lineage['pipeline']}\n")
    for step in lineage["steps"]:
        how = "reused" if step["cached"] else f"made in {step['seconds']:.1f} s"
        print(f"{step['type']} {step['digest'][:8]}  by {step['component']}, {how}")
        for name, reference in step["inputs"].items():
            print(f"  reads {name}: {reference['type']} {reference['digest'][:8]}")
        for name in step["files"]:
            print(f"  {options.mlruns / 'store' / step['path'] / name}")
    return 0


def _why(options: argparse.Namespace) -> int:
    from dlkeras.pipeline.engine.lineage import read_lineage
    from dlkeras.pipeline.engine.provenance import reasons
    from dlkeras.pipeline.engine.store_report import existing_store

    store = existing_store(options.mlruns)
    for line in reasons(store, read_lineage(store, options.run), options.component):
        print(line)
    return 0


def _status(options: argparse.Namespace) -> int:
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


def _gc(options: argparse.Namespace) -> int:
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


def _predict(options: argparse.Namespace) -> int:
    from dlkeras.pipeline.commands.predict import print_predictions

    return print_predictions(
        options.model,
        options.images,
        options.tracking_uri,
        options.mlruns,
        invert=options.invert,
        as_json=options.json,
    )


def _augment(options: argparse.Namespace) -> int:
    from dlkeras.pipeline.commands.augment import draw_augmentation

    draw_augmentation(
        options.images,
        options.output,
        config=options.config,
        settings=options.set,
        epochs=options.epochs,
        seed=options.seed,
    )
    print(options.output)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from dlkeras.pipeline.tracking import model_server

    model = model_server.load_served_model(
        options.tracking_uri, options.mlruns, options.model
    )
    address = f"http://{options.host}:{options.port}"
    print(
        f"{options.model} answers POST {address}/invocations; GET {address}/labels "
        "lists its classes",
        flush=True,
    )
    model_server.serve(model, options.host, options.port, options.max_body * 2**20)
    return 0


def _rollback(options: argparse.Namespace) -> int:
    from dlkeras.pipeline import tracking

    before, now = tracking.roll_back(
        options.tracking_uri, options.mlruns, options.name, options.alias, options.to
    )
    print(f"{options.name}@{options.alias}: version {now}, before {before}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from dlkeras.pipeline.commands.doctor import findings

    problems = 0
    for finding in findings(options.mlruns, options.tracking_uri):
        mark = "ok  " if finding.ok else "BAD "
        print(f"{mark}{finding.what}: {finding.value}")
        problems += not finding.ok
    print(f"problems found: {problems}" if problems else "all well")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
