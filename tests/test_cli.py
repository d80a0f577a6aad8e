"""The command `dlkeras`, as a user runs it on a finished main job."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from dlkeras import cli
from dlkeras.cli import main
from tests.ports import free_port
from tests.warm_process import run_python


def dlkeras(*arguments, **options):
    return run_python("-m", "dlkeras.cli", *arguments, timeout=120, **options)


def doctor(*arguments, **options):
    """`dlkeras doctor` looks at its own process: it must not be warm already."""
    command = [sys.executable, "-m", "dlkeras.cli", "doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_help_imports_no_heavy_library():
    code = (
        "import sys; from dlkeras.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'pandas', 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("ui", "runs", "show", "predict", "doctor"):
        assert command in done.stdout


def test_runs_lists_the_run_with_its_accuracy(main_job):
    done = dlkeras("runs", "--mlruns", main_job.mlruns)
    lines = [line for line in done.stdout.splitlines() if main_job.run_id[:8] in line]
    (line,) = lines
    assert "FINISHED" in line
    assert re.search(r"0\.9\d\d\d|1\.0000", line)
    assert "models:/lenet5_digits/1" in line


def test_runs_of_an_empty_folder_says_so(tmp_path, capsys):
    assert main(["runs", "--mlruns", str(tmp_path)]) == 0
    assert "no runs" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


ASKED = {
    "ui": ["--port", "0"],
    "runs": [],
    "show": ["last"],
    "why": ["last", "Trainer"],
    "predict": ["lenet5_digits", "image.png"],
    "serve": ["lenet5_digits"],
    "rollback": ["lenet5_digits"],
}
# They do not read a folder's runs, or say what they find of one that is not there.
OTHERS = {"augment", "doctor", "status", "gc", "why-not", "lr-find", "completion"}


def test_every_command_is_asked_what_a_mistyped_folder_gives():
    parser = cli._parser()
    (commands,) = [a.choices for a in parser._actions if isinstance(a.choices, dict)]
    assert commands.keys() == ASKED.keys() | OTHERS


@pytest.mark.parametrize("command", ASKED)
def test_a_mistyped_folder_is_named_and_not_made(command, tmp_path, capsys):
    mistyped = tmp_path / "mlrun"
    ASKED["ui"][1] = str(free_port())
    assert main([command, *ASKED[command], "--mlruns", str(mistyped)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(mistyped) in line
    assert list(tmp_path.iterdir()) == []


def test_show_prints_the_graph_and_files_that_exist(main_job):
    done = dlkeras("show", main_job.run_id[:8], "--mlruns", main_job.mlruns)
    assert done.returncode == 0, done.stderr
    assert "reads examples: Examples" in done.stdout
    assert "reads blessing: Blessing" in done.stdout
    files = [line.strip() for line in done.stdout.splitlines() if "/store/" in line]
    assert len(files) > 20
    assert all(os.path.isfile(file) for file in files)


def test_show_of_an_unknown_run_names_the_known_ones(main_job):
    done = dlkeras("show", "zzz", "--mlruns", main_job.mlruns)
    assert done.returncode == 2
    assert "'zzz' fits 0 runs" in done.stderr
    assert main_job.run_id[:8] in done.stderr


@pytest.fixture(scope="module")
def digit_files(tmp_path_factory):
    """Real digits as files of several sizes and formats."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    files = []
    for index, (size, suffix) in enumerate(
        [(8, "png"), (64, "png"), (200, "jpg"), (31, "bmp"), (90, "webp")]
    ):
        pixels = np.round(digits.images[index] * 255 / 16).astype("uint8")
        image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
        if suffix == "webp":
            image = image.convert("RGB")
        path = folder / f"digit {index}.{suffix}"
        image.save(path)
        files.append(path)
    return files  # digits 0 to 4, as scikit-learn orders them


def test_predict_by_registered_name_reads_images_of_any_size(main_job, digit_files):
    done = dlkeras(
        "predict", "lenet5_digits", *digit_files, "--mlruns", main_job.mlruns, "--json"
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["top"][0]["label"] for answer in answers] == list("01234")
    for answer in answers:
        assert len(answer["top"]) == 3
        probabilities = [top["probability"] for top in answer["top"]]
        assert probabilities == sorted(probabilities, reverse=True)


