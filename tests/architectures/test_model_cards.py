"""The code of each architecture's model card runs in a process that knows nothing."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from dlkeras.architectures import create, names
from dlkeras.pipeline.components.pusher import _snippet
from dlkeras.pipeline.serving.needed_modules import needed_modules
from dlkeras.pipeline.serving.servable import serving_model

# Small where the paper's size would take a minute to build.
SMALL = {"input_shape": (96, 96, 3), "num_classes": 3}
# Before a test registers its own.
NAMES = names()
LENET = {"input_shape": (32, 32, 1), "num_classes": 3}


def saved(name, folder):
    """A network as the pusher leaves it: the file, and an image to ask it."""
    folder.mkdir()
    shape = (LENET if name.startswith("lenet") else SMALL)["input_shape"]
    network = create(name, input_shape=shape, num_classes=3)
    raw = keras.Input((None, None, shape[-1]), dtype="uint8", name="image")
    resized = keras.layers.Resizing(*shape[:2])(keras.layers.Rescaling(1 / 255)(raw))
    serving_model(keras.Model(raw, resized), network, name).save(folder / "model.keras")
    question = np.zeros((1, 40, 50, shape[-1]), "uint8").tolist()
    (folder / "example.json").write_text(json.dumps({"inputs": question}))


# Those whose card imports nothing of ours come first, where nothing of ours is loaded.
RUN = """
import json, os, sys
cards = sorted(json.load(sys.stdin).items(), key=lambda card: "dlkeras" in card[1])
for folder, code in cards:
    if "dlkeras" not in code:
        assert not [m for m in sys.modules if m.partition(".")[0] == "dlkeras"], folder
    os.chdir(folder)
    names = {}
    exec(code, names)
    shape = names["probabilities"].shape
    print(json.dumps([folder, list(shape), float(names["probabilities"].sum())]))
"""


@pytest.mark.timeout(600)
def test_the_cards_code_runs_for_each_architecture(tmp_path):
    """In a process that knows nothing: layers of ours are imported, or not there."""
    snippets = {}
    for name in NAMES:
        folder = tmp_path / name
        saved(name, folder)
        needed = needed_modules(folder / "model.keras")
        snippets[str(folder)] = _snippet(needed, "probabilities")
        keras.utils.clear_session()
    ours = {name for name in NAMES if "dlkeras" in snippets[str(tmp_path / name)]}
    assert "googlenet" in ours and "lenet5" not in ours
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(snippets), capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "["]
    assert len(answers) == len(NAMES)
    for _, shape, total in answers:
        assert shape == [1, 3]
        assert total == pytest.approx(1, abs=1e-5)
