"""Images augmented one by one with Pillow, for workers that import nothing else."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

SET = {
    "shift": 0.1, "rotation": 15.0, "zoom": 0.1, "horizontal_flip": True,
    "brightness": 0.2, "contrast": 0.2,
}  # fmt: skip


class PillowImages:
    """Images augmented one by one with Pillow: decode, resize, affine, enhance."""

    def __init__(self, files: list[Path], side: int, keep: bool):
        self.side, self.keep = side, keep
        self.encoded = [file.read_bytes() for file in files]
        self.kept: dict[int, Image.Image] = {}

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> np.ndarray:
        image = self.kept.get(index)
        if image is None:
            image = Image.open(io.BytesIO(self.encoded[index]))
            image = image.resize((self.side, self.side), Image.Resampling.BILINEAR)
            if self.keep:
                self.kept[index] = image
        random, side = np.random.default_rng(), self.side
        u = random.uniform(-1, 1, 7)
        angle = np.deg2rad(SET["rotation"] * u[0])
        x, y = 1 / (1 + SET["zoom"] * u[1]), 1 / (1 + SET["zoom"] * u[2])
        a, b, d, e = (
            np.cos(angle) * x, -np.sin(angle) * x, np.sin(angle) * y, np.cos(angle) * y,
        )  # fmt: skip
        c = side / 2
        row = (
            a, b, c - a * c - b * c + SET["shift"] * u[3] * side,
            d, e, c - d * c - e * c + SET["shift"] * u[4] * side,
        )  # fmt: skip
        bilinear = Image.Resampling.BILINEAR
        image = image.transform((side, side), Image.Transform.AFFINE, row, bilinear)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = ImageEnhance.Brightness(image).enhance(1 + SET["brightness"] * u[5])
        image = ImageEnhance.Contrast(image).enhance(1 + SET["contrast"] * u[6])
        return np.asarray(image, dtype="float32") / 255
