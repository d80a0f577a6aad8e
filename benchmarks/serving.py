"""Load the model server on loopback: requests a second, latency, wrong answers.

python benchmarks/serving.py --mlruns mlruns --model lenet5_digits
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlruns", type=Path, default=Path("mlruns"))
    parser.add_argument("--model", default="lenet5_digits")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.cli", "serve", options.model, "--port",
         str(port), "--mlruns", str(options.mlruns)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        measure(options, port)
    finally:
        server.terminate()
        server.wait()
    return 0


def measure(options: argparse.Namespace, port: int) -> None:
    pixels = np.round(load_digits().images * 255 / 16).astype("uint8")[..., None]
    bodies = [json.dumps({"inputs": [image.tolist()]}) for image in pixels]
    headers = {"Content-Type": "application/json"}

    def ask(connection: http.client.HTTPConnection, body: str) -> tuple[int, list]:
        connection.request("POST", "/invocations", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["predictions"]

    deadline = time.monotonic() + 120
    while True:  # until it is up
        try:
            ask(http.client.HTTPConnection("127.0.0.1", port, timeout=30), bodies[0])
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    # What is right: all images at once, by the model file and not by the server.
    from dlkeras.pipeline.tensorflow_import import keras
    from dlkeras.pipeline.tracking.pushed_model import load_pushed_model

    path, _ = load_pushed_model(options.model, None, options.mlruns)
    expected = np.asarray(keras.saving.load_model(path)(pixels))

    seconds: list[float] = []
    wrong: list[str] = []

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for index in range(number, options.requests, options.clients):
            which = index % len(bodies)
            started = time.perf_counter()
            status, answer = ask(connection, bodies[which])
            seconds.append(time.perf_counter() - started)
            if status != 200 or not np.allclose(answer, expected[which], atol=1e-4):
                wrong.append(f"request {index}: {status}")

    threads = [
        threading.Thread(target=client, args=(i,)) for i in range(options.clients)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - started
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    print(
        f"{len(seconds):,} requests by {options.clients} clients in {wall:.1f} s: "
        f"{len(seconds) / wall:.0f} requests/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"{len(wrong)} wrong answers"
    )
    for line in wrong[:5]:
        print(line)


if __name__ == "__main__":
    raise SystemExit(main())
