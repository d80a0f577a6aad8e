"""Images of more than 8 bits a value: scaled by what the file says, or refused."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dlkeras.untrusted.images import decode_image

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
SUBFILE_TYPE, MAX_VALUE, MIN_FLOAT, MAX_FLOAT = 254, 281, 340, 341


def saved(pixels: np.ndarray, form: str = "TIFF", **tags) -> bytes:
    buffer, directory = io.BytesIO(), ImageFileDirectory_v2()
    for name, value in tags.items():
        directory[globals()[name]] = value
        if name.endswith("FLOAT"):
            directory.tagtype[globals()[name]] = 11
    options = {"tiffinfo": directory} if form == "TIFF" else {}
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [
        (np.uint16(RAMP * 65535), {}),
        (np.uint16(RAMP * 4095), {"MAX_VALUE": 4095}),
        (np.uint16(RAMP * 1023), {"MAX_VALUE": 1023}),
        (np.float32(RAMP), {"MAX_FLOAT": 1.0}),
        (np.float32(RAMP * 20 - 10), {"MIN_FLOAT": -10.0, "MAX_FLOAT": 10.0}),
        (np.int32(RAMP * 65535), {"MAX_VALUE": 65535}),
    ],
    ids=["16 bits", "12 of 16", "10 of 16", "floats", "floats from -10", "32 bits"],
)
def test_a_ramp_from_black_to_white_stays_one(pixels, tags):
    decoded = decode_image(saved(pixels, **tags)).pixels[..., 0]
    assert np.abs(decoded - 255 * RAMP).max() < 1.5  # of 1,024 levels, too
    assert (decoded.min(), decoded.max()) == (0, 255)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (saved(np.uint16(RAMP * 4095)), "12 or fewer without saying so"),
        (saved(np.uint16(RAMP * 4095), "PNG"), "12 or fewer without saying so"),
        (saved(np.float32(RAMP)), "floating point a pixel, and the file does not say"),
        (saved(np.int32(RAMP * 1e6)), "32 bits a pixel, and the file does not say"),
        (saved(np.uint8(RAMP * 255), SUBFILE_TYPE=1), "a camera's raw file"),
    ],
    ids=["12 bits", "12 bits in PNG", "floats", "32 bits", "raw"],
)
def test_values_whose_range_the_file_does_not_say_are_refused_by_name(content, words):
    with pytest.raises(ValueError, match=words):
        decode_image(content)


def test_a_black_image_of_16_bits_is_one():
    assert decode_image(saved(np.zeros((4, 4), "uint16"))).pixels.max() == 0
