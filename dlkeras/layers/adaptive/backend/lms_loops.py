"""The plain LMS recursion in loops that XLA turns into fast code for a processor.

Two forms, both exact. One filter alone waits for its own sums, so it looks ahead: the
errors of some samples follow from the weights before them and from how much the samples
overlap. Many filters fill the vector registers, so what counts there is that signals
and weights stay in the near caches: some hundred filters at a time, some samples at a
time.
"""

import itertools
from typing import Any

import keras

from dlkeras.layers.adaptive.backend import ONE_KERNEL, one_kernel, scan
from dlkeras.layers.adaptive.rule import conjugate

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

# What follows was measured (`benchmarks/lms.py`), as was the share of weights that the
# backend's `elements_at_once()` names: XLA spreads larger operations over threads.
LOOK_AHEAD = 4  # samples
SHORT = 16  # taps up to which that pays
WIDTH = 128  # filters
NARROW = 64  # filters, where each has more than `LONG` taps
LONG = 64
CHUNK = 50  # samples


class Loops:
    """The loops of one LMS rule.

    Args:
        problem: the fixed part of the recursion.
        sign_error: whether the weights follow the error's sign.
        sign_data: whether they move along the regressor's sign.
        share: weights in one operation at most.
    """

    def __init__(self, problem, sign_error, sign_data, share):
        self.problem, self.share = problem, share
        self.conjugate = conjugate
        self.push = ops.sign if sign_error else self.conjugate
        self.along = ops.sign if sign_data else _same
        # Only from a linear error do the next ones follow. Carried weights must not
        # depend on where a call ends, to the last bit.
        self.looks_ahead = not sign_error and not problem.stateful
        self.looks_ahead &= problem.size <= SHORT
        # Nor may they depend on which chunk a sample is in.
        self.in_chunks = ONE_KERNEL and not problem.stateful
        few = self.in_chunks and problem.size <= LONG
        self.width = WIDTH if few else NARROW
        self.outputs = ("output", "error") if self.in_chunks else ("output",)

    def run(self, weights, signal, rows, shared):
        """Run over a whole call.

        Args:
            weights: `(taps, filters)`.
            signal: rows of samples, `(rows, filters)`.
            rows: the desired response and, if it changes, the step: `(time, filters)`.
            shared: the step, if it does not change.

        Returns:
            The last weights, and the outputs by name: `(time, filters)`.
        """
        arrays = {"weights": weights, **rows}
        filters, time = signal.shape[1], rows["desired"].shape[0]
        if not isinstance(time, int):
            return one_kernel(self._some_filters, {**arrays, "signal": signal}, shared)
        if filters == 1 and self.looks_ahead:
            return one_kernel(self._one_filter, {**arrays, "signal": signal}, shared)
        if filters <= self.width:
            return one_kernel(self._some_filters, {**arrays, "signal": signal}, shared)
        if not self.in_chunks:
            return one_kernel(self._whole, {**arrays, "signal": signal}, shared)
        # The samples before a call's first one stand before those of its first chunk
        # alone, so that the signal need not be copied to have them in front.
        earlier = self.problem.size - self.problem.stride
        first = CHUNK * self.problem.stride
        if 0 < earlier <= first and time >= 2 * CHUNK:
            arrays["beginning"] = signal[: first + earlier]
            signal = signal[earlier:]
        return one_kernel(self._chunks, {**arrays, "signal": signal}, shared)

    # One filter.

    def _one_filter(self, arrays, shared):
        stride, size = self.problem.stride, self.problem.size
        arrays = {name: array[:, 0] for name, array in arrays.items()}
        weights, signal = arrays.pop("weights"), arrays.pop("signal")
        time = arrays["desired"].shape[0]

        def block(weights, window, rows):
            return self._block(weights, window, {**shared, **rows})

        whole = time - time % LOOK_AHEAD
        outputs = []
        if whole:
            rows = {
                name: ops.reshape(
                    array[:whole], (whole // LOOK_AHEAD, LOOK_AHEAD, *array.shape[1:])
                )
                for name, array in arrays.items()
            }
            reach = (LOOK_AHEAD - 1) * stride + size
            weights, out = scan(
                block, weights, signal, LOOK_AHEAD * stride, reach, rows, False
            )
            outputs.append({name: ops.reshape(o, (whole,)) for name, o in out.items()})
        if whole < time:
            last = {name: array[whole:] for name, array in arrays.items()}
            window = signal[whole * stride :]
            weights, out = block(weights, window, last)
            outputs.append(out)
        outputs = {
            name: ops.concatenate([out[name] for out in outputs])[:, None]
            for name in ("output", "error")
        }
        return weights[:, None], outputs

    def _block(self, weights, window, row):
        """Some samples at once: e_k = d_k - w.x_k - sum_{j<k} mu_j (x_k.x_j) e_j."""
        stride, size = self.problem.stride, self.problem.size
        desired = row["desired"]
        count = desired.shape[0]
        frames = [window[k * stride : k * stride + size] for k in range(count)]
        directions = [self.along(frame) for frame in frames]
        before = self.conjugate(weights)
        side_by_side = ops.stack(frames, axis=1)
        other = self.conjugate(ops.stack(directions, axis=1))
        apriori = ops.sum(before[:, None] * side_by_side, axis=0)
        overlap = [
            ops.sum(side_by_side[:, lag:] * other[:, : count - lag], axis=0)
            for lag in range(1, count)
        ]
        steps = [
            row["step"][k] if len(row["step"].shape) else row["step"]
            for k in range(count)
        ]
        pushes = []
        errors = []
        ahead = desired - apriori
        for k in range(count):
            error = ahead[k]
            for lag in range(1, k + 1):
                error = error - overlap[lag - 1][k - lag] * pushes[k - lag]
            errors.append(error)
            pushes.append(steps[k] * error)
        for push, direction in zip(pushes, directions, strict=True):
            weights = weights + self.conjugate(push) * direction
        errors = ops.stack(errors)
        return weights, {"output": desired - errors, "error": errors}

    # Several filters.

    def _some_filters(self, arrays, shared):
        arrays = dict(arrays)
        weights, signal = arrays.pop("weights"), arrays.pop("signal")
        stride, size = self.problem.stride, self.problem.size
        filters = signal.shape[1]
        parts = _parts(size, filters, self.share)

        def step(weights, frame, row):
            row = {**shared, **row}
            frames = [frame[part] for part in parts]
            pairs = list(zip(weights, frames, strict=True))
            output = sum(_inner(self.conjugate(w), x) for w, x in pairs)
            error = row["desired"] - output
            push = row["step"] * self.push(error)
            moved = tuple(w + push * self.along(x) for w, x in pairs)
            found = {"output": output, "error": error}
            return moved, {name: found[name] for name in self.outputs}

        weights = tuple(weights[part] for part in parts)
        weights, outputs = scan(step, weights, signal, stride, size, arrays, False, 1)
        return ops.concatenate(weights), outputs

    def _whole(self, arrays, shared):
        """All samples, one group of filters after the other."""
        rows = dict(arrays)
        weights, signal = rows.pop("weights"), rows.pop("signal")
        carry = weights, ops.zeros_like(rows["desired"])
        weights, output = self._groups(0, carry, signal, rows, shared)
        return weights, {"output": output}

    def _chunks(self, arrays, shared):
        """One chunk of samples after the other."""
        rows = dict(arrays)
        weights, signal = rows.pop("weights"), rows.pop("signal")
        beginning = rows.pop("beginning", None)
        time, filters = rows["desired"].shape
        stride = self.problem.stride
        earlier = self.problem.size - stride

        def chunk(n, count, carry, samples, shift):
            """`count` samples from chunk `n` on; `shift` rows of `samples` are gone."""
            start = n * CHUNK
            part = {
                name: ops.slice(array, (start, 0), (count, filters))
                for name, array in rows.items()
            }
            window = (count * stride + earlier, filters)
            window = ops.slice(samples, (start * stride - shift, 0), window)
            return self._groups(start, carry, window, part, shared)

        nothing = ops.zeros_like(rows["desired"])
        carry = weights, nothing, nothing
        chunks, begun, shift = time // CHUNK, 0, 0
        if beginning is not None:
            carry = chunk(0, CHUNK, carry, beginning, 0)
            begun, shift = 1, earlier
        if chunks > begun:
            carry = ops.fori_loop(
                begun,
                chunks,
                lambda n, carry: chunk(n, CHUNK, carry, signal, shift),
                carry,
            )
        if left := time % CHUNK:
            carry = chunk(chunks, left, carry, signal, shift)
        return carry[0], {"output": carry[1], "error": carry[2]}

    def _groups(self, start, carry, window, rows, shared):
        """A chunk of samples from `start` on, one group of filters after the other."""
        arrays = {"signal": window, **rows}
        filters = window.shape[1]
        width = self.width

        def adapted(first, wide, carry):
            group = {
                name: ops.slice(array, (0, first), (array.shape[0], wide))
                for name, array in {**arrays, "weights": carry[0]}.items()
            }
            weights, outputs = self._some_filters(group, shared)
            found = (outputs[name] for name in self.outputs)
            return (
                ops.slice_update(carry[0], (0, first), weights),
                *(
                    ops.slice_update(array, (start, first), part)
                    for array, part in zip(carry[1:], found, strict=True)
                ),
            )

        carry = ops.fori_loop(
            0,
            filters // width,
            lambda n, carry: adapted(n * width, width, carry),
            carry,
        )
        if left := filters % width:
            carry = adapted(filters - left, left, carry)
        return carry


def _parts(size, filters, share):
    """Slices of the taps with at most `share` weights of all filters in each.

    One filter alone has as many sixteens as there are in a slice of its own.
    """
    length = max(share // filters, 1)
    ends = list(range(length, size, length))
    sixteens = size // 16 * 16
    if filters == 1 and 0 < sixteens < size:
        ends = sorted({*(end for end in ends if end < sixteens), sixteens})
    return [slice(a, b) for a, b in itertools.pairwise([0, *ends, size])]


def _inner(weights, frame):
    """Inner product of every column, `(taps, filters)` by `(taps, filters)`.

    A single filter has no second axis to vectorise over, and a sum in order waits for
    every addition: so its taps are summed 16 side by side.
    """
    product = weights * frame
    taps, filters = product.shape
    if filters == 1 and taps % 16 == 0:
        product = ops.sum(ops.reshape(product, (taps // 16, 16)), axis=0)
        for half in (8, 4, 2, 1):
            product = product[:half] + product[half : 2 * half]
        return product
    return ops.sum(product, axis=0)


def _same(array):
    return array
