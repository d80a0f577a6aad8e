"""What is collected, what shares a process, and what is run in turn."""

import atexit
import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
collect_ignore = [
    str(file.relative_to(HERE))
    for backend in ("tensorflow", "jax", "torch")
    if find_spec(backend) is None
    for file in (HERE / "dlkeras").rglob(f"backend/{backend}.py")
]


# A suite makes millions of objects that stay: look for garbage rarely, not at the end.
gc.set_threshold(100_000, 20, 20)
atexit.register(gc.freeze)


# Linux gives a process 65,530 maps. Each program of XLA's takes some, and it crashes
# where there are none left.
MOST_MAPS = 40_000


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Forget what JAX has compiled when a process holds much of it."""
    yield
    jax, maps = sys.modules.get("jax"), Path("/proc/self/maps")
    if jax and maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--part K/N` and `--files K/N`."""
    for name, which in (
        ("--part", "the files marked `rotates`"),
        ("--files", "all files"),
    ):
        parser.addoption(
            name,
            metavar="K/N",
            help=f"of {which}, only every Nth, beginning with the Kth: N runs with K "
            "from 0 on run all of them",
        )


# Written in Keras's operations alone, without code for a backend: TensorFlow proves
# them for every change, the other backends in turn. `test_parts_conform.py`, which
# puts every part through its paces, is not among them.
KERAS_ALONE = (
    "dlkeras/optimization",
    "dlkeras/testing",
    "dlkeras/transfer",
    "tests/callbacks/test_diagnosis.py",
    "tests/layers/test_auxiliary.py",
    "tests/layers/test_grouped.py",
    "tests/layers/test_inception.py",
    "tests/layers/test_lenet_layers.py",
    "tests/layers/test_normalization.py",
    "tests/layers/test_rbf.py",
    "tests/layers/test_residual.py",
    "tests/optimization",
    "tests/strangers",
    "tests/test_transfer",
    "tests/testing/test_architecture_mutants.py",
    "tests/testing/test_callback_mutants.py",
    "tests/testing/test_keras_layers_pass.py",
    "tests/testing/test_mutants.py",
)


def _not_in_turn(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    """What `--part` and `--files` leave for other runs."""
    turn = config.getoption("--files") or config.getoption("--part")
    if not turn:
        return []
    part, parts = map(int, turn.split("/"))
    if not config.getoption("--files"):
        items = [i for i in items if i.get_closest_marker("rotates") or _notebook(i)]
    # Neighbours by name are often as long as each other.
    number = {file: n for n, file in enumerate(sorted({i.location[0] for i in items}))}
    return [i for i in items if number[i.location[0]] % parts != part % parts]


def _notebook(item: pytest.Item) -> bool:
    return item.path.suffix == ".ipynb"


# First: xdist reads the marks when its own turn comes.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list) -> None:
    """Keep a file's tests in one process, and all that look at the same main job."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        for item in items:
            if item.location[0].startswith(KERAS_ALONE):
                item.add_marker("rotates")
    later = set(_not_in_turn(config, items))
    if later:
        config.hook.pytest_deselected(items=list(later))
        items[:] = [item for item in items if item not in later]
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        shared = "main_job" in getattr(item, "fixturenames", ())
        group = "main job" if shared else item.location[0]
        item.add_marker(pytest.mark.xdist_group(group))
