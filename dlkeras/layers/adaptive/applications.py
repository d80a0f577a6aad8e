"""The classical uses of an adaptive filter, one short function each.

All of them take arrays, tensors or lists of shape `(batch, time)`, each batch row an
experiment of its own, or one signal of shape `(time,)`. The filter is a normalised LMS
filter unless one is given.
"""

from typing import Any, NamedTuple

import keras
import numpy as np

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.backend import value_of
from dlkeras.layers.adaptive.filters.lms import LMSFilter

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


class Adapted(NamedTuple):
    """What an adaptive filter came to: NumPy arrays, one row an experiment.

    Without the first axis where the signals had none.
    """

    output: np.ndarray  # (batch, time)
    error: np.ndarray  # (batch, time)
    weights: np.ndarray  # (batch, taps), after the last sample, newest sample's first


def system_identification(signal, response, taps, *, adaptive_filter=None) -> Adapted:
    """Model an unknown system: the weights become its impulse response.

    The filter runs beside the system on the same input, and the system's response is
    the desired one.

    Args:
        signal: What goes into the system: `(batch, time)`.
        response: What comes out: `(batch, time)`.
        taps: Length of the model.
        adaptive_filter: A new filter with `stateful=True`; normalised LMS with a step
            size of 0.5 by default.

    Example:
    >>> import numpy as np
    >>> from dlkeras.layers.adaptive.applications import system_identification
    >>> x = np.random.default_rng(0).normal(size=(1, 500)).astype("float32")
    >>> d = np.convolve(x[0], [1.0, -0.5, 0.25])[None, :500].astype("float32")
    >>> system_identification(x, d, taps=3).weights.round(2).tolist()
    [[1.0, -0.5, 0.25]]
    """
    return _run(signal, response, taps, adaptive_filter)


def noise_cancelling(primary, reference, taps, *, adaptive_filter=None) -> Adapted:
    """Subtract a noise that another sensor hears, filtered.

    The filter predicts the noise in `primary` from `reference`; what it cannot
    predict, the error, is the cleaned signal.

    Args:
        primary: Signal plus noise: `(batch, time)`.
        reference: Noise alone, before its way to the primary sensor: `(batch, time)`.
        taps: Length of the noise's way.
        adaptive_filter: As in `system_identification`.

    Example:
    >>> import numpy as np
    >>> from dlkeras.layers.adaptive.applications import noise_cancelling
    >>> noise = np.random.default_rng(0).normal(size=(1, 2000)).astype("float32")
    >>> tone = 0.1 * np.sin(0.1 * np.arange(2000, dtype="float32"))
    >>> primary = tone + np.convolve(noise[0], [0.8, 0.4])[None, :2000]
    >>> cleaned = noise_cancelling(primary.astype("float32"), noise, taps=2).error
    >>> bool(np.abs(cleaned - tone)[0, 500:].std() < 0.1 * primary.std())
    True
    """
    return _run(reference, primary, taps, adaptive_filter)


def linear_prediction(signal, taps, *, delay=1, adaptive_filter=None) -> Adapted:
    """Predict a signal from its own past: the error is what is new in each sample.

    A long delay makes it a line enhancer: the output keeps what repeats itself.

    Args:
        signal: `(batch, time)`.
        taps: Number of past samples to predict from.
        delay: How many samples ahead to predict, at least 1.
        adaptive_filter: As in `system_identification`.

    Example:
    >>> import numpy as np
    >>> from dlkeras.layers.adaptive.applications import linear_prediction
    >>> tone = np.cos(0.3 * np.arange(300, dtype="float32"))[None]
    >>> found = linear_prediction(tone, taps=2)  # x(n) = 2 cos(0.3) x(n-1) - x(n-2)
    >>> np.allclose(found.weights, [[2 * np.cos(0.3), -1.0]], atol=0.01)
    True
    """
    return _run(_delayed(signal, delay, 1), signal, taps, adaptive_filter)


def inverse_modelling(
    signal, response, taps, *, delay=0, adaptive_filter=None
) -> Adapted:
    """Undo an unknown system: system and filter in a row come to a pure delay.

    Args:
        signal: What goes into the system: `(batch, time)`.
        response: What comes out, the filter's input: `(batch, time)`.
        taps: Length of the inverse.
        delay: Samples by which the restored signal may be late. A system that is not
            minimum-phase has a causal inverse only with a delay.
        adaptive_filter: As in `system_identification`.

    Example:
    >>> import numpy as np
    >>> from dlkeras.layers.adaptive.applications import inverse_modelling
    >>> x = np.random.default_rng(0).normal(size=(1, 3000)).astype("float32")
    >>> d = np.convolve(x[0], [1.0, 0.5])[None, :3000].astype("float32")
    >>> inverse_modelling(x, d, taps=8).weights[:, :4].round(2).tolist()
    [[1.0, -0.5, 0.25, -0.12]]
    """
    return _run(response, _delayed(signal, delay, 0), taps, adaptive_filter)


