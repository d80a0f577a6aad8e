"""ActivationMonitor: dead units, saturation and the spread of every layer's output."""

import json
import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from numbers import Integral
from typing import Any

import keras
import numpy as np

from dlkeras.callbacks import backend
from dlkeras.callbacks.attachment import replaced
from dlkeras.diagnosis.finding import Reporter, TrainingFinding
from dlkeras.diagnosis.histories.activation_history import ActivationHistory
from dlkeras.diagnosis.histories.layer_tree import LayerInfo, describe, walk
from dlkeras.diagnosis.measured import diagnose
from dlkeras.diagnosis.untouched import untouched

# Functions that are 0 on a half-line: a unit on it has no gradient.
RELU_LIKE = ("relu", "relu6")
# Where an output counts as saturated: the derivative is below 3 % of 1 for sigmoid
# (0.029) and below 6 % for tanh.
TANH_BOUND = 0.97
SIGMOID_BOUNDS = (0.03, 0.97)
# So many numbers are measured at once: in float64 they fit a core's cache.
_PART = 2**15

_QUANTITIES = (
    "mean",
    "std",
    "dead_share",
    "saturated_share",
    "non_finite_share",
    "units",
    "answers",
    "same_answer_share",
)


class ActivationMonitor(keras.callbacks.Callback):
    """Looks at every layer's output on a probe batch, before and during training.

    The probe runs the model once with `training=True`, eagerly, and puts back whatever
    the run has changed (moving averages, seeds), so that training goes on bit for bit
    as without the monitor. Functional, Sequential and subclassed models, nested and
    shared layers are seen. Activations that a subclassed model or layer computes by
    itself (`keras.ops.relu` in its `call`) are not: a note in `blind` says so. With
    another model than before the monitor starts over.

    Args:
        probe: a batch of inputs as the model takes them, or a data set whose first
            batch is taken; some hundred samples do.
        frequency: probe after every so many epochs.
        on_finding: what to do with a new finding: `"warn"` prints it, `"stop"` prints
            it and ends the training at an error, a function is called with it, None
            leaves it in `findings`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    >>> import keras, numpy as np
    >>> from dlkeras.callbacks import ActivationMonitor
    >>> model = keras.Sequential([
    ...     keras.Input((2,)),
    ...     keras.layers.Dense(4, "relu", bias_initializer=keras.initializers.Constant(
    ...         [1, 1, 1, -9]), kernel_initializer="zeros", name="hidden"),
    ...     keras.layers.Dense(1, name="out")])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((8, 2), "float32")
    >>> monitor = ActivationMonitor(x, on_finding=None)
    >>> _ = model.fit(x, x[:, :1], callbacks=[monitor], verbose=0)
    >>> float(monitor.history.dead_share[0, 0])
    0.25

    Reference:
        - Glorot and Bengio, "Understanding the difficulty of training deep feedforward
          neural networks", AISTATS 2010: saturation, and variance over depth.
    """

    def __init__(
        self,
        probe: Any,
        frequency: int = 1,
        on_finding: str | Callable[[TrainingFinding], Any] | None = "warn",
    ) -> None:
        super().__init__()
        if isinstance(frequency, bool) or not isinstance(frequency, Integral):
            frequency_is_good = False
        else:
            frequency_is_good = int(frequency) >= 1
        if not frequency_is_good:
            raise ValueError(
                "`frequency` must be a whole number of epochs, 1 or more. "
                f"Received: frequency={frequency!r}"
            )
        self.probe = first_batch(probe)
        self.frequency = frequency
        self.reason: str | None = None  # why nothing is measured
        self.blind: list[str] = []
        self.judged_by_another = False  # who asks for `history` when it needs it
        self._on_finding = on_finding
        self._watched: weakref.ref | None = None
        self._copied = False
        self._forget()

    def _forget(self) -> None:
        """Start over: two models' measurements cannot be compared."""
        self._report = Reporter(self._on_finding)
        self._layers: dict[str, LayerInfo] = {}
        self._outputs: list[str] = []
        self._probes: list[tuple[int, dict[str, dict[str, float]], float]] = []

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or a pickle, has the measurements; training it starts over."""
        copied = self._copied or self._watched is not None
        return self.__dict__ | {"_watched": None, "_model": None, "_copied": copied}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Probe the initial weights."""
        self.reason = None
        before = None if self._watched is None else self._watched()
        if self._copied or (self._watched is not None and before is not self._model):
            self._forget()
            self._copied = False
        self._watched = weakref.ref(self._model)
        if not self._probes:
            self._look(0)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Probe, and report what is new."""
        if (epoch + 1) % self.frequency == 0:
            self._look(epoch + 1, (logs or {}).get("loss", np.nan))

    def on_train_end(self, logs: dict | None = None) -> None:
        """Note what was found, if another judges."""
        if self.judged_by_another:
            self._report(diagnose(self.history))

    @property
    def findings(self) -> list[TrainingFinding]:
        """What the measurements mean, each finding once."""
        return self._report.findings

    @property
    def history(self) -> ActivationHistory:
        """All that was measured so far, as arrays."""
        arrays = {
            quantity: np.array(
                [
                    [seen.get(name, {}).get(quantity, np.nan) for name in self._layers]
                    for _, seen, _ in self._probes
                ]
            ).reshape(len(self._probes), len(self._layers))
            for quantity in _QUANTITIES
        }
        return ActivationHistory(
            layers=dict(self._layers),
            epochs=np.array([epoch for epoch, *_ in self._probes], int),
            loss=np.array([loss for *_, loss in self._probes], float),
            outputs=self._outputs,
            **arrays,
        )

    def get_state(self) -> dict[str, np.ndarray]:
        """All that was measured, as arrays that `np.savez` takes."""
        about = {
            "layers": [asdict(info) for info in self._layers.values()],
            "outputs": self._outputs,
            "probes": self._probes,
            "findings": self._report.state(),
        }
        return {"about": np.array(json.dumps(about, default=float))}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue with what another monitor has measured.

        Args:
            state: what its `get_state` returned.
        """
        about = json.loads(str(state["about"]))
        self._copied = False
        self._layers = {info["name"]: LayerInfo(**info) for info in about["layers"]}
        self._outputs = about["outputs"]
        self._probes = [tuple(probe) for probe in about["probes"]]
        self._report.restore(about["findings"])

    def _look(self, epoch: int, loss: float = np.nan) -> None:
        if self.reason is not None:
            return
        model: Any = self.model
        try:
            seen = self._outputs_of_layers(model)
        except Exception as error:  # a probe must never stop a training
            self.reason = f"the probe failed: {error!r}"
            print(f"ActivationMonitor measures nothing: {self.reason}")
            return
        self._probes.append((epoch, seen, float(loss)))
        if not self.judged_by_another and self._report(diagnose(self.history)):
            model.stop_training = True

    def _outputs_of_layers(self, model: Any) -> dict[str, dict[str, float]]:
        """Run the probe, listening to the `call` of every layer."""
        tensors: dict[str, list[Any]] = {}
        has_training = model._call_has_training_arg
        if not model.built:  # inference makes the variables and changes none
            model(self.probe, **({"training": False} if has_training else {}))
        training = {"training": True} if has_training else {}
        self.blind = [
            f"what {name!r} computes in its own `call`, outside of layers"
            for name, part in [(model.name, model), *walk(model)]
            if isinstance(part, keras.Model)
            and not str(type(part).call.__module__).startswith("keras.")
        ]
        with untouched(model), ExitStack() as stack:
            for name, part in observed_layers(model):
                self._layers.setdefault(name, facts(part, name))
                keep = tensors.setdefault(name, []).append
                stack.enter_context(replaced(part, "call", recording(part.call, keep)))
            outputs = model(self.probe, **training)
        made = keras.tree.flatten(outputs)
        self._outputs = [
            name
            for name, found in tensors.items()
            if any(same_values(tensor, out) for tensor in found for out in made)
        ]
        order = {name: i for i, name in enumerate(tensors) if tensors[name]}
        self._layers = {n: f for n, f in self._layers.items() if n in order}
        return {
            name: measured(found, self._layers[name], units_axis(part))
            for (name, part), found in zip(
                observed_layers(model), tensors.values(), strict=True
            )
            if found
        }


