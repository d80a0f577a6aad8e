"""Errors in one line: what they say, and that no place cuts the line by itself."""

import ast
from pathlib import Path

import mlflow
import pytest

import dlkeras
from dlkeras.pipeline import tracking
from dlkeras.pipeline.store import errors
from dlkeras.pipeline.store.errors import last_line, reason
from dlkeras.untrusted import gate

PACKAGE = Path(dlkeras.__file__).parent
# Whose messages are one line already.
OURS = {
    name
    for module in (errors, gate)
    for name, value in vars(module).items()
    if isinstance(value, type)
}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotImplementedError(), "NotImplementedError"),
        (ValueError(" \n "), "ValueError"),
        (KeyError("cluster"), "KeyError: 'cluster'"),
        (ValueError("\nfirst\nsecond"), "first"),
        (RuntimeError("{{function_node f}} no such file [Op:Read]"), "no such file"),
    ],
)
def test_a_reason_is_one_line_that_is_never_empty(error, said):
    assert reason(error) == said


def test_a_process_that_said_nothing_is_said_to():
    assert last_line(" \n") == "it said nothing"
    assert last_line("Traceback\n  ...\nMemoryError\n") == "MemoryError"


def cut_by_hand(tree: ast.AST) -> list[int]:
    """Lines that take one line of a text, which may have none, by its number."""
    found = []
    for node in ast.walk(tree):
        value = getattr(node, "value", None)
        if (
            isinstance(node, ast.Subscript)
            and isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr == "splitlines"
        ):
            found.append(node.lineno)
    return found


def quoted_whole(tree: ast.AST) -> list[int]:
    """Lines that put another library's error into a text, all its lines or none."""
    found = []
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.type is None:
            continue
        kinds = getattr(handler.type, "elts", [handler.type])
        if {ast.unparse(kind).rpartition(".")[2] for kind in kinds} <= OURS:
            continue
        for node in ast.walk(handler):
            quoted = getattr(node, "value", None)
            if (
                isinstance(node, ast.FormattedValue)
                and isinstance(quoted, ast.Name)
                and quoted.id == handler.name
            ):
                found.append(node.lineno)
    return found


def test_every_place_of_the_pipeline_asks_for_an_errors_reason():
    """Where a text has no lines, its first one is an error that hides the cause."""
    files = [PACKAGE / "cli.py", *(PACKAGE / "pipeline").rglob("*.py")]
    bare = {PACKAGE / "pipeline" / "store" / "errors.py"}  # the two that look first
    places = []
    for file in set(files) - bare:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        places += [(file.name, n) for n in [*cut_by_hand(tree), *quoted_whole(tree)]]
    assert places == []


@pytest.mark.parametrize("error", [NotImplementedError, AssertionError, MemoryError])
def test_an_error_without_a_message_ends_its_run_and_not_the_next_one(
    tiny_config, error
):
    config = tiny_config.model_copy(update={"name": f"silent-{error.__name__}"})
    with pytest.raises(error), tracking.track(config) as failed:
        raise error
    assert mlflow.active_run() is None
    with tracking.track(config) as next_one:
        pass
    client = tracking.connect(None, config.mlruns)
    run = client.get_run(failed.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["dlkeras.error"] == error.__name__
    assert client.get_run(next_one.run_id).info.status == "FINISHED"


def test_an_error_before_the_run_is_known_ends_it_too(tiny_config):
    """MLflow has opened the run; its configuration cannot be written."""
    config = tiny_config.model_copy(update={"name": "early"})
    with tracking.track(config) as tracker:
        experiment = tracker.experiment_id
    artifacts = config.mlruns / "artifacts" / "early"
    aside = artifacts.rename(artifacts.with_name("aside"))
    artifacts.write_text("a file where the folder should be")
    with pytest.raises(OSError), tracking.track(config):
        pytest.fail("the run began")
    assert mlflow.active_run() is None
    newest, _ = tracking.connect(None, config.mlruns).search_runs([experiment])
    assert newest.info.status == "FAILED"
    artifacts.unlink()
    aside.rename(artifacts)
    with tracking.track(config):
        assert mlflow.active_run() is not None
