"""The conformance suite for an architecture: a function that returns a model."""

import copy
import json
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.testing.findings import brief, expect, run_checks
from dlkeras.testing.gradients import GradientRecorder
from dlkeras.testing.subject import difference, flat_arrays, to_array


def check_architecture(
    build: Callable[..., Any],
    init: dict[str, Any] | None = None,
    input_shape: tuple[int, ...] = (2, 32, 32, 3),
    *,
    parameters: int | None = None,
    dynamic_axes: tuple[int, ...] = (),
    skip: Collection[str] = (),
    only: Collection[str] = (),
) -> tuple[str, ...]:
    """Check that a function builds a model you can rely on.

    The checks, by name:

    - `model`: it returns a built Functional model with a name, and takes no other
      arguments than it is given.
    - `parameters`: as many trainable parameters as `parameters` says.
    - `names`: layers and weights have the same names each time, and each its own, so
      that weights can be loaded by name.
    - `outputs`: finite, of the shape the model declares, for any number of examples,
      each treated on its own.
    - `seed`: one seed, one model.
    - `clone`, `save`: config, `clone_model` and a `.keras` file give the same outputs.
    - `size`: the `dynamic_axes` may grow.
    - `gradients`: a gradient reaches every trainable weight.
    - `mixed_precision`: under mixed_bfloat16 weights stay float32 and outputs are
      finite.

    Args:
        build: Function that returns a `keras.Model`.
        init: Arguments of the function.
        input_shape: Shape of the input with the batch, of two examples or more.
        parameters: Number of trainable parameters, from the paper or elsewhere.
        dynamic_axes: Axes of the input, beside the batch, that the model leaves open.
        skip: Names of checks that do not apply.
        only: Names of the checks to run; all if there is none.

    Returns:
        The names of the checks that passed.

    Raises:
        AssertionError: If a check fails; the message has a line for each finding.

    Example:
        >>> import keras
        >>> from dlkeras.testing import check_architecture
        >>> def perceptron(units=3):
        ...     x = keras.Input((4,), name="features")
        ...     y = keras.layers.Dense(units)(x)
        ...     return keras.Model(x, y, name="perceptron")
        >>> try:
        ...     check_architecture(perceptron, {"units": 2}, (2, 4), parameters=10)
        ... except AssertionError as error:
        ...     print(str(error).splitlines()[1][:43])
        - names: names change from one build to the
    """
    trial = _Trial(build, dict(init or {}), tuple(input_shape))
    checks = {
        "model": trial.check_model,
        "names": trial.check_names,
        "parameters": lambda: trial.check_parameters(parameters),
        "outputs": trial.check_outputs,
        "seed": trial.check_seed,
        "clone": trial.check_clone,
        "save": trial.check_save,
        "size": lambda: trial.check_size(dynamic_axes),
        "gradients": trial.check_gradients,
        "mixed_precision": trial.check_mixed_precision,
    }
    name = getattr(build, "__name__", repr(build))
    try:
        trial.model = trial.make()
    except Exception as error:
        raise AssertionError(
            f"{name} cannot be built: {type(error).__name__}: {brief(error)}"
        ) from error
    return run_checks(name, checks, skip, only)


