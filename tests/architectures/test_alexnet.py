"""AlexNet against Table 13-2 of the course and the paper of 2012."""

import keras
import numpy as np
import pytest
from published import TABLES, built, parameters

from dlkeras.architectures import alexnet
from dlkeras.layers import LocalResponseNormalization

ROWS = TABLES["table_13_2"]["rows"]
TYPES = {
    "Convolution": keras.layers.Conv2D,
    "Max Pooling": keras.layers.MaxPooling2D,
    "Fully Connected": keras.layers.Dense,
}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_table_13_2_is_a_layer(row):
    name, kind, maps, size, kernel, stride, padding, activation = row
    layer = built("alexnet", version="table").get_layer(name)
    assert isinstance(layer, TYPES[kind])
    if kind == "Fully Connected":
        assert layer.output.shape == (None, size)
    else:
        if name == "C1":  # SAME padding at stride 4: the printed 55 cannot be had
            assert size == 55
            size = -(-224 // stride)
            assert size == 56
        assert layer.output.shape == (None, size, size, maps)
        window = layer.kernel_size if kind == "Convolution" else layer.pool_size
        assert tuple(window) == (kernel, kernel)
        assert tuple(layer.strides) == (stride, stride)
        assert layer.padding == padding
    if activation:
        assert layer.activation.__name__ == activation


def test_the_printed_55x55_maps_come_from_227_pixels_without_padding():
    for options in ({}, {"version": "table", "padding": "valid"}):
        model = built("alexnet", input_shape=(227, 227, 3), **options)
        assert model.get_layer("C1").output.shape == (None, 55, 55, 96)
        assert model.get_layer("S2").output.shape == (None, 27, 27, 96)


def test_without_the_pooling_behind_c7_f8_has_177_million_weights():
    model = built("alexnet", version="table", pool_after_c7=False)
    assert model.get_layer("F8").count_params() == 13 * 13 * 256 * 4096 + 4096


def test_c3_c6_and_c7_read_half_of_the_maps_in_2012():
    model = built("alexnet")
    groups = {n: model.get_layer(n).groups for n in ("C1", "C3", "C5", "C6", "C7")}
    assert groups == {"C1": 1, "C3": 2, "C5": 1, "C6": 2, "C7": 2}
    assert model.get_layer("C3").kernel.shape == (5, 5, 48, 256)


def test_local_response_normalisation_has_the_papers_constants_behind_c1_and_c3():
    model = built("alexnet")
    found = [x for x in model.layers if isinstance(x, LocalResponseNormalization)]
    assert [layer.name for layer in found] == ["C1_normalization", "C3_normalization"]
    for layer in found:
        assert (layer.n, layer.k, layer.alpha, layer.beta) == (5, 2.0, 1e-4, 0.75)


def test_it_starts_and_is_penalised_as_section_5_says():
    keras.utils.set_random_seed(0)
    model = alexnet((67, 67, 3), 10, width_multiplier=0.25)
    ones = {"C3", "C6", "C7", "F8", "F9"}
    for name in ("C1", "C3", "C5", "C6", "C7", "F8", "F9", "Out"):
        kernel, bias = model.get_layer(name).get_weights()
        assert kernel.std() == pytest.approx(0.01, rel=0.1)
        assert np.all(bias == (1 if name in ones else 0))
        penalty = model.get_layer(name).kernel_regularizer
        assert penalty.l2 == pytest.approx(5e-4 / 2)  # its gradient is 5e-4 * w
    drops = [x for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert [(x.name, x.rate) for x in drops] == [
        ("F8_dropout", 0.5),
        ("F9_dropout", 0.5),
    ]


def test_equal_convolutions_do_not_start_as_twins():
    model = alexnet((67, 67, 3), 10, version="2014", width_multiplier=0.125)
    f9 = model.get_layer("F9").get_weights()[0]
    f8 = model.get_layer("F8").get_weights()[0]
    assert not np.array_equal(f9[:512, :512], f8[:512, :512])


def test_breadth_of_the_options():
    small = {"width_multiplier": 0.125, "kernel_initializer": "zeros"}
    assert alexnet((67, 67, 1), 0, **small).output_shape == (None, 1, 1, 32)
    assert alexnet((67, 90, 3), 0, pooling="avg", **small).output_shape == (None, 32)
    assert alexnet((96, 96, 3), 5, pooling="max", **small).output_shape == (None, 5)
    group = alexnet((67, 67, 3), 5, normalization="group", activation="gelu", **small)
    assert isinstance(
        group.get_layer("C6_normalization"), keras.layers.GroupNormalization
    )
    assert parameters(alexnet((67, 67, 3), 5, normalization=None, **small)) > 0


def test_a_small_image_is_refused_with_the_smallest_that_fits():
    with pytest.raises(ValueError, match=r"at least 67x67 pixels.*\(66, 224, 3\)"):
        alexnet((66, 224, 3))
    with pytest.raises(ValueError, match="at least 57x57"):
        alexnet((32, 32, 3), version="table")
    with pytest.raises(ValueError, match="at least 35x35"):
        alexnet((32, 32, 3), pool_after_c7=False)
    with pytest.raises(ValueError, match=r"version must be one of.*'2013'"):
        alexnet(version="2013")
    with pytest.raises(ValueError, match="num_classes must be at least 1, or 0"):
        alexnet((67, 67, 3), -1, width_multiplier=0.1)
    with pytest.raises(ValueError, match="width_multiplier must be positive"):
        alexnet((67, 67, 3), width_multiplier=0)
