"""Image files of strangers: decoded to grey or RGB, whole, or refused."""

import contextlib
import functools
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dlkeras.untrusted.gate import file_size, open_regular

# A file may claim any size: what would not fit is refused before it is decoded.
MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF")
# Formats that Pillow reads where it was built so, or with a package beside it.
FORMATS_OF_PACKAGES = {"AVIF": "pillow with AVIF", "HEIF": "pillow-heif"}
BRANDS = {"AVIF": (b"avif", b"avis"), "HEIF": (b"heic", b"heix", b"hevc", b"mif1")}
ORIENTATION = 0x0112
# TIFF's tags: a smaller copy of another image, the largest value, a raw file's version.
SUBFILE_TYPE, MAX_VALUE, MIN_FLOAT, MAX_FLOAT, DNG = 254, 281, 340, 341, 50706
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


def _formats() -> tuple[str, ...]:
    """The formats that are decoded on this machine."""
    Image.preinit()
    Image.init()
    if "HEIF" not in Image.OPEN:
        _look_for_heif()
    return (*FORMATS, *(form for form in FORMATS_OF_PACKAGES if form in Image.OPEN))


@functools.cache
def _look_for_heif() -> None:
    """Have Pillow read HEIF, where its package is installed; a look takes 0.1 ms."""
    with contextlib.suppress(ImportError):
        import pillow_heif  # pyright: ignore[reportMissingImports]

        pillow_heif.register_heif_opener()


def _brand(head: bytes) -> str | None:
    """The format of a file of the family of MP4 that holds an image."""
    if head[4:8] != b"ftyp":
        return None
    return next((form for form, all_ in BRANDS.items() if head[8:12] in all_), None)


def _begins_as_image(head: bytes) -> bool:
    """Whether any reader of Pillow's takes these first bytes for its own."""
    if _brand(head):
        return True
    return any(
        accept is None or accept(head[:16])
        for accept in (Image.OPEN[form][1] for form in _formats())
    )


def begins_as_image(path: str | Path) -> bool:
    """Whether a file's header is an image's, whatever the file is called.

    Args:
        path: any file; one that cannot be read, a pipe or a folder is no image.
    """
    try:
        with open_regular(path, MAX_FILE_BYTES) as file:
            head = file.read(16)
            if _brand(head):
                return True
            if not head or not _begins_as_image(head):
                return False
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Four bytes make a bare bitmap: too many other files begin so.
                formats = [form for form in _formats() if form != "DIB"]
                with Image.open(file, formats=formats):
                    return True
    except Exception:  # a file from outside may raise anything
        return False


def decode_image(encoded: bytes, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decode an image whole.

    Of an animation the first frame counts. What is transparent is laid on white, 16
    bits become 8 (by the largest value that the file says), CMYK and palettes become
    RGB, and a photograph that carries an EXIF orientation is turned upright.

    Args:
        encoded: the bytes of an image file.
        max_pixels: the largest height times width that is decoded.

    Returns:
        The image.

    Raises:
        ValueError: the bytes are not an image, or not a whole one, or too large, or
            their values have a range that the file does not say.
    """
    if not encoded:
        raise ValueError("the file is empty")
    try:
        with warnings.catch_warnings():
            # The size is checked here, against a bound of our own.
            warnings.simplefilter("ignore")
            return _decode(encoded, max_pixels)
    except UnidentifiedImageError as error:
        raise ValueError(_what_it_is(encoded)) from error
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
            with Image.open(io.BytesIO(encoded), formats=_formats()) as image:
                return image.size
    except UnidentifiedImageError as error:
        raise ValueError(_what_it_is(encoded)) from error
    except Exception as error:  # as in `decode_image`
        raise ValueError(
            (str(error).strip() or type(error).__name__).splitlines()[0]
        ) from error


def _what_it_is(encoded: bytes) -> str:
    form = _brand(encoded[:16])
    if form is None or form in _formats():
        return "not an image"
    return f"{form}: install {FORMATS_OF_PACKAGES[form]} to read it, or save it as JPEG"


def _decode(encoded: bytes, max_pixels: int) -> DecodedImage:
    with Image.open(io.BytesIO(encoded), formats=_formats()) as image:
        kind = image.format or "unknown"
        width, height = image.size
        if width * height > max_pixels:
            raise ValueError(
                f"expected at most {max_pixels:,} pixels; it claims {width}x{height}"
            )
        if kind == "JPEG" and width * height * encoded.count(SCAN) > MAX_SCANNED:
            raise ValueError(f"expected fewer scans; it has {encoded.count(SCAN):,}")
        if kind == "PNG":  # its checksums are read by no decoder
            with Image.open(io.BytesIO(encoded), formats=_formats()) as checked:
                checked.verify()
        if kind == "TIFF":
            _refuse_raw(image)
        deep = ";16" in str(image.tile and image.tile[0][3])
        image.load()
        if deep and not image.mode.startswith("I"):
            bands: Any = image.getextrema()
            _refuse_dark(256 * max(high for _, high in bands))
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


def _refuse_raw(image: Image.Image) -> None:
    """Refuse a camera's raw file: what opens of it is its thumbnail."""
    tags: Any = getattr(image, "tag_v2", {})
    if DNG in tags or tags.get(SUBFILE_TYPE) == 1:
        raise ValueError("a camera's raw file; save the photo as JPEG, PNG or TIFF")


def _refuse_dark(highest: int) -> None:
    """Refuse 16 bits with unused upper ones: it would be a black image."""
    if 0 < highest < 4096:
        raise ValueError(
            "16 bits a pixel, but the file uses 12 or fewer without saying so; "
            "scale it to 16 or 8 bits, or write the TIFF tag MaxSampleValue"
        )


def _value_range(image: Image.Image) -> tuple[float, float]:
    """Which values of an image of more than 8 bits are black and white.

    Raises:
        ValueError: the file does not say.
    """
    tags: Any = getattr(image, "tag_v2", {})

    def said(tag: int) -> float | None:
        value = tags.get(tag)
        return float(np.max(value)) if value is not None else None

    low, high = said(MIN_FLOAT) or 0.0, said(MAX_FLOAT) or said(MAX_VALUE)
    if high is None and image.mode.startswith("I;16"):
        _refuse_dark(int(image.getextrema()[1]))  # pyright: ignore[reportArgumentType]
        return 0.0, 65535.0
    if high is None or not low < high < np.inf:
        kind = "floating point" if image.mode == "F" else "32 bits"
        raise ValueError(
            f"{kind} a pixel, and the file does not say which value is white; save it "
            "with 8 or 16 bits, or write the TIFF tag SMaxSampleValue"
        )
    return low, high


def _grey_or_rgb(image: Image.Image) -> np.ndarray:
    """Convert an image, some rows at a time: whole copies would need a GiB."""
    width, height = image.size
    deep = image.mode.startswith("I") or image.mode == "F"
    low, high = _value_range(image) if deep else (0.0, 0.0)
    grey = deep or image.mode in ("1", "L", "LA", "La")
    pixels = np.empty((height, width) if grey else (height, width, 3), "uint8")
    rows = max(STRIP_PIXELS // width, 1)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        if deep:
            # 65535 levels to 255: x // 257, exactly.
            share = (np.asarray(strip).astype("float64") - low) * 255 / (high - low)
            pixels[top : top + rows] = np.nan_to_num(share).clip(0, 255)
        else:
            pixels[top : top + rows] = _converted(strip, "L" if grey else "RGB")
    return pixels


def _converted(image: Image.Image, mode: str) -> np.ndarray:
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
