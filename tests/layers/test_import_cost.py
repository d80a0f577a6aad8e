"""Importing the Keras parts imports nothing that Keras has not imported already."""

import subprocess
import sys

import keras

CODE = """
import sys, keras
before = {name.partition('.')[0] for name in sys.modules}
import dlkeras
package = {name.partition('.')[0] for name in sys.modules} - before
import dlkeras.layers, dlkeras.optimization, dlkeras.testing
parts = {name.partition('.')[0] for name in sys.modules} - before
print(keras.backend.backend(), *sorted(package), '|', *sorted(parts))
"""


def test_the_parts_bring_in_no_package_beside_their_own():
    run = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [keras.backend.backend(), "dlkeras", "|", "dlkeras"]
