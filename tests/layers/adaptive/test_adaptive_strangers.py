"""What a stranger does to an adaptive filter, to every one that the package has."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import dlkeras.layers
from dlkeras.layers import LMSFilter
from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter

FILTERS = {
    name: layer
    for name, layer in vars(dlkeras.layers).items()
    if isinstance(layer, type) and issubclass(layer, AdaptiveFilter)
}
# What a filter cannot do without.
NEEDED = {
    "FilteredXLMSFilter": {"secondary_path": [0.0, 1.0]},
    "FrequencyDomainFilter": {"block": 4},
}


def make(name, **options):
    return FILTERS[name](4, **NEEDED.get(name, {}), name="mine", **options)


def arrays(outputs):
    return [keras.ops.convert_to_numpy(part) for part in outputs]


def noise(*shape):
    return np.random.default_rng(0).normal(size=(2, *shape))


@pytest.mark.parametrize("name", FILTERS)
def test_any_length_and_any_scale_is_filtered_or_refused_in_a_line(name):
    layer = make(name)
    x, d = 0.3 * noise(37)
    for part in arrays(layer(x, d)):
        assert part.shape == (37,)
        assert np.isfinite(part).all()
    for scale in (1e-30, 1e-18, 1e9, 1e15):
        try:
            found = arrays(layer(x * scale, d * scale))
        except FloatingPointError as error:
            assert scale > 1, error  # silence drives no filter away
            assert "'mine' diverged in 1 of 1 filters" in str(error)
        else:
            assert all(np.isfinite(part).all() for part in found), scale
    with pytest.raises(TypeError, match=r"astype\(\"float32\"\) / 32768 scales them"):
        layer(*(1000 * noise(1, 37)).astype("int16"))
    with pytest.raises(TypeError, match="real floats"):
        layer(*(1j * noise(1, 37)))
    with pytest.raises(ValueError, match="'mine' expects"):
        layer(*noise(1, 2, 3, 4))


@pytest.mark.parametrize("name", FILTERS)
def test_a_stream_takes_nothing_and_one_sample_or_says_what_it_takes(name):
    layer = make(name, stateful=True)
    assert [part.shape for part in arrays(layer(*noise(1, 0)))] == [(1, 0)] * 2
    before = layer.filter_weights
    try:
        found = arrays(layer(*(0.1 * noise(1, 1))))
    except ValueError as error:
        assert "whole blocks" in str(error)
    else:
        assert [part.shape for part in found] == [(1, 1)] * 2
        assert all(np.isfinite(part).all() for part in found)
    assert layer.filter_weights.shape == before.shape == (1, 4)
    layer.reset_state()
    np.testing.assert_array_equal(layer.filter_weights, before)


@pytest.mark.parametrize("name", FILTERS)
def test_in_a_model_of_half_precision_it_stays_what_it_is(name):
    x, d = (0.3 * noise(1, 24)).astype("float32")
    expected = arrays(make(name)(x, d))
    inputs = keras.Input((24,)), keras.Input((24,))
    layer = make(name, dtype="mixed_float16")
    inner = keras.Model(inputs, layer(*inputs))
    outer = keras.Model(inputs, inner(inputs))  # a model inside a model
    for part, wanted in zip(outer.predict([x, d], verbose=0), expected, strict=True):
        assert part.dtype == np.float16
        np.testing.assert_allclose(part, wanted, atol=5e-3)


class Foreign:
    """An array of another library: it has a shape, and NumPy can read it."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


def test_arrays_of_other_libraries_and_variables_are_signals():
    x, d = noise(2, 24).astype("float32")
    adapt = np.arange(24) < 12
    for rows in (slice(None), 0):  # a batch, and a signal alone
        pair = x[rows], d[rows]
        expected = arrays(make("LMSFilter")(*pair, adapt=adapt))
        for kind in (Foreign, keras.Variable):
            found = arrays(make("LMSFilter")(*map(kind, pair), adapt=Foreign(adapt)))
            np.testing.assert_array_equal(found, expected)


def test_every_filter_stands_in_the_tables():
    page = Path(__file__).parents[3] / "docs" / "layers" / "adaptive_filters.md"
    for text, mark in ((page.read_text("utf-8"), "`"), (dlkeras.layers.__doc__, "")):
        for name in FILTERS:
            assert re.search(rf"^\| {mark}{name}\b", text or "", re.M), name


def test_samples_of_the_other_byte_order_are_signals():
    x = np.random.default_rng(3).normal(size=(1, 40))
    expected, found = (
        keras.ops.convert_to_numpy(LMSFilter(2, 0.05)(*[x.astype(dtype)] * 2)[1])
        for dtype in ("float32", ">f4")
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda x: LMSFilter(2)([[1.0, 2.0], [1.0]], x), "rows have one length"),
        (lambda x: LMSFilter(2)(["a", "b"], ["a", "b"]), "lists of numbers"),
        (lambda x: LMSFilter(2)(x, x, adapt=np.ones((1, 3), bool)), r"shape \(1, 40\)"),
        (lambda x: LMSFilter(2, np.array([0.1, 0.2])), "one number"),
        (lambda x: LMSFilter(2, "0.1"), "one number"),
    ],
)
def test_what_is_no_signal_and_no_step_is_refused_in_a_line(use, words):
    with pytest.raises(ValueError, match=words):
        use(np.ones((1, 40), "float32"))
