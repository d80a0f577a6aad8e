"""AdaptiveFilter, what the adaptive filters of this package have in common."""

import dataclasses
import warnings
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive import divergence, recursions, signals
from dlkeras.layers.adaptive.backend import fused, is_on_host, value_of
from dlkeras.layers.adaptive.backend.host_loops import host_filter
from dlkeras.layers.adaptive.remembered import RememberedVariable
from dlkeras.layers.adaptive.rule import real_dtype

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

_SAMPLES = ("signal", "desired", "state_delay", "state_desired")
INPUT_TYPES = ("signal", "multi_input", "regressors")


class AdaptiveFilter(keras.layers.Layer):
    """A linear filter whose weights follow its error while it runs.

    It owns everything but the rule: shapes, data types, the delay line, streaming
    state and the report of a divergence. `LMSFilter`, `RLSFilter` and
    `AffineProjectionFilter` bring a rule each.

    The weights are no Keras-trainable weights: they adapt inside the call, at
    inference too. Every batch row, and every channel of a `"signal"`, is a filter of
    its own. The arithmetic is float32 even where the layer's policy is half precision.

    Args:
        taps: Length of the filter, at least 1.
        input_type: `"signal"`: the layer keeps the delay line. `"multi_input"`: all
            channels feed one filter with one output. `"regressors"`: the input holds
            each sample's regressor.
        complex_valued: Whether signals are complex: y = w^H x.
        initial_weights: Initialiser of the weights that each call starts from (with
            `stateful`, that the first call starts from).
        stateful: Whether weights and delay line are carried from call to call.
        return_weights: Whether to return the weights before every sample too.
        on_divergence: `"raise"`, `"warn"` or `"ignore"`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        taps,
        *,
        input_type="signal",
        complex_valued=False,
        initial_weights="zeros",
        stateful=False,
        return_weights=False,
        on_divergence="raise",
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        # A model hands `training` on; predict's False is no wish to stop adapting.
        self._call_context_args = set()
        # `__call__` converts by itself: Keras maps trees, which takes a short signal's
        # time.
        self._convert_input_args = False
        self.expect(
            self.is_count(taps), "taps to be an integer of at least 1", taps=taps
        )
        self.expect(
            input_type in INPUT_TYPES,
            f"input_type to be one of {INPUT_TYPES}",
            input_type=input_type,
        )
        self.expect(
            on_divergence in ("raise", "warn", "ignore"),
            "on_divergence to be 'raise', 'warn' or 'ignore'",
            on_divergence=on_divergence,
        )
        self.taps = int(taps)
        self.input_type = input_type
        self.complex_valued = bool(complex_valued)
        self.initial_weights_initializer = keras.initializers.get(initial_weights)
        self.stateful = bool(stateful)
        self.return_weights = bool(return_weights)
        self.on_divergence = on_divergence
        self.inner_dtype = recursions.inner_dtype(
            self.variable_dtype, self.complex_valued
        )

    def rule(self):
        """The frozen dataclass that holds one step of the recursion."""
        raise NotImplementedError

    def parameters(self):
        """The rule's parameters that are arrays, by name."""
        return {}

    def check_parameters(self, signal):
        """Called with the first signal's values, to warn of what cannot go well."""

    def build(self, inputs_shape, desired_shape=None):
        """Make the initial weights and, with `stateful`, what is carried along."""
        signal_shape, desired_shape = self._shapes(inputs_shape, desired_shape)
        channels = None
        shape = (self.taps,)
        if self.input_type != "regressors" and len(signal_shape) == 3:
            shape = (signal_shape[2], self.taps)
            channels = signal_shape[2]
        multi_input = self.input_type == "multi_input"
        self._problem = recursions.Problem(
            rule=self.rule(),
            input_type=self.input_type,
            taps=self.taps,
            inputs=(channels or 1) if multi_input else 1,
            channels=None if multi_input else channels,
            dtype=self.inner_dtype,
            output_dtype=self._output_dtype,
            stateful=self.stateful,
            trajectory=self.return_weights,
        )
        self.initial_weights = self._variable(
            "initial_weights", self.initial_weights_initializer, shape, self.inner_dtype
        )
        self._built_for = self._like(signal_shape)
        self._state = {}
        if self.stateful:
            self._filters = signal_shape[0] * (self._problem.channels or 1)
            for name, (state_shape, dtype) in self._state_specs().items():
                self._state[name] = self._variable(
                    name, _Starting(self, name), state_shape, dtype
                )
        self._checked = False
        clean = dataclasses.replace(self._problem, clean=True)
        problems = {False: self._problem, True: clean}
        calls: dict = {k: fused(recursions.adapt, p) for k, p in problems.items()}
        self._filters_for = {**calls, True: host_filter(clean, calls[True])}

    @staticmethod
    def _variable(name, initializer, shape, dtype):
        return RememberedVariable(
            initializer, shape, dtype, trainable=False, autocast=False, name=name
        )

    def _state_specs(self):
        problem, filters = self._problem, self._filters
        specs = dict(problem.rule.state_specs(problem, filters))
        specs["delay"] = ((problem.memory * problem.stride, filters), problem.dtype)
        specs["desired"] = ((problem.rule.order - 1, filters), problem.dtype)
        if problem.rule.tracks_power:
            specs["power"] = ((filters,), real_dtype(problem.dtype))
        return specs

    def _starting_state(self):
        problem = self._problem
        weights = ops.convert_to_tensor(self.initial_weights.remembered())
        batch = self._filters // (problem.channels or 1)
        weights = ops.repeat(weights[None], batch, axis=0)
        state = problem.rule.initial_state(
            recursions.columns(weights, problem), self._parameter_arrays(), problem
        )
        for name, spec in self._state_specs().items():
            if name not in state:
                state[name] = ops.zeros(*spec)
        return state

    def load_own_variables(self, store):
        """Read the weights, and those of a file from before the power was carried."""
        variables = [*self._trainable_variables, *self._non_trainable_variables]
        if len(store.keys()) == len(variables) - 1 and "power" in self._state:
            kept = [v for v in variables if v is not self._state["power"]]
            for n, variable in enumerate(kept):
                variable.assign(store[f"{n}"])
        else:
            super().load_own_variables(store)

    def reset_state(self):
        """Go back to the initial weights and an empty delay line."""
        if self.stateful and self.built:
            for name, value in self._starting_state().items():
                self._state[name].assign(value)

    @property
    def filter_weights(self) -> Any:
        """The weights a call would start from, newest sample's first: a NumPy array.

        `(taps,)` or `(channels, taps)`; with `stateful` one more axis, the batch's.
        """
        if not self.stateful:
            weights = value_of(self.initial_weights.remembered())
            return weights if weights is None else weights.copy()
        columns = ops.cast(self._state["weights"].remembered(), self._problem.dtype)
        return value_of(recursions.rows_of_weights(columns, self._problem))

    def __call__(self, inputs, desired=None, *args, training=None, **kwargs):
        """Call the layer; `training=False`, said here, stands for `adapt=False`.

        Lists, and signals without a batch axis, are taken too.
        """
        pair = self._pair(inputs, desired)
        inputs, desired, alone = signals.as_signals(*pair)
        if alone:
            self._shapes(inputs.shape, desired.shape)
        if training is False and not args:
            kwargs.setdefault("adapt", False)
        if "adapt" in kwargs:
            kwargs["adapt"] = signals.as_array(kwargs["adapt"])
        if alone and len(getattr(kwargs.get("adapt"), "shape", ())) == 1:
            kwargs["adapt"] = kwargs["adapt"][None]
        inputs, desired = map(signals.as_tensor, (inputs, desired))
        if args or kwargs:
            extra: Any = keras.tree.map_structure(signals.as_tensor, (args, kwargs))
            args, kwargs = extra
        outputs = super().__call__(inputs, desired, *args, **kwargs)
        return tuple(output[0] for output in outputs) if alone else outputs

    def call(self, inputs, desired=None, adapt=True):
        """Filter the signal and let the weights follow the error."""
        signal, desired = self._pair(inputs, desired)
        signals.check_dtype(self, inputs=signal, desired=desired)
        shape = tuple(signal.shape)
        like, built = self._like(shape), self._built_for
        if like != built and not (
            len(like) == len(built)
            and all(a == b or a is None for a, b in zip(like, built, strict=True))
        ):
            self.expect(
                False,
                "signals as at its first call: of its rank and channels, with "
                f"stateful=True of its batch size too, {built}",
                inputs_shape=shape,
            )
        if not self._checked and self.on_divergence != "ignore":
            value = value_of(signal)
            if value is not None:
                self._checked = True
                self.check_parameters(value)
        # One compiled call: each eager operation would cost more than a short signal.
        arrays = {"signal": signal, "desired": desired, **self._parameter_arrays()}
        if self.stateful:
            variables = {f"state_{name}": v for name, v in self._state.items()}
        else:
            variables = {"initial_weights": self.initial_weights}
        on_host = self._problem.rule.runs_on_host(self._problem)
        for name, variable in variables.items():
            arrays[name] = variable.remembered() if on_host else variable.value
        result = self._filtered(arrays, signal, adapt)
        for name, value in result.get("state", {}).items():
            if value is not arrays[f"state_{name}"]:
                self._state[name].remember(value)
        names = ("output", "error", "trajectory")
        return tuple(result[name] for name in names[: 2 + self.return_weights])

    def _filtered(self, arrays, signal, adapt):
        """Run the compiled call, the one for finite samples where they are finite.

        Where an array has no value (in a compiled, exported or transformed call) no
        value is asked for: the call is the one for any samples.
        """
        samples = [arrays[name] for name in _SAMPLES if name in arrays]
        if adapt is True and all(is_on_host(array) for array in samples):
            # A sample that is not finite breaks the weights for good, in most rules:
            # then those are looked at, and the samples only if they are broken.
            shows = self._problem.rule.weights_show_non_finite
            shows = shows and self.on_divergence != "ignore"
            if shows or recursions.all_finite(samples):
                result = self._filters_for[True](arrays)
                if shows and value_of(result["any_diverged"]) == np.False_:
                    return result
                if not shows or recursions.all_finite(samples):
                    divergence.report(self, self._problem, result, signal)
                    return result
        signals.check_adapt(self, adapt, arrays["desired"].shape)
        arrays["adapt"] = np.asarray(adapt) if isinstance(adapt, bool) else adapt
        result = self._filters_for[False](arrays)
        divergence.report(self, self._problem, result, signal)
        return result

    def compute_output_spec(self, inputs, desired=None, adapt=True):
        """Shapes and data type of output, error and, on request, the weights."""
        signal, desired = self._pair(inputs, desired)
        signals.check_dtype(self, inputs=signal, desired=desired)
        shapes = self.compute_output_shape(signal.shape, desired.shape)
        return tuple(keras.KerasTensor(s, dtype=self._output_dtype) for s in shapes)

    def compute_output_shape(self, inputs_shape, desired_shape=None):
        """Shapes of output, error and, on request, the weights."""
        if desired_shape is not None and len(desired_shape) == 1:
            shapes = self.compute_output_shape((1, *inputs_shape), (1, *desired_shape))
            return tuple(shape[1:] for shape in shapes)
        signal_shape, desired_shape = self._shapes(inputs_shape, desired_shape)
        shapes = [tuple(desired_shape), tuple(desired_shape)]
        if self.return_weights:
            inner = (self.taps,)
            if self.input_type != "regressors" and len(signal_shape) == 3:
                inner = (signal_shape[2], self.taps)
            shapes.append((*desired_shape[:2], *inner))
        return tuple(shapes)

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "taps": self.taps,
            "input_type": self.input_type,
            "complex_valued": self.complex_valued,
            "initial_weights": keras.initializers.serialize(
                self.initial_weights_initializer
            ),
            "stateful": self.stateful,
            "return_weights": self.return_weights,
            "on_divergence": self.on_divergence,
        }

    @property
    def _output_dtype(self):
        return self.inner_dtype if self.complex_valued else self.compute_dtype

    def _parameter_arrays(self):
        real = recursions.inner_dtype(self.variable_dtype, False)
        return {
            name: np.asarray(value, real) if isinstance(value, float) else value
            for name, value in self.parameters().items()
        }

    def expect(
        self, held, expectation, error: type[Exception] = ValueError, **received
    ):
        """Raise, with the layer's name and what was received, unless `held`."""
        if not held:
            values = ", ".join(f"{name}={value!r}" for name, value in received.items())
            raise error(
                f"{type(self).__name__} {self.name!r} expects {expectation}. "
                f"Received: {values}"
            )

    @staticmethod
    def is_count(value):
        """Whether the value is a whole number of at least 1."""
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        return whole and value >= 1

    def _warn_step(self, expectation):
        warnings.warn(
            f"{type(self).__name__} {self.name!r} expects step_size {expectation}. "
            f"Received: step_size={self.step_size}",
            RuntimeWarning,
            stacklevel=4,
        )

    def _positive_or_none(self, **named):
        """A regularisation: positive, or None for one that follows the input."""
        ((name, value),) = named.items()
        if value is None:
            return None
        positive = f"{name} to be positive, or None to follow the input's power"
        self.expect(0 < value < float("inf"), positive, **named)
        return float(value)

    def _pair(self, inputs, desired):
        if desired is None:
            pair = isinstance(inputs, (list, tuple)) and len(inputs) == 2
            self.expect(
                pair and not any(np.isscalar(part) for part in inputs),
                "a signal and a desired response, layer(signal, desired) or "
                "layer([signal, desired])",
                inputs=inputs,
                desired=desired,
            )
            inputs, desired = inputs
        return inputs, desired

    def _like(self, shape):
        """What of a shape stays from call to call: batch of a stream, and channels."""
        return (shape[0] if self.stateful else None, None, *shape[2:])

    def _shapes(self, inputs_shape, desired_shape):
        if desired_shape is None:
            self.expect(
                len(inputs_shape) == 2 and isinstance(inputs_shape[0], (list, tuple)),
                "the shapes of a signal and a desired response",
                inputs_shape=inputs_shape,
                desired_shape=desired_shape,
            )
            inputs_shape, desired_shape = inputs_shape
        return signals.check_shapes(self, tuple(inputs_shape), tuple(desired_shape))

    def received(self):
        """The rule's parameters in words, for a message."""
        return ""


class _Starting(keras.initializers.Initializer):
    """Initialises a carried array to what an empty filter starts from."""

    def __init__(self, layer, name):
        self.layer, self.name = layer, name

    def __call__(self, shape, dtype=None):
        # added to zeros: a broadcast view cannot be assigned to on PyTorch
        return ops.zeros(shape, dtype) + self.layer._starting_state()[self.name]
