"""MLflow's artifacts in a store of another machine: real FTP and S3 servers.

The MLflow server does not proxy them (`--no-serve-artifacts`): each client sends and
fetches them itself. MLflow speaks FTP (vsftpd) without a package more, and S3 (rclone's
server) by boto3.
"""

import contextlib
import http.client
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from tests.pipeline.test_tracking_server import environment, job, mlflow_server
from tests.ports import free_port

VSFTPD = shutil.which("vsftpd", path=f"{os.environ.get('PATH')}:/usr/sbin")
RCLONE = shutil.which("rclone", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.slow
SETTINGS = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
anon_root={folder}
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
secure_chroot_dir={folder}/empty
xferlog_enable=YES
vsftpd_log_file={log}
seccomp_sandbox=NO
"""


def wait_for(port, process):
    deadline = time.monotonic() + 300
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def ftp_server(log):
    """Its address, and the folder behind it."""
    # Not below pytest's folder, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="ftp-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        (folder / "empty").mkdir()
        (folder / "kept").mkdir()
        shutil.chown(folder / "kept", pwd.getpwnam("ftp").pw_uid)
        # Its clients see the folder alone, without the log.
        settings = folder / "settings"
        settings.write_text(SETTINGS.format(port=port, folder=folder, log=log))
        process = subprocess.Popen([VSFTPD, settings])
        try:
            wait_for(port, process)
            yield f"ftp://127.0.0.1:{port}/kept", folder / "kept"
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextlib.contextmanager
def s3_server(log, folder):
    """The address of a bucket that asks for a signature, and the folder behind it."""
    port, secret = free_port(), "only-for-this-test"
    (folder / "kept").mkdir(parents=True)
    flags = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"tester,{secret}"]
    process = subprocess.Popen(
        [RCLONE, "serve", "s3", *flags, "-vv", "--log-file", log, folder],
        env={**os.environ, "RCLONE_CONFIG": os.devnull},
    )
    settings = {
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        wait_for(port, process)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            yield "s3://kept", folder / "kept"
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module", params=["ftp", "s3"])
def kept(request, tmp_path_factory):
    """The store's address, the folder behind it, and the log of its requests."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "ftp":
        if VSFTPD is None or os.geteuid() != 0:
            pytest.skip("expects vsftpd, which wants to be root")
        server = ftp_server(folder / "log")
    else:
        pytest.importorskip("boto3", reason="expects the extra s3")
        if RCLONE is None:
            pytest.skip("expects rclone")
        server = s3_server(folder / "log", folder / "buckets")
    with server as (address, behind):
        yield address, behind, folder / "log"


@pytest.fixture(scope="module")
def uri(kept, tmp_path_factory):
    """The address of an MLflow server that leaves the artifacts to the store."""
    flags = ("--no-serve-artifacts", "--default-artifact-root", kept[0])
    with mlflow_server(tmp_path_factory.mktemp("server"), *flags) as address:
        yield address


@pytest.fixture(scope="module")
def jobs(uri, tmp_path_factory):
    """Two main jobs with the server's address; their folders are then taken away."""
    cwd = tmp_path_factory.mktemp("client")
    more = ("--evaluator.max-accuracy-drop", "1", "--evaluator.significance", "0",
            "--evaluator.robustness-images", "0")  # fmt: skip
    printed = [
        job(cwd / "mlruns", uri, cwd, "--seed", str(seed), *more) for seed in (0, 1)
    ]
    cwd.rename(tmp_path_factory.mktemp("away") / "client")
    return printed


def dlkeras(uri, cwd, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "dlkeras.cli", *arguments],
        env=environment(MLFLOW_TRACKING_URI=uri), cwd=cwd,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def digits(number):
    """Raw pixels, and what they are."""
    data = load_digits()
    pixels = np.round(data.images[:number] * 255 / 16).astype("uint8")[..., None]
    return pixels, data.target[:number]


def test_figures_and_models_are_in_the_store_sent_by_the_job_itself(
    kept, uri, jobs, tmp_path
):
    address, folder, log = kept
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("lenet5_digits")
    assert experiment.artifact_location.startswith(address)
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert len(list(folder.rglob("learning_curves.png"))) == 2
    assert len(list(folder.rglob("MLmodel"))) == 2
    assert len(re.findall("OK UPLOAD|CREATE OBJECT", log.read_text())) > 20
    images = client.list_artifacts(runs[0].info.run_id, "images")
    assert any("learning_curves" in image.path for image in images)
    client.download_artifacts(runs[0].info.run_id, "figures", str(tmp_path))
    fetched = (tmp_path / "figures" / "learning_curves.png").read_bytes()
    assert fetched in [p.read_bytes() for p in folder.rglob("learning_curves.png")]


def test_a_registered_model_is_fetched_to_predict_and_by_mlflow_itself(
    uri, jobs, tmp_path, monkeypatch
):
    import mlflow

    pixels, labels = digits(20)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model("models:/lenet5_digits@champion")
    answers = np.asarray(model.predict(pixels)).argmax(axis=1)
    assert (answers == labels).mean() >= 0.9
    image = tmp_path / "digit.png"
    Image.fromarray(pixels[0, ..., 0]).save(image)
    told = dlkeras(uri, tmp_path, "predict", "lenet5_digits", image, "--json")
    assert json.loads(told)[0]["top"][0]["label"] == str(answers[0])


def test_a_registered_model_is_served(uri, jobs, tmp_path):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.cli", "serve", "lenet5_digits", "--port",
         str(port)],
        env=environment(MLFLOW_TRACKING_URI=uri), cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    pixels, labels = digits(20)
    try:
        wait_for(port, process)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request(
            "POST", "/invocations", json.dumps({"inputs": pixels.tolist()}),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        answers = np.array(json.loads(connection.getresponse().read())["predictions"])
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=60)
    assert (answers.argmax(axis=1) == labels).mean() >= 0.9


def test_a_registered_model_is_the_source_of_a_transfer(uri, jobs, tmp_path):
    printed = job(
        tmp_path / "mlruns", uri, tmp_path, "--until", "Trainer",
        "--trainer.transfer.source", "models:/lenet5_digits/1",
        "--trainer.transfer.freeze-until", "stage2",
    )  # fmt: skip
    assert "transfer from" in printed
    assert "frozen" in printed


def test_roll_back_gives_the_alias_to_the_version_before(uri, jobs, tmp_path):
    client = MlflowClient(uri)
    assert client.get_model_version_by_alias("lenet5_digits", "champion").version == "2"
    dlkeras(uri, tmp_path, "rollback", "lenet5_digits")
    assert client.get_model_version_by_alias("lenet5_digits", "champion").version == "1"
    image = tmp_path / "digit.png"
    Image.fromarray(digits(1)[0][0, ..., 0]).save(image)
    told = dlkeras(uri, tmp_path, "predict", "lenet5_digits", image, "--json")
    assert json.loads(told)[0]["top"]
