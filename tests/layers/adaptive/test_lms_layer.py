"""LMSFilter as a Keras layer: saving, data types, gradients, reports and bad input."""

import json
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from dlkeras.layers import LMSFilter
from dlkeras.optimization import stability

BACKEND = keras.backend.backend()


def signals(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape).astype("float32") for _ in range(2))


def arrays(outputs):
    return [ops.convert_to_numpy(output) for output in outputs]


NON_DEFAULT = {
    "step_size": 0.02,
    "algorithm": "variable_step",
    "leakage": 0.1,
    "momentum": 0.3,
    "epsilon": 0.5,
    "step_decay": 0.9,
    "step_gain": 0.001,
    "step_range": (0.001, 0.03),
    "trainable_step_size": True,
    "initial_weights": "ones",
    "return_weights": True,
    "on_divergence": "warn",
    "input_type": "multi_input",
}


def test_config_survives_json_and_gives_the_same_filter():
    signal, _ = signals(2, 50, 3)
    _, desired = signals(2, 50)
    layer = LMSFilter(4, **NON_DEFAULT, name="echo")
    again = LMSFilter.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()
    for mine, other in zip(
        arrays(layer(signal, desired)), arrays(again(signal, desired)), strict=True
    ):
        np.testing.assert_array_equal(mine, other)


def model_of(layer, batch=None, time=None):
    signal = keras.Input((time, 2), batch_size=batch)
    desired = keras.Input((time, 2), batch_size=batch)
    return keras.Model([signal, desired], list(layer(signal, desired)))


def test_a_saved_model_streams_on_where_it_stopped(tmp_path):
    signal, desired = signals(2, 60, 2)
    model = model_of(LMSFilter(4, 0.05, stateful=True), batch=2)
    first = [signal[:, :30], desired[:, :30]]
    second = [signal[:, 30:], desired[:, 30:]]
    model(first)
    model.save(tmp_path / "filter.keras")
    again = keras.saving.load_model(tmp_path / "filter.keras")
    for mine, other in zip(arrays(model(second)), arrays(again(second)), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_functional_model_takes_any_batch_and_time_and_adapts_in_predict():
    model = model_of(LMSFilter(4, 0.05))
    assert model.output_shape == [(None, None, 2), (None, None, 2)]
    for batch, time in ((3, 40), (1, 25)):
        signal, desired = signals(batch, time, 2)
        eager = arrays(LMSFilter(4, 0.05)(signal, desired))
        predicted = model.predict([signal, desired], verbose=0)
        for mine, other in zip(predicted, eager, strict=True):
            assert other[:, -1].any()
            np.testing.assert_allclose(mine, other, atol=1e-6)


def test_predict_carries_the_state_of_a_stateful_filter():
    signal, desired = signals(2, 40, 2)
    model = model_of(LMSFilter(4, 0.05, stateful=True), batch=2)
    parts = [
        model.predict([signal[:, n : n + 20], desired[:, n : n + 20]], verbose=0)[0]
        for n in (0, 20)
    ]
    whole = arrays(LMSFilter(4, 0.05)(signal, desired))[0]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)


