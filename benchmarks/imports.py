"""What `import dlkeras` and its Keras parts cost over `import keras`, in seconds.

    KERAS_BACKEND=jax python benchmarks/imports.py

Each round is a new process: it imports Keras first, and then times what comes on top.
The table holds medians; the first round, which may read from a cold disk, is left out.
"""

import argparse
import statistics
import subprocess
import sys

ROUND = """
import time
start = time.perf_counter()
import keras
keras_alone = time.perf_counter()
import dlkeras
package = time.perf_counter()
import dlkeras.layers, dlkeras.optimization, dlkeras.testing
parts = time.perf_counter()
import dlkeras.architectures, dlkeras.callbacks, dlkeras.transfer
everything = time.perf_counter()
print(keras.backend.backend(), keras_alone - start, package - keras_alone,
      parts - package, everything - parts)
"""
# What a notebook imports first; `-X importtime` says where the time goes.
LAYERS_AND_CALLBACKS = """
import time
def now(): return time.perf_counter(), time.process_time()
start = now()
import keras
keras_alone = now()
import dlkeras.layers, dlkeras.callbacks
both = now()
print(keras.backend.backend(), *(b - a for a, b in zip(start, keras_alone)),
      *(b - a for a, b in zip(keras_alone, both)))
"""
NAMES = ("keras", "dlkeras", "its layers, optimization, testing", "the other parts")
MOST = 0.10


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rounds: dict[str, list[list[float]]] = {ROUND: [], LAYERS_AND_CALLBACKS: []}
    backend = ""
    for _ in range(arguments.rounds + 1):
        for code, times in rounds.items():  # beside each other: the machine changes
            command = [sys.executable, "-c", code]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            backend, *taken = run.stdout.split()
            times.append([float(seconds) for seconds in taken])
    print(f"seconds to import, {backend}: median of {arguments.rounds} processes")
    for name, taken in zip(NAMES, zip(*rounds[ROUND][1:], strict=True), strict=True):
        print(f"{statistics.median(taken):8.3f} {name}")
    columns = zip(*rounds[LAYERS_AND_CALLBACKS][1:], strict=True)
    keras, keras_cpu, ours, ours_cpu = columns
    ratio = statistics.median(b / a for a, b in zip(keras, ours, strict=True))
    print(
        f"{statistics.median(ours):8.3f} dlkeras.layers and dlkeras.callbacks alone "
        f"(wanted: at most {MOST:.2f}), {ratio:.1%} of keras beside it; processor: "
        f"{statistics.median(ours_cpu):.3f} beside {statistics.median(keras_cpu):.2f}"
    )


if __name__ == "__main__":
    main()
