"""The LMS recursion in one GPU kernel: interpreted here, and translated for a GPU."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("the kernel is JAX's", allow_module_level=True)

import jax

from dlkeras.layers.adaptive.backend.jax import MANY, MOST_TAPS, pallas_lms

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def float64_loop(weights, signal, desired, step, stride, signs):
    """The recursion, one sample after the other: last weights and output."""
    weights, output = weights.astype("float64"), np.empty(desired.shape)
    steps = np.broadcast_to(step, desired.shape)
    for n in range(len(desired)):
        frame = signal[n * stride : n * stride + len(weights)].astype("float64")
        output[n] = (weights * frame).sum(axis=0)
        error = desired[n] - output[n]
        push = steps[n] * (np.sign(error) if signs[0] else error)
        weights = weights + push * (np.sign(frame) if signs[1] else frame)
    return weights, output


def problem(taps, filters, time, stride=1, dtype="float32"):
    """Weights, signal, desired response of noise, and a step that is stable."""
    random = np.random.default_rng(taps + filters)
    shapes = (taps, filters), (time * stride + taps - stride, filters), (time, filters)
    arrays = (random.normal(size=shape).astype(dtype) for shape in shapes)
    return *arrays, np.asarray(0.1 / taps, dtype)


def assert_is_the_loop(arrays, stride=1, signs=(False, False)):
    dtype = arrays[1].dtype.name
    with jax.enable_x64(dtype == "float64"):
        found = pallas_lms(
            *map(jax.numpy.asarray, arrays), stride=stride, signs=signs, interpret=True
        )
    for array, wanted in zip(found, float64_loop(*arrays, stride, signs), strict=True):
        assert array.dtype == dtype
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(array, wanted, atol=TOLERANCE[dtype] * scale, rtol=0)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("taps", [1, 7, 8, 33])
@pytest.mark.parametrize("filters", [1, 8, 13])
def test_any_number_of_taps_and_filters_is_the_loop(taps, filters, dtype):
    assert_is_the_loop(problem(taps, filters, 20, dtype=dtype))


def test_many_filters_have_wide_blocks():
    assert_is_the_loop(problem(4, MANY + 5, 6))


def test_the_longest_filters_are_the_loop():
    assert_is_the_loop(problem(MOST_TAPS - 1, 9, 5))


@pytest.mark.parametrize("signs", [(True, False), (False, True), (True, True)])
def test_signs_are_taken_of_error_and_regressor(signs):
    assert_is_the_loop(problem(5, 6, 30), signs=signs)


def test_a_step_for_each_sample_and_each_filter_is_used():
    *arrays, step = problem(5, 6, 30)
    random = np.random.default_rng(0)
    each = (random.uniform(size=(30, 6)) * step).astype("float32")
    assert_is_the_loop([*arrays, each])
    assert_is_the_loop([*arrays, each[0]])


def test_regressors_may_move_on_by_several_rows():
    assert_is_the_loop(problem(6, 5, 12, stride=3), stride=3)
    assert_is_the_loop(problem(6, 5, 12, stride=6), stride=6)


def test_a_batch_of_problems_is_mapped():
    arrays = problem(5, 6, 12)
    pairs = [np.stack([array, 2 * array]) for array in arrays[:3]]

    def run(*arrays):
        return pallas_lms(
            *arrays, arrays[0][0, 0] * 0 + 0.02, stride=1, signs=(False, False),
            interpret=True,
        )  # fmt: skip

    weights, output = jax.vmap(run)(*pairs)
    for at in range(2):
        expected = float64_loop(*(p[at] for p in pairs), 0.02, 1, (False, False))
        np.testing.assert_allclose(weights[at], expected[0], atol=1e-4)
        np.testing.assert_allclose(output[at], expected[1], atol=1e-4)


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
@pytest.mark.parametrize("stride", [1, 3])
def test_the_kernel_is_translated_for_an_nvidia_gpu(stride):
    """As far as JAX goes without one: a kernel in Triton's language."""
    shapes = [
        jax.ShapeDtypeStruct(array.shape, array.dtype)
        for array in problem(6, 40, 12, stride=stride)
    ]
    run = jax.jit(lambda *arrays: pallas_lms(*arrays, stride=stride, signs=(0, 0)))
    try:
        lowered = run.trace(*shapes).lower(lowering_platforms=("cuda",))
    except RuntimeError as error:
        if "No supported GPU devices found" not in str(error):
            raise
        pytest.skip("this version of JAX translates beside a GPU alone")
    assert "triton" in lowered.as_text()