def first_batch(probe: Any) -> Any:
    """The inputs of the first batch of a data set; a batch is returned as it is."""
    if isinstance(probe, (np.ndarray, dict, list, tuple)) or hasattr(probe, "shape"):
        if hasattr(probe, "__len__") and len(probe) == 0:
            raise ValueError("`probe` must have at least one sample. Received: none")
        return probe
    if not hasattr(probe, "__iter__"):
        raise ValueError(
            "`probe` must be a batch of inputs or a data set of batches. "
            f"Received: probe={probe!r}"
        )
    batch = next(iter(probe))
    return batch[0] if isinstance(batch, tuple) else batch


def observed_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """The layers and symbolic operations whose outputs are looked at, by their path."""
    models = [("", model)]
    for name, layer in walk(model):
        if isinstance(layer, keras.Model):
            models.append((f"{name}/", layer))
        elif isinstance(layer, keras.Layer) and not isinstance(
            layer, keras.layers.InputLayer
        ):
            yield name, layer
    for path, part in models:
        for operation in getattr(part, "operations", []):
            if not isinstance(operation, keras.Layer):
                yield f"{path}{operation.name}", operation


def facts(part: Any, name: str) -> LayerInfo:
    """What is known of a layer, or of an operation such as `keras.ops.relu`."""
    if isinstance(part, keras.Layer):
        return describe(part, name)
    kind = type(part).__name__
    return LayerInfo(name, kind, kind.lower(), "", frozen=False)


