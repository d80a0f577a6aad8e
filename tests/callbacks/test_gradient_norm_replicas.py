"""GradientNormMonitor under data parallelism: the norms are those of one device."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

SCRIPT = """
import json, sys
import numpy as np
if {backend!r} == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    scope = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]).scope
else:
    import jax
    assert len(jax.devices()) == 2
import keras
from dlkeras.callbacks import GradientNormMonitor

rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 6)).astype("float32"), rng.integers(0, 3, 32)

def run():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((6,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(3)
    ])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    monitor = GradientNormMonitor(frequency=1)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0,
              callbacks=[monitor])
    return monitor.history.values

alone = run()
if {backend!r} == "tensorflow":
    with scope():
        both = run()
else:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    both = run()
assert both.shape == (8, 5, 4), both.shape
np.testing.assert_allclose(both, alone, rtol=2e-5, atol=1e-7)
np.testing.assert_allclose(both[0], alone[0], rtol=1e-6)
print("equal")
"""


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras's fit has no replicas on PyTorch"
)
def test_two_replicas_measure_what_one_device_measures():
    backend = keras.backend.backend()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(backend=backend)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip().endswith("equal"), done.stdout + done.stderr
