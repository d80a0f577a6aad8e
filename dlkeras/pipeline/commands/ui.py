"""`dlkeras ui`: MLflow's pages on this machine."""

import argparse
import os

from dlkeras.pipeline.commands import arguments

HELP = "serve MLflow's pages on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--port", type=arguments.port, default=5000, help="port (default: 5000)"
    )


def run(options: argparse.Namespace) -> int:
    """Become MLflow's server."""
    from dlkeras.pipeline import tracking

    uri = tracking.resolve_tracking_uri(options.tracking_uri, options.mlruns)
    if uri.startswith(("http://", "https://")):
        print(f"these runs are kept by an MLflow server; its pages are on {uri}")
        return 0
    # MLflow binds it again: who holds it now is named before MLflow's long start.
    arguments.listening_socket("127.0.0.1", options.port).close()
    new = not tracking.exists(options.tracking_uri, options.mlruns)
    make = new and options.mlruns.is_dir()  # else the folder is mistyped
    tracking.connect(options.tracking_uri, options.mlruns, make=make)
    command = tracking.ui_command(options.tracking_uri, options.mlruns, options.port)
    address = f"http://127.0.0.1:{options.port}"
    print(f"MLflow is on {address} in some seconds; Ctrl-C ends it", flush=True)
    # One worker and no job runner: 2 processes and a third of the memory.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.execv(command[0], command)
