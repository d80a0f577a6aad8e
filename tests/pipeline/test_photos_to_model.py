"""The page from photos to a served model: each command answers as written."""

import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import redirect_stdout

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.conftest import ROOT
from tests.ports import free_port
from tests.warm_process import run_python

pytestmark = pytest.mark.job
PAGES = ROOT / "docs" / "pipeline"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def draw_photos(folder, number=80):
    """Round red apples and long green leaves on noise."""
    random = np.random.default_rng(0)
    for label in ("apple", "leaf"):
        (folder / label).mkdir(parents=True)
        for index in range(number):
            image = Image.fromarray(random.integers(90, 200, (40, 40, 3), "uint8"))
            pen = ImageDraw.Draw(image)
            x, y = random.integers(6, 16, 2)
            size = int(random.integers(12, 20))
            red, green = (random.integers(a, b) for a, b in ((120, 230), (60, 190)))
            if label == "apple":
                pen.ellipse(
                    (x, y, x + size, y + size), fill=(int(red), int(green) // 2, 50)
                )
            else:
                pen.ellipse(
                    (x, y, x + size // 2, y + size),
                    fill=(int(red) // 2, int(green), 60),
                )
            image.save(folder / label / f"{index:03}.png")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """The reader's folder: the photos, and the script of the page of ten lines."""
    folder = tmp_path_factory.mktemp("desk")
    draw_photos(folder / "photos")
    page = (PAGES / "own_network.md").read_text("utf-8")
    script = re.search(r"^`mushrooms\.py`:\n\n```python\n(.*?)^```$", page, re.M | re.S)
    assert script is not None
    (folder / "mushrooms.py").write_text(script[1])
    return folder


def answer(desk, command):
    """What a command prints, and its exit code."""
    program, *arguments = shlex.split(command)
    if program == "dlkeras":
        arguments = ["-m", "dlkeras.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = run_python(*arguments, cwd=desk, env=environment)
    return done.stdout + done.stderr, done.returncode


def test_the_page_leads_from_photos_to_a_served_model(desk, monkeypatch):
    page = (PAGES / "photos_to_model.md").read_text("utf-8")
    blocks = re.findall(r"```console\n\$ (.*?)\n(.*?)```", page, re.S)
    served, written_served = blocks.pop()
    for command, written in blocks:
        said, code = answer(desk, command)
        if file := os.environ.get("DLKERAS_SAID"):
            with open(file, "a") as kept:
                kept.write(f"$ {command}\n{said}\n")
        assert code == 0, said
        checked = doctest.OutputChecker().check_output(written, said, FLAGS)
        assert checked or "DLKERAS_SAID" in os.environ, f"{command}\n{written}\n{said}"

    port = str(free_port())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    arguments = served.replace("5001", port).split()[1:]
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.cli", *arguments],
        cwd=desk, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline().replace(port, "5001")
        assert doctest.OutputChecker().check_output(written_served, line, FLAGS), line
        code = re.search(r"```python\n(import base64.*?)```", page, re.S)
        assert code is not None
        monkeypatch.chdir(desk)
        said = ask_again(code[1].replace("5001", port))
    finally:
        process.kill()
        process.communicate()
    (probabilities,) = eval(said)["predictions"]
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    predicted, _ = answer(desk, blocks[-1][0])
    best = float(re.search(r"apple/000.*?probability ([\d.]+)", predicted)[1])  # pyright: ignore
    assert max(probabilities) == pytest.approx(best, abs=1e-3)


def ask_again(code):
    """Run the page's program once the server answers."""
    for _ in range(60):
        said = io.StringIO()
        try:
            with redirect_stdout(said):
                exec(code, {})
            return said.getvalue()
        except OSError:
            time.sleep(1)
    raise AssertionError("the server does not answer")