def test_predict_by_file_prints_class_probability_and_top_3(main_job, digit_files):
    (model,) = main_job.mlruns.glob("store/PushedModel/*/model.keras")
    done = dlkeras("predict", model, digit_files[3])
    assert re.search(
        r"digit 3.bmp: 3, probability [01]\.\d+ \(top 3: 3 [01]\.", done.stdout
    )
    assert done.stderr == ""


def test_predict_answers_for_what_can_be_read_in_a_folder(main_job, digit_files):
    folder = digit_files[0].parent / "more"
    (folder / "below").mkdir(parents=True)
    shutil.copy(digit_files[1], folder / "below" / "no suffix")
    shutil.copy(digit_files[2], folder)
    (folder / "notes.txt").write_text("no image")
    broken = digit_files[0].parent / "broken.png"
    broken.write_bytes(digit_files[0].read_bytes()[:60])
    done = dlkeras(
        "predict", "lenet5_digits", folder, broken, "--mlruns", main_job.mlruns
    )
    assert done.returncode == 1
    names = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert names == [str(folder / "digit 2.jpg"), str(folder / "below" / "no suffix")]
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: IMAGE: expected an image file; {broken}: ")


def test_predict_inverts_dark_ink_on_light_paper(main_job, tmp_path):
    (model,) = main_job.mlruns.glob("store/PushedModel/*/model.keras")
    pixels = 255 - np.round(load_digits().images[0] * 255 / 16).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "paper.png")
    done = dlkeras("predict", model, tmp_path / "paper.png", "--invert", "--json")
    assert json.loads(done.stdout)[0]["top"][0]["label"] == "0"


def test_a_pushed_model_that_was_altered_is_not_used(main_job, tmp_path):
    (pushed,) = main_job.mlruns.glob("store/PushedModel/*")
    copy = tmp_path / "pushed"
    shutil.copytree(pushed, copy)
    data = bytearray((copy / "model.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.keras").write_bytes(data)
    image = tmp_path / "zero.png"
    Image.fromarray(np.zeros((8, 8), "uint8")).save(image)
    done = dlkeras("predict", copy, image)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "it is not the model that was pushed" in line


@pytest.mark.parametrize(
    ("model", "image", "part"),
    [
        ("no_such_model", "digit 0.png", "MODEL: expected a .keras file, or the name"),
        ("no_such.keras", "digit 0.png", "no_such.keras does not exist"),
        ("junk.keras", "digit 0.png", "MODEL: expected a whole Keras model"),
        ("lenet5_digits", "absent.png", "IMAGE: expected an image file"),
        ("lenet5_digits", "junk.keras", "IMAGE: expected an image file"),
    ],
)
def test_predict_names_a_bad_model_or_image(main_job, digit_files, model, image, part):
    folder = digit_files[0].parent
    (folder / "junk.keras").write_bytes(b"not a model")
    done = dlkeras("predict", model, image, "--mlruns", main_job.mlruns, cwd=folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert part in line


def test_doctor_finds_this_environment_well(main_job):
    done = doctor("--mlruns", main_job.mlruns)
    assert done.returncode == 0, done.stdout
    for word in ("tensorflow", "KERAS_BACKEND: tensorflow", "writable", "CPU"):
        assert word in done.stdout
    assert done.stdout.splitlines()[-1] == "all well"


def test_doctor_finds_a_backend_that_the_pipeline_cannot_use(main_job):
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = doctor("--mlruns", main_job.mlruns, env=environment)
    assert "BAD KERAS_BACKEND: jax; the pipeline needs tensorflow" in done.stdout
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "problems found: 1"
    assert done.stderr == ""


@pytest.fixture
def port():
    return free_port()


def test_ui_serves_the_run_on_loopback(main_job, port):
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.cli", "ui", "--mlruns", main_job.mlruns,
         "--port", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        url = (
            f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/get?run_id={main_job.run_id}"
        )
        deadline = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    found = json.load(answer)
                break
            except OSError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.5)
        assert found["run"]["info"]["status"] == "FINISHED"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_ui_names_a_port_that_is_taken(main_job):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = dlkeras("ui", "--mlruns", main_job.mlruns, "--port", port)
    assert done.returncode == 1
    assert f"expected a free port; {port}" in done.stderr
