"""RLSRule, one step of recursive least squares, as P or as its square root."""

import dataclasses
from typing import Any

import keras

from dlkeras.layers.adaptive.backend import maximum, where
from dlkeras.layers.adaptive.rule import SILENCE, Rule, conjugate, real_dtype

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

FORMS = ("covariance", "inverse_qr")
# P(0) times the input's power where no regularization is given.
RELATIVE = 1e2
# Samples until that power is known, at least and at most; else as many as taps. One
# small first sample would make P(0), and by its noise the next error, a thousand times
# too large.
FEWEST, MOST = 4, 16
# The mean of P's eigenvalues times the input's power stays below it, or an update
# would lose in rounding what it gains.
LARGEST = {"float32": 1e4, "float64": 1e10}


@dataclasses.dataclass(frozen=True)
class RLSRule(Rule):
    """One step: k = P x / (lambda + x.P x), w += k e, P = (P - k x.P) / lambda.

    Of a signal that leaves directions out (silence, a constant, a tone) P would grow
    there as lambda^-n. So P stays as it is where a step would take it beyond its bound.
    """

    forgetting: float
    regularization: float | None
    form: str

    @property
    def tracks_power(self):
        """Yes: P is bounded beside the input's power."""
        return True

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return 'a forgetting factor nearer to 1, or form="inverse_qr"'

    @property
    def _carried(self):
        return "root" if self.form == "inverse_qr" else "inverse"

    def extra_state(self, problem, filters):
        """P or its square root, and, where P(0) has to be found, how far that is.

        `begun` is minus the samples heard so far, and positive from P(0) on.
        """
        size, real = problem.size, real_dtype(problem.dtype)
        extra: dict[str, Any] = {self._carried: ((filters, size, size), problem.dtype)}
        if self.regularization is None:
            extra["begun"] = ((filters,), real)
        return extra

    def initial_state(self, weights, arrays, problem):
        """P = I / regularization; without one, I until the first power is known."""
        state = super().initial_state(weights, arrays, problem)
        start = 1.0 / (self.regularization or 1.0)
        if self.form == "inverse_qr":
            start = start**0.5
        unit = ops.cast(ops.eye(problem.size), problem.dtype) * start
        state[self._carried] = state[self._carried] + unit
        return state

    def step(self, state, frame, row, problem):
        """One sample of all filters."""
        weights, matrix = state["weights"], state[self._carried]
        rooted = self.form == "inverse_qr"
        output = ops.sum(conjugate(weights) * frame, axis=0)
        error = row["desired"] - output
        regressor = ops.transpose(frame)[..., None]  # (filters, size, 1)

        power = row["power"] / problem.size
        heard = power > SILENCE[real_dtype(problem.dtype)]
        largest = LARGEST[real_dtype(problem.dtype)] * problem.size
        known = where(heard, power, ops.ones_like(power))
        scale = ops.ones_like(power)
        waits = ops.zeros_like(heard)
        if self.regularization is None:
            line = problem.delay + 1
            samples = min(max(line, FEWEST), MOST)
            early = ops.logical_and(heard, state["begun"] <= 0)
            waits = ops.logical_and(early, state["begun"] > 1 - samples)
            so_far = min(samples, line) / line  # of the delay line
            scale = where(early, RELATIVE * so_far / known, scale)
        # A signal that became louder lowers the bound.
        trace = _trace(matrix, rooted) * scale * known
        scale = scale * largest / maximum(trace, ops.zeros_like(trace) + largest)
        counts = ops.logical_and(heard, ops.logical_not(waits))
        scale = where(counts, scale, ops.ones_like(scale))
        factor = ops.sqrt(scale) if rooted else scale
        matrix = matrix * ops.cast(factor, problem.dtype)[:, None, None]

        update = self._square_root if rooted else self._covariance
        gain, updated = update(matrix, regressor)
        before, after = _trace(matrix, rooted), _trace(updated, rooted)
        fits = ops.logical_or(after * known <= largest, after <= before)
        fits = ops.logical_and(fits, counts)
        moved = weights + ops.transpose(gain[..., 0]) * conjugate(error)
        following = {**state, "weights": where(waits, weights, moved)}
        following[self._carried] = where(fits[:, None, None], updated, matrix)
        if self.regularization is None:
            begun = where(heard, power, state["begun"])
            following["begun"] = where(waits, state["begun"] - 1, begun)
        return following, {"output": output}

    def _covariance(self, inverse, regressor):
        """Haykin's table 10.1: the gain, and the next P."""
        spread = inverse @ regressor
        adjoint = ops.transpose(conjugate(spread), (0, 2, 1))
        power = ops.sum(conjugate(regressor) * spread, axis=1, keepdims=True)
        gain = spread / (self.forgetting + power)
        # x^H P is the adjoint of P x, as long as P is kept Hermitian: it would drift
        # within thousands of samples, and the filter diverge.
        updated = (inverse - gain @ adjoint) / self.forgetting
        turned = ops.transpose(conjugate(updated), (0, 2, 1))
        return gain, 0.5 * (updated + turned)

    def _square_root(self, root, regressor):
        """The inverse QR array: the gain, and the next root of P.

        One reflection (Householder) takes the row [1, x^H S / sqrt(lambda)] to its
        first entry; the rows below, [0, S / sqrt(lambda)], then hold gain and root. It
        is written out, so that the array itself is never made.
        """
        lean = self.forgetting**-0.5
        scaled = lean * root
        row = ops.transpose(conjugate(scaled), (0, 2, 1)) @ regressor  # S^H x
        energy = ops.sum(conjugate(row) * row, axis=1, keepdims=True)
        length = ops.cast(ops.sqrt(1.0 + ops.real(energy)), row.dtype)
        spread = scaled @ row  # P x / lambda
        gain = spread / (1.0 + energy)
        adjoint = ops.transpose(conjugate(row), (0, 2, 1))
        return gain, scaled - (spread / (length * (1.0 + length))) @ adjoint


def _trace(matrix, rooted):
    """The trace of P, real: `(filters,)`."""
    if rooted:
        return ops.sum(ops.real(matrix * conjugate(matrix)), axis=(1, 2))
    return ops.real(ops.sum(ops.diagonal(matrix, axis1=1, axis2=2), axis=1))
