"""Gradients through the recursions of the adaptive filters, by finite differences."""

import keras
import numpy as np
import pytest

from dlkeras.layers import AffineProjectionFilter, LMSFilter, RLSFilter

BACKEND = keras.backend.backend()


def assert_derivatives(ours, loss, numbers, small=1e-5):
    """Against central differences of a loss in float64 NumPy."""
    for which, number in enumerate(numbers):
        expected = np.zeros(number.shape)
        for place in np.ndindex(number.shape):
            shifted = [n.copy() for n in numbers]
            shifted[which][place] += small
            above = loss(*shifted)
            shifted[which][place] -= 2 * small
            expected[place] = (above - loss(*shifted)) / (2 * small)
        np.testing.assert_allclose(ours[which], expected, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(
    "options",
    [{}, {"algorithm": "nlms"}, {"momentum": 0.4, "leakage": 0.1}],
    ids=str,
)
@pytest.mark.parametrize("input_type", ["signal", "multi_input", "regressors"])
def test_the_gradient_through_time_equals_finite_differences(options, input_type):
    """Against central differences of the same recursion in float64 NumPy."""
    rng = np.random.default_rng(3)
    width = {"signal": 2, "multi_input": 2, "regressors": 3}[input_type]
    signal = rng.normal(size=(1, 9, width))
    desired = rng.normal(size=(1, 9, 2) if input_type == "signal" else (1, 9))

    def loss(signal, desired, step):
        def padded(column):
            rows = np.concatenate([np.zeros(2), column])
            return np.lib.stride_tricks.sliding_window_view(rows, 3)[:, ::-1]

        columns = signal[0].T
        if input_type == "regressors":
            cases = [(signal[0], desired[0])]
        elif input_type == "multi_input":
            joined = np.concatenate([padded(c) for c in columns], axis=1)
            cases = [(joined, desired[0])]
        else:
            wanted = desired[0].T
            cases = [(padded(c), d) for c, d in zip(columns, wanted, strict=True)]
        total = 0.0
        for regressors, wanted in cases:
            w = before = np.zeros(regressors.shape[1])
            loudest = 0.0
            for x, d in zip(regressors, wanted, strict=True):
                e = d - w @ x
                total += e * e
                loudest = max(loudest, x @ x)
                power = x @ x + 1e-3 * loudest / len(x) if "algorithm" in options else 1
                after = (1 - step * options.get("leakage", 0.0)) * w
                after = after + step * e * x / power
                after = after + options.get("momentum", 0.0) * (w - before)
                w, before = after, w
        return total

    layer = LMSFilter(
        3, 0.1, input_type=input_type, trainable_step_size=True, **options
    )
    inputs = [signal.astype("float32"), desired.astype("float32")]
    layer(*inputs)
    ours = gradients(layer, *inputs)
    assert_derivatives(ours, loss, [signal, desired, np.array(0.1)])


def gradients(layer, signal, desired):
    """Of the sum of squared errors, by signal, desired response and trained step."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        wanted = [tf.constant(signal), tf.constant(desired)]
        with tf.GradientTape() as tape:
            tape.watch(wanted)
            loss = tf.reduce_sum(layer(*wanted)[1] ** 2)
        wanted += [v.value for v in layer.trainable_variables]
        return [g.numpy() for g in tape.gradient(loss, wanted)]
    if BACKEND == "jax":
        import jax

        fixed = [v.value for v in layer.non_trainable_variables]

        def loss(signal, desired, trained):
            (_, error), _ = layer.stateless_call(trained, fixed, signal, desired)
            return (error**2).sum()

        trained = [v.value for v in layer.trainable_variables]
        *first, last = jax.grad(loss, argnums=(0, 1, 2))(signal, desired, trained)
        return [*first, *last]
    import torch

    wanted = [torch.tensor(signal, requires_grad=True)]
    wanted.append(torch.tensor(desired, requires_grad=True))
    loss = (layer(*wanted)[1] ** 2).sum()
    wanted += [v.value for v in layer.trainable_variables]
    return [g.cpu().numpy() for g in torch.autograd.grad(loss, wanted)]


def squared_errors(update):
    """The loss of a filter of 3 taps whose `update(w, e, x, memory)` gives w(n+1)."""

    def loss(signal, desired, step=0.1):
        padded = np.concatenate([np.zeros(2), signal[0]])
        regressors = np.lib.stride_tricks.sliding_window_view(padded, 3)[:, ::-1]
        total, weights, memory = 0.0, np.zeros(3), {"step": float(step)}
        for n, x in enumerate(regressors):
            memory |= {"n": n, "regressors": regressors, "desired": desired[0]}
            error = desired[0, n] - weights @ x
            total += error * error
            weights = update(weights, error, x, memory)
        return total

    return loss


def variable_step(w, e, x, memory):
    moved = w + memory["step"] * e * x
    memory["step"] = float(np.clip(0.9 * memory["step"] + 0.05 * e * e, 0.001, 0.3))
    return moved


def least_squares(w, e, x, memory):
    """Haykin's table 10.1."""
    inverse = memory.get("inverse", np.eye(3) / 0.5)
    gain = inverse @ x / (0.9 + x @ inverse @ x)
    memory["inverse"] = (inverse - np.outer(gain, x @ inverse)) / 0.9
    return w + gain * e


def projection(w, e, x, memory):
    """Of order 2: the last two regressors at once."""
    n, regressors = memory["n"], memory["regressors"]
    block = np.stack([x, regressors[n - 1] if n else np.zeros(3)], axis=1)
    wanted = np.array([memory["desired"][n], memory["desired"][n - 1] if n else 0.0])
    errors = wanted - block.T @ w
    return w + 0.4 * block @ np.linalg.solve(block.T @ block + 0.1 * np.eye(2), errors)


def lms(algorithm, **options):
    return LMSFilter(3, 0.1, algorithm=algorithm, trainable_step_size=True, **options)


NONLINEAR = {
    "sign_error": (
        lambda: lms("sign_error"),
        lambda w, e, x, m: w + m["step"] * np.sign(e) * x,
    ),
    "sign_data": (
        lambda: lms("sign_data"),
        lambda w, e, x, m: w + m["step"] * e * np.sign(x),
    ),
    "sign_sign": (
        lambda: lms("sign_sign"),
        lambda w, e, x, m: w + m["step"] * np.sign(e) * np.sign(x),
    ),
    "variable_step": (
        lambda: lms(
            "variable_step", step_decay=0.9, step_gain=0.05, step_range=(0.001, 0.3)
        ),
        variable_step,
    ),
    "rls": (lambda: RLSFilter(3, 0.9, regularization=0.5), least_squares),
    "affine projection": (
        lambda: AffineProjectionFilter(3, 0.4, order=2, epsilon=0.1),
        projection,
    ),
}


@pytest.mark.parametrize("name", NONLINEAR)
def test_the_gradient_of_every_algorithm_equals_finite_differences(name):
    make, update = NONLINEAR[name]
    rng = np.random.default_rng(6)
    signal, desired = rng.normal(size=(2, 1, 8))
    layer = make()
    inputs = [signal.astype("float32"), desired.astype("float32")]
    layer(*inputs)
    numbers = [signal, desired]
    if layer.trainable_variables:
        numbers.append(np.array(0.1))
    ours = gradients(layer, *inputs)
    assert len(ours) == len(numbers)
    assert_derivatives(ours, squared_errors(update), numbers)


@pytest.mark.parametrize("kind", [LMSFilter, RLSFilter, AffineProjectionFilter])
def test_a_stateful_filter_has_the_gradient_of_a_new_one_in_its_first_call(kind):
    rng = np.random.default_rng(7)
    inputs = list(rng.normal(size=(2, 1, 12)).astype("float32"))
    fresh, carried = kind(3), kind(3, stateful=True)
    for layer in (fresh, carried):
        layer.build((1, 12), (1, 12))
    for mine, other in zip(
        gradients(carried, *inputs), gradients(fresh, *inputs), strict=True
    ):
        assert mine.any()
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [LMSFilter, RLSFilter, AffineProjectionFilter])
def test_the_gradient_of_a_second_chunk_is_that_of_one_call(kind):
    rng = np.random.default_rng(8)
    signal, desired = rng.normal(size=(2, 1, 24)).astype("float32")
    whole, carried = kind(3), kind(3, stateful=True)
    for layer in (whole, carried):
        layer.build((1, 24), (1, 24))
    carried(signal[:, :12], desired[:, :12])
    chunk = gradients(carried, signal[:, 12:], desired[:, 12:])
    # the errors of the first chunk do not depend on the second one's samples
    for mine, other in zip(chunk, gradients(whole, signal, desired), strict=True):
        np.testing.assert_allclose(mine, other[:, 12:], rtol=1e-3, atol=1e-4)
