"""Image files of every kind that cameras, scanners and programs write, made here."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION = 0x0112


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def png_with(pixels: np.ndarray, colour: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of 8 or 16 bits, of any colour type, with more chunks."""
    height, width = pixels.shape[:2]
    bits = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def resampled(jpeg: bytes, old: int, new: int) -> bytes:
    """Give a JPEG's luma another subsampling with as many blocks in every unit."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        at = jpeg.find(marker + b"\0\x11\x08")
        if at >= 0:
            assert jpeg[at + 11] == old
            return jpeg[: at + 11] + bytes([new]) + jpeg[at + 12 :]
    raise AssertionError("no frame of three components")


def image_files() -> dict[str, bytes]:
    """Files by what they are; the pixels are noise, which shows every rounding."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (64, 64, 3), "uint8")
    photo, odd = Image.fromarray(noise), Image.fromarray(noise[:61, :45])
    files = {}
    pixel = odd.crop((0, 0, 1, 1))
    for name, image in (("", photo), (", odd size", odd), (", a pixel", pixel)):
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            for progressive in (False, True):
                kind = f"jpeg {sampling}{' progressive' * progressive}{name}"
                files[kind] = _saved(
                    image, "JPEG", subsampling=sampling, progressive=progressive
                )
        for mode in ("L", "CMYK"):
            files[f"jpeg {mode}{name}"] = _saved(image.convert(mode), "JPEG")
    half, quarter = (_saved(photo, "JPEG", subsampling=s) for s in (1, 2))
    files["jpeg 4:4:0"] = resampled(half, 0x21, 0x12)
    files["jpeg 4:1:1"] = resampled(quarter, 0x22, 0x41)
    files["jpeg of RGB"] = _saved(photo, "JPEG", keep_rgb=True)
    files["jpeg with restarts"] = _saved(photo, "JPEG", restart_marker_blocks=1)
    files["jpeg with more behind it"] = _saved(photo, "JPEG") + b"more"
    files["jpeg of two"] = _saved(photo, "MPO", save_all=True, append_images=[odd])
    for way in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = way
        files[f"jpeg turned {way}"] = _saved(odd, "JPEG", exif=exif)
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        if mode != "PA":
            files[f"png {mode}"] = _saved(odd.convert(mode), "PNG")
        files[f"tiff {mode}"] = _saved(odd.convert(mode), "TIFF")
    for bits in (1, 2, 4):
        grey = odd.convert("L").quantize(2**bits)
        files[f"png P of {bits} bits"] = _saved(grey, "PNG", bits=bits)
    deep = random.integers(0, 2**16, (61, 45, 4), "uint16")
    files["png of 16 bits, grey"] = png_with(deep[..., 0], 0)
    files["png of 16 bits, RGB"] = png_with(deep[..., :3], 2)
    files["png of 16 bits, LA"] = png_with(deep[..., :2], 4)
    files["png of 16 bits, RGBA"] = png_with(deep, 6)
    gamma = (b"gAMA", struct.pack(">I", 100_000))
    files["png with a gamma"] = png_with(noise, 2, gamma)
    files["png with sRGB"] = png_with(noise, 2, (b"sRGB", b"\0"))
    first = struct.pack(">HHH", *noise[0, 0].tolist())
    files["png with a clear colour"] = png_with(noise, 2, (b"tRNS", first))
    files["png with a clear grey"] = png_with(noise[..., 0], 0, (b"tRNS", first[:2]))
    files["png of 16 bits, a clear colour"] = png_with(
        deep[..., :3], 2, (b"tRNS", struct.pack(">HHH", *deep[0, 0, :3].tolist()))
    )
    still = Image.new("RGB", photo.size)
    files["png, moving"] = _saved(photo, "PNG", save_all=True, append_images=[still])
    files["gif"] = _saved(odd, "GIF")
    files["bmp"] = _saved(odd, "BMP")
    files["webp"] = _saved(odd, "WEBP")
    return files
