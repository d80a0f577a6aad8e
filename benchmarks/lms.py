"""Samples x channels a second of the LMS filter, ours and its peers, in one run.

    KERAS_BACKEND=jax python benchmarks/lms.py            # every size
    KERAS_BACKEND=tensorflow python benchmarks/lms.py --quick
    KERAS_BACKEND=jax python benchmarks/lms.py --gpu      # a GPU against its processor
    KERAS_BACKEND=jax python benchmarks/lms.py --filters  # every filter of the package
    KERAS_BACKEND=jax python benchmarks/lms.py --calls    # what one short call costs
    KERAS_BACKEND=jax python benchmarks/lms.py --forms    # the update's forms

Ours is the layer's ordinary call, float32, on tensors of the backend as the layer gets
them in a model, and again on NumPy arrays, which have to be copied. The peers run on
NumPy arrays in the same process, interleaved with ours, and the table holds medians:
padasip (float64, its own regressor matrix made outside the timing), a NumPy loop and a
numba loop; with many channels the numba loop runs over the channels inside and is
vectorised. Compilation is timed apart. padasip and the NumPy loop run a part of the
samples and are scaled up. On PyTorch ours are loops that numba compiles; beside them
stands the layer without numba, which computes in blocks of samples.

With --gpu the layer runs on JAX's GPU and, in another process, on JAX's processor, in
turns: once with tensors that are and stay where they are computed with, and once from
NumPy arrays and back. Beside them the numba loop, on one core of the processor.

With --calls one filter of 8 taps gets 1,024 samples at a time, beside a Keras layer
that returns its two inputs. With --forms the LMS update runs as one step in the
backend's loop, in the loops that XLA is given and, on TensorFlow, in numba's, in turns;
the table holds the fastest call of each. PyTorch's forms stand in the first table.

With --filters the other filters run on one signal each, beside padasip where it has
them. An echo path of 8,192 taps is found by FFT, in blocks of 1,024 and of 8,192
samples, and by the normalised filter in the time domain, on white and on coloured noise
(first order, 0.95), with how far each has come.
"""

import argparse
import functools
import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

import keras
import numpy as np
import padasip
from numba import njit

from dlkeras.layers import (
    AffineProjectionFilter,
    BlindEqualizer,
    FilteredXLMSFilter,
    FrequencyDomainFilter,
    KernelLMSFilter,
    LMSFilter,
    RLSFilter,
    VolterraFilter,
)
from dlkeras.layers.adaptive import backend
from dlkeras.layers.adaptive.backend import host_loops
from dlkeras.layers.adaptive.filters import lms_rule

SIZES = [
    # channels, taps, samples
    (1, 8, 100_000),
    (1, 32, 100_000),
    (1, 256, 50_000),
    (64, 8, 10_000),
    (64, 32, 5_000),
    (64, 256, 1_000),
    (1024, 8, 2_000),
    (1024, 32, 1_000),
    (1024, 256, 300),
    (1, 8, 1_024),  # a short signal: what a call costs
]


GPU_SIZES = [
    (1024, 8, 2_000),
    (1024, 32, 1_000),
    (1024, 256, 300),
    (65_536, 8, 500),
    (65_536, 32, 300),
    (65_536, 256, 300),
]


def numpy_loop(signal, desired, taps, step):
    """All channels at once, one sample after the other."""
    time_steps, channels = desired.shape
    padded = np.concatenate([np.zeros((taps - 1, channels), "float32"), signal])
    weights = np.zeros((taps, channels), "float32")
    output = np.empty_like(desired)
    for n in range(time_steps):
        frame = padded[n : n + taps]
        output[n] = (weights * frame).sum(axis=0)
        weights += step * (desired[n] - output[n]) * frame
    return output


@njit(fastmath=True)
def numba_one(padded, desired, taps, step):
    weights = np.zeros(taps, np.float32)
    output = np.zeros(desired.shape[0], np.float32)
    for n in range(desired.shape[0]):
        total = np.float32(0)
        for k in range(taps):
            total += weights[k] * padded[n + k]
        output[n] = total
        push = step * (desired[n] - total)
        for k in range(taps):
            weights[k] += push * padded[n + k]
    return output


