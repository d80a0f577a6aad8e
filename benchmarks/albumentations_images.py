"""Images augmented one by one with Albumentations and OpenCV, for workers.

Albumentations is no dependency of the project; where it is installed, the benchmark
compares with it: `pip install albumentations`.
"""

from pathlib import Path

import albumentations
import cv2
import numpy as np
from pillow_images import SET

cv2.setNumThreads(0)  # the workers are the threads


class AlbumentationsImages:
    """Decode, resize, and the set, as Albumentations' documentation has it."""

    def __init__(self, files: list[Path], side: int, keep: bool):
        self.side, self.keep = side, keep
        self.encoded = [file.read_bytes() for file in files]
        self.kept: dict[int, np.ndarray] = {}
        zoom = SET["zoom"]
        self.augment = albumentations.Compose(
            [
                albumentations.Affine(
                    scale=(1 - zoom, 1 + zoom),
                    translate_percent=(-SET["shift"], SET["shift"]),
                    rotate=(-SET["rotation"], SET["rotation"]),
                    p=1.0,
                ),
                albumentations.HorizontalFlip(p=0.5),
                albumentations.RandomBrightnessContrast(
                    SET["brightness"], SET["contrast"], p=1.0
                ),
            ]
        )

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> np.ndarray:
        image = self.kept.get(index)
        if image is None:
            encoded = np.frombuffer(self.encoded[index], "uint8")
            image = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
            image = cv2.resize(
                image, (self.side, self.side), interpolation=cv2.INTER_LINEAR
            )
            if self.keep:
                self.kept[index] = image
        return self.augment(image=image)["image"].astype("float32") / 255
