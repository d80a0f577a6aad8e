"""Hostile folders in MLflow's format end in one line, soon, in little memory."""

import hashlib
import os
import re

import pytest

from tests.untrusted.own_process import tried

LOADED = "loader_module: dlkeras.pipeline.tracking.served_model, data: data"
DESCRIPTION = f"flavors: {{python_function: {{{LOADED}}}}}\n"
# A folder with nothing in `data` comes first: the process's own memory.
MOST_MIB = 150


def merged(levels):
    """Each level merges nine times what is above it: 9**10 pairs in the end."""
    lines = ["a0: &a0 {k: v}"]
    for level in range(levels):
        nine = ", ".join([f"*a{level}"] * 9)
        lines.append(f"a{level + 1}: &a{level + 1} {{<<: [{nine}]}}")
    return "\n".join(lines) + "\n"


def write_folders(place):
    def folder(name, description=DESCRIPTION):
        made = place / name
        (made / "data").mkdir(parents=True)
        if description is not None:
            (made / "MLmodel").write_text(description)
        return made

    example = "saved_input_example_info: {type: ndarray, artifact_path: %s}\n"
    folder("0")
    folder("aliases", merged(10) + DESCRIPTION)
    folder("long", DESCRIPTION + "more: [" + "[]," * 2**20 + "]")
    folder("deep", DESCRIPTION + "more: " + "[" * 2**19)
    folder("minutes", DESCRIPTION + "more: " + ":".join(["59"] * 2**18))
    os.mkfifo(folder("pipe") / "requirements.txt")
    (folder("device") / "conda.yaml").symlink_to("/dev/zero")
    (folder("leads_on") / "requirements.txt").write_text("-r requirements.txt\n")
    folder("leads_out", DESCRIPTION + example % "../0/MLmodel")
    with (folder("hole", DESCRIPTION + example % "e.json") / "e.json").open("wb") as f:
        f.truncate(2**32)
    folder("config", DESCRIPTION.replace("data: data", "data: data, config: {a: 1}"))
    listed = folder("manifest") / "data"
    (listed / "model.keras").write_bytes(b"PK")
    line = hashlib.sha256(b"").hexdigest() + "  model.keras\n"
    (listed / "MANIFEST.sha256").write_text(line * 2**15)
    sparse = folder("sparse") / "data"
    (sparse / "MANIFEST.sha256").write_text(line)
    with (sparse / "model.keras").open("wb") as file:
        file.truncate(2**42)
    same = folder("one_file") / "data"
    (same / "model.keras").write_bytes(b"PK")
    digest = hashlib.sha256(b"PK").hexdigest()
    (same / "copy").symlink_to("model.keras")
    names = ("model.keras", "copy")
    (same / "MANIFEST.sha256").write_text("".join(f"{digest}  {n}\n" for n in names))
    for name, labels in {"labels": b"[" + b"[]," * 2**24 + b"1]", "deep": None}.items():
        data = folder(f"{name}_json") / "data"
        (data / "model.keras").write_bytes(b"PK")
        (data / "labels.json").write_bytes(labels or b"[" * 2**20)
    return sorted(place.iterdir())


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folders = write_folders(tmp_path_factory.mktemp("folders"))
    imports = (
        "import dlkeras.pipeline.tensorflow_import\n"
        "from dlkeras.pipeline.tracking.model_server import load_served_model"
    )
    return tried(imports, "load_served_model(None, Path(path), path)", folders)


def test_no_hostile_folder_takes_memory_or_time(answers):
    assert len(answers) == 16
    before = answers["0"][1]
    for name, (said, mib, seconds) in answers.items():
        assert said.startswith("InputError: MODEL: "), (name, said)
        assert "\n" not in said and len(said) < 700, said
        assert mib < before + MOST_MIB, name
        assert seconds < 20, name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("deep", "nested too deep"),
        ("minutes", "too long"),
        ("aliases", "repeats its parts"),
        ("long", "MLmodel is too long"),
        ("pipe", "requirements.txt: expected a file; it is a pipe"),
        ("device", "conda.yaml: expected a file; it is a pipe or a device"),
        ("leads_on", "names other files than packages"),
        ("leads_out", "its example is '../0/MLmodel'"),
        ("hole", "e.json: expected at most 8,388,608 bytes"),
        ("config", r"has loader .*\[.config.\]"),
        ("manifest", "expected at most 1,048,576 bytes"),
        ("sparse", "mostly never written"),
        ("one_file", "names 'copy' twice"),
        ("labels_json", "expected at most 8,388,608 bytes"),
        ("deep_json", "it is not JSON"),
    ],
)
def test_the_line_says_what_is_wrong(answers, name, reason):
    assert re.search(reason, answers[name][0]), answers[name][0]
