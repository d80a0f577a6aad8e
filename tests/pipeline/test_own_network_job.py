"""The page of ten lines, killed and resumed; networks with LMSFilter and Inception."""

import json
import os
import re

import keras
import numpy as np
import pytest
from PIL import Image

from dlkeras.layers import InceptionModule, LMSFilter
from dlkeras.pipeline import (
    EvaluatorConfig,
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TransformConfig,
    TunerConfig,
    run,
    tracking,
)
from dlkeras.pipeline.configuration.references import refer
from dlkeras.pipeline.serving.answering import predict
from dlkeras.pipeline.store.record import RECORD_FILE
from dlkeras.pipeline.tracking.pushed_model import load_pushed_model
from tests.conftest import ROOT
from tests.warm_process import run_python

pytestmark = pytest.mark.job

# A loss, a metric, an augmentation and a callback with state; it kills the process.
MORE = '''
import os
import tensorflow as tf

def squared(shares, probabilities):
    return keras.ops.sum((shares - probabilities) ** 2, -1)

def flipped(image, seed):
    return tf.image.stateless_random_flip_left_right(image, seed)

class Brake(keras.callbacks.Callback):
    """Makes the learning rate smaller by the number of epochs it has seen."""
    def __init__(self):
        super().__init__()
        self.seen = {0}
    def get_state(self):
        return {"seen": sorted(self.seen)}
    def set_state(self, state):
        self.seen = set(state["seen"])
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2 and "DIE" in os.environ:
            os.kill(os.getpid(), 9)
        self.seen.add(len(self.seen))
        self.model.optimizer.learning_rate = 0.2 / len(self.seen)

if __name__'''
OWN = """network=small_net, loss=squared, callbacks=[Brake],
        optimizer=keras.optimizers.SGD(0.2, momentum=0.5), augmentation=flipped,
        metrics=[keras.metrics.TopKCategoricalAccuracy(2, name="top2")]"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of two classes, bright and dark, and the page's script."""
    folder = tmp_path_factory.mktemp("own network")
    random = np.random.default_rng(0)
    for index in range(60):
        low = 120 * (index % 2)
        pixels = random.integers(low, low + 120, (8, 8, 3), "uint8")
        photo = folder / "photos" / ("dark", "bright")[index % 2] / f"{index}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(photo)
    page = (ROOT / "docs" / "pipeline" / "own_network.md").read_text(encoding="utf-8")
    script = re.search(
        r"^`mushrooms\.py`:\n\n```python\n(.*?)^```$", page, re.M | re.S
    )[1]
    more = script.replace("\nif __name__", MORE).replace("network=small_net", OWN)
    (folder / "mushrooms.py").write_text(more)
    return folder


def test_a_network_of_ones_own_is_found_resumed_to_the_bit_served_and_shown(folder):
    flags = ["--example-gen.image-folder", "photos", "--transform.height", "8",
             "--transform.width", "8", "--trainer.epochs", "4",
             "--trainer.batch-size", "16", "--no-trainer.monitor",
             "--tuner.space", "filters=4,8,learning_rate=off,augmentation_strength=off",
             "--tuner.epochs", "1", "--tuner.max-trials", "2", "--tuner.workers", "1",
             "--evaluator.min-accuracy", "0", "--no-evaluator.refuse-trivial",
             "--evaluator.robustness-images", "0"]  # fmt: skip
    base = os.environ | {"PYTHONPATH": str(ROOT)}

    def job(*more, **environment):
        return run_python(folder / "mushrooms.py", *flags, *more, cwd=folder,
                          env=base | environment)  # fmt: skip

    def digests():
        return {
            file.parent.name: json.loads(file.read_text())["digest"]
            for file in folder.glob(f"mlruns/store/Model/*/{RECORD_FILE}")
        }

    killed = job(DIE="1")
    assert killed.returncode == -9, killed.stdout + killed.stderr
    assert not digests()
    done = job()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^Tuner .* cached ", done.stdout, re.M)
    assert "resuming after epoch 2 of 4" in done.stdout
    resumed = digests()
    assert len(resumed) == 1
    again = job("--force", "Trainer", "--until", "Trainer")
    assert again.returncode == 0, again.stdout + again.stderr
    assert digests() == resumed

    file, labels = load_pushed_model("mushrooms", None, folder / "mlruns")
    photos = [
        folder / "photos" / "dark" / "0.png",
        folder / "photos" / "bright" / "1.png",
    ]
    answers = [a["top"][0]["label"] for a in predict(file, labels, photos)]
    assert set(answers) <= {"dark", "bright"} and len(answers) == 2
    run_id = re.search(r"/runs/([0-9a-f]{32})", done.stdout)[1]
    client = tracking.connect(None, folder / "mlruns")
    assert "mushrooms.py" in {a.path for a in client.list_artifacts(run_id)}
    assert client.get_run(run_id).data.params["trainer.architecture"] == "small_net"


def lms_net(input_shape, num_classes, *, taps=4):
    """What an adaptive predictor of a sound has learnt says which sound it is."""
    images = keras.Input(input_shape)
    sound = keras.layers.Reshape((input_shape[1],))(images)
    filtered = LMSFilter(
        taps, 0.5, algorithm="nlms", return_weights=True, on_divergence="ignore"
    )([sound[:, :-1], sound[:, 1:]])
    x = keras.layers.Dense(8, "relu")(filtered[2][:, -1])
    return keras.Model(images, keras.layers.Dense(num_classes, "softmax")(x))


def inception_net(input_shape, num_classes, *, filters=2):
    x = images = keras.Input(input_shape)
    x = InceptionModule(filters, filters, filters, filters, filters, filters)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(num_classes, "softmax")(x))


def sounds(file):
    """Low and high tones with noise, each an image of one row."""
    random = np.random.default_rng(0)
    labels = np.arange(160) % 2
    period = np.where(labels, 16.0, 5.0)[:, None] * random.uniform(0.9, 1.1, (160, 1))
    phase = random.uniform(0, 2 * np.pi, (160, 1))
    waves = np.sin(2 * np.pi * np.arange(96) / period + phase)
    waves = 128 + 90 * waves + random.normal(0, 10, waves.shape)
    np.savez(file, x=waves.clip(0, 255).astype("uint8")[:, None, :], y=labels)


@pytest.mark.parametrize(
    ("network", "until"), [(lms_net, None), (inception_net, "Trainer")]
)
def test_a_network_with_our_layers_goes_through_the_pipeline(
    tmp_path, network, until, silent
):
    sounds(tmp_path / "sounds.npz")
    result = run(
        PipelineConfig(
            name="sounds",
            mlruns=tmp_path / "mlruns",
            example_gen=ExampleGenConfig(npz=tmp_path / "sounds.npz"),
            transform=TransformConfig(
                height=1, width=96, augment=False, scale=1 / 90, offset=-128 / 90
            ),
            tuner=TunerConfig(enabled=False),
            trainer=TrainerConfig(
                network=refer(network, "network"), epochs=15, batch_size=16,
                learning_rate=0.03, monitor=False,
            ),
            evaluator=EvaluatorConfig(min_accuracy=0.9, robustness_images=0),
        ),
        until=until,
        progress=silent,
    )  # fmt: skip
    if until is None:
        assert result.artifacts["Evaluation"].metrics["accuracy"] >= 0.9
        assert result.model_version == 1
    else:
        model = result.artifacts["Model"]
        assert model.properties["architecture"] == "inception_net"
        assert model.history[-1]["loss"] < model.history[0]["loss"]
