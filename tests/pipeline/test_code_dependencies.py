"""What a component's output depends on is found in its imports."""

import importlib
import sys

import pytest

from dlkeras.datasets import PACKAGED
from dlkeras.pipeline.engine.code_dependencies import _AT_START as found_at_start
from dlkeras.pipeline.engine.code_dependencies import (
    code_dependencies,
    function_dependencies,
)

FILES = {
    "__init__.py": "from theirs.hands_on import passed as passed\n",
    "component.py": '''"""A component."""
from typing import TYPE_CHECKING
from theirs import passed

if TYPE_CHECKING:
    from theirs.only_a_type import Kind


def write(draft):
    """Write."""
    from .inner.lazily import constant  # when it is needed

    return passed(draft), constant


def other():
    return 1
''',
    "hands_on.py": "from theirs.defines import passed as passed\n",
    "defines.py": "def passed(x):\n    return x\n",
    "only_a_type.py": "class Kind: ...\n",
    "unused.py": "nothing = 0\n",
    "inner/__init__.py": "",
    "inner/lazily.py": "from ..defines import passed\n\nconstant = 3\n",
}


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A package that its user wrote; gives its folder."""
    folder = tmp_path / "theirs"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("theirs", None)


def modules(found):
    return {name.partition(":")[0] for name in found}


def test_a_script_depends_on_the_modules_beside_it_and_on_what_it_takes_of_ours(
    tmp_path, monkeypatch
):
    script, beside = tmp_path / "their_script.py", tmp_path / "their_losses.py"
    script.write_text(
        "import numpy as np\nimport their_losses\n"
        "from their_parts.blocks import block\n"
        "from dlkeras.pipeline import component, main, standard\n"
        "from dlkeras.judging.uncertainty import mcnemar\n"
    )
    beside.write_text("weight = 1\n")
    (tmp_path / "their_parts").mkdir()  # a folder without an `__init__`
    (tmp_path / "their_parts" / "blocks.py").write_text("block = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    before = code_dependencies("their_script")
    tops = {name.partition(".")[0] for name in modules(before)}
    assert tops == {"their_script", "their_losses", "their_parts", "dlkeras"}
    assert "dlkeras.judging.uncertainty" in modules(before)
    assert not any("components" in name for name in before)  # they only run with it
    beside.write_text("weight = 2\n")
    assert code_dependencies("their_script") != before


def test_a_function_of_a_notebook_is_known_by_what_it_does_and_calls():
    def cell(source):
        names = {"__name__": "a_notebook"}
        exec(source, names)
        return function_dependencies(names["made"])

    calls = "def called():\n    return {}\n\ndef made():\n    return called()\n"
    assert set(cell(calls.format(1))) == {"a_notebook:made", "a_notebook:called"}
    assert cell(calls.format(1)) == cell(calls.format(1)) != cell(calls.format(2))
    nested = (
        "SIZE = {}\ndef inner():\n    return {}\nclass Kind:\n    size = {}\n"
        "    def method(self):\n        return {}\n\n"
        "def made():\n    return [inner() for _ in range(SIZE)], Kind\n"
    )
    keys = [cell(nested.format(*at)) for at in ((1, 1, 1, 1), (2, 1, 1, 1),
            (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2))]  # fmt: skip
    assert all(keys[0] != key for key in keys[1:])
    assert keys[0] == cell(nested.format(1, 1, 1, 1))
    with_ours = "from dlkeras.optimization import newton\n\ndef made():\n    newton\n"
    found = modules(cell(with_ours))
    assert "a_notebook" in found and any("optimization" in name for name in found)


def test_imports_are_followed_to_where_a_name_is_defined(theirs):
    assert modules(code_dependencies("theirs.component")) == {
        "theirs.component",
        "theirs.defines",
        "theirs.inner.lazily",
    }


@pytest.mark.parametrize(
    ("file", "before", "after", "changed"),
    [
        ("component.py", "  # when it is needed", "", []),
        ("component.py", '"""Write."""', '"""Write all of it."""', []),
        ("component.py", "return 1", "return 2", ["theirs.component:other"]),
        ("defines.py", "return x", "return [x]", ["theirs.defines:passed"]),
        ("inner/lazily.py", "= 3", "= 4", ["theirs.inner.lazily:"]),
        ("unused.py", "0", "1", []),
        ("only_a_type.py", "...", "pass", []),
    ],
)
def test_the_definition_that_changed_is_named(theirs, file, before, after, changed):
    first = code_dependencies("theirs.component")
    path = theirs / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    second = code_dependencies("theirs.component")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == changed


def test_a_component_does_not_depend_on_what_it_does_not_import():
    trained = modules(
        code_dependencies(
            "dlkeras.pipeline.components.trainer",
            "dlkeras.pipeline.training.jax_training",
        )
    )
    evaluated = modules(code_dependencies("dlkeras.pipeline.components.evaluator"))
    pushed = modules(code_dependencies("dlkeras.pipeline.components.pusher"))
    costs = "dlkeras.architectures.costs"
    assert costs in evaluated
    assert costs not in trained
    # What decides which layers are frozen, and what is transferred.
    assert {"dlkeras.stages", "dlkeras.transfer.freezing"} <= trained
    assert "dlkeras.pipeline.serving.servable" in pushed & evaluated
    # A network is made of them, whatever the backend.
    assert "dlkeras.layers.backend.tensorflow" in trained & evaluated
    for found in (trained, evaluated, pushed):
        assert not {m for m in found if "visualization" in m or "tracking" in m}


def test_the_packaged_data_sets_count_though_they_are_imported_by_name():
    assert "dlkeras.datasets.digits" in modules(
        code_dependencies("dlkeras.pipeline.components.example_gen", *PACKAGED.values())
    )


def test_a_module_that_does_not_exist_is_refused():
    with pytest.raises(ModuleNotFoundError, match="evalutor"):
        code_dependencies("dlkeras.pipeline.components.evalutor")


def test_a_file_edited_meanwhile_counts_as_this_process_imported_it(
    theirs, monkeypatch
):
    path = theirs / "defines.py"
    monkeypatch.setitem(found_at_start, path, path.read_bytes())
    before = code_dependencies("theirs.component")
    path.write_text("def passed(x):\n    return None\n")
    assert code_dependencies("theirs.component") == before


def test_the_package_is_read_when_the_process_begins():
    assert {path.name for path in found_at_start} >= {"trainer.py", "costs.py"}