@njit(fastmath=True)
def numba_many(padded, desired, taps, step):
    time_steps, channels = desired.shape
    weights = np.zeros((taps, channels), np.float32)
    output = np.zeros((time_steps, channels), np.float32)
    push = np.zeros(channels, np.float32)
    for n in range(time_steps):
        for k in range(taps):
            for c in range(channels):
                output[n, c] += weights[k, c] * padded[n + k, c]
        for c in range(channels):
            push[c] = step * (desired[n, c] - output[n, c])
        for k in range(taps):
            for c in range(channels):
                weights[k, c] += push[c] * padded[n + k, c]
    return output


def numba_loop(signal, desired, taps, step):
    channels = desired.shape[1]
    padded = np.concatenate([np.zeros((taps - 1, channels), "float32"), signal])
    if channels == 1:
        return numba_one(padded[:, 0], desired[:, 0], taps, step)[:, None]
    return numba_many(padded, desired, taps, step)


def seconds(function, calls=1):
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def calls_in_50_ms(function):
    """How often a short function has to run to be timed, warm."""
    return max(1, int(0.05 / min(seconds(function) for _ in range(3))))


def noise(channels, taps, samples):
    """Signal and desired response, `(samples, channels)`, and a step."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(samples, channels)).astype("float32")
    desired = rng.normal(size=(samples, channels)).astype("float32")
    return signal, desired, np.float32(0.1 / taps)


def measure(channels, taps, samples, rounds):
    signal, desired, step = noise(channels, taps, samples)
    layer = LMSFilter(taps, float(step))
    inputs = signal[None], desired[None]
    if channels == 1:
        inputs = signal.T.copy(), desired.T.copy()
    tensors = [keras.ops.convert_to_tensor(array) for array in inputs]

    def ours():
        return keras.ops.convert_to_numpy(layer(*tensors)[0])

    def from_numpy():
        return keras.ops.convert_to_numpy(layer(*inputs)[0])

    part = min(samples, 2_000)  # of one channel, for the slow peers
    installed, host_loops.installed = host_loops.installed, lambda: False
    in_blocks = LMSFilter(taps, float(step))
    beginning = [array[:, :part] for array in tensors]
    in_blocks.build(*(array.shape for array in beginning))
    host_loops.installed = installed
    zeros = np.zeros(taps - 1)
    padded = np.concatenate([zeros, signal[:part, 0].astype("float64")])
    regressors = np.lib.stride_tricks.sliding_window_view(padded, taps).copy()
    wanted = desired[:part, 0].astype("float64")

    def of_padasip():
        peer = padasip.filters.FilterLMS(taps, mu=float(step), w="zeros")
        return peer.run(wanted, regressors)[0]

    def of_numpy():
        return numpy_loop(signal[:part], desired[:part], taps, step)

    def of_numba():
        return numba_loop(signal, desired, taps, step)

    compile_ours, compile_numba = seconds(ours), seconds(of_numba)
    mine = ours().reshape(channels, samples).T if channels == 1 else ours()[0]
    assert np.abs(mine - of_numba()).max() < 1e-4
    assert np.abs(mine[:part, 0] - of_padasip()).max() < 1e-4

    contest = {
        "ours": (ours, samples * channels),
        "from NumPy": (from_numpy, samples * channels),
        "padasip": (of_padasip, part),
        "numpy": (of_numpy, part * channels),
        "numba": (of_numba, samples * channels),
    }
    if keras.backend.backend() == "torch":
        contest["blocks"] = (lambda: in_blocks(*beginning), part * channels)
    calls = {name: calls_in_50_ms(run) for name, (run, _) in contest.items()}
    times = {name: [] for name in contest}
    for _ in range(rounds):
        for name, (run, amount) in contest.items():
            times[name].append(seconds(run, calls[name]) / amount)
    rates = {name: 1 / statistics.median(taken) for name, taken in times.items()}
    return rates, compile_ours, compile_numba


def others():
    """Filters of 16 taps by name, and padasip's where it has them."""
    peers = padasip.filters
    return {
        "NLMS": (
            LMSFilter(16, 0.5, algorithm="nlms"),
            lambda: peers.FilterNLMS(16, mu=0.5, w="zeros"),
        ),
        "LMS, Huber": (LMSFilter(16, 0.01, loss="huber"), None),
        "set-membership": (
            LMSFilter(16, 1.0, algorithm="set_membership", error_bound=0.1),
            None,
        ),
        "affine projection, 4": (
            AffineProjectionFilter(16, 0.5, order=4),
            lambda: peers.FilterAP(16, order=4, mu=0.5, w="zeros"),
        ),
        "RLS": (
            RLSFilter(16, 0.999),
            lambda: peers.FilterRLS(16, mu=0.999, w="zeros"),
        ),
        "RLS, inverse QR": (RLSFilter(16, 0.999, form="inverse_qr"), None),
        "frequency domain, 4 x 4": (FrequencyDomainFilter(16, 0.5, block=4), None),
        "filtered-x": (
            FilteredXLMSFilter(16, 0.01, secondary_path=[0, 0.7, 0.2]),
            None,
        ),
        "constant modulus": (BlindEqualizer(16, 1e-4), None),
        "Volterra": (VolterraFilter(16, 1e-3), None),
        "kernel LMS, 50 centres": (KernelLMSFilter(16, 0.5, budget=50), None),
    }


