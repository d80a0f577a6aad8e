"""FilteredXLMSFilter, active noise control by the filtered-x LMS algorithm."""

import dataclasses
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.backend import maximum, where
from dlkeras.layers.adaptive.filters.lms_rule import RELATIVE
from dlkeras.layers.adaptive.rule import Rule, real_dtype

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class FilteredXRule(Rule):
    """One step: w(n+1) = (1 - mu gamma) w(n) + mu e(n) x'(n), x' = x after the path.

    With a probe, the path's model learns from what the probe explains of the error
    (Eriksson and Allie): s(n+1) = s(n) + mu_s v(n) (e(n) - s.v(n)).
    """

    path: tuple[float, ...]
    estimate: tuple[float, ...]
    leakage: float
    normalised: bool
    probe: float
    path_step_size: float

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return (
            "a smaller step_size, and a secondary_estimate whose phase is within 90 "
            "degrees of the path's"
        )

    def extra_state(self, problem, filters):
        """The last samples of x and x', of what was played, and of the probe."""
        real = real_dtype(problem.dtype)
        lengths = {
            "heard": len(self.estimate),
            "filtered": problem.size,
            "played": len(self.path),
        }
        if self.normalised:
            lengths["loudest"] = 1
        if self.probe:
            lengths |= {"model": len(self.estimate), "probes": len(self.estimate)}
            lengths["register"] = 1
        return {name: ((length, filters), real) for name, length in lengths.items()}

    def initial_state(self, weights, arrays, problem):
        """Weights, silence before them, and the model that was given."""
        state = super().initial_state(weights, arrays, problem)
        if self.probe:
            model = ops.convert_to_tensor(np.array(self.estimate)[::-1].copy())
            model = ops.cast(model, problem.dtype)[:, None]
            state["model"] = state["model"] + model
            state["register"] = state["register"] + 1.0
        return state

    def rows(self, arrays, problem):
        """The step size, the same for every sample."""
        time, filters = ops.shape(arrays["raw"])
        step = ops.cast(arrays["step_size"], problem.dtype)
        return {"step": ops.broadcast_to(step, (time, filters))}

    def step(self, state, frame, row, problem):
        """One sample of all filters; histories hold the oldest sample first."""
        weights = state["weights"]
        model, path = (
            ops.cast(ops.convert_to_tensor(np.array(p)[::-1].copy()), problem.dtype)
            for p in (self.estimate, self.path)
        )
        model = state["model"] if self.probe else model[:, None]
        following = dict(state)

        heard = _pushed(state["heard"], frame[-1])
        filtered = _pushed(state["filtered"], ops.sum(model * heard, axis=0))
        loudspeaker = ops.sum(weights * frame, axis=0)
        if self.probe:
            register, sign = _next_of_sequence(state["register"])
            following["register"] = register
            probes = _pushed(state["probes"], self.probe * sign[0])
            following["probes"] = probes
            loudspeaker = loudspeaker + probes[-1]
        played = _pushed(state["played"], loudspeaker)
        output = ops.sum(path[:, None] * played, axis=0)
        error = row["desired"] - output

        heard_error = error
        if self.probe:  # the probe is in the error with the sign of the output
            heard_error = error + ops.sum(model * probes, axis=0)
            change = self.path_step_size * heard_error * probes
            following["model"] = model - change
        gain = row["step"]
        if self.normalised:
            power = ops.sum(filtered**2, axis=0)
            loudest = maximum(state["loudest"], power[None])
            following["loudest"] = loudest
            total = power + RELATIVE / problem.size * loudest[0]
            gain = gain / where(total > 0, total, ops.ones_like(total))
        kept = (1.0 - row["step"] * self.leakage) * weights
        following |= {
            "weights": kept + gain * heard_error * filtered,
            "heard": heard,
            "filtered": filtered,
            "played": played,
        }
        return following, {"output": output}


def _pushed(history, sample):
    return ops.concatenate([history[1:], sample[None]])


def _next_of_sequence(register):
    """A maximum-length sequence of 2^16 - 1 signs: the register, and its sign.

    x^16 + x^15 + x^13 + x^4 + 1, in whole floating-point numbers, which every backend
    carries through a loop and a gradient.
    """

    def halved(times):  # Keras's floor makes float32 of float64
        return ops.cast(ops.floor(register / 2.0**times), register.dtype)

    new = (halved(0) + halved(1) + halved(3) + halved(12)) % 2.0
    return halved(1) + 2.0**15 * new, 2.0 * new - 1.0


