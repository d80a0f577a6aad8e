"""Robustness: accuracy on test images that are shifted, noisy, blurred or pale.

Reference:
    Hendrycks and Dietterich, "Benchmarking neural network robustness to common
    corruptions and perturbations", ICLR 2019: five levels of each corruption.
"""

from collections.abc import Callable

import numpy as np

LEVELS = (1, 2, 3, 4, 5)
SHIFT = (0.03, 0.06, 0.1, 0.15, 0.2)  # share of the size
NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)  # standard deviation, share of 255
BLUR = (0.01, 0.02, 0.03, 0.045, 0.06)  # standard deviation, share of the size
CONTRAST = (0.75, 0.5, 0.4, 0.3, 0.15)  # factor on the distance from the mean
CORRUPTIONS = ("shift", "noise", "blur", "contrast")


def corrupt(image: np.ndarray, corruption: str, level: int, seed: int) -> np.ndarray:
    """Corrupt an image.

    Args:
        image: `(height, width, channels)` uint8.
        corruption: one of `CORRUPTIONS`.
        level: from 1, hardly seen, to 5.
        seed: decides the direction of a shift and the noise.

    Returns:
        An image of the same shape and type.
    """
    from scipy import ndimage

    random = np.random.default_rng([seed, level])
    pixels = image.astype("float64")
    size = min(image.shape[:2])
    index = level - 1
    if corruption == "shift":
        angle = random.uniform(0, 2 * np.pi)
        distance = SHIFT[index] * size
        move = (distance * np.sin(angle), distance * np.cos(angle), 0)
        pixels = ndimage.shift(pixels, move, order=1, mode="nearest")
    elif corruption == "noise":
        pixels += random.normal(0, NOISE[index] * 255, pixels.shape)
    elif corruption == "blur":
        sigma = BLUR[index] * size
        pixels = ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest")
    elif corruption == "contrast":
        pixels = pixels.mean() + CONTRAST[index] * (pixels - pixels.mean())
    else:
        raise ValueError(
            f"corruption must be one of {CORRUPTIONS}. Received: {corruption!r}"
        )
    return np.clip(np.rint(pixels), 0, 255).astype("uint8")


def robustness(
    images: list[np.ndarray],
    truth: np.ndarray,
    predict: Callable[[list[np.ndarray]], np.ndarray],
    batch_size: int = 256,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> dict[str, list[float]]:
    """Measure the accuracy, or another score, at every level of every corruption.

    Args:
        images: raw test images, uint8.
        truth: `(images,)` integer classes.
        predict: raw images to `(images, classes)` probabilities.
        batch_size: how many corrupted images there are at a time.
        score: of truth and answers a number for each image; default: 1 where the
            likeliest class is the true one, else 0.

    Returns:
        For each corruption the accuracy, or the mean score, at levels 1 to 5.
    """

    def is_right(truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
        return answers.argmax(axis=1) == truth

    score = score or is_right

    def accuracy(corruption: str, level: int) -> float:
        total = 0.0
        for start in range(0, len(images), batch_size):
            part = range(start, min(start + batch_size, len(images)))
            changed = [corrupt(images[i], corruption, level, i) for i in part]
            found = score(truth[start : start + len(part)], predict(changed))
            total += float(found.sum())
        return total / len(images)

    return {
        corruption: [accuracy(corruption, level) for level in LEVELS]
        for corruption in CORRUPTIONS
    }
