"""`dlkeras serve`: a pushed model that answers requests over HTTP."""

import argparse

from dlkeras.pipeline.commands import arguments

HELP = "answer requests for a pushed model on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "model", metavar="MODEL", help="a registered name, name@alias or name/version"
    )
    parser.add_argument(
        "--port", type=arguments.port, default=5001, help="default: 5001"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine alone); put a "
        "server that encrypts and asks who calls before any other",
    )
    parser.add_argument(
        "--max-body",
        type=arguments.count,
        default=16,
        metavar="MIB",
        help="largest body of a request in MiB (default: 16)",
    )


def run(options: argparse.Namespace) -> int:
    """Answer until the process is stopped."""
    with arguments.listening_socket(options.host, options.port) as listener:
        from dlkeras.pipeline.tracking import model_server

        model = model_server.load_served_model(
            options.tracking_uri, options.mlruns, options.model
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        address = f"http://{host}:{options.port}"
        print(
            f"{options.model} answers POST {address}/invocations; GET {address}/labels "
            "lists its classes",
            flush=True,
        )
        model_server.serve(model, listener, options.max_body * 2**20)
    return 0