@keras.saving.register_keras_serializable(package="dlkeras")
class FilteredXLMSFilter(AdaptiveFilter):
    """Active noise control: a loudspeaker that silences what a microphone hears.

    The filter hears the noise early, in the reference x, and drives a loudspeaker. Its
    sound takes the secondary path S to the error microphone, where it meets the noise
    d: e(n) = d(n) - (s * y)(n), with y(n) = w(n).x(n). The weights follow the error
    along x' = s^ * x, the reference after an estimate of that path; without it the
    gradient would come too late and point elsewhere. The layer simulates the path, so
    that a controller can be tried before it is built.

    While `adapt` is false the whole loop stands still, loudspeaker included.

    Args:
        taps: Length of the controller, at least 1.
        step_size: mu, positive; with `normalised` divided by the power of x'.
        secondary_path: Impulse response s from the loudspeaker to the microphone.
        secondary_estimate: s^, what the controller takes it for; exact by default. Any
            within 90 degrees of the path's phase at every frequency converges.
        leakage: gamma of w(n+1) = (1 - mu gamma) w(n) + ..., which bounds the output.
        normalised: Whether to divide by the power of x' in the delay line.
        probe: Amplitude of a maximum-length sequence that the loudspeaker plays to
            learn the path while it works; 0 plays none and keeps the estimate.
        path_step_size: mu_s of the path's model, positive.
        **kwargs: `input_type="signal"`, `initial_weights`, `stateful`,
            `return_weights` and `on_divergence` as in `LMSFilter`, and arguments of
            `keras.layers.Layer`.

    Call arguments:
        inputs: The reference.
        desired: The noise at the microphone, with the loudspeaker off.
        adapt: As in `LMSFilter`.

    Input shape:
        `(batch, time)` or `(batch, time, channels)`; each a controller of its own.

    Output shape:
        As `LMSFilter`: the loudspeaker's sound at the microphone, and what is left.

    Returns:
        `(output, error)`, or `(output, error, weights)` with `return_weights`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        FloatingPointError: If a controller diverges.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.layers import FilteredXLMSFilter
    >>> hum = np.sin(0.2 * np.arange(4000, dtype="float32"))
    >>> heard = np.convolve(hum, [0.0, 0.0, 0.9, 0.4])[:4000].astype("float32")
    >>> anc = FilteredXLMSFilter(8, 0.02, secondary_path=[0.0, 0.7, 0.2])
    >>> left = keras.ops.convert_to_numpy(anc(hum, heard)[1])
    >>> bool(np.abs(left[-500:]).max() < 1e-3 * np.abs(heard).max())
    True

    Reference:
        - Widrow, Shur and Shaffer (1981), On adaptive inverse control; Burgess (1981).
        - Kuo and Morgan (1999), Active noise control: a tutorial review, eq. 10, 11.
        - Eriksson and Allie (1989), Use of random noise for on-line transducer
          modeling in an adaptive active attenuation system.
    """

    def __init__(
        self,
        taps,
        step_size=0.01,
        *,
        secondary_path,
        secondary_estimate=None,
        leakage=0.0,
        normalised=False,
        probe=0.0,
        path_step_size=0.01,
        **kwargs,
    ):
        super().__init__(taps, **kwargs)
        self.expect(
            self.input_type == "signal" and not self.complex_valued,
            "real signals, input_type='signal'",
            input_type=self.input_type,
            complex_valued=self.complex_valued,
        )
        self.expect(
            0 < step_size < float("inf"),
            "step_size to be positive and finite",
            step_size=step_size,
        )
        if secondary_estimate is None:
            secondary_estimate = secondary_path
        for name, path in (
            ("secondary_path", secondary_path),
            ("secondary_estimate", secondary_estimate),
        ):
            fits = np.ndim(path) == 1 and np.size(path) and np.isfinite(path).all()
            self.expect(fits, f"{name} to be an impulse response", path=path)
        self.expect(0 <= leakage < float("inf"), "leakage >= 0", leakage=leakage)
        self.expect(0 <= probe < float("inf"), "probe >= 0", probe=probe)
        self.expect(
            0 < path_step_size < float("inf"),
            "path_step_size to be positive",
            path_step_size=path_step_size,
        )
        self.step_size = float(step_size)
        self.secondary_path = [float(s) for s in secondary_path]
        self.secondary_estimate = [float(s) for s in secondary_estimate]
        self.leakage, self.normalised = float(leakage), bool(normalised)
        self.probe, self.path_step_size = float(probe), float(path_step_size)

    def rule(self):
        """The controller that the arguments describe."""
        return FilteredXRule(
            tuple(self.secondary_path),
            tuple(self.secondary_estimate),
            self.leakage,
            self.normalised,
            self.probe,
            self.path_step_size,
        )

    def parameters(self):
        """The step size."""
        return {"step_size": self.step_size}

    @property
    def path_model(self):
        """The model of the secondary path that a `stateful` layer has: `(batch, n)`."""
        if not (self.stateful and self.probe and self.built):
            return np.array([self.secondary_estimate])
        return ops.convert_to_numpy(self._state["model"])[::-1].T

    def received(self):
        """The arguments in words, for a message."""
        return f"step_size={self.step_size}, leakage={self.leakage}"

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "secondary_path": self.secondary_path,
            "secondary_estimate": self.secondary_estimate,
            "leakage": self.leakage,
            "normalised": self.normalised,
            "probe": self.probe,
            "path_step_size": self.path_step_size,
        }
