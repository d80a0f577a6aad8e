"""BlindEqualizer, equalisers that know no training sequence."""

import dataclasses
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.rule import Rule, conjugate
from dlkeras.layers.adaptive.signals import as_signals

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

ALGORITHMS = ("constant_modulus", "decision_directed")


@dataclasses.dataclass(frozen=True)
class BlindRule(Rule):
    """One step: w(n+1) = w(n) + mu x(n) e*(n), with an error that needs no training."""

    algorithm: str
    symbols: tuple[complex, ...]

    @property
    def has_own_error(self):
        """Yes: it is not desired response less output."""
        return True

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return "a smaller step_size, or a signal of the symbols' own power"

    def rows(self, arrays, problem):
        """The step size, the same for every sample."""
        time, filters = ops.shape(arrays["raw"])
        step = ops.cast(arrays["step_size"], problem.dtype)
        return {"step": ops.broadcast_to(step, (time, filters))}

    def step(self, state, frame, row, problem):
        """One sample of all filters."""
        weights = state["weights"]
        output = ops.sum(conjugate(weights) * frame, axis=0)
        if self.algorithm == "constant_modulus":
            size = np.abs(np.array(self.symbols))
            power = ops.real(output * conjugate(output))
            apart = float(np.mean(size**4) / np.mean(size**2)) - power
            error = output * ops.cast(apart, problem.dtype)
        else:
            symbols = ops.convert_to_tensor(np.array(self.symbols, problem.dtype))
            apart = ops.abs(output[:, None] - symbols[None])
            nearest = ops.take(symbols, ops.argmin(apart, axis=-1))
            error = nearest - output
        moved = weights + row["step"] * frame * conjugate(error)
        return {"weights": moved}, {"output": output, "error": error}


@keras.saving.register_keras_serializable(package="dlkeras")
class CenterSpike(keras.initializers.Initializer):
    """A one in the middle tap, zeros beside it: what a blind equaliser starts from."""

    def __call__(self, shape, dtype=None):
        """The taps on the last axis."""
        spike = np.zeros(shape)
        spike[..., shape[-1] // 2] = 1.0
        return ops.cast(ops.convert_to_tensor(spike.astype("float32")), dtype)


@keras.saving.register_keras_serializable(package="dlkeras")
class BlindEqualizer(AdaptiveFilter):
    """Equaliser without a training sequence: constant modulus, then decisions.

    The constant modulus algorithm makes the output's power near that of the symbols,
    e(n) = y(n) (R2 - |y(n)|^2) with R2 = E|a|^4 / E|a|^2, and opens a closed eye,
    whatever the carrier's phase. Decisions, e(n) = decided(n) - y(n), then take the
    error further down and turn the constellation upright. Hand the weights of the one
    to the other (`initial_weights`), or carry on with `set_weights`.

    Args:
        taps: Length of the equaliser, at least 1.
        step_size: mu, positive.
        algorithm: `"constant_modulus"` or `"decision_directed"`.
        symbols: What may be sent: `(number,)`, real or complex.
        **kwargs: `complex_valued` (as the symbols are, by default), `stateful`,
            `initial_weights` (a spike in the middle by default), `return_weights` and
            `on_divergence` as in `LMSFilter`, and arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: What was received.
        desired: Nothing; it is there for `AdaptiveFilter`.
        adapt: As in `LMSFilter`.

    Input shape:
        `(batch, time)` or `(batch, time, channels)`; each an equaliser of its own.

    Output shape:
        Output and error as the input.

    Returns:
        `(output, error)`, or `(output, error, weights)` with `return_weights`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        FloatingPointError: If an equaliser diverges.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.layers import BlindEqualizer
    >>> rng = np.random.default_rng(0)
    >>> qpsk = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) / 2**0.5
    >>> sent = rng.choice(qpsk, 4000)
    >>> received = np.convolve(sent, [1, 0.4j, 0.2])[:4000].astype("complex64")
    >>> output, _ = BlindEqualizer(11, 0.01, symbols=qpsk)(received)
    >>> modulus = np.abs(keras.ops.convert_to_numpy(output))[2000:]
    >>> bool(np.abs(received).std() > 0.3 and modulus.std() < 0.06)
    True

    Reference:
        - Godard (1980), Self-recovering equalization and carrier tracking in
          two-dimensional data communication systems; Treichler and Agee (1983).
        - Haykin, Adaptive Filter Theory, 5th ed., chapter 17 (blind deconvolution);
          Lucky (1966) for decisions.
    """

    def __init__(
        self,
        taps,
        step_size=0.01,
        *,
        algorithm="constant_modulus",
        symbols=(-1.0, 1.0),
        **kwargs,
    ):
        values = np.asarray(symbols, "complex128").ravel()
        kwargs.setdefault("complex_valued", bool(np.any(values.imag)))
        kwargs.setdefault("initial_weights", CenterSpike())
        super().__init__(taps, **kwargs)
        self.expect(
            algorithm in ALGORITHMS,
            f"algorithm to be one of {ALGORITHMS}",
            algorithm=algorithm,
        )
        self.expect(
            0 < step_size < float("inf"),
            "step_size to be positive and finite",
            step_size=step_size,
        )
        usable = len(values) > 1 and np.isfinite(values).all() and np.any(values)
        real = self.complex_valued or not np.any(values.imag)
        self.expect(usable and real, "symbols, real for real signals", symbols=symbols)
        self.expect(
            self.input_type == "signal",
            "input_type='signal'",
            input_type=self.input_type,
        )
        self.step_size, self.algorithm = float(step_size), algorithm
        self.symbols = values

    def __call__(self, inputs, desired=None, **kwargs):
        """Equalise what was received; there is no desired response."""
        inputs, _, alone = as_signals(inputs, inputs if desired is None else desired)
        outputs = super().__call__(inputs, inputs, **kwargs)
        return tuple(output[0] for output in outputs) if alone else outputs

    def rule(self):
        """The equaliser that the arguments describe."""
        kind = complex if self.complex_valued else (lambda s: float(s.real))
        return BlindRule(self.algorithm, tuple(kind(s) for s in self.symbols))

    def parameters(self):
        """The step size."""
        return {"step_size": self.step_size}

    def received(self):
        """The arguments in words, for a message."""
        return f"algorithm={self.algorithm!r}, step_size={self.step_size}"

    def get_config(self):
        """The arguments that make this layer again."""
        symbols = [[float(s.real), float(s.imag)] for s in self.symbols]
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "algorithm": self.algorithm,
            "symbols": symbols,
        }

    @classmethod
    def from_config(cls, config):
        """Make the layer; complex numbers are pairs in JSON."""
        symbols = [complex(*pair) for pair in config["symbols"]]
        return cls(**{**config, "symbols": symbols})
