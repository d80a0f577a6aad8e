"""Folders and archives as people have them, each with its right answer."""

import unicodedata
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

# What phones, scanners, browsers and programs save: suffix, format, mode.
KINDS = (
    ("PNG", "PNG", "RGB"), ("gif", "GIF", "P"), ("bmp", "BMP", "RGB"),
    ("webp", "WEBP", "RGB"), ("jpeg", "JPEG", "L"), ("JPG", "JPEG", "CMYK"),
    ("png", "PNG", "RGBA"), ("jfif", "JPEG", "RGB"), ("tif", "TIFF", "RGB"),
    ("jpe", "JPEG", "RGB"), ("avif", "AVIF", "RGB"), ("", "JPEG", "RGB"),
    ("jpg", "PNG", "RGB"), ("large", "JPEG", "RGB"),
)  # fmt: skip


class Photos:
    """Photos of noise, no two alike, below a folder."""

    def __init__(self, root: Path):
        self.root = root
        self._random = np.random.default_rng(0)

    def pixels(self, size=(8, 9)) -> np.ndarray:
        return self._random.integers(0, 256, (*size, 3), "uint8")

    def add(self, name: str, form="PNG", mode="RGB", size=(8, 9)) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.pixels(size)).convert(mode).save(path, form)
        return path

    def classes(self, pattern: str, number=12, names=("cat", "dog")) -> Path:
        """Photos of two classes; `pattern` has {c} for the class and {i}."""
        for label in names:
            for index in range(number):
                self.add(pattern.format(c=label, i=index))
        return self.root

    def file(self, name: str, content: bytes = b"not a photo") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def every_kind(photos: Photos) -> tuple[int, int]:
    """Names with accents, emoji and commas, all kinds of files; images and litter."""
    for label in ("Café gatos", "Hunde & Co. 🐶", "LKW, groß"):
        for number, (suffix, form, mode) in enumerate(KINDS):
            for index in range(2):
                name = f"IMG {number} {index} é" + f".{suffix}" * bool(suffix)
                photos.add(f"{label}/{name}", form, mode)
        photos.file(f"{label}/Thumbs.db", b"\xd0\xcf\x11\xe0")
        photos.file(f"{label}/.DS_Store", b"\0\0\0\1Bud1")
        photos.file(f"{label}/notes.txt")
    return 3 * 2 * len(KINDS), 9


def finder_zip(photos: Photos, archive: Path) -> Path:
    """A zip as macOS packs it: a copy of every name below __MACOSX."""
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(photos.root.rglob("*.png")):
            name = f"photos/{file.relative_to(photos.root).as_posix()}"
            packed.write(file, name)
            hidden = f"__MACOSX/{Path(name).parent}/._{Path(name).name}"
            packed.writestr(hidden, b"\0\5\x16\7")
    return archive


def names_that_look_alike(photos: Photos) -> Path:
    """Two classes, written by several systems and people."""
    forms = ("Caf\u00e9", "Cafe\u0301", "Caf\u00e9 ", "\u200bCaf\u00e9")
    for index in range(16):
        photos.add(f"{forms[index % 4]}/{index}.png")
        photos.add(f"Tee/{index}.png")
    assert len({unicodedata.normalize("NFC", name) for name in forms}) == 3
    return photos.root


def blobs(seed: int, size: int = 64) -> Image.Image:
    """A picture that is no noise: its near copies are like it, and no other is."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (6, 6, 3), "uint8")
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)


def messy(photos: Photos) -> Path:
    """The folder of the page "Your photos", with the ordinary faults of a first day."""
    number = 0
    for label, count in (("cat", 30), ("dog", 30), ("Cat", 2), ("otter", 1)):
        for index in range(count):
            number += 1
            place = photos.root / label / f"IMG_{index:04}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            blobs(number, 40 + number % 9).save(place)
    for index in range(8):
        photos.file(f"cat/IMG_{index:04}.xml")
    photos.file(
        "dog/IMG_0030.jpg", (photos.root / "dog/IMG_0001.jpg").read_bytes()[:400]
    )
    photos.file("dog/IMG_0031.jpg", (photos.root / "cat/IMG_0007.jpg").read_bytes())
    photos.file("dog/Thumbs.db", b"\xd0\xcf\x11\xe0")
    return photos.root
