"""A registered model as MLflow's users ask it, and the folder that MLflow keeps."""

import base64
import io
import json
import subprocess
import sys
import venv
import zipfile

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models.container import MODEL_PATH
from PIL import Image
from sklearn.datasets import load_digits

from dlkeras.pipeline import PipelineConfig, tracking
from dlkeras.pipeline.artifacts.types import Evaluation, PushedModel
from dlkeras.pipeline.serving.asked_images import asked_images
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.tracking.registry.model_folder import check_flavors
from dlkeras.pipeline.tracking.registry.package_wheel import write_wheel
from dlkeras.pipeline.tracking.served_model import ServedModel

URI = "models:/lenet5_digits/1"
NUMBER = 24


def pixels():
    return np.round(load_digits().images[:NUMBER] * 255 / 16).astype("uint8")[..., None]


def truth():
    return [str(number) for number in load_digits().target[:NUMBER]]


def files():
    found = []
    for image in pixels():
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0]).save(buffer, "PNG")
        found.append(base64.b64encode(buffer.getvalue()).decode())
    return found


@pytest.fixture(scope="module")
def pushed(main_job):
    (found,) = Store(main_job.mlruns / "store").artifacts(PushedModel)
    return found


@pytest.fixture(scope="module")
def place(main_job, pushed, tmp_path_factory):
    """The main job's model, registered anew in a database that is this module's own."""
    folder = tmp_path_factory.mktemp("registered") / "mlruns"
    config = PipelineConfig(name="asked", mlruns=folder)
    (judged,) = Store(main_job.mlruns / "store").artifacts(Evaluation)
    with tracking.track(config) as tracker:
        tracker.log_metrics({"test/accuracy": judged.metrics["accuracy"]}, 3)
        tracker.log_metrics({"train/loss": 0.5}, 3)
        assert tracker.register(pushed) == 1
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    yield folder
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def model(place):
    return mlflow.pyfunc.load_model(URI)


@pytest.fixture(scope="module")
def expected(pushed):
    import keras

    return np.asarray(keras.saving.load_model(pushed.path / "model.keras")(pixels()))