def test_fit_trains_the_step_size_towards_a_smaller_error():
    rng = np.random.default_rng(5)
    signal = rng.normal(size=(16, 100)).astype("float32")
    desired = np.stack([np.convolve(s, [1.0, -0.5])[:100] for s in signal])
    layer = LMSFilter(2, 0.005, trainable_step_size=True)
    inputs = [keras.Input((100,)), keras.Input((100,))]
    model = keras.Model(inputs, layer(*inputs)[1])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    data = [signal, desired.astype("float32")]
    history = model.fit(data, np.zeros((16, 100)), epochs=10, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    assert float(ops.convert_to_numpy(layer.step_size_weight)) > 0.01


def test_inside_a_bfloat16_model_the_filter_stays_float32():
    signal, desired = signals(1, 300)
    exact = arrays(LMSFilter(8, 0.02)(signal, desired))[1]
    half = LMSFilter(8, 0.02, dtype="mixed_bfloat16", stateful=True)
    _, error = half(signal, desired)
    assert keras.backend.standardize_dtype(error.dtype) == "bfloat16"
    assert half.filter_weights.dtype == "float32"
    error = ops.convert_to_numpy(ops.cast(error, "float32"))
    # nothing but the rounding of the output: 8 bits
    np.testing.assert_allclose(error, exact, rtol=2**-8, atol=1e-6)


def test_float64_is_exact_to_float64():
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    try:
        signal, desired = (s.astype("float64") for s in signals(1, 200))
        error = LMSFilter(1, 0.01, dtype="float64")(signal, desired)[1]
        assert keras.backend.standardize_dtype(error.dtype) == "float64"
        w = 0.0
        for n in range(200):
            e = desired[0, n] - w * signal[0, n]
            assert abs(float(error[0, n]) - e) < 1e-12
            w += 0.01 * e * signal[0, n]
    finally:
        if BACKEND == "jax":
            jax.config.update("jax_enable_x64", False)


def test_an_empty_batch_gives_empty_outputs():
    output, error = LMSFilter(4, 0.1)(np.zeros((0, 20)), np.zeros((0, 20)))
    assert tuple(output.shape) == tuple(error.shape) == (0, 20)


# Divergence and bad input.


def bound_of_white_noise(taps, power):
    """Mean-square bound for equal eigenvalues: 2 / (lambda (taps + 2))."""
    return 2 / (power * (taps + 2))


def safe_step_of_white_noise(taps, power):
    """Feuer and Weinstein's 2 / (3 tr R)."""
    return 2 / (3 * taps * power)


def test_the_bound_of_white_input_is_2_over_lambda_times_taps_plus_2():
    for taps, power in ((1, 1.0), (8, 0.5)):
        found = stability.mean_square_bound(np.full(taps, power))
        assert found == pytest.approx(bound_of_white_noise(taps, power), rel=1e-12)


def test_a_step_above_the_bound_is_warned_of_with_the_safe_one_first():
    signal, desired = signals(1, 5000)
    layer = LMSFilter(8, 0.25, on_divergence="warn", name="fast")
    with pytest.warns(RuntimeWarning) as caught:
        layer(signal, desired)
    message = str(caught[0].message)
    assert "LMSFilter 'fast' expects step_size below" in message
    assert "step_size=0.25" in message
    limit = float(message.split("below ")[1].split(",")[0])
    assert limit == pytest.approx(safe_step_of_white_noise(8, 1.0), rel=0.1)
    independent = float(message.split("each other from ")[1].split(",")[0])
    assert independent == pytest.approx(bound_of_white_noise(8, 1.0), rel=0.1)


@pytest.mark.filterwarnings("ignore:LMSFilter:RuntimeWarning")
def test_a_run_away_that_comes_back_is_reported():
    """A loud burst in the middle drives the weights off; the quiet end is no proof."""
    signal = np.full((1, 800), 0.1, "float32")
    signal[:, 300:340] = 2.0
    signal[:, 340:] = 1.0
    desired = np.sin(np.arange(800, dtype="float32"))[None]
    # at 2 each sample multiplies the weight's error by 1 - 0.7 * 4, at 1 by 0.3
    layer = LMSFilter(1, 0.7, on_divergence="ignore")
    error = np.abs(arrays(layer(signal, desired))[1][0])
    assert error[300:345].max() > 1e8
    assert error[500:].max() < 10
    with pytest.raises(FloatingPointError, match="diverged"):
        LMSFilter(1, 0.7)(signal, desired)


def test_a_loud_passage_is_no_run_away():
    rng = np.random.default_rng(9)
    signal = rng.normal(size=(1, 800)).astype("float32")
    signal[:, 300:400] *= 100
    desired = np.stack([np.convolve(signal[0], [1.0, -0.5])[:800]]).astype("float32")
    LMSFilter(2, 0.5, algorithm="nlms")(signal, desired)


def test_a_step_below_the_bound_is_not_warned_of():
    signal, desired = signals(1, 5000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LMSFilter(8, 0.15)(signal, desired)


@pytest.mark.filterwarnings("ignore:LMSFilter:RuntimeWarning")
def test_a_divergence_raises_with_the_bound_that_was_broken():
    signal, desired = signals(2, 400, 2)
    signal[1, :, 0] *= 10
    layer = LMSFilter(8, 0.05, stateful=True, name="loud")
    with pytest.raises(FloatingPointError) as caught:
        layer(signal, desired)
    message = str(caught.value)
    assert "LMSFilter 'loud' diverged in 1 of 4 filters (number 2" in message
    assert "step_size=0.05" in message
    limit = float(message.split("below ")[1].split(",")[0])
    assert limit == pytest.approx(safe_step_of_white_noise(8, 100.0), rel=0.3)
    assert not layer.filter_weights.any(), "a failed call leaves the state alone"


@pytest.mark.filterwarnings("ignore:LMSFilter 'quiet' expects:RuntimeWarning")
def test_a_divergence_may_be_a_warning_or_ignored():
    signal, desired = signals(1, 400)
    layer = LMSFilter(8, 2.0, on_divergence="warn", name="quiet")
    with pytest.warns(RuntimeWarning, match="'quiet' diverged in 1 of 1"):
        layer(signal, desired)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LMSFilter(8, 2.0, on_divergence="ignore")(signal, desired)


@pytest.mark.filterwarnings("ignore:LMSFilter:RuntimeWarning")
def test_a_growing_error_is_reported_before_it_overflows():
    _, desired = signals(1, 200)
    # each sample multiplies the weights' error by 1 - 2.4: 1e8 after 60
    layer = LMSFilter(1, 2.4, on_divergence="ignore")
    error = arrays(layer(np.ones((1, 60), "float32"), desired[:, :60]))[1]
    assert np.isfinite(error).all()
    with pytest.raises(FloatingPointError, match="diverged"):
        LMSFilter(1, 2.4)(np.ones((1, 60), "float32"), desired[:, :60])


def test_a_divergence_in_a_later_call_of_arrays_raises_too():
    signal, desired = signals(1, 400)
    layer = LMSFilter(8, 0.05, name="later")
    layer(signal, desired)
    with pytest.raises(FloatingPointError, match="'later' diverged in 1 of 1"):
        layer(10 * signal, desired)


def test_a_quiet_last_sample_of_a_short_chunk_is_no_divergence():
    # the first error is 0, the last 1 where the desired response is 0
    signal, desired = np.ones((2, 1, 10), "float32")
    desired[0, -1] = 0
    layer = LMSFilter(1, 1e-6, initial_weights="ones", stateful=True)
    error = arrays(layer(signal, desired))[1]
    assert error[0, -1] == pytest.approx(-1, abs=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_divergence_inside_predict_is_not_silent():
    signal, desired = signals(1, 400, 2)
    model = model_of(LMSFilter(8, 2.0, name="hidden"))
    with pytest.raises(Exception, match=r"LMSFilter .*hidden.* diverged"):
        model.predict([signal, desired], verbose=0)


@pytest.mark.parametrize("step", [0, -0.1, float("nan"), float("inf")])
def test_a_step_that_is_not_positive_is_refused(step):
    with pytest.raises(ValueError, match=r"expects step_size to be positive.*Received"):
        LMSFilter(4, step)


def test_a_normalised_step_of_2_is_warned_of():
    with pytest.warns(RuntimeWarning, match="below 2, the bound of the normalised"):
        LMSFilter(4, 2.0, algorithm="nlms")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"taps": 0}, "taps to be an integer of at least 1"),
        ({"taps": 2.5}, "taps to be an integer"),
        ({"algorithm": "LMS"}, "algorithm to be one of"),
        ({"leakage": -1}, "leakage"),
        ({"momentum": 1}, "momentum"),
        ({"epsilon": 0}, "epsilon to be positive"),
        ({"step_decay": 1}, "step_decay"),
        ({"step_gain": 0}, "step_gain"),
        ({"step_range": (1, 0)}, "step_range"),
        ({"input_type": "frames"}, "input_type to be one of"),
        ({"on_divergence": "stop"}, "on_divergence"),
        ({"algorithm": "sign_error", "complex_valued": True}, "real signals"),
    ],
    ids=str,
)
def test_an_argument_out_of_range_is_refused_by_name(options, words):
    options = {"taps": 4, **options}
    with pytest.raises(ValueError, match=words) as caught:
        LMSFilter(**options, name="strict")
    assert "LMSFilter 'strict' expects" in str(caught.value)
    assert "Received: " in str(caught.value)


