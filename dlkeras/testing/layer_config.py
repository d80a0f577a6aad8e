"""Checks that a layer can be made again: config, weights, files and clones."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlkeras.testing.findings import brief, expect
from dlkeras.testing.subject import (
    LayerSubject,
    copy_state,
    difference,
    overrides,
    perturb,
    restore,
    seeds_of,
    to_array,
    values_of,
)


def plain(value: Any) -> Any:
    """Return a config as JSON would give it back."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(value)))


def meaning(config: Any) -> Any:
    """Return a plain config without what says the same: [1] for 1, notes of a build."""
    if isinstance(config, dict):
        notes = ("build_config", "compile_config")
        return {k: meaning(v) for k, v in config.items() if k not in notes}
    if isinstance(config, list):
        return meaning(config[0]) if len(config) == 1 else [meaning(v) for v in config]
    return config


def changed_keys(before: dict, after: dict) -> str:
    """Name the keys that differ between two configs, with both values."""
    keys = [k for k in {**before, **after} if before.get(k) != after.get(k)]
    return ", ".join(f"{k!r} was {before.get(k)!r}, is {after.get(k)!r}" for k in keys)


def check_arguments(subject: LayerSubject) -> bool | None:
    """The constructor leaves its arguments as they were."""
    if subject.from_config:
        return False
    given = copy.deepcopy(subject.init)
    defaults = {
        name: (parameter.default, copy.deepcopy(parameter.default))
        for name, parameter in subject.parameters.items()
        if isinstance(parameter.default, list | dict | set)
    }
    layer = subject.type(**given)
    subject.call(layer, subject.arrays())
    for name, (now, before) in defaults.items():
        expect(
            now == before,
            f"the layer changes the default of its argument `{name}`, which all layers "
            f"share: {before!r} became {now!r}. Make the default None",
        )
    for name, value in subject.init.items():
        same = np.array_equal(
            np.asarray(given[name], dtype=object), np.asarray(value, dtype=object)
        )
        if not same and not isinstance(value, list | dict | set | np.ndarray):
            continue  # objects without equality, such as initialisers
        expect(
            same,
            f"the layer changes its argument `{name}` in place: {value!r} became "
            f"{given[name]!r}",
        )
    return None


def check_config(subject: LayerSubject) -> None:
    """`get_config` holds every argument and gives the same layer back."""
    layer = subject.make()
    config = layer.get_config()
    missing = [name for name in subject.parameters if name not in config]
    missing = [name for name in missing if _is_lost(subject, layer, name)]
    expect(
        not missing,
        "get_config() lacks the constructor's argument "
        + ", ".join(f"`{name}`" for name in missing),
    )
    try:
        before = meaning(plain(config))
    except Exception as error:
        raise AssertionError(
            f"get_config() cannot be written as JSON: {brief(error)}"
        ) from error
    inputs = subject.arrays()
    subject.call(layer, inputs)
    after = meaning(plain(layer.get_config()))
    expect(
        before == after,
        f"get_config() changes when the layer is built: {changed_keys(before, after)}",
    )
    try:
        again = keras.saving.deserialize_keras_object(
            json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        )
    except Exception as error:
        raise AssertionError(
            "the layer cannot be made again from its serialised config (is it "
            f"registered, does from_config fit?): {brief(error)}"
        ) from error
    restored = meaning(plain(again.get_config()))
    expect(
        before == restored,
        f"the config changes on the way: {changed_keys(before, restored)}",
    )
    subject.call(again, inputs)
    _compare_start(subject, layer, again)
    _compare_work(subject, layer, again)


def _is_lost(subject: LayerSubject, layer: Any, name: str) -> bool:
    """Whether an argument that is not in the config has a value worth keeping.

    One left at its default has none: a config need not say it. But where another
    value can be made up, and is not in the config either, it would be lost.
    """
    default = subject.parameters[name].default
    value = subject.init.get(name, vars(layer).get(name, default))
    if not _same(value, default):
        return True
    if subject.from_config or not isinstance(default, int | float):
        return False
    other = not default if isinstance(default, bool) else type(default)(default + 1)
    try:
        changed = subject.make(**{name: other})
        if name in changed.get_config():
            return False
        subject.call(changed, subject.arrays(), training=False)
        again = subject.type.from_config(changed.get_config())
        _compare_work(subject, changed, again, start=True)
    except AssertionError:
        return True
    except Exception:  # the value does not fit the other arguments
        return False
    return False


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    try:
        return bool(np.array_equal(np.asarray(value), np.asarray(default)))
    except Exception:  # objects without equality
        return False


def _compare_start(subject: LayerSubject, layer: Any, again: Any) -> None:
    """Weights have the same shapes, and those not drawn at random the same values."""
    shapes = [tuple(v.shape) for v in layer.variables]
    shapes_again = [tuple(v.shape) for v in again.variables]
    expect(
        shapes == shapes_again,
        f"a layer made from get_config() has weights of shapes {shapes_again} "
        f"instead of {shapes}: an argument is not restored",
    )
    expect(
        [v.trainable for v in layer.weights] == [v.trainable for v in again.weights],
        "a layer made from get_config() trains other weights: an argument is not "
        "restored",
    )
    limits = [[_limit(v) for v in one.weights] for one in (layer, again)]
    expect(
        limits[0] == limits[1],
        f"a layer made from get_config() has the weight constraints {limits[1]} "
        f"instead of {limits[0]}: a constraint is not restored",
    )
    sibling = subject.make()
    subject.call(sibling, subject.arrays())
    for one, two, three in zip(
        layer.weights, sibling.weights, again.weights, strict=True
    ):
        fixed = np.array_equal(to_array(one), to_array(two))
        expect(
            not fixed or difference([to_array(one)], [to_array(three)]) < 1e-6,
            f"a layer made from get_config() starts `{one.path}` with other values: "
            "an initialiser is not restored",
        )


