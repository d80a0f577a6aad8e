"""How large a step an LMS filter may take, from the eigenvalues of its input."""

import numpy as np


def mean_bound(eigenvalues) -> float:
    """Step size below which the mean of the LMS weights converges: 2 / lambda_max."""
    largest = float(np.max(eigenvalues, initial=0.0))
    return 2.0 / largest if largest > 0 else float("inf")


def safe_bound(eigenvalues) -> float:
    """Feuer and Weinstein's step size for the mean square: 2 / (3 tr R).

    Sufficient for Gaussian regressors that are independent from step to step, whatever
    the eigenvalues; of all the bounds here the one with room to spare, which the
    overlapping regressors of a delay line need.
    """
    total = float(np.sum(np.maximum(eigenvalues, 0.0)))
    return 2.0 / (3.0 * total) if total > 0 else float("inf")


def gamma(eigenvalues, step_size: float, complex_valued: bool = False) -> float:
    """Sum whose distance to 1 decides mean-square stability and misadjustment.

    For Gaussian regressors it is the sum of mu lambda / (2 (1 - mu lambda)), for
    circular complex ones the sum of mu lambda / (2 - mu lambda). Infinite where a
    single mode is already unstable.
    """
    scaled = step_size * np.asarray(eigenvalues, dtype="float64")
    room = 2.0 - scaled if complex_valued else 2.0 * (1.0 - scaled)
    return float(np.sum(scaled / room)) if np.all(room > 0) else float("inf")


def mean_square_bound(eigenvalues, complex_valued: bool = False) -> float:
    """Step size below which the squared error of independent regressors converges.

    It is exact for Gaussian regressors that are independent from step to step. Those of
    a delay line share all but one sample, and run away now and then below it.

    The root of `gamma(mu) = 1`, found by bisection: gamma grows from 0 at mu = 0 to
    infinity at the first unstable mode.
    """
    eigenvalues = np.asarray(eigenvalues, dtype="float64")
    if not np.max(eigenvalues, initial=0.0) > 0:
        return float("inf")
    low, high = 0.0, mean_bound(eigenvalues)
    for _ in range(200):
        middle = (low + high) / 2
        if gamma(eigenvalues, middle, complex_valued) < 1:
            low = middle
        else:
            high = middle
    return low
