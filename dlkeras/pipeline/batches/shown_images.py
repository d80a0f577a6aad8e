"""Test images for figures, no larger than a person needs."""

from typing import Any

import numpy as np

from dlkeras.pipeline.artifacts.types import Examples

# All images that are held together, and a batch as the network takes it.
HELD_BYTES = 2**29
BATCH_BYTES = 2**28
GALLERY_SIDE = 256


def shrunk(
    image: np.ndarray, height: int, width: int, aspect: str = "crop"
) -> np.ndarray:
    """Resize an image of more pixels than that, as the network's preprocessing does.

    Args:
        image: `(rows, columns, channels)` uint8.
        height: rows of the network's input.
        width: its columns.
        aspect: what becomes of an image of another shape.

    Returns:
        The image itself, or `(height, width, channels)` uint8.

    Example:
    >>> shrunk(np.full((100, 80, 3), 7, "uint8"), 4, 4)[0, 0].tolist()
    [7, 7, 7]
    """
    if image.shape[0] * image.shape[1] <= height * width:
        return image
    from dlkeras.pipeline.batches.resizing import resize_antialiased, with_aspect

    shaped: Any = with_aspect(image, height, width, aspect)  # type: ignore
    resized = np.asarray(resize_antialiased(shaped, height, width))
    return np.clip(np.rint(resized), 0, 255).astype("uint8")


def first_images(
    examples: Examples, number: int, height: int, width: int, aspect: str = "crop"
) -> list[np.ndarray]:
    """The first images of the test split, shrunk to what the network takes.

    Args:
        examples: the data set.
        number: at most so many, fewer where they would not fit `HELD_BYTES`.
        height: rows of the network's input.
        width: its columns.
        aspect: what becomes of an image of another shape.
    """
    found: list[np.ndarray] = []
    left = HELD_BYTES
    for example in examples.dataset("test").take(number).as_numpy_iterator():
        image = shrunk(example["image"], height, width, aspect)
        left -= image.nbytes
        if left < 0 and found:
            break
        found.append(image.copy())  # not a view of what was decoded
    return found


def gallery_images(
    examples: Examples, wanted: set[int], whole: bool = False
) -> dict[int, np.ndarray]:
    """The images of the test split at these positions, at the size of a figure.

    Args:
        examples: the data set.
        wanted: the positions.
        whole: give all their pixels.
    """
    decoder: Any = examples.decoder()
    found = {}
    for position, example in enumerate(
        examples.dataset("test", decode=False).as_numpy_iterator()
    ):
        if position not in wanted:
            continue
        pixels = np.asarray(decoder(example["image"]))
        found[position] = pixels if whole else thumbnail(pixels)
    return found


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Shrink an image to sides of at most 256, which keep their ratio.

    Example:
    >>> thumbnail(np.zeros((3000, 4000, 3), "uint8")).shape
    (192, 256, 3)
    """
    from PIL import Image

    if max(image.shape[:2]) <= GALLERY_SIDE:
        return image
    small = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    small.thumbnail((GALLERY_SIDE, GALLERY_SIDE))
    pixels = np.asarray(small)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def batch_size(input_shape: tuple[int, int, int], most: int = 256) -> int:
    """How many images of the network's input are in a batch of `BATCH_BYTES`.

    Example:
    >>> batch_size((32, 32, 3)), batch_size((1024, 1024, 3))
    (256, 21)
    """
    return max(min(most, BATCH_BYTES // (4 * int(np.prod(input_shape)))), 1)
