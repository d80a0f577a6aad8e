"""Stages are where the papers draw them."""

import keras
import pytest

from dlkeras.architectures import alexnet, create
from dlkeras.stages import find_layer, stages
from tests.strangers.models import MODELS


def test_a_resnets_stages_are_conv2_x_to_conv5_x():
    model = create("resnet34", input_shape=(64, 64, 3), width_multiplier=0.0625)
    assert stages(model) == {
        "stage1": "stage1_block3",
        "stage2": "stage2_block4",
        "stage3": "stage3_block6",
        "stage4": "stage4_block3",
    }


def test_googlenets_stages_are_the_papers_numbers():
    small = {"input_shape": (96, 96, 3), "width_multiplier": 0.0625}
    expected = {
        "stage1": "conv1",
        "stage2": "conv2_normalization",
        "stage3": "inception_3b",
        "stage4": "inception_4e",
        "stage5": "inception_5b",
    }
    assert stages(create("googlenet", **small)) == expected
    assert stages(create("googlenet", auxiliary=True, **small)) == expected


def test_pooling_without_weights_behind_it_is_no_stage_of_alexnet():
    assert stages(alexnet((67, 67, 3), 10, version="2014", width_multiplier=0.1)) == {
        "stage1": "C1",
        "stage2": "C3",
        "stage3": "C7",
    }


def test_stages_of_a_foreign_network_are_its_resolutions():
    model = keras.applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=3)
    sizes = [model.get_layer(name).output.shape[1] for name in stages(model).values()]
    assert sizes == [16, 8, 4, 2, 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("custom_blocks", ["block_1", "block_2", "block_3"]),  # each halves the image
        ("squeeze_and_excitation", ["scaled"]),  # a summary of maps is no resolution
        ("sequential", ["first", "second"]),
        ("base_inside_subclassed", ["base/conv1", "base/conv2"]),
        ("unet", ["down", "mask"]),
    ],
)
def test_stages_of_a_strangers_network_are_where_its_maps_shrink(name, expected):
    assert list(stages(MODELS[name]()).values()) == expected


def test_an_unknown_stage_is_refused_with_the_stages_and_near_layers():
    model = create("lenet5")
    assert find_layer(model, "stage2", "until").name == "C3"
    assert find_layer(model, "S4", "until").name == "S4"
    with pytest.raises(
        ValueError,
        match=r"until must name a stage \(stage1, stage2, stage3\).*did you mean "
        r"S4_activation or S2_activation\? Received: until='S_activation'",
    ):
        find_layer(model, "S_activation", "until")
    with pytest.raises(ValueError, match=r"did you mean stage3 or stage2.*'stag3'"):
        find_layer(model, "stag3", "until")
    with pytest.raises(ValueError, match="must be a Keras model"):
        stages(keras.layers.Dense(3))
