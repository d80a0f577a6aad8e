"""A folder as TensorFlow Serving wants it: whole versions that count upwards."""

import concurrent.futures
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.serving.deployment import check_destination, deploy
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Store


@pytest.fixture
def pushed(tmp_path):
    """A pushed model of a few bytes, of a digest that a test chooses."""
    from dlkeras.pipeline.store.record import Record

    folder = tmp_path / "pushed"
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"graph")
    (folder / "saved_model" / "variables" / "variables.index").write_bytes(b"index")

    def made(digest):
        record = Record.model_construct(digest=digest, properties={"name": "digits"})
        return PushedModel(folder, record)

    return made


def test_versions_are_whole_and_count_upwards(pushed, tmp_path):
    base = tmp_path / "models"
    first = deploy(pushed("a"), base)
    assert first == base / "digits" / "1"
    assert (first / "saved_model.pb").read_bytes() == b"graph"
    assert (first / "variables" / "variables.index").read_bytes() == b"index"
    assert deploy(pushed("b"), base).name == "2"
    shutil.rmtree(base / "digits" / "2")  # whoever serves it may still have it loaded
    assert deploy(pushed("c"), base).name == "3"
    shutil.copytree(first, base / "digits" / "7")
    (base / "digits" / "7" / "assets.extra" / "dlkeras.json").unlink()
    assert deploy(pushed("d"), base).name == "8"


def test_a_model_that_is_there_keeps_its_number(pushed, tmp_path):
    assert deploy(pushed("a"), tmp_path).name == "1"
    assert deploy(pushed("b"), tmp_path).name == "2"
    assert deploy(pushed("a"), tmp_path).name == "1"
    assert sorted(p.name for p in (tmp_path / "digits").iterdir() if p.is_dir()) == [
        "1",
        "2",
    ]


KILLED = """
import os, sys
from pathlib import Path
from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.serving import deployment
from dlkeras.pipeline.store.record import Record
record = Record.model_construct(digest="k", properties={"name": "digits"})
count = 0
def kill(path):
    global count
    count += 1
    if count == int(sys.argv[3]):
        os.kill(os.getpid(), 9)
deployment.fsync_path = kill
deployment.deploy(PushedModel(Path(sys.argv[1]), record), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("moment", [1, 3, 5])
def test_a_kill_leaves_no_half_version(pushed, tmp_path, moment):
    found = pushed("k")
    base = tmp_path / "models"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, found.path, base, str(moment)], timeout=120
    )
    assert killed.returncode == -9
    assert not [p for p in (base / "digits").iterdir() if p.name.isdigit()]
    again = deploy(found, base)
    assert again.name == "2"  # the number that was begun is not given twice
    assert not list((base / "digits").glob(".incomplete-*"))


def test_processes_beside_each_other_get_numbers_of_their_own(pushed, tmp_path):
    models = [pushed(f"digest {index}") for index in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        names = list(pool.map(lambda model: deploy(model, tmp_path).name, models))
    assert sorted(names) == ["1", "2", "3", "4", "5", "6"]


def test_a_place_that_is_no_folder_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--pusher\.destination: expected a folder"):
        check_destination(tmp_path / "file")
    check_destination(None)
    check_destination(tmp_path / "new")


@pytest.mark.job
def test_the_main_jobs_model_answers_files_in_base64(main_job, tmp_path):
    """What TensorFlow Serving makes of `{"b64": ...}`: strings of bytes, several."""
    import tensorflow as tf

    (found,) = Store(main_job.mlruns / "store").artifacts(PushedModel)
    version = deploy(found, tmp_path)
    assert (version / "saved_model.pb").is_file()
    served = tf.saved_model.load(str(version))
    asked = served.signatures["image_files"]
    ((name, spec),) = asked.structured_input_signature[1].items()
    assert (name, spec.dtype, spec.shape.as_list()) == (
        "image_bytes",
        tf.string,
        [None],
    )
    images = np.round(load_digits().images[:12] * 255 / 16).astype("uint8")
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        files.append(buffer.getvalue())
    (answers,) = asked(image_bytes=tf.constant(files)).values()
    pixels = served.signatures["serving_default"](image=tf.constant(images[..., None]))
    assert np.allclose(answers, next(iter(pixels.values())), atol=1e-5)
    right = np.argmax(answers, axis=1) == load_digits().target[:12]
    assert right.mean() >= 0.9
    large = io.BytesIO()
    Image.fromarray(images[0]).resize((30, 20)).save(large, "JPEG")
    (mixed,) = asked(image_bytes=tf.constant([files[1], large.getvalue()])).values()
    assert np.allclose(mixed[0], answers[1], atol=1e-5)
    mark = json.loads((version / "assets.extra" / "dlkeras.json").read_text())
    assert mark["digest"] == found.record.digest
    assert os.listdir(tmp_path / "lenet5_digits").count("1") == 1
