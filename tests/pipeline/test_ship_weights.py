"""A pushed network becomes three files that the package could ship."""

import hashlib
import json
import subprocess
import sys

import numpy as np

from dlkeras.architectures import lenet5
from dlkeras.pipeline.artifacts.types import Evaluation, Model
from dlkeras.pipeline.store.publishing import Store
from tests.conftest import ROOT

SCRIPT = ROOT / "pipelines" / "ship_weights.py"


def ship(mlruns, *arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--mlruns", str(mlruns)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )


def test_the_weights_of_the_main_job_are_shipped_with_config_metrics_and_card(
    main_job, tmp_path
):
    done = ship(main_job.mlruns, "lenet5_digits", "mine", "--to", str(tmp_path))
    assert done.returncode == 0, done.stderr
    weights = tmp_path / "lenet5_mine.weights.h5"
    known = json.loads((tmp_path / "lenet5_mine.json").read_text("utf-8"))
    assert known["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert known["sha256"] in (tmp_path / "lenet5_mine.md").read_text("utf-8")
    store = Store(main_job.mlruns / "store")
    metrics = store.artifacts(Evaluation)[-1].metrics
    assert known["metrics"]["accuracy"] == metrics["accuracy"]
    ours = lenet5(weights=weights)
    network = store.artifacts(Model)[-1].network()
    for mine, theirs in zip(ours.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_pipeline_that_has_pushed_nothing_is_refused(tmp_path):
    done = ship(tmp_path, "none", "mine", "--to", str(tmp_path / "to"))
    assert done.returncode == 1
    assert "expected one that has pushed a model" in done.stderr
    assert not (tmp_path / "to").exists()


def test_a_served_network_with_batch_normalisation_answers_as_in_predict():
    import keras

    from dlkeras.architectures import resnet20
    from dlkeras.pipeline.serving.servable import serving_model

    images = keras.Input((None, None, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255)(images)
    preprocessing = keras.Model(images, keras.layers.Resizing(32, 32)(x))
    network = resnet20(width_multiplier=0.25)
    served = serving_model(preprocessing, network, "served")
    image = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), "uint8")
    expected = network.predict(preprocessing.predict(image, verbose=0), verbose=0)
    np.testing.assert_allclose(np.asarray(served(image)), expected, rtol=1e-4)
    mean = network.get_layer("stem_normalization").moving_mean
    np.testing.assert_array_equal(np.asarray(mean), np.zeros(4))
