"""No file that claims to be a model runs code; no name leads out of the folder."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dlkeras.cli import main
from dlkeras.pipeline import PipelineConfig, PusherConfig
from tests.conftest import ROOT
from tests.pipeline.malicious_models import FILES, Payload, mlflow_models


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(np.zeros((8, 8), "uint8")).save(path)
    return path


def test_the_payload_does_run_where_a_pickle_is_loaded(tmp_path):
    import pickle

    proof = tmp_path / "proof"
    pickle.loads(pickle.dumps(Payload(proof)))
    assert proof.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_malicious_model_is_refused_in_a_line_and_runs_nothing(
    tmp_path, image, name, capfd
):
    proof = tmp_path / "proof"
    folder = tmp_path / "models"
    folder.mkdir()
    before = set(tmp_path.rglob("*"))
    model = FILES[name](folder, proof)
    written = set(tmp_path.rglob("*"))
    code = main(["predict", str(model), str(image)])
    said = capfd.readouterr()
    assert not proof.exists()
    assert set(tmp_path.rglob("*")) == written > before
    assert code == 2, said.out
    lines = [line for line in said.err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "MODEL: expected" in lines[0]
    assert "secret" not in said.out + said.err.replace("secret.h5", "")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, image):
    """In a process of at most 1.5 GiB: unpacked, the bomb takes 2.

    The kernel's `ru_maxrss` would count what the tests' own process takes: a child has
    its parent's memory until it starts a program of its own.
    """
    bomb = FILES["zip_bomb"](tmp_path, tmp_path / "proof")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dlkeras.cli import main\n"
        "main(['predict', sys.argv[1], sys.argv[2]])\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, bomb, image],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "is compressed" in done.stderr
    assert int(done.stdout.splitlines()[-1]) < 1500


def test_a_model_of_mlflow_that_brings_code_is_not_served(tmp_path, capsys):
    proof = tmp_path / "proof"
    for name, folder in mlflow_models(tmp_path / "models", proof):
        assert main(["serve", str(folder), "--mlruns", str(tmp_path)]) == 2, name
        error = capsys.readouterr().err
        assert error.startswith("error: MODEL: expected"), name
        assert not proof.exists(), name


@pytest.mark.parametrize(
    "name",
    ["../out", "a/b", "/etc", "..", ".hidden", "", "a\0b", "a b", "a\nb", "x" * 101],
)
def test_names_cannot_leave_the_folder_of_the_runs(name):
    with pytest.raises(ValueError):
        PipelineConfig(name=name)
    with pytest.raises(ValueError):
        PusherConfig(model_name=name)
    with pytest.raises(ValueError):
        PusherConfig(alias=name)


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path, image, capsys):
    import hashlib

    folder = tmp_path / "pushed"
    folder.mkdir()
    (tmp_path / "outside").write_text("x")
    (folder / "model.keras").write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    (folder / "MANIFEST.sha256").write_text(f"{digest}  ../outside\n")
    assert main(["predict", str(folder), str(image)]) != 0
    assert "../outside" in capsys.readouterr().err


def test_safe_mode_is_never_switched_off_and_no_pickle_is_read():
    for file in (ROOT / "dlkeras").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for word in ("safe_mode=False", "allow_pickle=True", "pickle.load",
                     "cloudpickle.load", "enable_unsafe", "yaml.load("):  # fmt: skip
            # A helper takes figures through the pipe of the process that started it.
            own_pipe = word == "pickle.load" and file.name == "saved_beside.py"
            assert own_pipe or word not in text, file