@pytest.mark.parametrize(
    ("options", "shape", "wanted", "words"),
    [
        ({}, (1, 3), (1, 3), "a signal at least as long as the filter"),
        ({}, (1, 20), (1, 19), r"desired response to have the shape \(1, 20\)"),
        ({}, (1, 20, 2), (1, 20), "desired response to have the shape"),
        ({}, (1, 2, 20, 1), (1, 20), r"inputs of shape \(batch, time\)"),
        ({}, (1, 20, 0), (1, 20, 0), "known size"),
        ({"input_type": "regressors"}, (1, 20, 3), (1, 20), r"\(batch, time, 4\)"),
        ({"input_type": "multi_input"}, (1, 20), (1, 20), r"time, channels\)"),
    ],
    ids=str,
)
def test_a_shape_that_does_not_fit_is_refused_by_name(options, shape, wanted, words):
    layer = LMSFilter(4, 0.1, name="strict", **options)
    with pytest.raises(ValueError, match=words) as caught:
        layer(np.zeros(shape, "float32"), np.zeros(wanted, "float32"))
    assert "LMSFilter 'strict' expects" in str(caught.value)


def test_a_stateful_filter_needs_its_batch_size():
    with pytest.raises(ValueError, match="a fixed batch size"):
        model_of(LMSFilter(4, 0.1, stateful=True))


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64"])
def test_signals_that_are_not_real_floats_are_refused(dtype):
    signal = np.zeros((1, 20), dtype)
    with pytest.raises(TypeError, match=f"to be real floats.*Received: dtype='{dtype}"):
        LMSFilter(4, 0.1)(signal, np.zeros((1, 20), "float32"))