def channel_equalization(
    received,
    training,
    taps,
    *,
    delay=0,
    symbols=(-1.0, 1.0),
    adaptive_filter=None,
):
    """Recover symbols behind a dispersive channel.

    The filter adapts on a preamble that the receiver knows, then filters the rest
    with the weights it has and decides for the nearest symbol.

    Args:
        received: What came through the channel: `(batch, time)`.
        training: The first symbols that were sent: `(batch, length)`, length < time.
        taps: Length of the equaliser.
        delay: Samples that channel and equaliser take together.
        symbols: What may be sent.
        adaptive_filter: As in `system_identification`.

    Returns:
        The decided symbols that follow the preamble, `(batch, time - delay - length)`.

    Example:
    >>> import numpy as np
    >>> from dlkeras.layers.adaptive.applications import channel_equalization
    >>> sent = np.random.default_rng(0).choice([-1.0, 1.0], (1, 2000))
    >>> received = np.convolve(sent[0], [0.3, 1.0, 0.3])[None, :2000]
    >>> received, training = received.astype("float32"), sent[:, :500].astype("float32")
    >>> decided = channel_equalization(received, training, taps=11, delay=6)
    >>> int((decided != sent[:, 500:-6]).sum())
    0
    """
    received, training, alone = _batches(received, training)
    known = training.shape[1] + delay
    if not training.shape[1] < received.shape[1] - delay:
        raise ValueError(
            "channel_equalization expects a training sequence that ends before the "
            f"received signal does. Received: training.shape={tuple(training.shape)}, "
            f"received.shape={tuple(received.shape)}, delay={delay}"
        )
    adaptive_filter = _filter(taps, adaptive_filter)
    desired = ops.pad(training, ((0, 0), (delay, 0)))
    adaptive_filter(received[:, :known], desired)
    rest = received[:, known:]
    output, _ = adaptive_filter(rest, ops.zeros_like(rest), adapt=False)
    alphabet = np.asarray(symbols)
    distance = np.abs(value_of(output)[..., None] - alphabet)
    decided = alphabet[distance.argmin(axis=-1)]
    return decided[0] if alone else decided


def _run(signal, desired, taps, adaptive_filter):
    adaptive_filter = _filter(taps, adaptive_filter)
    signal, desired, alone = _batches(signal, desired)
    output, error = adaptive_filter(signal, desired)[:2]
    found = value_of(output), value_of(error), adaptive_filter.filter_weights
    return Adapted(*(array[0] for array in found) if alone else found)


def _batches(*signals):
    """The signals as tensors with a batch axis, and whether it was added."""
    signals = [
        np.asarray(signal, "float32") if isinstance(signal, (list, tuple)) else signal
        for signal in signals
    ]
    alone = all(len(signal.shape) == 1 for signal in signals)
    tensors = [ops.convert_to_tensor(signal) for signal in signals]
    return *(tensor[None] if alone else tensor for tensor in tensors), alone


def _filter(taps, adaptive_filter):
    if adaptive_filter is None:
        return LMSFilter(taps, 0.5, algorithm="nlms", stateful=True)
    fits = isinstance(adaptive_filter, AdaptiveFilter) and adaptive_filter.stateful
    if not fits or adaptive_filter.taps != taps:
        raise ValueError(
            f"An application expects a filter of {taps} taps with stateful=True, "
            f"whose weights can be read. Received: adaptive_filter={adaptive_filter}"
        )
    return adaptive_filter


def _delayed(signal, delay, least):
    if not (AdaptiveFilter.is_count(delay + 1) and delay >= least):
        raise ValueError(
            f"An application expects a whole delay of at least {least} samples. "
            f"Received: delay={delay}"
        )
    if isinstance(signal, (list, tuple)):
        signal = np.asarray(signal, "float32")
    signal = ops.convert_to_tensor(signal)
    time = signal.shape[-1]
    if delay >= time:
        raise ValueError(
            f"An application expects a delay shorter than the signal of {time} samples."
            f" Received: delay={delay}"
        )
    ahead = [(0, 0)] * (len(signal.shape) - 1) + [(delay, 0)]
    return ops.pad(signal[..., : time - delay], ahead)
