"""What a model card says of itself, tried: its code, its optimiser."""

import subprocess
import sys

import keras
import pytest

from dlkeras.pipeline.components.pusher import _snippet
from dlkeras.pipeline.serving.needed_modules import needed_modules


@keras.saving.register_keras_serializable(package="mine")
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2


def test_a_layer_of_ones_own_is_named_with_its_module(tmp_path):
    inputs = keras.Input((4, 4, 1))
    outputs = keras.layers.GlobalAveragePooling2D()(Doubled()(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    module = Doubled.__module__
    assert needed_modules(tmp_path / "model.keras") == [module]
    code = _snippet([module], "probabilities")
    assert f"import {module}  # defines its layers" in code
    compile(code, "card", "exec")


@pytest.mark.job
def test_the_main_jobs_card_runs_as_it_is_printed(main_job):
    """The code between the fences, in the pushed folder, by a fresh process."""
    from dlkeras.pipeline.artifacts.types import Model, PushedModel
    from dlkeras.pipeline.store.publishing import Store

    store = Store(main_job.mlruns / "store")
    (pushed,), (model,) = store.artifacts(PushedModel), store.artifacts(Model)
    code = pushed.card.split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code + "print(probabilities.shape)"],
        capture_output=True, text=True, cwd=pushed.path,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "(1, 10)", done.stderr
    assert f"{model.properties['optimizer']}, initial" in pushed.card
