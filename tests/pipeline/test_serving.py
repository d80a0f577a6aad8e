"""What is pushed is tried by a fresh process, served by MLflow, and rolled back."""

import base64
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from dlkeras.cli import main
from dlkeras.pipeline import InfraValidatorConfig
from dlkeras.pipeline.artifacts.types import (
    Blessing,
    Evaluation,
    Examples,
    Model,
    PushedModel,
    ServableModel,
    Transform,
)
from dlkeras.pipeline.components import infra_validator
from dlkeras.pipeline.serving import stranger
from dlkeras.pipeline.serving.servable import FILES, digests, load_form
from dlkeras.pipeline.store.errors import (
    CorruptArtifactError,
    InputError,
    PipelineError,
)
from dlkeras.pipeline.store.publishing import Draft, Store
from dlkeras.pipeline.tracking.pushed_model import load_pushed_model
from tests.conftest import ROOT
from tests.pipeline.published_environment import (
    answer,
    build_environment,
    link_packages,
    published,
)
from tests.ports import free_port


def digit_pixels(number=20):
    images = load_digits().images[:number]
    return np.round(images * 255 / 16).astype("uint8")[..., None]


@pytest.fixture(scope="module")
def store(main_job):
    return Store(main_job.mlruns / "store")


@pytest.fixture(scope="module")
def servable(store):
    (artifact,) = store.artifacts(ServableModel)
    return artifact


def test_every_form_answered_20_real_images_within_1e_minus_5(servable):
    assert servable.forms == ["keras", "saved_model"]
    assert servable.properties["images"] == 20
    assert servable.properties["largest_difference"] <= 1e-5
    protocol = servable.read_json("infra_validation.json")
    for form in servable.forms:
        assert protocol[form]["files"] == digests(servable.path, form)


def test_the_saved_model_takes_raw_digits_of_scikit_learn(servable):
    answers = load_form("saved_model", servable.path)(digit_pixels(200))
    right = answers.argmax(axis=1) == load_digits().target[:200]
    assert right.mean() >= 0.97


@pytest.fixture
def folder(servable, tmp_path):
    """A copy of what was validated, to damage."""
    copy = tmp_path / "servable"
    shutil.copytree(servable.path, copy)
    forms = {form: digests(copy, form) for form in servable.forms}
    return copy, {"tolerance": 1e-5, "forms": forms}


@pytest.mark.parametrize("damage", ["altered", "another network", "extra file"])
def test_a_form_that_is_not_what_was_written_is_refused(folder, damage):
    path, request = folder
    if damage == "altered":
        file = path / FILES["keras"]
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        part = "model.keras: expected SHA-256"
    elif damage == "extra file":
        (path / FILES["saved_model"] / "assets").mkdir(exist_ok=True)
        (path / FILES["saved_model"] / "assets" / "more").write_text("")
        part = "saved_model/assets/more: expected SHA-256 None"
    else:
        with np.load(path / "questions.npz") as asked:
            questions = dict(asked)
        questions["expected_7"] = questions["expected_7"][:, ::-1]
        np.savez(path / "questions.npz", **questions)
        part = "keras: expected the trainer's probabilities within 1e-05 for test im"
    with pytest.raises(PipelineError) as caught:
        stranger.answer(path, request)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_read_to_other_pixels_than_the_judged_ones_is_refused(folder):
    """The JPEG of a digit stands for a decoder that rounds differently."""
    path, request = folder
    with np.load(path / "questions.npz") as asked:
        questions = dict(asked)
    pixels, file = questions["raw_3"], io.BytesIO(questions["file_3"].tobytes())
    assert np.array_equal(np.asarray(Image.open(file)), pixels[0, ..., 0])
    buffer = io.BytesIO()
    Image.fromarray(pixels[0, ..., 0]).save(buffer, "JPEG", quality=50)
    questions["file_3"] = np.frombuffer(buffer.getvalue(), "uint8")
    np.savez(path / "questions.npz", **questions)
    with pytest.raises(PipelineError, match="for test image 3, sent as a file; they"):
        stranger.answer(path, request)