def recording(call: Callable, keep: Callable[[Any], None]) -> Callable:
    """`call` that also hands on its first output."""

    def listening(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        tensors = keras.tree.flatten(outputs)
        if tensors and backend.has_value(tensors[0]):
            keep(tensors[0])
        return outputs

    return listening


def same_values(tensor: Any, output: Any) -> bool:
    """Whether two tensors hold the same numbers in the same order."""
    if tensor is output:
        return True
    if math.prod(tensor.shape) != math.prod(output.shape):
        return False
    ours, theirs = (keras.ops.convert_to_numpy(t).ravel() for t in (tensor, output))
    return bool(np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"))


def units_axis(part: Any) -> int:
    """The axis of the units or feature maps."""
    return 1 if getattr(part, "data_format", None) == "channels_first" else -1


def measured(tensors: list[Any], info: LayerInfo, axis: int) -> dict[str, float]:
    """The measurements of one layer's outputs; a shared layer has one a call."""
    units = []
    for tensor in tensors:
        array: Any = keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
        array = np.moveaxis(np.atleast_2d(array), axis, -1)
        units.append(array.reshape(-1, array.shape[-1]))
    width, size = units[0].shape[-1], sum(array.size for array in units)
    mean, std = moments(units)
    found = {"non_finite_share": 0.0, "units": width, "answers": size / width}
    if not np.isfinite([mean, std]).all():
        values = np.concatenate([a.ravel() for a in units], dtype=np.float64)
        found["non_finite_share"] = 1 - np.isfinite(values).mean()
        with np.errstate(all="ignore"):
            mean, std = values.mean(), values.std()
    found["mean"], found["std"] = mean, std
    if info.activation in RELU_LIKE:
        found["dead_share"] = dead_units(units).mean()
    elif info.activation == "tanh":
        far = sum(np.count_nonzero(np.abs(array) > TANH_BOUND) for array in units)
        found["saturated_share"] = far / size
    elif info.activation == "sigmoid":
        low, high = SIGMOID_BOUNDS
        far = sum(np.count_nonzero((a < low) | (a > high)) for a in units)
        found["saturated_share"] = far / size
    elif info.activation == "softmax":
        sure = np.concatenate([array.max(1) for array in units]) > SIGMOID_BOUNDS[1]
        found["saturated_share"] = sure.mean()
        chosen = np.concatenate([array.argmax(1) for array in units])
        found["same_answer_share"] = np.bincount(chosen).max() / len(chosen)
    return {name: float(value) for name, value in found.items()}


def moments(arrays: list[np.ndarray]) -> tuple[float, float]:
    """Mean and standard deviation in float64, a part that fits the cache at a time.

    >>> moments([np.array([1, 2], "float32"), np.array([6], "float32")])
    (3.0, 2.160246899469287)

    Reference:
        - Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
          computing sample variances", COMPSTAT 1982.
    """
    count, mean, squares = 0, 0.0, 0.0
    buffer = np.empty(_PART)
    with np.errstate(all="ignore"):
        for values in map(np.ravel, arrays):
            for start in range(0, values.size, _PART):
                part = buffer[: min(_PART, values.size - start)]
                part[:] = values[start : start + _PART]
                of_part = part.mean()
                part -= of_part
                apart, before = of_part - mean, count
                count += part.size
                squares += np.square(part, out=part).sum()
                squares += apart**2 * before * part.size / count
                mean += apart * part.size / count
    return float(mean), float(np.sqrt(squares / count))


def dead_units(arrays: list[np.ndarray]) -> np.ndarray:
    """Which columns are 0 in every row; once none is left, no further row is read."""
    dead = np.ones(arrays[0].shape[-1], bool)
    for values in arrays:
        rows = max(_PART // len(dead), 1)
        for start in range(0, len(values), rows):
            if not dead.any():
                return dead
            dead &= (values[start : start + rows] == 0).all(0)
    return dead
