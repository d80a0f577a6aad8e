"""Every algorithm and option at complex64 and complex128, beside a complex128 loop."""

import contextlib

import keras
import numpy as np
import pytest

from dlkeras.layers import AffineProjectionFilter, LMSFilter, RLSFilter

TAPS, TIME = 3, 60


@contextlib.contextmanager
def double_precision(dtype):
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    with jax.enable_x64(dtype == "complex128"):
        yield


class Loop:
    """The recursions, one sample after the other, each as its paper writes it."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.weights = self.before = np.zeros(TAPS, complex)
        self.inverse, self.loudest = np.eye(TAPS) / 0.1, 0.0
        self.step = options.get("step_size", 0.05)

    def update(self, error, x, block, errors):
        given = self.options.get
        weights, power = self.weights, np.vdot(x, x).real
        if self.name == "rls":
            gain = self.inverse @ x / (0.98 + np.vdot(x, self.inverse @ x))
            self.inverse = self.inverse - np.outer(gain, x.conj() @ self.inverse)
            self.inverse = self.inverse / 0.98
            after = weights + gain * np.conj(error)
        elif self.name == "projection":
            gram = block.conj().T @ block + 0.1 * np.eye(2)
            after = weights + 0.5 * block @ np.linalg.solve(gram, errors.conj())
        else:
            mu, size = self.step, abs(error)
            if given("algorithm") == "nlms":
                self.loudest = max(self.loudest, power)
                mu = mu / (power + given("epsilon", 1e-3 * self.loudest / TAPS))
            push = {
                "squared": 1.0,
                "fourth": size**2,
                "log_cosh": 0.5 * np.tanh(size / 0.5) / size,
                "correntropy": np.exp(-(size**2) / (2 * 0.5**2)),
                "huber": min(1.0, 0.5 / size),
            }[given("loss", "squared")]
            after = (1 - self.step * given("leakage", 0.0)) * weights
            after = after + mu * push * np.conj(error) * x
            after = after + given("momentum", 0.0) * (weights - self.before)
            if given("algorithm") == "variable_step":
                self.step = min(max(0.97 * self.step + 4.8e-4 * size**2, 0.01), 0.06)
        self.before, self.weights = weights, after


def expected(name, options, signal, desired, adapt=True):
    loop = Loop(name, options)
    padded = np.concatenate([np.zeros(TAPS), signal])
    frames = np.lib.stride_tricks.sliding_window_view(padded, TAPS)[:, ::-1]
    outputs = np.full(TIME, np.nan, complex)
    for n in range(TIME):
        x, older = frames[n + 1], frames[n]
        if not np.isfinite(x).all():
            continue
        outputs[n] = np.vdot(loop.weights, x)
        if adapt and np.isfinite(desired[n]):
            block = np.stack([x, older], axis=1)
            wanted = np.array([desired[n], desired[n - 1] if n else 0])
            if not (np.isfinite(block).all() and np.isfinite(wanted).all()):
                block, wanted = np.stack([x, 0 * x], axis=1), np.array([desired[n], 0])
            errors = wanted - loop.weights.conj() @ block
            loop.update(desired[n] - outputs[n], x, block, errors)
    return outputs


OPTIONS = {
    "lms": {},
    "leakage": {"leakage": 0.3},
    "momentum": {"momentum": 0.4},
    "leakage and momentum": {"leakage": 0.3, "momentum": 0.4},
    "nlms": {"algorithm": "nlms"},
    "nlms, absolute": {"algorithm": "nlms", "epsilon": 0.1},
    "variable step": {"algorithm": "variable_step", "step_range": (0.01, 0.06)},
    **{
        loss: {"loss": loss, "loss_scale": 0.5}
        for loss in ("log_cosh", "correntropy", "huber")
    },
    "fourth": {"loss": "fourth", "step_size": 0.005},
    "rls": {"regularization": 0.1, "forgetting": 0.98},
    "rls, inverse qr": {
        "regularization": 0.1,
        "forgetting": 0.98,
        "form": "inverse_qr",
    },
    "projection": {"epsilon": 0.1, "order": 2},
}


def made(name, dtype, **more):
    options = {**OPTIONS[name], **more, "complex_valued": True}
    options["dtype"] = "float64" if dtype == "complex128" else "float32"
    if name.startswith("rls"):
        return RLSFilter(TAPS, **options)
    if name == "projection":
        return AffineProjectionFilter(TAPS, 0.5, **options)
    return LMSFilter(TAPS, **{"step_size": 0.05, **options})


def signals(broken=False):
    rng = np.random.default_rng(1)
    signal, noise = rng.normal(size=(2, TIME)) + 1j * rng.normal(size=(2, TIME))
    system = rng.normal(size=TAPS) + 1j * rng.normal(size=TAPS)
    desired = np.convolve(signal, system)[:TIME] + 0.1 * noise
    if broken:
        signal[20], desired[40] = np.nan, np.inf
    return signal, desired


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_the_loop_with_samples_that_are_not_finite_and_frozen(name, dtype):
    kind = name.split(",")[0]
    tolerance = 1e-10 if dtype == "complex128" else 2e-4
    with double_precision(dtype):
        for broken in (False, True):
            signal, desired = (a.astype(dtype) for a in signals(broken))
            layer = made(name, dtype)
            found = layer(signal[None], desired[None])[0]
            assert keras.backend.standardize_dtype(found.dtype) == dtype
            wanted = expected(kind, OPTIONS[name], signal, desired)
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(found)[0], wanted, atol=tolerance, rtol=0
            )
        # the same layer, told to filter only
        still = made(name, dtype, stateful=True)
        frozen = still(signal[None], desired[None], adapt=False)[0]
        wanted = expected(kind, OPTIONS[name], signal, desired, adapt=False)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(frozen)[0], wanted)
