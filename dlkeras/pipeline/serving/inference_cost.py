"""What one answer costs: bytes, multiply-adds, and time for one image."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

WARM_UP = 5


def inference_cost(
    network: "keras.Model", answer: Callable[[], Any], repetitions: int
) -> dict[str, Any]:
    """Measure the size of a network and the time of an answer.

    Args:
        network: for its parameters and multiply-adds.
        answer: gives the probabilities of one image.
        repetitions: how many answers are timed, after some that are not.

    Returns:
        parameters, bytes (of the weights), multiply_adds (of one image's convolutions,
        dense layers and matrix products; None where a layer's cannot be counted), and
        latency_ms with p50 and p95.
    """
    from dlkeras.architectures.costs import model_multiply_adds

    try:
        multiply_adds = model_multiply_adds(network)
    except ValueError:
        multiply_adds = None
    seconds = []
    for index in range(WARM_UP + repetitions):
        started = time.perf_counter()
        np.asarray(answer())
        if index >= WARM_UP:
            seconds.append(time.perf_counter() - started)
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return {
        "parameters": network.count_params(),
        "bytes": sum(np.asarray(w).nbytes for w in network.weights),
        "multiply_adds": multiply_adds,
        "latency_ms": {"p50": float(p50), "p95": float(p95)},
    }