def test_a_fresh_process_that_does_not_answer_in_time_is_ended(store, tmp_path):
    found = {kind: store.artifacts(kind)[0] for kind in (Examples, Transform, Model)}
    with pytest.raises(PipelineError, match=r"answers within 0\.01 s.*timeout"):
        infra_validator.infra_validator(
            InfraValidatorConfig(timeout=0.01),
            Draft(tmp_path),
            model_name="x",
            examples=found[Examples],
            transform=found[Transform],
            model=found[Model],
            evaluation=store.artifacts(Evaluation)[0],
            blessing=store.artifacts(Blessing)[0],
        )


def test_a_stranger_that_was_called_is_the_one_that_comes_or_is_sent_home():
    with stranger.strangers_sent_home():
        stranger.call_stranger()
        (called,) = stranger._waiting
        with stranger.stranger() as came:
            assert came is called
        assert came.returncode is not None
        stranger.call_stranger()
        stranger.call_stranger()
        (called,) = stranger._waiting
        assert called.poll() is None
    assert called.returncode is not None
    assert not stranger._waiting


@pytest.mark.parametrize(
    ("form", "needed"), [("onnx", "tf2onnx"), ("litert", "ai_edge_litert")]
)
def test_the_forms_of_the_extras_answer_20_real_images_as_the_trainer_does(
    store, tmp_path, form, needed
):
    found = {kind: store.artifacts(kind)[0] for kind in (Examples, Transform, Model)}
    arguments = {
        "model_name": "x",
        "examples": found[Examples],
        "transform": found[Transform],
        "model": found[Model],
        "evaluation": store.artifacts(Evaluation)[0],
        "blessing": store.artifacts(Blessing)[0],
    }
    config, draft = InfraValidatorConfig(**{form: True}), Draft(tmp_path)
    if find_spec(needed) is None:
        with pytest.raises(InputError, match=rf"pip install 'dlkeras\[{form}\]'"):
            infra_validator.infra_validator(config, draft, **arguments)
        return
    infra_validator.infra_validator(config, draft, **arguments)
    assert draft.properties["forms"] == ["keras", "saved_model", form]
    assert draft.properties["images"] == 20
    protocol = json.loads((tmp_path / "infra_validation.json").read_text())
    assert protocol[form]["largest_difference"] <= 1e-5
    assert protocol[form]["files"] == digests(tmp_path, form)


def test_a_manifest_covers_every_file_of_a_pushed_model(store, tmp_path):
    (pushed,) = store.artifacts(PushedModel)
    copy = tmp_path / "pushed"
    shutil.copytree(pushed.path, copy)
    variables = next(copy.glob("saved_model/variables/*.data*"))
    data = bytearray(variables.read_bytes())
    data[len(data) // 2] ^= 1
    variables.write_bytes(data)
    with pytest.raises(CorruptArtifactError, match="not the model that was pushed"):
        load_pushed_model(str(copy), None, tmp_path)


PLAIN = """
import json, sys
sys.path += sys.argv[3:]
import mlflow, numpy as np
model = mlflow.pyfunc.load_model("models:/lenet5_digits@champion")
pixels = np.array(json.load(open(sys.argv[1]))["inputs"], "uint8")
files = [open(sys.argv[2], "rb").read()]
print(json.dumps({
    "array": model.predict(pixels).tolist(),
    "file": model.predict(files).tolist(),
    "outputs": model.metadata.signature.outputs.to_dict(),
}))
"""


def test_a_plain_process_asks_the_registered_model_by_its_name(
    main_job, store, servable, tmp_path
):
    """With the packages of the model's own list, and what they need, alone."""
    packages = tmp_path / "packages"
    names = link_packages(published(main_job.mlruns), packages)
    assert not names & {"filelock", "tensorflow-datasets", "pydantic-settings"}
    (pushed,) = store.artifacts(PushedModel)
    pixels = np.array(pushed.read_json("example.json")["inputs"], "uint8")
    Image.fromarray(pixels[0, ..., 0]).save(tmp_path / "image.png")
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", PLAIN, pushed.path / "example.json",
         tmp_path / "image.png", packages],
        capture_output=True, text=True, cwd=ROOT,
        env=os.environ
        | {"MLFLOW_TRACKING_URI": f"sqlite:///{main_job.mlruns / 'mlflow.db'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    expected = load_form("keras", servable.path)(pixels)
    assert np.allclose(answer["array"], expected, atol=1e-5)
    assert np.allclose(answer["file"], expected, atol=1e-5)
    (outputs,) = answer["outputs"]
    assert outputs["tensor-spec"] == {"dtype": "float32", "shape": [-1, 10]}


@pytest.mark.slow
def test_a_pushed_model_answers_in_an_environment_built_from_its_list(
    main_job, servable, tmp_path
):
    """Where a package index is at hand: TensorFlow is 600 MB."""
    model = published(main_job.mlruns)
    python = build_environment(model, tmp_path)
    pixels = digit_pixels(2)
    answered = answer(python, model, pixels.tolist())
    expected = load_form("keras", servable.path)(pixels)
    assert np.allclose(answered, expected, atol=1e-5)


def test_nothing_that_mlflow_keeps_of_the_model_is_a_pickle(main_job):
    (folder,) = (main_job.mlruns / "artifacts").rglob("MLmodel")
    files = [file for file in folder.parent.rglob("*") if file.is_file()]
    assert len(files) > 8
    for file in files:
        assert file.suffix not in (".pkl", ".pickle", ".joblib", ".pt", ".pth"), file
        # Protocol 2 and above begin with this byte.
        assert file.read_bytes()[:1] != b"\x80", file
    text = folder.read_text()
    assert "python_model" not in text
    assert "cloudpickle" not in text


# The model server ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(main_job):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.cli", "serve", "lenet5_digits", "--port",
         str(port), "--mlruns", main_job.mlruns, "--max-body", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 180
    while True:
        try:
            if ask(port, method="GET", path="/ping")[0] == 200:
                break
        except OSError:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.3)
    yield port
    process.terminate()
    process.wait(timeout=60)


