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
NAMES = ("keras", "dlkeras", "its layers, optimization, testing", "the other parts")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rounds = []
    for _ in range(arguments.rounds + 1):
        command = [sys.executable, "-c", ROUND]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        backend, *times = run.stdout.split()
        rounds.append([float(taken) for taken in times])
    print(f"seconds to import, {backend}")
    for name, taken in zip(NAMES, zip(*rounds[1:], strict=True), strict=True):
        print(f"{statistics.median(taken):8.3f} {name}")


if __name__ == "__main__":
    main()