@pytest.mark.job
def test_keras_flavour_loads_in_a_process_that_knows_keras_and_mlflow_alone(
    place, expected, tmp_path
):
    np.save(tmp_path / "pixels.npy", pixels())
    code = (
        "import sys, json, mlflow, numpy as np\n"
        f"model = mlflow.keras.load_model({URI!r})\n"
        "print(json.dumps(np.asarray(model(np.load(sys.argv[1]))).tolist()))\n"
        "assert 'dlkeras' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "pixels.npy"],
        capture_output=True, text=True,
        env={"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "PATH": "/usr/bin",
             "KERAS_BACKEND": "tensorflow", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert np.allclose(json.loads(done.stdout.splitlines()[-1]), expected, atol=1e-5)


def test_signature_says_what_goes_in_and_what_comes_out(model):
    signature = model.metadata.signature
    (image,) = signature.inputs.inputs
    assert (image.name, str(image.type), image.shape) == (
        "image",
        "uint8",
        (-1, -1, -1, 1),
    )
    assert signature.outputs.inputs[0].shape == (-1, 10)
    assert signature.params.params[0].name == "answer"


FORMS = {
    "pixels": pixels,
    "named pixels": lambda: {"image": pixels()},
    "named files": lambda: {"image": files()},
    "files": files,
    "bytes": lambda: [base64.b64decode(file) for file in files()],
    "column of base64": lambda: pd.DataFrame({"image": files()}),
    "column of another name": lambda: pd.DataFrame({"photo": files()}),
    "column of bytes": lambda: pd.DataFrame(
        {"image": [base64.b64decode(file) for file in files()]}
    ),
    "column of arrays": lambda: pd.DataFrame({"image": list(pixels())}),
    "column among others": lambda: pd.DataFrame(
        {"image": files(), "id": range(NUMBER)}
    ),
    "rows of pixels": lambda: pixels().reshape(NUMBER, 64),
    "table of pixels": lambda: pd.DataFrame(pixels().reshape(NUMBER, 64)),
    "array of files": lambda: np.array(files(), dtype=object)[:, None],
}


@pytest.mark.parametrize("form", FORMS)
def test_images_are_taken_in_the_forms_that_mlflow_has(model, expected, form):
    assert np.allclose(model.predict(FORMS[form]()), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"picture": [1]}, "named inputs"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), "a table with the columns"),
        (np.zeros((2, 63)), "rows of 63 numbers"),
        ([], "an empty list"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(model, given, why):
    with pytest.raises(MlflowException, match=why):
        model.predict(given)


def test_a_column_among_colours_is_square(tmp_path):
    rows = np.arange(2 * 48).reshape(2, 48)
    assert asked_images(rows, 3).shape == (2, 4, 4, 3)


@pytest.mark.parametrize("data", ["table", "array"])
def test_mlflow_evaluates_the_model_as_a_classifier(place, data, expected):
    """With scikit-learn's accuracy as the truth."""
    labels = truth()
    if data == "table":
        given = {
            "data": pd.DataFrame({"image": files(), "label": labels}),
            "targets": "label",
        }
    else:
        given = {"data": pixels().reshape(NUMBER, 64), "targets": np.array(labels)}
    with mlflow.start_run():
        result = mlflow.models.evaluate(
            URI,
            model_type="classifier",
            model_config={"answer": "label"},
            evaluator_config={
                "log_explainer": False,
                "log_model_explainability": False,
            },
            **given,
        )
    right = expected.argmax(axis=1).astype(str) == labels
    assert result.metrics["accuracy_score"] == pytest.approx(right.mean())


def test_params_ask_for_the_label(model, expected):
    found = model.predict(pixels(), params={"answer": "label"})
    assert found.tolist() == expected.argmax(axis=1).astype(str).tolist()
    with pytest.raises(MlflowException, match="expected probabilities or label"):
        model.predict(pixels(), params={"answer": "logits"})


def test_a_label_below_the_threshold_of_the_pushed_model_is_unsure(pushed, expected):
    served = ServedModel(pushed.path, "label")
    surest = expected.max(axis=1)
    bound = float(np.sort(surest)[-1])
    served.task = {**served.task, "threshold": bound}
    names = np.where(surest < bound, "unsure", expected.argmax(axis=1).astype(str))
    assert served.predict(pixels()).tolist() == names.tolist()
    assert 0 < (names == "unsure").sum() < len(names)


def test_logged_model_has_the_metrics_of_the_test_and_no_others(place, main_job):
    client = MlflowClient(mlflow.get_tracking_uri())
    version = client.get_model_version("lenet5_digits", "1")
    (logged,) = client.search_logged_models(
        [client.get_run(version.run_id).info.experiment_id]
    )
    (judged,) = Store(main_job.mlruns / "store").artifacts(Evaluation)
    assert {m.key: (m.value, m.step) for m in logged.metrics} == {
        "test/accuracy": (judged.metrics["accuracy"], 3)
    }
    run = client.get_run(version.run_id)
    assert len(client.get_metric_history(version.run_id, "test/accuracy")) == 1
    assert [made.model_id for made in run.outputs.model_outputs] == [logged.model_id]


@pytest.fixture(scope="module")
def folder(place):
    (description,) = (place / "artifacts").rglob("MLmodel")
    return description.parent


def test_the_folder_is_let_in_and_a_configuration_of_other_kinds_is_not(
    folder, tmp_path
):
    assert check_flavors(folder)["config"] == {"answer": "probabilities"}
    text = (folder / "MLmodel").read_text()
    assert "cloudpickle" not in text and "python_model" not in text
    described = yaml.safe_load(text)
    del described["saved_input_example_info"]
    described["flavors"]["python_function"]["config"] = {"answer": "label", "more": 1}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(InputError, match="config"):
        check_flavors(tmp_path)


def test_the_digests_in_the_registry_cover_what_mlflow_added(place, folder):
    client = MlflowClient(mlflow.get_tracking_uri())
    tags = client.get_model_version("lenet5_digits", "1").tags
    beside = {
        f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()
    }
    beside = {name for name in beside if not name.startswith("data/")}
    beside.discard("registered_model_meta")  # MLflow's own, of a model that was loaded
    assert set(json.loads(tags["dlkeras.files"])) == beside
    assert any(name.startswith("wheels/dlkeras-") for name in beside)


@pytest.mark.job
def test_build_docker_finds_this_package_beside_the_model(place, folder, tmp_path):
    """The Dockerfile's step, in a virtual environment in place of the container."""
    from click.testing import CliRunner
    from mlflow.models.cli import commands

    made = CliRunner().invoke(
        commands, ["generate-dockerfile", "-m", URI, "-d", str(tmp_path / "image")]
    )
    assert made.exit_code == 0, made.output
    assert MODEL_PATH in (tmp_path / "image" / "Dockerfile").read_text()
    (copied,) = (tmp_path / "image").rglob("MLmodel")
    environment = yaml.safe_load((copied.parent / "python_env.yaml").read_text())
    options = [o for line in environment["dependencies"] for o in line.split()]
    options = [str(copied.parent / o) if o == "wheels" else o for o in options]
    wanted = options[: options.index("-r")]
    assert "--find-links" in wanted
    listed = (copied.parent / "requirements.txt").read_text().splitlines()
    venv.create(tmp_path / "venv", with_pip=True)
    installed = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", "--no-index",
         "--no-deps", "--disable-pip-version-check", *wanted,
         *[line for line in listed if line.startswith("dlkeras==")]],
        capture_output=True, text=True,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    shown = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-m", "pip", "check"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "dlkeras 0.1.0 requires keras" in shown.stdout


def test_the_wheel_is_the_same_twice_and_lists_each_of_its_files(tmp_path):
    import hashlib

    first, second = (
        write_wheel(tmp_path / name)
        for name in ("a", "b")
        if not (tmp_path / name).mkdir()
    )
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        (record,) = [name for name in names if name.endswith("RECORD")]
        rows = [
            row.rsplit(",", 2) for row in archive.read(record).decode().splitlines()
        ]
        for name, digest, size in rows[:-1]:
            content = archive.read(name)
            found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
            assert digest == f"sha256={found.rstrip('=')}"
            assert int(size) == len(content)
    assert {row[0] for row in rows} == set(names)
    assert "dlkeras/layers/__init__.py" in names
    assert not [name for name in names if "__pycache__" in name]
