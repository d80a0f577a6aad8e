"""The radial basis output is the squared distance to the bitmaps."""

import keras
import numpy as np
import pytest

from dlkeras.layers import RBFOutput, digit_bitmaps


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_rbf_equals_equation_7():
    x = np.random.default_rng(0).normal(size=(5, 84)).astype("float32")
    bitmaps = digit_bitmaps()
    expected = [[sum((a - w) ** 2) for w in bitmaps] for a in x.astype("float64")]
    np.testing.assert_allclose(numpy(RBFOutput()(x)), expected, rtol=1e-5)


def test_a_bitmap_itself_is_at_distance_0_and_its_negative_at_336():
    x = digit_bitmaps().astype("float32")
    np.testing.assert_array_equal(np.diag(numpy(RBFOutput()(x))), np.zeros(10))
    np.testing.assert_array_equal(np.diag(numpy(RBFOutput()(-x))), np.full(10, 4 * 84))


def test_digits_are_ten_pictures_of_84_signs_that_lie_apart():
    bitmaps = digit_bitmaps()
    assert bitmaps.shape == (10, 7 * 12)
    assert set(np.unique(bitmaps)) == {-1.0, 1.0}
    differing = (bitmaps[:, None] != bitmaps[None]).sum(axis=-1)
    assert differing[~np.eye(10, dtype=bool)].min() >= 7


def test_fixed_bitmaps_are_no_parameters_and_trained_ones_are():
    for train, count in ((False, 0), (True, 840)):
        layer = RBFOutput(train_bitmaps=train)
        layer.build((None, 84))
        assert sum(int(np.prod(w.shape)) for w in layer.trainable_weights) == count
        assert layer.count_params() == 840


def test_random_bitmaps_are_signs_drawn_from_the_seed():
    layers = [RBFOutput(26, "random", seed=seed) for seed in (1, 1, 2)]
    for layer in layers:
        layer.build((None, 40))
    first, same, other = (numpy(layer.centers) for layer in layers)
    assert set(np.unique(first)) == {-1.0, 1.0}
    assert abs(first.mean()) < 0.15  # 1,040 fair signs: 5 standard deviations
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_own_bitmaps_are_used_as_given():
    layer = RBFOutput(2, [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    x = np.array([[1.0, 2.0, 3.0]], "float32")
    np.testing.assert_allclose(numpy(layer(x)), [[14.0, 0.0]])


@pytest.mark.parametrize(
    ("units", "bitmaps", "received"),
    [
        (26, "digits", "'digits'"),
        (10, "letters", "'letters'"),
        (3, np.zeros((2, 4)), r"an array of shape \(2, 4\)"),
        (2, [1.0, 2.0], r"an array of shape \(2,\)"),
        (1, [[np.nan]], r"an array of shape \(1, 1\)"),
    ],
)
def test_bitmaps_that_do_not_fit_the_units_are_refused(units, bitmaps, received):
    with pytest.raises(ValueError, match=f"bitmaps={received}.*'out'"):
        RBFOutput(units, bitmaps, name="out")


def test_an_input_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"layer 'out' is incompatible.*value 84"):
        RBFOutput(name="out")(np.zeros((1, 83), "float32"))