def ask(port, body=b"", method="POST", path="/invocations", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    kept = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    connection.request(method, path, body, kept)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


def test_the_server_answers_arrays_and_image_files_as_the_model_does(server, servable):
    pixels = digit_pixels()
    expected = load_form("keras", servable.path)(pixels)
    status, text = ask(server, json.dumps({"inputs": pixels.tolist()}))
    assert status == 200, text
    assert np.allclose(json.loads(text)["predictions"], expected, atol=1e-5)
    assert json.loads(text)["labels"] == list("0123456789")
    status, text = ask(server, method="GET", path="/labels")
    assert (status, json.loads(text)) == (200, {"labels": list("0123456789")})
    files = []
    for image in pixels:
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0]).save(buffer, "PNG")
        files.append(base64.b64encode(buffer.getvalue()).decode())
    status, text = ask(server, json.dumps({"inputs": files}))
    assert status == 200, text
    assert np.allclose(json.loads(text)["predictions"], expected, atol=1e-5)


BAD = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"inputs": "\xff\xfe"}',
    "a list": b"[1, 2]",
    "no inputs": b"{}",
    "null": b'{"inputs": null}',
    "text": b'{"inputs": "image"}',
    "not base64": b'{"inputs": ["%%%"]}',
    "not an image": b'{"inputs": ["aGVsbG8="]}',
    "two dimensions": b'{"inputs": [[1, 2], [3, 4]]}',
    "ragged": b'{"inputs": [[[[1], [2]], [[3]]]]}',
    "three channels": b'{"inputs": [[[[1, 2, 3]]]]}',
    "above 255": b'{"inputs": [[[[256]]]]}',
    "negative": b'{"inputs": [[[[-1]]]]}',
    "not a number": b'{"inputs": [[[[NaN]]]]}',
    "an empty batch": b'{"inputs": []}',
    "named": b'{"inputs": {"a": [1]}}',
    "a table": b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}',
    "deep": b'{"inputs": ' + b"[" * 20000 + b"]" * 20000 + b"}",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_gets_400_with_a_reason(server, name):
    status, text = ask(server, BAD[name])
    assert status == 400, text
    assert len(json.loads(text)) > 0
    assert "Traceback" not in text


def test_other_content_types_are_refused(server):
    assert ask(server, b"a\n1", Content_Type="text/csv")[0] == 400
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=60)
    connection.putrequest("POST", "/invocations")
    connection.endheaders()
    assert connection.getresponse().status == 400


def test_a_body_of_1_gib_is_refused_before_it_is_sent(server):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=60)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(2**30))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "at most 1048576 bytes" in answer.read().decode()


