"""ResNet against tables 1 and 6 of its paper."""

import keras
import numpy as np
import pytest
from published import TABLES, built, operations, parameters

from dlkeras.architectures import resnet18, resnet20, resnet50
from dlkeras.layers import BottleneckBlock

TABLE_1 = TABLES["he_table_1"]
TABLE_6 = TABLES["he_table_6"]


@pytest.mark.parametrize("name", TABLE_1["networks"])
def test_every_block_is_the_one_of_table_1(name):
    network = TABLE_1["networks"][name]
    model = built(name)
    stem, pool = model.get_layer("stem_convolution"), model.get_layer("stem_pool")
    assert (stem.kernel_size, stem.strides, stem.filters) == ((7, 7), (2, 2), 64)
    assert stem.output.shape == (None, 112, 112, 64)
    assert (tuple(pool.pool_size), tuple(pool.strides)) == ((3, 3), (2, 2))
    names = []
    for stage, (size, count) in enumerate(
        zip(TABLE_1["sizes"], network["counts"], strict=True), start=1
    ):
        for number in range(1, count + 1):
            names.append(f"stage{stage}_block{number}")
            block = model.get_layer(names[-1])
            sizes = [(c.kernel_size[0], c.filters) for c in block.convolutions]
            widen = 2 ** (stage - 1)
            assert sizes == [(k, f * widen) for k, f in network["block"]]
            assert block.output.shape[1:3] == (size, size)
            assert block.strides == (2 if stage > 1 and number == 1 else 1)
    assert [x.name for x in model.layers if x.name.startswith("stage")] == names
    assert model.get_layer("classifier").units == 1000
    # The table rounds some of its figures and cuts others off: 3.66 is printed as 3.6.
    assert abs(operations(model) / 1e9 - network["operations"]) < 0.07


@pytest.mark.parametrize("name", TABLE_6["networks"])
def test_every_block_is_the_one_of_section_4_2(name):
    model = built(name)
    blocks = (int(name.removeprefix("resnet")) - 2) // 6
    for stage, (size, filters) in enumerate(
        zip(TABLE_6["sizes"], TABLE_6["filters"], strict=True), start=1
    ):
        for number in range(1, blocks + 1):
            block = model.get_layer(f"stage{stage}_block{number}")
            assert [(c.kernel_size, c.filters) for c in block.convolutions] == [
                ((3, 3), filters)
            ] * 2
            assert block.output.shape == (None, size, size, filters)
            assert (block.shortcut, block.projection) == ("A", None)
    printed = TABLE_6["networks"][name]
    digits = 1 if printed == 1.7 else 2
    assert round(parameters(model) / 1e6, digits) == printed


def test_the_stride_of_a_stage_lies_where_the_version_says():
    expected = {
        "v1": [(2, 2), (1, 1), (1, 1)],
        "v1.5": [(1, 1), (2, 2), (1, 1)],
        "v2": [(1, 1), (2, 2), (1, 1)],
    }
    for version, strides in expected.items():
        block = built("resnet50", version=version).get_layer("stage3_block1")
        assert [c.strides for c in block.convolutions] == strides
        assert block.projection.strides == (2, 2)


def test_the_keras_layout_of_v2_has_its_stride_in_a_stages_last_block():
    model = built("resnet50", version="v2", layout="keras")
    strided = [x.name for x in model.layers if getattr(x, "strides", 1) == 2]
    assert strided == ["stage1_block3", "stage2_block4", "stage3_block6"]
    assert model.get_layer("stage4_block3").output.shape == (None, 7, 7, 2048)


def test_stochastic_depth_grows_linearly_to_the_last_block():
    model = resnet18((32, 32, 3), 2, stochastic_depth=0.4, width_multiplier=0.0625)
    rates = [x.stochastic_depth for x in model.layers if x.name.startswith("stage")]
    assert rates == pytest.approx([0.4 * block / 8 for block in range(1, 9)])


