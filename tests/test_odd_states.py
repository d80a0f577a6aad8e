"""The command `dlkeras` where a name, a port, a file or a terminal is not as hoped."""

import contextlib
import io
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys

import keras
import pytest
from PIL import Image

from dlkeras.cli import main
from dlkeras.pipeline.store.errors import InputError, PipelineError, exit_code_of
from dlkeras.pipeline.training.transfer_source import locate_weights
from tests.conftest import ROOT


@pytest.mark.parametrize("by", ["flag", "variable"])
@pytest.mark.parametrize("command", ["doctor", "runs", "ui", "rollback"])
def test_a_mistyped_database_is_named_and_its_folder_is_not_made(
    command, by, tmp_path, monkeypatch, capsys
):
    uri = f"sqlite:///{tmp_path}/typo/a.db"
    (tmp_path / "mlruns").mkdir()
    given = ["--mlruns", str(tmp_path / "mlruns")]
    given += {"rollback": ["net"], "ui": ["--port", str(free())]}.get(command, [])
    if by == "flag":
        given += ["--tracking-uri", uri]
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main([command, *given]) == (1 if command == "doctor" else 2)
    said = capsys.readouterr()
    (line,) = [x for x in (said.out + said.err).splitlines() if "typo" in x]
    assert f"there is no {tmp_path}/typo/a.db" in line
    assert not (tmp_path / "typo").exists()


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_serve_on_a_busy_port_says_so_and_nothing_else(host, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert main(["serve", "net", "--port", port, "--host", host]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert f"--port: expected a free port; {port}: Address already in use" in line


@pytest.mark.parametrize("host", ["8.8.8.8", "no-host.invalid", "x" * 64])
def test_serve_on_an_address_of_another_machine_names_the_flag(host, capsys):
    assert main(["serve", "net", "--port", str(free()), "--host", host]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --host: expected an address of this machine")


# Names in the registry ----------------------------------------------------------------


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A folder of runs in which `net` has versions 1 to 3, and 2 is the champion."""
    from dlkeras.pipeline.tracking import connect

    mlruns = tmp_path_factory.mktemp("registry")
    client = connect(None, mlruns)
    for name in ("net", "other"):
        client.create_registered_model(name)
    for number in "123":
        folder = mlruns / f"files of {number}"
        folder.mkdir()
        (folder / "MLmodel").write_text("flavors: {python_function: [")
        client.create_model_version("net", folder.as_uri())
    client.set_registered_model_alias("net", "champion", "2")
    client.set_registered_model_alias("net", "old", "1")
    return mlruns


FOUND = "its aliases: champion (version 2), old (version 1); its versions: 1, 2, 3"
NO_SUCH = {
    "net@nope": f"net has no alias nope; {FOUND}",
    "net/99": f"net has no version 99; {FOUND}",
    "net/x": f"net has no version x; {FOUND}",
    "models:/net/99": f"net has no version 99; {FOUND}",
    "nett": "there is no model 'nett'; registered: net, other",
    "nett/1": "there is no model 'nett'; registered: net, other",
    "other": "other has no alias champion; its aliases: none; its versions: none",
}


@pytest.mark.parametrize("name", NO_SUCH)
@pytest.mark.parametrize("command", ["predict", "serve"])
def test_a_model_that_is_not_registered_is_told_what_there_is(
    command, name, registry, capsys
):
    more = {"predict": ["a.png"], "serve": ["--port", str(free())]}[command]
    assert main([command, name, *more, "--mlruns", str(registry)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: MODEL: expected ")
    assert line.endswith(f"received {name!r}: {NO_SUCH[name]}")


def test_rollback_and_a_transfer_are_told_what_there_is(registry, capsys):
    from dlkeras.pipeline import TransferConfig, tracking

    where = ["--mlruns", str(registry)]
    assert main(["rollback", "net", "--alias", "nope", *where]) == 2
    assert capsys.readouterr().err.endswith(f"{NO_SUCH['net@nope']}\n")
    transfer = TransferConfig(source="models:/net/99")
    with pytest.raises(InputError) as caught:
        locate_weights(
            transfer, lambda name: tracking.pushed_folder(None, registry, name)
        )
    assert str(caught.value).startswith("--trainer.transfer.source: expected")
    assert str(caught.value).endswith(NO_SUCH["net/99"])


def test_a_model_whose_files_are_damaged_is_called_by_its_name(registry, capsys):
    """As a user knows it: not as the folder into which MLflow has fetched it."""
    (registry / "files of 3" / "MLmodel").unlink()
    for name, why in (("net", "while parsing"), ("net/3", "there is no such file")):
        given = [name, "--port", str(free()), "--mlruns", str(registry)]
        assert main(["serve", *given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        version = {"net": "2", "net/3": "3"}[name]
        expected = f"a model in models:/net/{version}/MLmodel; {why}"
        assert line.startswith(
            f"error: MODEL: expected MLflow's description of {expected}"
        )
        assert str(registry) not in line


# Letters that a terminal lacks --------------------------------------------------------


def on_ascii(command, *arguments, encoding="ascii"):
    """What a command writes to a terminal of this encoding, as bytes."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with contextlib.redirect_stdout(stream):
        assert command(*arguments) == 0
    return stream.buffer.getvalue()


def test_predict_writes_names_with_accents_on_an_ascii_terminal(tmp_path):
    images = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(images))
    keras.Model(images, outputs).save(tmp_path / "model.keras")
    (tmp_path / "labels.json").write_text('["maçã", "pêra"]')
    Image.new("L", (8, 8)).save(tmp_path / "ação.png")
    paths = [str(tmp_path / "model.keras"), str(tmp_path / "ação.png")]
    said = on_ascii(main, ["predict", *paths])
    assert rb"a\xe7\xe3o.png: " in said
    assert rb"ma\xe7\xe3 0." in said and rb"p\xeara 0." in said


def test_show_and_runs_write_a_folder_with_accents_on_an_ascii_terminal(tmp_path):
    mlruns = tmp_path / "números"
    (mlruns / "store" / "runs").mkdir(parents=True)
    step = {
        "component": "Trainer", "type": "Model", "digest": "d" * 64, "cached": True,
        "seconds": 1.0, "inputs": {}, "files": ["a"], "path": "Model/a", "key": "k",
    }  # fmt: skip
    lineage = {"run_id": "r", "pipeline": "época", "steps": [step]}
    (mlruns / "store" / "runs" / "r.json").write_text(json.dumps(lineage))
    said = on_ascii(main, ["show", "last", "--mlruns", str(mlruns)])
    assert rb"pipeline \xe9poca" in said
    assert rb"/n\xfameros/store/Model/a/a" in said
    said = on_ascii(main, ["runs", "--mlruns", str(mlruns)])
    assert rb"no runs in" in said and rb"/n\xfameros" in said


def test_a_printed_configuration_is_json_on_an_ascii_terminal():
    from dlkeras.pipeline import PipelineConfig
    from dlkeras.pipeline import main as script

    flags = ["--mlruns", "números", "--print-config"]
    said = on_ascii(script, PipelineConfig(), flags)
    assert json.loads(said)["mlruns"] == "números"


def test_a_name_that_no_encoding_has_is_written_on_any_terminal():
    """As a file's name in Latin-1 arrives, where names are in UTF-8."""
    name = os.fsdecode(b"a\xe9.png")
    said = on_ascii(exit_code_of, lambda: print(name) or 0, encoding="utf-8")
    assert said == b"a\\udce9.png\n"


# Flags --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("a.pdf", b"%PDF"),
        ("a.svg", b"<?xml"),
        ("a.PNG", b"\x89PNG"),
        ("a.jpg", b"\xff"),
    ],
)
def test_augment_writes_the_kind_of_file_that_is_named(tmp_path, name, begins):
    image, output = tmp_path / "photo.png", tmp_path / name
    Image.new("RGB", (16, 16)).save(image)
    flags = ["--set", "height=16", "--set", "width=16", "--epochs", "1"]
    assert main(["augment", str(image), "--output", str(output), *flags]) == 0
    assert output.read_bytes().startswith(begins)
    assert {p.name for p in tmp_path.iterdir()} == {"photo.png", name}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.doc", "a name that ends in one of .avif,"),
        ("a", "a name that ends in one of .avif,"),
        ("folder.png", "folder.png: a folder"),
        ("none/a.png", "there is no "),
    ],
)
def test_augment_refuses_a_picture_it_cannot_write_before_it_draws(
    tmp_path, name, said, capsys
):
    (tmp_path / "folder.png").mkdir()
    output = str(tmp_path / name)
    assert main(["augment", "not-read.png", "--output", output]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --output: expected") and said in line


@pytest.mark.parametrize(
    "flags",
    [
        *(["gc", "--min-age", text] for text in ("nan", "inf", "-1", "1h", "")),
        *(["gc", "--keep-runs", text] for text in ("0", "-1", "1.5", "²")),
        *(["serve", "net", "--port", text] for text in ("0", "65536", "x", "\u0665")),
        *(["serve", "net", "--max-body", text] for text in ("0", "nan")),
        ["runs", "--limit", "0"],
        ["augment", "a.png", "--seed", "-1"],
    ],
)
def test_a_number_that_makes_no_sense_is_refused(flags, capsys):
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"received {flags[-1]!r}" in said or "expected one argument" in said


# The one place that ends a command ----------------------------------------------------


class _Denied(PermissionError):
    def __init__(self):
        super().__init__(13, "Permission denied", "/a/file")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("--x: no"), 2, "error: --x: no"),
        (PipelineError("no"), 1, "error: no"),
        (_Denied(), 1, "error: /a/file: Permission denied"),
        (MemoryError(), 1, "error: MemoryError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_a_command_raises_is_a_line_and_an_exit_code(error, code, line, capsys):
    def command():
        raise error

    assert exit_code_of(command) == code
    assert capsys.readouterr().err.strip() == line


def test_a_fault_of_the_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: 1 // 0)


def test_python_runs_the_package_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "dlkeras", "--version"], capture_output=True, text=True
    )
    assert done.stdout.startswith("dlkeras ") and done.returncode == 0


