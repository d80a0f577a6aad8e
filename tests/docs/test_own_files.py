"""Pages that say "one file": the file as written, outside the package, works."""

import os
import re

import pytest

from tests.conftest import ROOT
from tests.warm_process import run_python


def files_of(page, folder):
    """Write a page's file where its name says; return its name and the other blocks."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (name,) = re.findall(r"^`(\w+\.py)`:$", text, re.M)
    first, *others = re.findall(r"^```python\n(?!>>>)(.*?)^```$", text, re.M | re.S)
    (folder / name).write_text(first, encoding="utf-8")
    return folder / name, others


def run(*arguments, folder):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    done = run_python(*arguments, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_architecture_is_one_file_that_passes_its_own_test(tmp_path):
    _, (check,) = files_of("new_architecture.md", tmp_path)
    run("-c", check, folder=tmp_path)


def test_a_new_rule_of_the_diagnosis_is_one_file_that_finds_what_it_says(tmp_path):
    _, (check,) = files_of("new_rule.md", tmp_path)
    run("-c", check, folder=tmp_path)


@pytest.mark.job
def test_a_new_architecture_is_trained_until_its_code_changes(tmp_path):
    """In the search's worker process, too, which has to find it by itself."""
    file, _ = files_of("new_architecture.md", tmp_path)
    flags = ["--transform.height", "8", "--transform.width", "8", "--seed", "1",
             "--trainer.epochs", "1", "--trainer.width-multiplier", "0.05",
             "--tuner.epochs", "1", "--tuner.max-trials", "1", "--tuner.workers", "1",
             "--trainer.batch-size", "256", "--until", "Trainer"]  # fmt: skip

    def how():
        said = run(file, *flags, folder=tmp_path)
        return dict(
            re.findall(r"^(Tuner|Trainer) +[\d.]+ s +(run|cached) ", said, re.M)
        )

    assert how() == {"Tuner": "run", "Trainer": "run"}
    text = file.read_text()
    file.write_text(text.replace("# Filters, kernel size", "# Maps, size"))
    assert how() == {"Tuner": "cached", "Trainer": "cached"}
    file.write_text(text.replace("(wide, 1, 1)", "(wide, 5, 1)"))
    assert how() == {"Tuner": "run", "Trainer": "run"}


@pytest.mark.job
def test_a_new_source_is_one_file_that_runs(tmp_path):
    file, _ = files_of("pipeline/new_data_set.md", tmp_path)
    said = run(file, "--until", "StatisticsGen", folder=tmp_path)
    assert "statistics of 200 examples" in said


def test_a_new_figure_is_one_file_that_draws(tmp_path):
    _, (check,) = files_of("new_figure.md", tmp_path)
    run("-c", check, folder=tmp_path)
    assert (tmp_path / "mistakes.png").read_bytes().startswith(b"\x89PNG")


BUILDER = """
import keras
from parts import head
from dlkeras.architectures import register
FILTERS = 4
def body(x):
    return keras.layers.Conv2D(FILTERS, 3)(x)  # a comment
@register
def mine(input_shape=(8, 8, 1), num_classes=3):
    x = images = keras.Input(input_shape)
    return keras.Model(images, head(body(x), num_classes))
EPOCHS = 5
"""
PARTS = """
import keras
def head(x, classes):
    return keras.layers.Dense(classes, "softmax")(keras.layers.Flatten()(x))
"""
DIGEST = """
import sys
from dlkeras.pipeline.training.own.code import code_of, load, modules
file = sys.argv[1]
load({"path": [], "modules": {"mine": file}})
assert modules()["modules"] == {"mine": file}
print(code_of("mine"), code_of("lenet5"))
"""


@pytest.mark.parametrize(
    ("file", "before", "after", "same"),
    [
        ("mine.py", "", "", True),
        ("mine.py", "a comment", "another", True),
        ("mine.py", "EPOCHS = 5", "EPOCHS = 6", True),
        ("mine.py", "FILTERS = 4", "FILTERS = 5", False),
        ("mine.py", "Conv2D(FILTERS, 3)", "Conv2D(FILTERS, 5)", False),
        ("parts.py", "Flatten", "GlobalAveragePooling2D", False),
    ],
)
def test_the_key_holds_the_code_that_an_architecture_uses(
    tmp_path, file, before, after, same
):
    digests = []
    for change in (False, True):
        for name, text in (("mine.py", BUILDER), ("parts.py", PARTS)):
            changed = text.replace(before, after) if change and name == file else text
            (tmp_path / name).write_text(changed)
        digests.append(run("-c", DIGEST, tmp_path / "mine.py", folder=tmp_path))
    assert digests[0].startswith("{'': '") and digests[0].endswith("} {}\n")
    assert (digests[0] == digests[1]) is same


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("lenet5", "input_shape, num_classes", "none of the package's"),
        ("a-b", "input_shape, num_classes", "a plain word"),
        ("mine", "input_shape", "must take input_shape and num_classes"),
        ("mine", "depth, input_shape, num_classes", "missing a required .*depth"),
    ],
)
def test_what_cannot_be_an_architecture_is_refused(name, arguments, why):
    from dlkeras.architectures import names, register

    builder = eval(f"lambda {arguments}: None")
    with pytest.raises(ValueError, match=why):
        register(name=name)(builder)
    assert "mine" not in names()


def test_an_argument_that_an_architecture_does_not_take_is_named():
    from dlkeras.architectures import create

    with pytest.raises(ValueError, match=r"lenet5: .*'depth'.* It is lenet5\(input_s"):
        create("lenet5", depth=3)