def filters_table(rounds):
    """Print samples a second of every filter, and the echo path of 8,192 taps."""
    samples = 5_000
    rng = np.random.default_rng(0)
    x = rng.normal(size=samples)
    d = np.convolve(x, rng.normal(size=16) / 4)[:samples] + 0.1 * rng.normal(
        size=samples
    )
    inputs = x[None].astype("float32"), d[None].astype("float32")
    frames = np.lib.stride_tricks.sliding_window_view(np.r_[np.zeros(15), x], 16).copy()
    print(f"1 x 16, {samples:,} samples, samples a second, {keras.backend.backend()}")
    contest, times = {}, {}
    for name, (layer, peer) in others().items():
        contest[name] = lambda layer=layer: keras.ops.convert_to_numpy(
            layer(*inputs)[0]
        )
        if peer:
            contest[f"{name}, padasip"] = lambda peer=peer: peer().run(d, frames)
    for name, run in contest.items():
        run()  # compiles
        times[name] = []
    for _ in range(rounds):
        for name, run in contest.items():
            times[name].append(seconds(run))
    for name, taken in times.items():
        print(f"{name:32s} {samples / statistics.median(taken):10.3g}")

    for kind, pole in (("white", 0.0), ("coloured", 0.95)):
        taken = echo_path(kind, pole, rng, rounds)
        for name in ("FFT by 1,024", "FFT by 8,192"):
            print(f"    {name} x NLMS: {taken['NLMS'] / taken[name]:.1f}")


def echo_path(kind, pole, rng, rounds):
    """Print how fast and how far two filters come; return seconds a call."""
    taps, samples = 8192, 12 * 8192
    echo = rng.normal(size=taps) * np.exp(-np.arange(taps) / 1500)
    x = rng.normal(size=samples)
    for n in range(1, samples if pole else 0):
        x[n] += pole * x[n - 1]
    d = np.fft.irfft(np.fft.rfft(x, 2**18) * np.fft.rfft(echo, 2**18))[:samples]
    inputs = x[None].astype("float32"), d[None].astype("float32")
    taken = {}
    for name, layer, calls in (
        *(
            (
                f"FFT by {block:,}",
                FrequencyDomainFilter(taps, 1.0, block=block, stateful=True),
                rounds,
            )
            for block in (1024, 8192)
        ),
        ("NLMS", LMSFilter(taps, 1.0, algorithm="nlms", stateful=True), 2),
    ):

        def run(layer=layer):
            layer.reset_state()
            return keras.ops.convert_to_numpy(layer(*inputs)[1])

        layer.build(*(part.shape for part in inputs))
        run()  # compiles
        taken[name] = statistics.median(seconds(run) for _ in range(calls))
        apart = layer.filter_weights[0] - echo
        level = 10 * np.log10(np.sum(apart**2) / np.sum(echo**2))
        print(
            f"1 x {taps}, {samples:,} samples, {kind}, {name}: "
            f"{samples / taken[name]:.3g} "
            f"samples a second, misalignment {level:.1f} dB",
            flush=True,
        )
    return taken


