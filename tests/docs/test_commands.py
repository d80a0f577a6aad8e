"""Every command that is written down can be given: its real parser reads it.

The blocks are found in the documents, the pages, the notebooks and the docstrings, and
run by bash in a folder whose programs write down what they are asked for.
"""

import ast
import contextlib
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from dlkeras import cli
from dlkeras.pipeline.commands.command_line import parse
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.configuration.flags import flags_of
from dlkeras.pipeline.engine.component import components_of, names_of, with_sections
from dlkeras.pipeline.graph import standard
from dlkeras.pipeline.machines.cluster import cluster
from dlkeras.pipeline.store.errors import PipelineError
from dlkeras.pipeline.training.search_spaces import space_of
from tests.conftest import ROOT

FENCE = re.compile(
    r"^(?P<begin>(?:# )?)```(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?:# )?```$", re.M | re.S
)
# What else a fence may hold: doctests, and what Sphinx fills in.
OTHER_FENCES = ("python", "{")
# A docstring's block that shows how something is laid out, by its file.
LAYOUTS = {"dlkeras/pipeline/store/publishing.py", "dlkeras/pipeline/store/sealed.py"}
PROGRAMS = ("python", "dlkeras", "make", "git", "mlflow", "pip", "jupyter")
PLACES = ("", ".venv/bin/", "beam/bin/")
STUB = """#!/bin/bash
printf '%s\\0' "${0##*/}" "$TF_CONFIG" "$@" >> "$SAID"
printf '\\n\\0' >> "$SAID"
"""
# What a reader puts in the place of a word in capitals.
MEANT = {"COMPONENT": "Trainer", "VERSION": "1", "FILE.json": "part.json"}
OWN_NETWORK = """
def small_net(input_shape, num_classes, *, filters=32, dropout=0.3):
    pass

function = small_net
"""
COMMAND = re.compile(r"(?:\w+=\S+ )*(?:[\w./-]*/)?(\w+)(?= |$)")


def documents():
    """The files that a reader reads, with what lies in them."""
    for pattern in ("*.md", "docs/**/*.md", "mlruns/*.md", "notebooks/**/*.py"):
        for file in sorted(ROOT.glob(pattern)):
            if file.parent.name not in ("chapters", "capitulos"):  # of the notebooks
                yield file, file.read_text("utf-8")


def docstrings():
    """The text of every docstring, with whether it is its file's first."""
    for folder in ("dlkeras", "pipelines", "benchmarks", "docs", "scripts", "tests"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(file.read_text("utf-8"))
            for node in ast.walk(tree):
                kinds = ast.Module, ast.ClassDef, ast.FunctionDef
                if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                    yield file, text, node is tree


def commands_of(text):
    """What a reader types of a block: all of it, where nothing begins with `$`."""
    if not re.search(r"^\$ ", text, re.M):
        return text
    lines, goes_on = [], False
    for line in text.splitlines():
        if line.startswith("$ ") or goes_on:
            lines.append(re.sub(r"^[$>] ", "", line))
            goes_on = line.endswith("\\")
    return "\n".join(lines)


def blocks():
    """The blocks of commands, each with its place, and what is no known kind."""
    for file, text in documents():
        for fence in FENCE.finditer(text):
            place = (
                f"{file.relative_to(ROOT)}:{text[: fence.start()].count(chr(10)) + 1}"
            )
            body = (
                re.sub(r"^# ?", "", fence["text"], flags=re.M)
                if fence["begin"]
                else fence["text"]
            )
            if fence["kind"] == "console":
                yield place, commands_of(body)
            elif not fence["kind"].startswith(OTHER_FENCES):
                yield place, None
    for file, text, first in docstrings():
        place = str(file.relative_to(ROOT))
        for fence in FENCE.finditer(text):
            if fence["kind"] == "console":
                yield place, commands_of(fence["text"])
            elif not fence["kind"].startswith(OTHER_FENCES):
                yield place, None
        for paragraph in re.split(r"\n\s*\n", text) if first else ():
            if paragraph.startswith("    ") and ">>>" not in paragraph:
                body = re.sub(r"^    ", "", paragraph, flags=re.M)
                if body.startswith("--"):
                    flags = [line.split("  ")[0] for line in body.splitlines()]
                    yield (
                        place,
                        "\n".join(
                            f"python pipelines/lenet5_digits.py {f}" for f in flags
                        ),
                    )
                elif (word := COMMAND.match(body)) and word[1] in (*PROGRAMS, "export"):
                    yield place, body
                elif place not in LAYOUTS:
                    yield place, None


def inline():
    """The commands and flags within a sentence."""
    texts = [(file, text) for file, text in documents()]
    texts += [(file, text) for file, text, _ in docstrings()]
    for file, text in texts:
        if file.is_relative_to(ROOT / "tests"):
            continue
        prose = re.sub(r"^(?:# )?```.*?^(?:# )?```$", "", text, flags=re.M | re.S)
        for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose):
            code = " ".join(code.split())
            word = COMMAND.match(code)
            if len(code.split()) == 1 or code == "python -O" or code.endswith("=..."):
                continue  # a flag or a program that is only named
            if re.match(r"dlkeras [a-z-]+$", code):
                code += " --help"
            if re.match(r"--(no-)?[a-z-]+\.", code):
                yield (
                    str(file.relative_to(ROOT)),
                    f"python pipelines/lenet5_digits.py {code}",
                )
            elif word and word[1] in PROGRAMS:
                yield str(file.relative_to(ROOT)), code