def test_the_papers_start_and_weight_decay():
    keras.utils.set_random_seed(0)
    model = resnet20()
    kernel = model.get_layer("stage2_block2").convolutions[0].get_weights()[0]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 32)), rel=0.05)
    twin = model.get_layer("stage2_block3").convolutions[0].get_weights()[0]
    assert not np.array_equal(kernel, twin)
    squares = sum(
        float((weight**2).sum()) for weight in model.get_weights() if weight.ndim > 1
    )
    penalty = float(keras.ops.convert_to_numpy(sum(model.losses)))
    assert penalty == pytest.approx(1e-4 / 2 * squares, rel=1e-4)


def test_a_zero_gamma_block_starts_as_its_shortcut():
    model = resnet20(zero_gamma=True)
    block = model.get_layer("stage1_block2")
    x = np.abs(np.random.default_rng(0).normal(size=(1, 8, 8, 16))).astype("float32")
    assert np.allclose(keras.ops.convert_to_numpy(block(x)), x)


def test_breadth_of_the_options():
    tiny = {"width_multiplier": 0.0625, "kernel_initializer": "zeros"}
    assert resnet18((64, 96, 1), 0, **tiny).output_shape == (None, 2, 3, 32)
    assert resnet18((None, None, 3), 0, pooling="avg", **tiny).output_shape == (
        None,
        32,
    )
    assert resnet18((512, 512, 3), 0, **tiny).output_shape == (None, 16, 16, 32)
    for options in (
        {"shortcut": "A"},
        {"shortcut": "C"},
        {"normalization": "group"},
        {"normalization": "layer"},
        {"normalization": None},
        {"activation": "gelu"},
        {"padding": "same"},
        {"dropout": 0.2},
    ):
        for version in ("v1", "v2"):
            model = resnet18((32, 32, 3), 7, version=version, **options, **tiny)
            assert model.output_shape == (None, 7)
    block = resnet50((32, 32, 3), 2, shortcut="C", **tiny).get_layer("stage2_block3")
    assert isinstance(block, BottleneckBlock)
    assert block.projection is not None


def test_preprocessing_gives_imagenet_channels_mean_0_and_deviation_1():
    tiny = {"width_multiplier": 0.0625}
    model = resnet18((32, 32, 3), 2, include_preprocessing=True, **tiny)
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = np.array([[255 * (np.array(mean) + s * np.array(deviation))
                        for s in (0, 1, -2)]], "float32")[:, :, None, :]  # fmt: skip
    scaled = model.get_layer("preprocessing")(pixels)
    expected = np.array([0, 1, -2.0])[None, :, None, None] * np.ones(3)
    assert np.allclose(keras.ops.convert_to_numpy(scaled), expected, atol=1e-5)
    grey = resnet18((32, 32, 1), 2, include_preprocessing=True, **tiny)
    assert grey.get_layer("preprocessing").output.shape == (None, 32, 32, 1)
    symmetric = resnet18((32, 32, 1), 2, include_preprocessing="symmetric", **tiny)
    ends = symmetric.get_layer("preprocessing")(np.array([0.0, 255.0], "float32"))
    assert keras.ops.convert_to_numpy(ends).tolist() == pytest.approx([-1, 1])


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r"channels last.*'channels_first'"):
            resnet20((3, 32, 32))
    finally:
        keras.config.set_image_data_format("channels_last")


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="resnet18 needs images of at least 32x32"):
        resnet18((31, 31, 3))
    with pytest.raises(ValueError, match=r"version must be one of .*'v3'"):
        resnet50(version="v3")
    with pytest.raises(ValueError, match="layout='keras' is a layout of version='v2'"):
        resnet50(layout="keras")
    with pytest.raises(ValueError, match=r"shortcut must be one of .*'D'"):
        resnet20(shortcut="D")
    with pytest.raises(ValueError, match="include_preprocessing must be"):
        resnet20(include_preprocessing="mean")
    with pytest.raises(ValueError, match="pooling must be one of"):
        resnet20(num_classes=0, pooling="sum")