class Identity(keras.layers.Layer):
    """Returns its two inputs: what Keras takes for a call."""

    def call(self, signal, desired):
        return signal, desired


def calls_table(rounds):
    """Print milliseconds a call of 1 x 8, 1,024 samples: the medians of all rounds."""
    arrays = [array.T.copy() for array in noise(1, 8, 1_024)[:2]]
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    layer, streaming = LMSFilter(8, 0.0125), LMSFilter(8, 0.0125, stateful=True)
    identity = Identity()
    contest = {
        "layer(signal, desired), tensors": lambda: layer(*tensors),
        "the same from NumPy arrays": lambda: layer(*arrays),
        "its `call`, alone": lambda: layer.call(*tensors),
        "stateful, tensors": lambda: streaming(*tensors),
        "a layer that returns its inputs": lambda: identity(*tensors),
    }
    calls = {name: calls_in_50_ms(run) for name, run in contest.items()}
    times = {name: [] for name in contest}
    for _ in range(rounds):
        for name, run in contest.items():
            times[name].append(seconds(run, calls[name]))
    print(f"1 x 8, 1,024 samples, milliseconds a call, {keras.backend.backend()}")
    for name, taken in times.items():
        print(f"{name:32s} {1000 * statistics.median(taken):6.3f}")


def forms_table(rounds):
    """Print milliseconds of one step in a loop, and how much faster the others are."""
    print(f"LMS, float32, {keras.backend.backend()}")
    print("channels taps samples | one step, ms | the others, x")
    forms = ["one step", "loops"]
    if keras.backend.backend() == "tensorflow":
        forms.append("numba")
    for channels, taps, samples in SIZES[:-1]:
        signal, desired, step = noise(channels, taps, samples)
        inputs = signal[None], desired[None]
        if channels == 1:
            inputs = signal.T.copy(), desired.T.copy()
        tensors = [keras.ops.convert_to_tensor(array) for array in inputs]
        taken = {}
        share, installed = lms_rule.elements_at_once, host_loops.installed
        for form in forms:
            # what is compiled is kept by rule: another one is compiled anew
            lms_rule.elements_at_once = (lambda: None) if form == "one step" else share
            host_loops.installed = installed if form == "numba" else lambda: False
            backend.fused.cache_clear()
            layer = LMSFilter(taps, float(step))
            run = functools.partial(layer, *tensors)
            run()  # compiles
            taken[form] = run, []
        for _ in range(rounds):
            for run, times in taken.values():
                times.append(seconds(lambda run=run: [np.asarray(a) for a in run()]))
        fastest = {form: min(times) for form, (_, times) in taken.items()}
        one = fastest.pop("one step")
        shown = ", ".join(f"{form} {one / time:.2f}" for form, time in fastest.items())
        print(
            f"{channels:8d} {taps:4d} {samples:7d} | {1000 * one:12.2f} | {shown}",
            flush=True,
        )


class Device:
    """A process whose JAX computes on the GPU, or on the processor.

    Args:
        platform: "cuda" or "cpu".
    """

    def __init__(self, platform):
        os.environ["JAX_PLATFORMS"] = platform  # the process inherits it
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, mp_context=context)
        self.name = self.pool.submit(_name).result()

    def prepare(self, *size):
        """Make a problem; return the error against the numba loop."""
        return self.pool.submit(_prepare, *size).result()

    def seconds(self, copied):
        """Return seconds a call, whose arrays are copied there and back, or stay."""
        return self.pool.submit(_seconds, copied).result()


# Of a Device's process.
_runs = {}


def _name():
    import jax

    return jax.devices()[0].device_kind


def _prepare(channels, taps, samples):
    import jax

    signal, desired, step = noise(channels, taps, samples)
    layer = LMSFilter(taps, float(step))
    inputs = signal[None], desired[None]
    tensors = jax.block_until_ready(jax.device_put(inputs))
    _runs[False] = lambda: jax.block_until_ready(layer(*tensors))
    _runs[True] = lambda: [np.asarray(array) for array in layer(*inputs)]
    part = slice(0, min(channels, 64))
    expected = numba_loop(signal[:, part].copy(), desired[:, part].copy(), taps, step)
    for run in _runs.values():
        error = np.abs(np.asarray(run()[0])[0, :, part] - expected).max()
        assert error < 1e-4, error