def _limit(variable: Any) -> Any:
    """Return a weight's constraint in words; None if it has none."""
    constraint = variable.constraint
    if constraint is None or not hasattr(constraint, "get_config"):
        return constraint and getattr(constraint, "__name__", None)
    return f"{type(constraint).__name__}({constraint.get_config()})"


def _compare_work(
    subject: LayerSubject, layer: Any, again: Any, start: bool = False
) -> None:
    """With the same state both compute the same, in use and in training."""
    inputs = subject.arrays(seed=1)
    if start:
        subject.call(again, inputs, training=False)
    for training in (False, True):
        copy_state(layer, again)
        results = []
        for one in (layer, again):
            keras.utils.set_random_seed(99)  # PyTorch drops by its own generator
            results.append(subject.outputs(one, inputs, training=training))
        gap = difference(*results)
        expect(
            gap < 1e-5,
            f"a layer made from get_config() computes other outputs with "
            f"training={training} (relative difference {gap:.2g}): an argument is "
            "not restored",
        )
        # Asked after each call: a loss belongs to the latest call.
        losses = [float(to_array(loss)) for loss in layer.losses]
        losses_again = [float(to_array(loss)) for loss in again.losses]
        expect(
            np.allclose(sum(losses), sum(losses_again), rtol=1e-4),
            f"a layer made from get_config() has losses {losses_again} instead of "
            f"{losses}: a regulariser is not restored",
        )


def check_weights(subject: LayerSubject) -> None:
    """Weights come from `build`, belong to one layer and have a name each."""
    layer = subject.make()
    at_start = {id(one) for one in [*layer.variables, *_layers_in(layer)]}
    subject.build(layer)
    made = [variable.path for variable in layer.variables]
    if not overrides(layer, "build"):
        # The parts that the constructor made may be built by the first call.
        known = [x for x in _layers_in(layer) if id(x) in at_start]
        owned = {id(v) for one in known for v in one.variables} | at_start
        late = [v.path for v in layer.variables if id(v) not in owned]
        expect(not late, f"call() creates the weights {late}; create them in build()")
    subject.call(layer, subject.arrays())
    late = [v.path for v in layer.variables if v.path not in made]
    expect(
        len(layer.variables) == len(made),
        f"call() creates the weights {late}; create them in build()",
    )
    other = subject.built()
    shared = {id(v) for v in layer.variables} & {id(v) for v in other.variables}
    names = [v.path for v in layer.variables if id(v) in shared]
    stray = _read_elsewhere(subject, layer)
    expect(
        not stray,
        f"call() reads the weights {stray}, which the layer does not hold: they are "
        "neither trained nor saved. Keep them, or their layers, as attributes, or in a "
        "list or dict that is one",
    )
    expect(not shared, f"two layers share the weights {names}")
    repeated = sorted({name for name in made if made.count(name) > 1})
    expect(not repeated, f"several weights have the name {repeated}")


def _layers_in(layer: Any) -> list:
    return list(layer._flatten_layers(include_self=False))


class _Reader(keras.StatelessScope):
    """Notes which variables are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list = []

    def get_current_value(self, variable: Any) -> Any:
        self.read.append(variable)
        return super().get_current_value(variable)


def _read_elsewhere(subject: LayerSubject, layer: Any) -> list[str]:
    """Name the weights that a call reads and that are none of the layer's."""
    with _Reader() as reader:
        subject.call(layer, subject.arrays(), training=False)
    own = {id(variable) for variable in layer.variables}
    return sorted(
        {
            variable.path
            for variable in reader.read
            if id(variable) not in own and keras.backend.is_float_dtype(variable.dtype)
        }
    )


def check_save(subject: LayerSubject) -> None:
    """A model of the layer comes back from a `.keras` file."""
    layer = subject.built()
    perturb(layer)  # a weight that is not saved would come back as it was made
    model = subject.model(layer)
    inputs = subject.arrays()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        model.save(file)
        seeds = values_of(seeds_of(model))
        expected = subject.predictions(model, inputs)
        restore(seeds)
        try:
            loaded: Any = keras.saving.load_model(file)
        except Exception as error:
            raise AssertionError(
                f"a model of the layer cannot be loaded again: {brief(error)}"
            ) from error
    for (seed, _), other in zip(seeds, seeds_of(loaded), strict=False):
        other.assign(to_array(seed))  # a file has no seeds
    gap = difference(expected, subject.predictions(loaded, inputs))
    expect(
        gap < 1e-5,
        f"a saved and loaded model computes other outputs (relative difference "
        f"{gap:.2g}): a weight or an argument is not saved",
    )


def check_clone(subject: LayerSubject) -> None:
    """`keras.models.clone_model` gives a model that works alike."""
    model = subject.model(subject.built())
    clone: Any = keras.models.clone_model(model)
    copy_state(model, clone)
    inputs = subject.arrays()
    gap = difference(
        subject.predictions(model, inputs), subject.predictions(clone, inputs)
    )
    expect(
        gap < 1e-5,
        f"clone_model computes other outputs (relative difference {gap:.2g})",
    )
