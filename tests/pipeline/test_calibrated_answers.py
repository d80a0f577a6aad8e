"""What is served of a classifier: calibrated probabilities, answers that are unsure."""

import keras
import numpy as np
import pytest
from PIL import Image

from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.serving.answer_table import cells
from dlkeras.pipeline.serving.answering import predict
from dlkeras.pipeline.serving.servable import serving_model, with_temperature
from dlkeras.pipeline.serving.tasks.classification import Classification

LOGITS = np.array([[9.0, 1.0, -3.0], [0.0, 0.3, 0.1], [-60.0, 0.0, 50.0]], "float32")


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.fixture
def network():
    """Gives the logits that its input is, as a softmax."""
    images = keras.Input((1, 1, 3))
    x = keras.layers.Flatten()(images)
    return keras.Model(images, keras.layers.Activation("softmax")(x), name="net")


@pytest.mark.parametrize("temperature", [0.4, 1.7])
def test_the_served_probabilities_are_those_of_the_divided_logits(network, temperature):
    scaled = with_temperature(network, temperature)
    expected = softmax(LOGITS / temperature)
    got = np.asarray(scaled(LOGITS[:, None, None]))
    np.testing.assert_allclose(got, expected, atol=2e-6)
    assert with_temperature(network, 1.0) is network


def test_a_calibrated_model_is_loaded_in_safe_mode_and_says_when_it_is_unsure(
    network, tmp_path
):
    image = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Resizing(1, 1)(image)
    preprocessing = keras.Model(image, keras.layers.Rescaling(0.01)(x))
    file = tmp_path / "model.keras"
    serving_model(preprocessing, with_temperature(network, 2.0), "net").save(file)
    photos = []
    for name, pixel in (("sure", (250, 0, 0)), ("unsure", (200, 100, 100))):
        photos.append(tmp_path / f"{name}.png")
        Image.fromarray(np.full((2, 2, 3), pixel, "uint8")).save(photos[-1])
    task = {"task": "classification", "threshold": 0.5}
    sure, unsure = predict(file, ["a", "b", "c"], photos, task=task)
    best = softmax(np.array([2.5, 0, 0]) / 2)[0]
    assert sure["top"][0] == {
        "label": "a",
        "probability": pytest.approx(best, abs=1e-6),
    }
    assert not sure["unsure"] and unsure["unsure"]
    words = Classification().answer_in_words
    assert words(sure).startswith("a, probability 0.6")
    assert words(unsure).startswith("unsure, perhaps a, probability 0.4")
    assert cells(unsure)["unsure"] is True
    assert "unsure" not in predict(file, None, photos[:1])[0]  # nobody asked


def test_a_temperature_is_applied_where_it_is_asked_for_and_measured():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 600)
    logits = random.normal(size=(600, 3)) + np.eye(3)[truth]
    # Too sure by a factor of three: the temperature that mends it is near 3.
    answers = softmax(3 * logits).astype("float32")
    task, labels = Classification(), ("a", "b", "c")

    def applied(validation, **fields):
        config = EvaluatorConfig(**fields)
        metrics = task.metrics(config, (truth, answers), lambda: validation, labels)
        return metrics, metrics["temperature_scaling"]["applied"]

    assert applied((truth, answers))[1] == 1
    metrics, temperature = applied((truth, answers), calibrate=True, unsure_below=0.6)
    assert temperature == pytest.approx(3, rel=0.15)
    # Nothing wrong, nothing measured: the lowest loss would be that of T = 0.
    assert applied((answers.argmax(1), answers), calibrate=True)[1] == 1
    served = softmax(3 * logits / temperature)
    sure = served.max(1) >= 0.6
    assert metrics["unsure"]["unsure_share"] == pytest.approx((~sure).mean())
    right = (served.argmax(1) == truth)[sure].mean()
    assert metrics["unsure"]["accuracy_of_the_sure"] == pytest.approx(right)
    assert right > metrics["accuracy"]


def test_images_of_any_size_are_answered_in_order_each_as_by_itself(network, tmp_path):
    image = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Resizing(1, 1)(image)
    preprocessing = keras.Model(image, keras.layers.Rescaling(0.01)(x))
    model = serving_model(preprocessing, network, "net")
    model.save(tmp_path / "model.keras")
    random, photos = np.random.default_rng(0), tmp_path / "photos"
    photos.mkdir()
    expected = {}
    for index in range(300):  # more than are read at once
        size = (3, 3) if index % 3 else (2, 5)
        pixels = random.integers(0, 256, (*size, 3), "uint8")
        Image.fromarray(pixels).save(photos / f"{index:03}.png")
        expected[f"{index:03}.png"] = np.asarray(model(pixels[None]))[0].max()
    (photos / "077.png").write_bytes((photos / "077.png").read_bytes()[:60])
    answers = predict(tmp_path / "model.keras", ["a", "b", "c"], [photos])
    assert [a["image"] for a in answers] == [str(photos / n) for n in expected]
    for answer, (name, probability) in zip(answers, expected.items(), strict=True):
        assert ("error" in answer) == (name == "077.png")
        if name != "077.png":
            best = answer["top"][0]["probability"]
            assert best == pytest.approx(probability, abs=1e-6)
