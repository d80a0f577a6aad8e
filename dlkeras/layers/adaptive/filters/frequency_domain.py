"""FrequencyDomainFilter, block LMS by the fast Fourier transform, in partitions."""

import dataclasses
from typing import Any

import keras

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.backend import maximum, scan, where
from dlkeras.layers.adaptive.recursions import swapped
from dlkeras.layers.adaptive.rule import Rule

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

# The power of a bin is not taken for less than this share of the mean of all bins.
RELATIVE = 1e-3


@dataclasses.dataclass(frozen=True)
class FrequencyDomainRule(Rule):
    """One block: W += mu F{gradient of `block` taps} / power, bin by bin."""

    step_size: float
    block: int
    forgetting: float
    constrained: bool

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return "a step_size well below 2, or constrained=True"

    def extra_state(self, problem, filters):
        """Spectra of weights and signal, their power, and the last block."""
        parts, bins = problem.taps // self.block, self.block + 1
        shapes = {
            "real": (parts, bins, filters),
            "imag": (parts, bins, filters),
            "heard_real": (parts, bins, filters),
            "heard_imag": (parts, bins, filters),
            "spectrum": (bins, filters),
            "last": (self.block, filters),
            "begun": (filters,),
        }
        return {name: (shape, problem.dtype) for name, shape in shapes.items()}

    def initial_state(self, weights, arrays, problem):
        """The spectra of the weights, and silence."""
        state = super().initial_state(weights, arrays, problem)
        if ops.shape(weights)[1] != 0:  # no transform takes an empty batch
            state["real"], state["imag"] = self._spectra(ops.flip(weights, axis=0))
        return state

    def _spectra(self, taps):
        """Of weights, newest sample's first, partition by partition."""
        filters = ops.shape(taps)[1]
        parts = ops.reshape(taps, (taps.shape[0] // self.block, self.block, filters))
        return _spectrum(ops.pad(parts, ((0, 0), (0, self.block), (0, 0))))

    def run(self, state, signal, desired, active, arrays, problem, materialise):
        """The recursion over a whole call; gives the last state and the outputs."""
        del arrays
        block, (time, filters) = self.block, ops.shape(desired)
        if isinstance(filters, int) and filters == 0:
            return state, {"output": ops.zeros_like(desired)}
        signal = signal[ops.shape(signal)[0] - time :]
        if active is None:
            active = ops.ones_like(desired)
        rows = {"signal": signal, "desired": desired, "active": active}
        fill, blocks = -time % block, -(-time // block)
        rows = {
            name: ops.reshape(
                ops.pad(ops.cast(array, problem.dtype), ((0, fill), (0, 0))),
                (blocks, block, filters),
            )
            for name, array in rows.items()
        }

        def step(state, frame, row):
            del frame
            return self._block(state, row)

        del state["weights"]
        samples = ops.reshape(rows["signal"], (blocks * block, filters))
        state, outputs = scan(step, state, samples, block, block, rows, materialise, 1)
        flat = (blocks * block, filters)
        output = ops.reshape(outputs["output"], flat)[:time]
        taps = _samples((state["real"], state["imag"]), 2 * block)[:, :block]
        weights = ops.flip(ops.reshape(taps, (problem.taps, filters)), axis=0)
        return {"weights": weights, **state}, {"output": output}

    def _block(self, state, row):
        block, parts = self.block, state["real"].shape[0]
        spectrum = _spectrum(ops.concatenate([state["last"], row["signal"]]))
        # the newest spectrum first: (partitions, bins, filters)
        heard = tuple(
            ops.concatenate([new[None], state[name][:-1]])
            for new, name in zip(spectrum, ("heard_real", "heard_imag"), strict=True)
        )
        weights = state["real"], state["imag"]
        product = (
            ops.sum(heard[0] * weights[0] - heard[1] * weights[1], axis=0),
            ops.sum(heard[0] * weights[1] + heard[1] * weights[0], axis=0),
        )
        output = _samples(product, 2 * block)[block:]
        error = row["active"] * (row["desired"] - output)
        wrong = _spectrum(ops.concatenate([ops.zeros_like(error), error]))

        power = spectrum[0] ** 2 + spectrum[1] ** 2
        begun = state["begun"]  # the first block's power is its own
        kept = self.forgetting * where(
            begun > 0, ops.ones_like(begun), ops.zeros_like(begun)
        )
        power = kept * state["spectrum"] + (1.0 - kept) * power
        # not ops.mean, which takes float64 by way of float32 on PyTorch
        mean = ops.sum(power, axis=0, keepdims=True) / (block + 1)
        floor = RELATIVE * mean
        # The mean lags behind a signal that starts: the step is never above that of
        # what the partitions hold now.
        present = ops.sum(heard[0] ** 2 + heard[1] ** 2, axis=0)
        total = maximum(parts * (power + floor), present)
        # After silence it has seen too few blocks to tell a weak frequency from one
        # that was weak by chance. What it misses of the power is spread over all.
        heard_now = ops.sum(present, axis=0, keepdims=True) / (block + 1)
        missed = heard_now - 2.0 * parts * mean
        total = maximum(total, missed + ops.zeros_like(total))
        audible = total > 0
        gain = self.step_size / where(audible, total, ops.ones_like(total))
        gain = where(audible, gain, ops.zeros_like(gain))
        moves = (  # conj(X) E, bin by bin
            gain * (heard[0] * wrong[0] + heard[1] * wrong[1]),
            gain * (heard[0] * wrong[1] - heard[1] * wrong[0]),
        )
        if self.constrained:
            # A circular correlation has a second half that no filter of `block` taps
            # has: it is taken out.
            short = _samples(moves, 2 * block)[:, :block]
            moves = _spectrum(ops.pad(short, ((0, 0), (0, block), (0, 0))))
        return {
            "real": weights[0] + moves[0],
            "imag": weights[1] + moves[1],
            "heard_real": heard[0],
            "heard_imag": heard[1],
            "spectrum": power,
            "last": row["signal"],
            "begun": ops.ones_like(begun),
        }, {"output": output}


def _spectrum(rows):
    """Of real rows `(..., rows, filters)`: real and imaginary part."""
    return tuple(swapped(part, -1, -2) for part in ops.rfft(swapped(rows, -1, -2)))


def _samples(spectrum, length):
    """The way back, to `(..., length, filters)`."""
    parts = tuple(swapped(part, -1, -2) for part in spectrum)
    return swapped(ops.irfft(parts, fft_length=length), -1, -2)


@keras.saving.register_keras_serializable(package="dlkeras")
class FrequencyDomainFilter(AdaptiveFilter):
    """Adaptive filter of thousands of taps: block LMS by the FFT, in partitions.

    The weights move once a block. Convolution and correlation are products of spectra
    (overlap-save, transforms of two blocks), so a sample costs the logarithm of the
    block's length and not of the filter's; partitions keep the delay at one block
    however long the filter is. Each frequency has a step of its own, `step_size` over
    its power: coloured signals such as speech converge as white noise does.

    A filter whose block is as long as itself is the fast block LMS of Ferrara; with
    several partitions it is the multidelay filter of Soo and Pang. One thing is not
    theirs: the power that divides the step is at least what the partitions hold at the
    time, and, where the mean over all frequencies is below half of that, at least what
    is missing. The mean alone lags behind a signal that starts after silence, by up to
    1 / (1 - forgetting), and the filter would diverge there.

    Args:
        taps: Length of the filter, a multiple of `block`.
        step_size: mu, in (0, 2), without the constraint in (0, 1.5]; shared among the
            partitions.
        block: Samples after which the weights move, and taps of a partition.
        forgetting: Of the mean power of each frequency, in [0, 1); from 0.3 on where
            the step size is above 0.5.
        constrained: Whether each gradient is cut to `block` taps, two transforms more
            a partition. Without it the filter may settle on a circular convolution.
        **kwargs: `initial_weights`, `stateful` and `on_divergence` as in `LMSFilter`,
            and arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: The signal.
        desired: The desired response.
        adapt: As in `LMSFilter`; the errors of samples that are not to count are 0 in
            their block's gradient.

    Input shape:
        As `LMSFilter`'s `"signal"`; with `stateful` the time is a multiple of `block`,
        and known when the call is compiled.

    Output shape:
        Output and error as the desired response.

    Returns:
        `(output, error)`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        FloatingPointError: If a filter diverges.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.layers import FrequencyDomainFilter
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.normal(size=20_000).astype("float32")
    >>> echo = rng.normal(size=256) * 0.98 ** np.arange(256)
    >>> heard = np.convolve(signal, echo)[:20_000].astype("float32")
    >>> left = FrequencyDomainFilter(256, 1.0, block=64)(signal, heard)[1]
    >>> left = keras.ops.convert_to_numpy(left)[-2000:]
    >>> bool(10 * np.log10(np.mean(left**2) / np.mean(heard**2)) < -40)
    True

    Reference:
        - Ferrara (1980), Fast implementation of LMS adaptive filters.
        - Soo and Pang (1990), Multidelay block frequency domain adaptive filter.
        - Shynk (1992), Frequency-domain and multirate adaptive filtering, IEEE SP
          Magazine; Haykin, Adaptive Filter Theory, 5th ed., chapter 8.
    """

    def __init__(
        self,
        taps,
        step_size=0.5,
        *,
        block=256,
        forgetting=0.9,
        constrained=True,
        **kwargs,
    ):
        super().__init__(taps, **kwargs)
        fits = self.input_type == "signal" and not self.complex_valued
        self.expect(
            fits and not self.return_weights,
            "real signals, input_type='signal', and no return_weights",
            input_type=self.input_type,
            complex_valued=self.complex_valued,
            return_weights=self.return_weights,
        )
        self.expect(
            self.is_count(block) and taps % block == 0,
            "taps to be a multiple of block",
            taps=taps,
            block=block,
        )
        self.expect(0 < step_size < 2, "step_size in (0, 2)", step_size=step_size)
        self.expect(0 <= forgetting < 1, "forgetting in [0, 1)", forgetting=forgetting)
        self.expect(
            constrained or step_size <= 1.5,
            "step_size <= 1.5 where constrained=False (a coloured signal that starts "
            "after silence would drive the filter away)",
            step_size=step_size,
        )
        self.expect(
            step_size <= 0.5 or forgetting >= 0.3,
            "forgetting >= 0.3 where step_size > 0.5 (the power of one block alone is "
            "near 0 at some frequency)",
            forgetting=forgetting,
            step_size=step_size,
        )
        self.block, self.step_size = int(block), float(step_size)
        self.forgetting, self.constrained = float(forgetting), bool(constrained)

    def rule(self):
        """The blocks that the arguments describe."""
        return FrequencyDomainRule(
            self.step_size, self.block, self.forgetting, self.constrained
        )

    def call(self, inputs, desired=None, adapt=True):
        """Filter the signal and let the weights follow the error."""
        time = (inputs if desired is not None else inputs[0]).shape[1]
        self.expect(
            not self.stateful or (time is not None and time % self.block == 0),
            f"whole blocks of {self.block} samples, their number known, when "
            "stateful=True",
            time=time,
        )
        return super().call(inputs, desired, adapt)

    def received(self):
        """The arguments in words, for a message."""
        return f"step_size={self.step_size}, constrained={self.constrained}"

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "block": self.block,
            "forgetting": self.forgetting,
            "constrained": self.constrained,
        }
