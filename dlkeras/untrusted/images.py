"""Image files of strangers: decoded to grey or RGB, whole, or refused."""

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dlkeras.untrusted.gate import file_size, open_regular

# A file may claim any size: what would not fit is refused before it is decoded.
MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF")
ORIENTATION = 0x0112
STRIP_PIXELS = 2**20
# The largest image that is decoded, not packed at all, of 16 bits and four channels.
MAX_FILE_BYTES = 8 * MAX_PIXELS
HEAD_BYTES = 2**16
# A progressive JPEG goes over all pixels with every scan; programs write about ten.
SCAN = b"\xff\xda"
MAX_SCANNED = 20 * MAX_PIXELS


@dataclass(frozen=True)
class DecodedImage:
    """An image as the examples hold it.

    Attributes:
        encoded: JPEG or PNG bytes that TensorFlow decodes to `pixels`: the given ones
            where they are grey or RGB and upright already, else a PNG.
        pixels: `(height, width, channels)` uint8, channels 1 or 3.
        format: the format of the given file: "JPEG", "PNG", "GIF", ...
    """

    encoded: bytes
    pixels: np.ndarray
    format: str


def read_image_file(path: str | Path) -> bytes:
    """Read a file that should be an image.

    Args:
        path: the file, or a link to it.

    Returns:
        Its bytes.

    Raises:
        ValueError: it is a folder, a pipe or a device, is larger than any image that
            is decoded, or does not begin as an image does.
        OSError: it cannot be read.
    """
    with open_regular(path, MAX_FILE_BYTES) as file:
        head = file.read(HEAD_BYTES)
        if len(head) == HEAD_BYTES and not _begins_as_image(head):
            raise ValueError("not an image")
        file.seek(0)
        return file.read(file_size(file))


def _begins_as_image(head: bytes) -> bool:
    """Whether any reader of Pillow's takes these first bytes for its own."""
    Image.preinit()
    Image.init()
    return any(
        accept is None or accept(head[:16])
        for accept in (Image.OPEN[form][1] for form in FORMATS if form in Image.OPEN)
    )


def decode_image(encoded: bytes, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decode an image whole.

    Of an animation the first frame counts. What is transparent is laid on white, 16
    bits become 8, CMYK and palettes become RGB, and a photograph that carries an EXIF
    orientation is turned upright.

    Args:
        encoded: the bytes of an image file.
        max_pixels: the largest height times width that is decoded.

    Returns:
        The image.

    Raises:
        ValueError: the bytes are not an image, or not a whole one, or too large.
    """
    if not encoded:
        raise ValueError("the file is empty")
    try:
        with warnings.catch_warnings():
            # The size is checked here, against a bound of our own.
            warnings.simplefilter("ignore")
            return _decode(encoded, max_pixels)
    except UnidentifiedImageError as error:
        raise ValueError("not an image") from error
    except MemoryError as error:
        raise ValueError("the image does not fit into memory") from error
    except Exception as error:
        # Pillow's readers raise whatever a broken file makes them stumble on:
        # OSError, SyntaxError, struct.error, zlib.error, KeyError, ...
        reason = str(error).strip() or type(error).__name__
        raise ValueError(reason.splitlines()[0]) from error


def image_size(encoded: bytes) -> tuple[int, int]:
    """Read how large an image says it is, (width, height); no pixel is decoded.

    Raises:
        ValueError: the bytes do not begin as an image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                return image.size
    except UnidentifiedImageError as error:
        raise ValueError("not an image") from error
    except Exception as error:  # as in `decode_image`
        raise ValueError(
            (str(error).strip() or type(error).__name__).splitlines()[0]
        ) from error


def _decode(encoded: bytes, max_pixels: int) -> DecodedImage:
    with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
        kind = image.format or "unknown"
        width, height = image.size
        if width * height > max_pixels:
            raise ValueError(
                f"expected at most {max_pixels:,} pixels; it claims {width}x{height}"
            )
        if kind == "JPEG" and width * height * encoded.count(SCAN) > MAX_SCANNED:
            raise ValueError(f"expected fewer scans; it has {encoded.count(SCAN):,}")
        if kind == "PNG":  # its checksums are read by no decoder
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as checked:
                checked.verify()
        image.load()
        orientation = 1
        with contextlib.suppress(Exception):  # broken EXIF harms no pixel
            orientation = image.getexif().get(ORIENTATION, 1)
        plain = kind in ("JPEG", "PNG") and image.mode in ("L", "RGB")
        if not plain or orientation != 1 or "transparency" in image.info:
            if orientation != 1:
                ImageOps.exif_transpose(image, in_place=True)
            pixels = _grey_or_rgb(image)
            encoded = to_png(pixels)
        else:
            pixels = np.asarray(image)
    return DecodedImage(
        encoded, pixels[..., None] if pixels.ndim == 2 else pixels, kind
    )


def _grey_or_rgb(image: Image.Image) -> np.ndarray:
    """Convert an image, some rows at a time: whole copies would need a GiB."""
    width, height = image.size
    grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
    pixels = np.empty((height, width) if grey else (height, width, 3), "uint8")
    rows = max(STRIP_PIXELS // width, 1)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = _converted(strip, "L" if grey else "RGB")
    return pixels


def _converted(image: Image.Image, mode: str) -> np.ndarray:
    if image.mode.startswith("I"):  # 16 bits a pixel
        return (np.asarray(image) // 257).clip(0, 255).astype("uint8")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return np.asarray(image.convert(mode))


def to_png(pixels: np.ndarray) -> bytes:
    """Write pixels, `(height, width)` or `(height, width, 1 or 3)` uint8, as PNG."""
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