class _Trial:
    """Builds the architecture and puts numbers through it."""

    def __init__(self, build: Callable[..., Any], init: dict, shape: tuple) -> None:
        self.build, self.init, self.shape = build, init, shape
        self.model: Any = None

    def make(self) -> Any:
        keras.utils.set_random_seed(1)
        return self.build(**copy.deepcopy(self.init))

    def arrays(self, shape: tuple | None = None) -> np.ndarray:
        rng = np.random.default_rng(0)
        return rng.normal(size=shape or self.shape).astype("float32")

    def outputs(self, model: Any, inputs: np.ndarray) -> list:
        return flat_arrays(model(inputs, training=False))

    def check_model(self) -> None:
        given = copy.deepcopy(self.init)
        model = self.build(**given)
        expect(
            isinstance(model, keras.Model) and hasattr(model, "inputs"),
            f"the function returns {type(model).__name__}, not a Functional model",
        )
        expect(model.built and model.weights, "the model is not built")
        automatic = ("functional", "sequential", "model")
        expect(
            model.name.rstrip("_0123456789") not in automatic,
            f"the model has the automatic name {model.name!r}; give it one",
        )
        for key, value in self.init.items():
            if isinstance(value, list | dict | set):
                expect(
                    given[key] == value, f"the function changes its argument `{key}`"
                )

    def check_parameters(self, parameters: int | None) -> bool | None:
        if parameters is None:
            return False
        shapes = [tuple(weight.shape) for weight in self.model.trainable_weights]
        count = sum(int(np.prod(shape)) for shape in shapes)
        expect(
            count == parameters,
            f"the model has {count:,} trainable parameters instead of {parameters:,}",
        )
        return None

    def check_names(self) -> None:
        other = self.make()
        names = [layer.name for layer in self.model.layers]
        again = [layer.name for layer in other.layers]
        changed = [
            f"{one} is {two}"
            for one, two in zip(names, again, strict=True)
            if one != two
        ]
        expect(
            not changed,
            f"names change from one build to the next ({', '.join(changed[:5])}); name "
            "every layer",
        )
        paths = [weight.path for weight in self.model.weights]
        repeated = sorted({path for path in paths if paths.count(path) > 1})
        expect(not repeated, f"several weights have the name {repeated[:5]}")
        expect(
            paths == [weight.path for weight in other.weights],
            "the weights' names change from one build to the next",
        )

    def check_outputs(self) -> None:
        inputs = self.arrays()
        together = self.outputs(self.model, inputs)
        declared = keras.tree.flatten(self.model.outputs)
        for array, symbol in zip(together, declared, strict=True):
            expect(
                symbol.shape[0] is None,
                f"the model fixes the batch: its output is {tuple(symbol.shape)}",
            )
            fits = len(array.shape) == len(symbol.shape) and all(
                said in (None, got)
                for said, got in zip(symbol.shape, array.shape, strict=True)
            )
            expect(
                fits,
                f"the model declares an output of shape {tuple(symbol.shape)} and "
                f"gives {array.shape}",
            )
            expect(
                np.isfinite(array).all(), "the outputs of a new model are not finite"
            )
        gap = difference(
            [array[:1] for array in together], self.outputs(self.model, inputs[:1])
        )
        expect(
            gap < 1e-3,
            "an example gives another output alone than in its batch (relative "
            f"difference {gap:.2g})",
        )

    def check_seed(self) -> None:
        other = self.make()
        for one, two in zip(self.model.weights, other.weights, strict=True):
            expect(
                np.array_equal(to_array(one), to_array(two)),
                f"under one seed `{one.path}` starts with other values",
            )

    def check_clone(self) -> None:
        inputs = self.arrays()
        expected = self.outputs(self.model, inputs)
        config = json.loads(json.dumps(self.model.get_config()))
        copies = {
            "clone_model": keras.models.clone_model(self.model),
            "from_config": type(self.model).from_config(config),
        }
        for way, other in copies.items():
            duplicate: Any = other
            duplicate.set_weights(self.model.get_weights())
            gap = difference(expected, self.outputs(duplicate, inputs))
            expect(
                gap < 1e-5,
                f"{way} computes other outputs (relative difference {gap:.2g})",
            )

    def check_save(self) -> None:
        inputs = self.arrays()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            self.model.save(file)
            try:
                loaded = keras.saving.load_model(file)
            except Exception as error:
                raise AssertionError(
                    f"the saved model cannot be loaded again: {brief(error)}"
                ) from error
        gap = difference(self.outputs(self.model, inputs), self.outputs(loaded, inputs))
        expect(
            gap < 1e-5,
            f"the saved and loaded model computes other outputs (relative difference "
            f"{gap:.2g})",
        )

    def check_size(self, axes: tuple[int, ...]) -> bool | None:
        if not axes:
            return False
        declared = tuple(self.model.inputs[0].shape)
        fixed = [axis for axis in axes if declared[axis] is not None]
        expect(not fixed, f"the input {declared} fixes the axes {fixed}")
        larger = tuple(
            size + 5 if axis in axes else size for axis, size in enumerate(self.shape)
        )
        for array in self.outputs(self.model, self.arrays(larger)):
            expect(
                np.isfinite(array).all(),
                f"the outputs for an input of shape {larger} are not finite",
            )
        return None

    def check_gradients(self) -> None:
        model = self.make()
        inputs = self.arrays()
        rng = np.random.default_rng(3)
        targets = [
            rng.normal(size=array.shape).astype("float32")
            for array in self.outputs(model, inputs)
        ]
        recorder = GradientRecorder(learning_rate=1.0)
        losses = ["mse"] * len(targets)
        options: dict[str, Any] = {"jit_compile": False}
        single = len(targets) == 1
        model.compile(
            optimizer=recorder, loss=losses[0] if single else losses, **options
        )
        model.train_on_batch(inputs, targets[0] if single else targets)
        missing = [
            variable.path
            for variable, gradient in zip(
                model.trainable_variables, recorder.recorded, strict=True
            )
            if not np.any(to_array(gradient))
        ]
        expect(not missing, f"no gradient reaches the weights {missing[:5]}")

    def check_mixed_precision(self) -> None:
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model = self.make()
        finally:
            keras.config.set_dtype_policy(policy)
        narrow = [w.path for w in model.weights if w.dtype in ("bfloat16", "float16")]
        expect(not narrow, f"under mixed_bfloat16 the weights {narrow[:5]} are narrow")
        computing = [
            layer.name
            for layer in model.layers
            if layer.weights and layer.compute_dtype not in ("bfloat16", "float32")
        ]
        expect(not computing, f"the layers {computing[:5]} ignore mixed_bfloat16")
        some = [w for w in model.layers if w.weights and w.compute_dtype == "bfloat16"]
        expect(some, "no layer of the model computes in bfloat16: a dtype is fixed")
        for tensor in keras.tree.flatten(model(self.arrays(), training=False)):
            array = to_array(ops.cast(tensor, "float32"))
            expect(
                np.isfinite(array).all(),
                "under mixed_bfloat16 the outputs are not finite",
            )