def test_every_command_in_the_folder_is_offered_and_declares_its_flags():
    import argparse
    import importlib

    from dlkeras.pipeline.commands import COMMANDS

    folder = ROOT / "dlkeras" / "pipeline" / "commands"
    parts = {"__init__", "arguments", "command_line"}
    files = [file.relative_to(folder).with_suffix("") for file in folder.rglob("*.py")]
    names = {".".join(file.parts) for file in files if file.stem not in parts}
    assert names == set(COMMANDS)
    for name in COMMANDS:
        module = importlib.import_module(f"dlkeras.pipeline.commands.{name}")
        module.add_arguments(argparse.ArgumentParser())
        offered = name.rpartition(".")[2].replace("_", "-")
        assert str(module.__doc__).startswith(f"`dlkeras {offered}`: ")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pre"], ["predict"]),
        (["l"], ["lr-find"]),
        (["rollback", "--t"], ["--tracking-uri", "--to"]),
        (["predict", "--c"], ["--csv"]),
        (["predict", "photo"], []),  # files are the shell's to complete
    ],
)
def test_bash_completes_commands_and_flags(words, offered, capsys):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    asked = shlex.join(["dlkeras", *words])
    script += f"COMP_WORDS=({asked}); COMP_CWORD={len(words)}; _dlkeras\n"
    script += "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == offered and not done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_lines_of_their_own(shell, capsys):
    """Where the shell is installed, it reads them without a complaint."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert {"zsh": "bashcompinit", "fish": "-a lr-find -d"}[shell] in script
    if shutil.which(shell):
        done = subprocess.run([shell, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr


def test_make_bench_hands_its_arguments_to_every_benchmark():
    """`--help` is then three helps, and no benchmark runs."""
    done = subprocess.run(
        ["make", "--always-make", "--dry-run", "bench", "ARGS=--help"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    lines = [x for x in done.stdout.splitlines() if "benchmarks/" in x]
    assert len(lines) == 3
    assert all(line.endswith(".py --help") for line in lines)