def test_a_call_without_a_desired_response_says_what_is_missing():
    with pytest.raises(ValueError, match="a desired response"):
        LMSFilter(4, 0.1)(np.zeros((1, 20), "float32"))


def test_lists_and_signals_without_a_batch_axis_are_taken():
    signal, desired = signals(1, 50)
    exact = arrays(LMSFilter(4, 0.05)(signal, desired))
    for axes, *pair in (
        (1, signal[0], desired[0]),
        (1, signal[0].tolist(), desired[0].tolist()),
        (1, [signal[0], desired[0]]),
        (2, signal.tolist(), desired.tolist()),
    ):
        found = arrays(LMSFilter(4, 0.05)(*pair))
        for mine, other in zip(found, exact, strict=True):
            wanted = other if mine.ndim == 2 else other[0]
            assert mine.ndim == axes
            assert mine.shape == wanted.shape
            np.testing.assert_allclose(mine, wanted, atol=1e-6)
    gate = np.arange(50) % 2 == 0
    alone = LMSFilter(4, 0.05)(signal[0], desired[0], adapt=gate)
    batch = LMSFilter(4, 0.05)(signal, desired, adapt=gate[None])
    np.testing.assert_array_equal(arrays(alone)[1], arrays(batch)[1][0])


def test_a_filter_of_two_channels_without_a_batch_axis_has_one_added():
    signal, _ = signals(1, 50, 2)
    _, desired = signals(1, 50)
    exact = arrays(LMSFilter(4, 0.05, input_type="multi_input")(signal, desired))
    found = LMSFilter(4, 0.05, input_type="multi_input")(signal[0], desired[0])
    np.testing.assert_array_equal(arrays(found)[1], exact[1][0])


def test_sixteen_bit_audio_is_refused_with_the_line_that_scales_it():
    sound = (1000 * next(signals(1, 50))).astype("int16")
    with pytest.raises(TypeError) as caught:
        LMSFilter(4, 0.05)(sound, sound)
    line = str(caught.value).split("real floats (")[1].split(" scales")[0]
    assert line == 'inputs = inputs.astype("float32") / 32768'
    scope = {"inputs": sound}
    exec(line, scope)
    assert np.abs(scope["inputs"]).max() <= 1
    LMSFilter(4, 0.05)(scope["inputs"], scope["inputs"])


def test_the_first_variable_step_is_clipped_to_its_range():
    signal, desired = signals(1, 30)
    for given, used in ((0.5, 0.03), (1e-5, 0.001)):
        made = [
            LMSFilter(2, step, algorithm="variable_step", step_range=(0.001, 0.03))
            for step in (given, used)
        ]
        ours, theirs = (arrays(layer(signal, desired)) for layer in made)
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_matlabs_leakage_factor_is_recognised():
    with pytest.warns(RuntimeWarning, match=r"MATLAB.*leakage=0\.1$"):
        LMSFilter(4, 0.01, leakage=0.999)  # (1 - 0.999) / 0.01


def test_a_subclass_that_overrides_call_is_asked_every_time():
    class Doubled(LMSFilter):
        def call(self, inputs, desired=None, adapt=True):
            output, error = super().call(inputs, desired, adapt)
            return 2 * output, error

    signal, desired = signals(1, 60)
    layer, plain = Doubled(4, 0.05), LMSFilter(4, 0.05)
    wanted = 2 * arrays(plain(signal, desired))[0]
    for _ in range(3):
        np.testing.assert_array_equal(arrays(layer(signal, desired))[0], wanted)
    seen = []
    original, plain.call = plain.call, lambda *a, **k: seen.append(a) or original(*a)
    for _ in range(3):
        plain(signal, desired)
    assert len(seen) == 3