def _seconds(copied):
    calls = calls_in_50_ms(_runs[copied])
    return seconds(_runs[copied], calls)


def gpu_table(rounds):
    """Print samples x channels a second on a GPU, on the processor, and of numba."""
    devices = {"GPU": Device("cuda"), "processor": Device("cpu")}
    names = ", ".join(f"{kind}: {device.name}" for kind, device in devices.items())
    print(f"LMS, float32, samples x channels a second, JAX; {names}")
    print(
        "channels taps samples | GPU stays   copied | processor stays   copied |"
        "    numba | GPU x processor: stays  copied | x numba"
    )
    for size in GPU_SIZES:
        channels, taps, samples = size
        signal, desired, step = noise(*size)
        for device in devices.values():
            device.prepare(*size)
        contest = {
            (kind, copied): functools.partial(device.seconds, copied)
            for kind, device in devices.items()
            for copied in (False, True)
        }
        peer = functools.partial(numba_loop, signal, desired, taps, step)
        contest["numba"] = functools.partial(seconds, peer)
        contest["numba"]()  # compiles
        times = {name: [] for name in contest}
        for _ in range(rounds):
            for name, run in contest.items():
                times[name].append(run())
        rates = {
            name: samples * channels / statistics.median(taken)
            for name, taken in times.items()
        }
        stays, copied = (
            rates["GPU", copied] / rates["processor", copied]
            for copied in (False, True)
        )
        print(
            f"{channels:8d} {taps:4d} {samples:7d} | {rates['GPU', False]:9.3g} "
            f"{rates['GPU', True]:8.3g} | {rates['processor', False]:15.3g} "
            f"{rates['processor', True]:8.3g} | {rates['numba']:8.3g} | "
            f"{stays:22.1f} {copied:7.1f} | "
            f"{rates['GPU', False] / rates['numba']:7.1f}",
            flush=True,
        )
    for device in devices.values():
        device.pool.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two sizes, three rounds")
    parser.add_argument("--gpu", action="store_true", help="on JAX's GPU")
    parser.add_argument("--filters", action="store_true", help="the other filters")
    parser.add_argument("--calls", action="store_true", help="what one call costs")
    parser.add_argument("--forms", action="store_true", help="the update's forms")
    arguments = parser.parse_args()
    if arguments.forms:
        return forms_table(arguments.rounds)
    if arguments.calls:
        return calls_table(arguments.rounds)
    if arguments.filters:
        return filters_table(arguments.rounds)
    if arguments.gpu:
        return gpu_table(arguments.rounds)
    sizes = [SIZES[0], SIZES[3]] if arguments.quick else SIZES
    rounds = 3 if arguments.quick else arguments.rounds
    print(f"LMS, float32, samples x channels a second, {keras.backend.backend()}")
    print(
        "channels taps samples |     ours fr.NumPy  padasip    numpy    numba | "
        "x padasip x numpy x numba | from NumPy: x padasip x numba | compile s (numba)"
    )
    for channels, taps, samples in sizes:
        rates, compiled, compiled_numba = measure(channels, taps, samples, rounds)
        ratio = {name: rates["ours"] / rate for name, rate in rates.items()}
        copied = rates["from NumPy"]
        shown = " ".join(f"{r:8.3g}" for n, r in rates.items() if n != "blocks")
        print(
            f"{channels:8d} {taps:4d} {samples:7d} | {shown} | "
            f"{ratio['padasip']:9.1f} {ratio['numpy']:7.1f} {ratio['numba']:7.2f} | "
            f"{copied / rates['padasip']:21.1f} {copied / rates['numba']:7.2f} | "
            f"{compiled:7.2f} ({compiled_numba:.2f})"
            + (f" | x blocks: {ratio['blocks']:.0f}" if "blocks" in ratio else ""),
            flush=True,
        )


if __name__ == "__main__":
    main()
