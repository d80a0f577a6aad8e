"""A request to a served model is measured before its images are decoded."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from dlkeras.pipeline.tracking.model_server import BodyLimit
from dlkeras.pipeline.tracking.served_model import ServedModel


def png(height, width):
    buffer = io.BytesIO()
    Image.new("L", (width, height), 7).save(buffer, "PNG")
    return buffer.getvalue()


def text(content):
    return base64.b64encode(content).decode()


@pytest.fixture
def model():
    """A served model without its network, which gives how large each image was."""
    model = object.__new__(ServedModel)
    model.channels, model.asked = 1, []

    def answer(batch):
        model.asked.append(batch.shape)
        return np.array([batch.shape[1:3]], "float32")

    model._answer = answer
    return model


@pytest.mark.parametrize("given", [list, np.array], ids=["list", "array"])
def test_image_files_in_base64_are_answered_in_their_order(model, given):
    answers = model.predict(given([text(png(3, 5)), text(png(8, 2))]))
    assert answers.tolist() == [[3, 5], [8, 2]]


@pytest.mark.parametrize("form", [text, bytes])
def test_images_of_too_many_pixels_together_are_refused_before_the_first(model, form):
    file = form(png(4096, 4096))  # four of them are as many as may come
    with pytest.raises(MlflowException, match="at most 67,108,864 pixels in all"):
        model.predict([file] * 5)
    assert model.asked == []


def test_an_image_is_decoded_when_its_turn_comes(model):
    cut = png(4, 4)[:-20]
    with pytest.raises(MlflowException, match="the bytes of an image file"):
        model.predict([png(4, 4), cut])
    assert model.asked == [(1, 4, 4, 1)]


def test_text_that_is_no_image_is_refused(model):
    for given in (["%%%"], [text(b"hello")], [], [None], np.array([], "U1")):
        with pytest.raises(MlflowException):
            model.predict(given)


def sent(inputs):
    """The status of a request, or None where it came through to MLflow."""
    body, said = json.dumps({"inputs": inputs}).encode(), []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        said.append(message.get("status"))

    async def behind(scope, receive, send):
        pass

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "headers": headers}
    asyncio.run(BodyLimit(behind, 2**24)(scope, receive, send))
    return said[0] if said else None


def test_one_long_text_among_many_does_not_make_all_of_them_long():
    assert sent(["a" * 2**20] + ["b"] * 1000) == 413
    assert sent(["a" * 2**20] + [1] * 1000) == 413
    assert sent(['"' * 2**20] + ["b"] * 1000) == 413
    assert sent(["a" * 2**20] * 10) is None
    assert sent([[[[0]] * 1000] * 1000]) is None
    assert sent([]) is None
