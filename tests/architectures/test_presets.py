"""One's own network comes back from a folder with its preprocessing and its labels."""

import json

import keras
import numpy as np
import pytest

from dlkeras.architectures import from_preset, lenet5, save_preset


@pytest.fixture
def folder(tmp_path):
    keras.utils.set_random_seed(0)
    model = lenet5(num_classes=3)
    save_preset(model, tmp_path / "pets", ["cat", "dog", "hén"], scale=1 / 255)
    return tmp_path / "pets", model


def test_a_preset_answers_as_the_network_that_was_saved(folder):
    place, model = folder
    preset = from_preset(place)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1))
    expected = keras.ops.convert_to_numpy(model(pixels.astype("float32") / 255))
    got = preset.model(preset.preprocess_input(pixels))
    assert np.allclose(keras.ops.convert_to_numpy(got), expected, atol=1e-6)
    # keras.applications' own, of the same numbers, has (id, name, score).
    for row, answers in zip(expected, preset.decode_predictions(got), strict=True):
        order = sorted(range(3), key=lambda i: -row[i])
        assert [label for label, _ in answers] == [
            ("cat", "dog", "hén")[i] for i in order
        ]
        assert answers[0][1] == pytest.approx(row.max(), rel=1e-5)
    assert len(preset.decode_predictions(got, top=1)[0]) == 1
    large = np.full((1, 50, 70, 1), 255)
    assert preset.preprocess_input(large).shape == (1, 32, 32, 1)


def test_what_is_no_preset_is_refused_in_a_line(folder, tmp_path):
    place, model = folder
    with pytest.raises(ValueError, match=r"labels must name the 3 classes.*2 labels"):
        save_preset(model, tmp_path / "other", ["cat", "dog"])
    with pytest.raises(FileNotFoundError, match=r"no preset in .*preset.json is missi"):
        from_preset(tmp_path / "other")
    with pytest.raises(ValueError, match=r"shape \(batch, 3\).*\(2, 5\)"):
        from_preset(place).decode_predictions(np.zeros((2, 5)))
    card = json.loads((place / "preset.json").read_text("utf-8"))
    (place / "preset.json").write_text(json.dumps({**card, "labels": ["cat"]}))
    with pytest.raises(ValueError, match="1 labels for 3 outputs"):
        from_preset(place)
    (place / "preset.json").write_text(json.dumps({**card, "labels": [1, 2, 3]}))
    with pytest.raises(ValueError, match=r"not a preset's card \(TypeError: a label"):
        from_preset(place)
    (place / "preset.json").write_text(json.dumps(card))
    (place / "model.keras").write_bytes((place / "model.keras").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"is not the network of its preset\.json"):
        from_preset(place)
