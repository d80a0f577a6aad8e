"""Intermediate features, and the table of what a network costs and sees."""

import keras
import numpy as np
import pytest
from published import built

from dlkeras.architectures import (
    create,
    feature_extractor,
    names,
    resnet20,
    summary_table,
)


def test_names_follow_a_pattern():
    assert names("resnet?0") == ["resnet20", "resnet50"]
    assert len(names()) == 13


def test_an_unknown_name_is_refused_with_near_ones():
    with pytest.raises(ValueError, match=r"did you mean .*resnet50.*'resnet_50'"):
        create("resnet_50")


def test_features_of_stages_are_those_on_the_way_to_the_output():
    model = resnet20()
    features = feature_extractor(model, ["stage1", "stage3", "classifier"])
    assert [x.shape for x in features.outputs] == [
        (None, 32, 32, 16),
        (None, 8, 8, 64),
        (None, 10),
    ]
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    _, last, output = (keras.ops.convert_to_numpy(x) for x in features(image))
    assert np.allclose(output, keras.ops.convert_to_numpy(model(image)), atol=1e-6)
    kernel, bias = model.get_layer("classifier").get_weights()
    logits = last.mean(axis=(1, 2)) @ kernel + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(output, shares, atol=1e-5)
    assert feature_extractor(model, "stage2").output.shape == (None, 16, 16, 32)
    with pytest.raises(ValueError, match="layers must name a stage"):
        feature_extractor(model, ["stage4"])
    with pytest.raises(ValueError, match="at least one"):
        feature_extractor(model, [])


# Araujo, Norris and Sim (2019), "Computing receptive fields of convolutional neural
# networks", table 1. Their resnet_v1 has its strides in the last block of a stage.
KERAS_V2 = {"version": "v2", "layout": "keras"}
FIELDS = [
    ("alexnet", {}, "S8", 195),
    ("resnet50", KERAS_V2, "stage4_block3", 483),
    ("resnet101", KERAS_V2, "stage4_block3", 1027),
    ("resnet152", KERAS_V2, "stage4_block3", 1507),
]


@pytest.mark.parametrize(("name", "options", "layer", "field"), FIELDS)
def test_receptive_fields_are_those_of_the_literature(name, options, layer, field):
    rows = {row.layer: row for row in summary_table(built(name, **options))}
    assert rows[layer].receptive_field == field


def test_an_input_pixel_beyond_the_receptive_field_changes_nothing():
    model = resnet20((64, 64, 3), kernel_initializer="ones", normalization=None)
    features = feature_extractor(model, "stage2_block1")
    row = next(r for r in summary_table(model) if r.layer == "stage2_block1")
    blank = np.zeros((1, 64, 64, 3), "float32")
    before = keras.ops.convert_to_numpy(features(blank))[0, 16, 16]
    changed = []
    for position in range(64):
        image = blank.copy()
        image[0, position, 32] = 1
        after = keras.ops.convert_to_numpy(features(image))[0, 16, 16]
        if not np.allclose(before, after):
            changed.append(position)
    assert changed[-1] - changed[0] + 1 == row.receptive_field


def test_rows_count_memory_and_frozen_weights():
    model = built("lenet5", version="1998")
    table = summary_table(model)
    rows = {row.layer: row for row in table}
    assert table.parameters == 60_000
    assert rows["Out"].frozen == 840
    assert rows["C1"].memory == 28 * 28 * 6 * 4
    assert rows["F6"].receptive_field is None
    assert rows["C5"].receptive_field == 32  # it sees the whole image
    text = str(table)
    assert "325,680" in text.splitlines()[-1]
    assert len(text.splitlines()) == len(model.layers) + 2


def test_the_table_becomes_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = summary_table(built("lenet5")).to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.multiply_adds.sum() == 416_520
    assert list(frame.layer)[:2] == ["In", "C1"]