def test_a_body_that_does_not_say_how_long_it_is_is_cut_off(server):
    def pieces():
        for _ in range(40):
            yield b" " * 65536

    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=60)
    try:
        connection.request(
            "POST",
            "/invocations",
            pieces(),
            {"Content-Type": "application/json"},
            encode_chunked=True,
        )
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # it hung up on us while we sent
    assert status == 413
    assert ask(server, method="GET", path="/ping")[0] == 200


def test_the_server_listens_on_this_machine_alone(server):
    own = socket.gethostbyname(socket.gethostname())
    if own.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError):
        socket.create_connection((own, server), timeout=2)


def test_a_model_that_is_not_registered_is_named(main_job, capsys):
    arguments = ["serve", "nothing", "--mlruns", str(main_job.mlruns)]
    assert main(arguments) == 2
    assert "'nothing'" in capsys.readouterr().err


# Rollback -----------------------------------------------------------------------------


def test_rollback_moves_the_alias_and_a_model_pushed_before_leaves_it_there(
    main_job, store, tmp_path, capsys
):
    """Two versions of one model under another name, in a copy of the database."""
    from dlkeras.pipeline import PipelineConfig, tracking

    config = PipelineConfig(name="rolled", mlruns=tmp_path / "mlruns")
    config.mlruns.mkdir()
    shutil.copyfile(main_job.mlruns / "mlflow.db", config.mlruns / "mlflow.db")
    (found,) = store.artifacts(PushedModel)

    def version(digest):
        properties = {**found.properties, "name": "rolled"}
        changed = {"digest": digest * 32, "properties": properties}
        return PushedModel(found.path, found.record.model_copy(update=changed))

    client = MlflowClient(f"sqlite:///{config.mlruns / 'mlflow.db'}")

    def champion():
        return int(client.get_model_version_by_alias("rolled", "champion").version)

    with tracking.track(config) as tracker:
        assert tracker.register(version("aa")) == 1
        assert tracker.register(version("bb")) == 2
        assert tracker.register(version("bb")) == 2  # pushed once
        assert champion() == 2
    place = ["--mlruns", str(config.mlruns)]
    assert main(["rollback", "rolled", *place]) == 0
    assert "version 1, before 2" in capsys.readouterr().out
    assert champion() == 1
    with tracking.track(config) as tracker:
        assert tracker.register(version("bb")) == 2
    assert champion() == 1
    assert main(["rollback", "rolled", *place]) == 2
    assert "none before 1" in capsys.readouterr().err
    assert main(["rollback", "rolled", "--to", "2", *place]) == 0
    assert champion() == 2
    with pytest.raises(InputError, match="one of"):
        tracking.roll_back(None, config.mlruns, "rolled", "champion", 9)


def test_a_model_whose_logging_was_cut_short_is_logged_once(main_job, store, tmp_path):
    """A kill at its files, then an error at its version: the same command goes on."""
    from sqlalchemy import Engine, event

    from dlkeras.pipeline import PipelineConfig, tracking

    config = PipelineConfig(name="cut-short", mlruns=tmp_path / "mlruns")
    (pushed,) = store.artifacts(PushedModel)

    def logged():
        return client.search_logged_models([tracker.experiment_id])

    def strike(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO model_versions"):
            raise KeyboardInterrupt

    with tracking.track(config) as tracker:
        client = tracking.connect(None, config.mlruns)
        begun = client.create_logged_model(  # what a kill leaves: it is not READY
            tracker.experiment_id,
            "model",
            tracker.run_id,
            tags={"dlkeras.digest": pushed.record.digest},
        )
        event.listen(Engine, "before_cursor_execute", strike)
        try:
            with pytest.raises(KeyboardInterrupt):
                tracker.register(pushed)
        finally:
            event.remove(Engine, "before_cursor_execute", strike)
    with tracking.track(config) as tracker:
        assert tracker.register(pushed) == 1
    (model,) = logged()
    assert model.model_id == begun.model_id
    assert model.status == "READY"
    name = pushed.properties["name"]
    assert client.get_model_version(name, "1").source.endswith(model.model_id)
    assert mlflow.pyfunc.load_model(f"models:/{name}@champion")