BLOCKS = list(blocks())
# Scripts that a page has its reader write: a pipeline's each.
WRITTEN = {
    name
    for _, text in documents()
    for name in re.findall(r"^`(\w+\.py)`:$", text, re.M)
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder whose programs write down what they are asked for."""
    folder = tmp_path_factory.mktemp("desk")
    for place in (*PLACES[1:], "bin/"):
        (folder / place).mkdir(parents=True)
        for name in PROGRAMS:
            (folder / place / name).write_text(STUB)
            (folder / place / name).chmod(0o755)
    return folder


def asked(desk, text):
    """The arguments of every program that bash starts, and its TF_CONFIG."""
    said = desk / "said"
    said.write_bytes(b"")
    environment = {"PATH": str(desk / "bin"), "SAID": str(said)}
    done = subprocess.run(
        ["/bin/bash", "-euc", text], cwd=desk, env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stderr}"
    for record in said.read_text().split("\n\0")[:-1]:
        name, tf_config, *arguments = record.split("\0")[:-1]
        yield [name, *arguments], tf_config


def judge(command, later):
    """Have the program's own parser read its arguments.

    Args:
        command: the program and its arguments.
        later: gets the scripts with a parser of their own.
    """
    program, *arguments = command
    arguments = [MEANT.get(a, a) for a in arguments]
    if program == "python" and arguments[0] == "-m":
        assert find_spec(arguments[1]) or arguments[1] in ("venv", "jupyter"), command
        if arguments[1] == "pip":
            judge(arguments[1:], later)
    elif program == "python" and arguments[0] in WRITTEN:
        given = with_own_network(arguments[1:])
        parse_quietly(lambda given: parse(PipelineConfig(), given), given)
    elif program == "python":
        script = ROOT / arguments[0]
        text = script.read_text("utf-8")
        if "main(CONFIG" in text:
            parse_job(script, arguments[1:])
        elif "parse_args()" in text:
            later.append(arguments)
        else:
            assert not [a for a in arguments if a.startswith("-")], command
    elif program == "dlkeras":
        if command[1] == "COMMAND":  # any of them
            arguments[0] = "status"
        parse_quietly(cli._parser().parse_args, arguments)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        named = [a for a in arguments if "=" not in a and not a.startswith("-")]
        assert set(named) <= set(targets), command
    elif program == "pip":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = set(known["optional-dependencies"])
        assert arguments[0] == "install", command
        for wanted in re.findall(r"dlkeras\[(.*?)\]", " ".join(arguments)):
            assert set(wanted.split(",")) <= extras, command
    elif program == "mlflow":
        from mlflow.cli import cli as group

        while hasattr(found := group.commands[arguments.pop(0)], "commands"):
            group = found
        found.make_context(found.name, arguments)
    else:
        assert program in ("git", "jupyter"), f"no parser is known for {command}"


def with_own_network(arguments):
    """With the network whose arguments a command gives, where it names none."""
    own = any("network-args." in a or "filters=" in a for a in arguments)
    if not own or "--trainer.network" in arguments:
        return arguments
    return [*arguments, "--trainer.network", "my_module:small_net"]


def parse_job(script, arguments):
    arguments = with_own_network(arguments)
    names = runpy.run_path(str(script))
    components = components_of(names.get("graph", standard))
    config = with_sections(names["CONFIG"], components)
    known = names_of(config, components)
    found = parse_quietly(lambda given: parse(config, given, names=known), arguments)
    if found and found[0].tuner.enabled:
        space_of(found[0].trainer, found[0].tuner)


def parse_quietly(read, arguments):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return read(arguments)
    except SystemExit as error:  # of --help
        assert not error.code, (arguments, said.getvalue())


READ = """
import argparse, json, runpy, sys, traceback
class Read(BaseException): ...
parse = argparse.ArgumentParser.parse_args
def read(self, *given):
    parse(self, *given)
    raise Read
argparse.ArgumentParser.parse_args = read
for script, *arguments in json.load(sys.stdin):
    sys.argv, sys.path[0] = [script, *arguments], script.rpartition("/")[0]
    try:
        runpy.run_path(script, run_name="__main__")
    except Read:
        print("read", flush=True)
    except ModuleNotFoundError as error:
        print("lacks", error.name, flush=True)
    except BaseException:
        print(script, arguments, file=sys.stderr)
        raise
"""
# What other targets than `make docs` install.
LACKED = re.compile("^lacks (numba|padasip|torch|jax|torchvision)$", re.M)


def test_every_block_is_of_a_known_kind():
    unknown = [place for place, text in BLOCKS if text is None]
    assert not unknown, f"say in blocks() how these are tried: {unknown}"
    kinds = Counter(Path(place.partition(":")[0]).suffix for place, _ in BLOCKS)
    assert kinds[".md"] >= 20 and kinds[".py"] >= 20


def test_a_block_of_an_unknown_kind_is_found():
    text = "# A page\n\n```powershell\nrm x\n```\n"
    (fence,) = FENCE.finditer(text)
    assert not fence["kind"].startswith(OTHER_FENCES)
    assert commands_of("$ a \\\n>   b\nanswer\n$ c\n") == "a \\\n  b\nc"


def test_the_parsers_read_every_command(desk, monkeypatch):
    monkeypatch.chdir(desk)
    (desk / "part.json").write_text("{}")
    (desk / "my_module.py").write_text(OWN_NETWORK)
    monkeypatch.syspath_prepend(desk)
    wrong, later = [], []
    commands = [
        (place, command, tf_config)
        for place, text in BLOCKS
        if text is not None
        for command, tf_config in asked(desk, text)
    ]
    for place, code in inline():
        words = shlex.split(code)
        while "=" in words[0] and not words[0].startswith("-"):
            words.pop(0)
        commands.append((place, [Path(words[0]).name, *words[1:]], ""))
    for place, command, tf_config in commands:
        command = [re.sub(r"^\[|\]$", "", word) for word in command]
        try:
            judge(command, later)
            monkeypatch.setenv("TF_CONFIG", tf_config)
            assert len(cluster().workers) == (2 if tf_config else 1)
        except (PipelineError, AssertionError, OSError) as error:
            wrong.append(f"{place}: {shlex.join(command)}: {error}")
    assert not wrong, "\n".join(wrong)
    assert len(commands) > 60
    distinct = [json.loads(text) for text in dict.fromkeys(map(json.dumps, later))]
    done = subprocess.run(
        [sys.executable, "-c", READ], cwd=ROOT, input=json.dumps(distinct),
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    read = LACKED.sub("read", done.stdout)
    assert read.count("read\n") == len(distinct), (read, done.stderr[-3000:])


def test_every_flag_that_is_named_anywhere_is_one():
    known = set(flags_of(PipelineConfig))
    sections = "|".join(n.replace("_", "-") for n in PipelineConfig.model_fields)
    named = re.compile(rf"--(?:no-)?(?:{sections})\.[a-z][a-z0-9._-]*[a-z0-9]")
    for file, text in [*documents(), *((f, t) for f, t, _ in docstrings())]:
        for flag in named.findall(text):
            # Of a network of the user's own: its function's arguments.
            flag = re.sub(r"^(--trainer\.network-args)\..*", r"\1", flag)
            assert flag.replace("_", "-") in known, f"{file.relative_to(ROOT)}: {flag}"
