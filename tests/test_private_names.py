"""Every private name of a library has one guard; without any one all is computed."""

import ast
import re
from pathlib import Path

import keras
import pytest

import dlkeras
from dlkeras.private_names import PRIVATE_NAMES, private
from tests.warm_process import run_python

PACKAGE = Path(dlkeras.__file__).parent
TRACKING = PACKAGE / "pipeline" / "tracking"  # MLflow's stand there, and are its own
BACKEND = keras.backend.backend()


def is_private(name):
    """Whether a library says, by a word of a path, that it may change or end."""
    library, *words = name.split(".")
    own = {"keras": {"src"}, "tensorflow": {"python"}, "jax": {"experimental"}}
    return any(
        word in own.get(library, ()) or re.match("_[a-z]", word, re.I) for word in words
    )


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def read_off_a_module(tree):
    """`torch._C`, `tf.python.eager`: what is read off a library by its name."""
    short = {"tf": "tensorflow", "jnp": "jax.numpy", "np": "numpy"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            library, dot, rest = ast.unparse(node).partition(".")
            if library in ("torch", "tensorflow", "jax", "keras", *short):
                yield f"{short.get(library, library)}{dot}{rest.partition('(')[0]}"


def test_no_private_name_is_used_without_the_guard():
    found = []
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        for name in (*imported(tree), *read_off_a_module(tree)):
            if not name.startswith("dlkeras") and is_private(name):
                found.append((file.relative_to(PACKAGE).as_posix(), name))
    assert [x for x in found if not (PACKAGE / x[0]).is_relative_to(TRACKING)] == []


def test_every_name_of_the_list_is_used_and_is_there():
    used = "\n".join(
        file.read_text("utf-8")
        for file in PACKAGE.rglob("*.py")
        if file.name != "private_names.py"
    )
    for name in PRIVATE_NAMES:
        assert f'"{name}"' in used, name
        if name.split(".")[0] in ("keras", BACKEND) and "backend.jax" not in name:
            assert private(name) is not None, name


def test_contributing_lists_every_name_with_what_happens_without_it():
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.+) \|$", text, re.M))
    assert rows == PRIVATE_NAMES


COMPUTED = '''
import contextlib, importlib, os, sys, tempfile
import keras, numpy as np

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow
elif BACKEND == "jax":
    import jax, jax.experimental.pallas, jax.experimental.xla_metadata
else:
    import torch


def computed():
    """What the package computes where it uses private names."""
    from dlkeras import layers
    from dlkeras.callbacks import GradientNormMonitor
    from dlkeras.diagnosis import untouched
    from dlkeras.model_graph import read
    from dlkeras.untrusted.models import load_model

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 8, 8, 2)).astype("float32")
    signal = rng.normal(size=(2, 50, 1)).astype("float32")
    lms = layers.LMSFilter(4, 0.1)
    found = [lms((signal, signal[..., ::-1].copy()))]
    images = keras.Input((8, 8, 2))
    maps = layers.BatchNormalization()(layers.Conv2D(4, 3)(images))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(maps))
    model = keras.Model(images, outputs)
    quantities = "gradient_norm weight_norm update_norm zero_share non_finite_share"
    monitor = GradientNormMonitor(1, on_finding=print, quantities=quantities.split())
    model.compile(keras.optimizers.SGD(0.01), "mse")
    history = model.fit(
        x, np.ones((8, 2)), epochs=1, batch_size=4, verbose=0, callbacks=[monitor]
    )
    found += [history.history["loss"], model.predict(x, verbose=0)]
    state = monitor.get_state()
    found += [state[k] for k in sorted(state) if state[k].dtype.kind == "f"]
    with untouched.untouched(model):
        read(model)
    with tempfile.TemporaryDirectory() as folder:
        model.save(file := os.path.join(folder, "model.keras"))
        found.append(load_model(file)(x))
    return [keras.ops.convert_to_numpy(part) for part in keras.tree.flatten(found)]


@contextlib.contextmanager
def without(name):
    """Import the package anew where a library has a name no more."""
    ours = [x for x in sys.modules if x == "dlkeras" or x.startswith("dlkeras.")]
    kept = {x: sys.modules.pop(x) for x in ours}
    parent, _, last = name.rpartition(".")
    gone = {}
    if name in sys.modules or parent == "torch":  # an attribute of its package
        owner = importlib.import_module(parent)
        gone = {last: vars(owner)[last]}
        delattr(owner, last)
    module = name if name in sys.modules else parent
    value = sys.modules[module]
    if module != "torch":
        sys.modules[module] = None
    try:
        yield
    finally:
        sys.modules[module] = value
        for attribute, given in gone.items():
            setattr(owner, attribute, given)
        for x in [x for x in sys.modules if x.split(".")[0] == "dlkeras"]:
            del sys.modules[x]
        sys.modules.update(kept)


from dlkeras.private_names import PRIVATE_NAMES

expected = computed()
for name in PRIVATE_NAMES:
    library, *words = name.split(".")
    others = {"tensorflow", "jax", "torch"} - {BACKEND}
    if library in others or others & set(words):
        continue
    with without(name):
        from dlkeras.private_names import private

        assert private(name) is None, name
        got = computed()
    assert len(got) == len(expected) > 5
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6, err_msg=name)
    print("same without", name)
'''


@pytest.mark.rotates
def test_the_package_computes_the_same_without_any_one_of_them():
    done = run_python("-c", COMPUTED)
    assert done.returncode == 0, done.stderr
    assert "same without keras.src.saving.saving_lib.load_model" in done.stdout
