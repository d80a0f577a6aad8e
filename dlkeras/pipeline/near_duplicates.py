"""Near-duplicates: images that differ in size, compression or a little brightness.

A perceptual hash (Zauner 2010, "pHash") keeps the signs of an image's 64 lowest
frequencies about their median. Images whose hashes differ in few bits are compared
again, pixel by pixel, as 16x16 thumbnails. All arithmetic is on whole numbers, so every
machine finds the same.
"""

import numpy as np
from PIL import Image

SIDE = 32
LOW = 8
THUMBNAIL = 16
MAX_BITS = 5
BANDS = (11, 11, 11, 11, 10, 10)  # pigeonhole: of 6 bands of the bits one is the same
MIN_CORRELATION = 0.98

# The cosine transform in whole numbers: sums of their products stay below 2**53, where
# float64 is exact in whatever order a machine adds.
_COSINES = np.round(
    1024
    * np.cos(np.pi * np.arange(LOW)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE))
)


def small_grey(pixels: np.ndarray) -> np.ndarray:
    """Shrink an image to 32x32 grey levels.

    Args:
        pixels: `(height, width, 1 or 3)` uint8.

    Returns:
        `(32, 32)` uint8.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def perceptual_hashes(small: np.ndarray) -> np.ndarray:
    """Hash images so that similar ones have similar hashes.

    Args:
        small: `(images, 32, 32)` uint8.

    Returns:
        `(images,)` uint64.

    Example:
    >>> image = np.random.default_rng(0).integers(0, 256, (1, 32, 32), "uint8")
    >>> one, other = perceptual_hashes(np.concatenate([image, image // 2 + 60]))
    >>> int(np.bitwise_count(one ^ other)) <= 3
    True
    """
    frequencies = _COSINES @ small.astype("float64") @ _COSINES.T
    flat = frequencies.reshape(len(small), LOW * LOW)
    # The mean, entry 0, says nothing of the content; its bit is that of the median.
    bits = flat > np.median(flat[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = False
    return np.packbits(bits, axis=1).view(">u8").astype("uint64").reshape(-1)


def thumbnails(small: np.ndarray) -> np.ndarray:
    """Halve 32x32 images to `(images, 256)` uint8."""
    fours = small.reshape(len(small), THUMBNAIL, 2, THUMBNAIL, 2).astype("uint16")
    return (fours.sum(axis=(2, 4)) // 4).astype("uint8").reshape(len(small), -1)


def near_duplicate_pairs(
    hashes: np.ndarray, thumbs: np.ndarray, digests: np.ndarray
) -> np.ndarray:
    """Find all pairs of images that are nearly, but not exactly, the same.

    Args:
        hashes: `(images,)` uint64, from `perceptual_hashes`.
        thumbs: `(images, 256)` uint8, from `thumbnails`.
        digests: `(images,)` of the exact content; of exact copies only the first is
            compared with others.

    Returns:
        `(pairs, 2)` int64, positions, the smaller first, in rising order.
    """
    _, first = np.unique(digests, return_index=True)
    first = np.sort(first)
    values = hashes[first]
    found: set[tuple[int, int]] = set()
    start = 0
    for width in BANDS:
        keys = (values >> np.uint64(start)) & np.uint64(2**width - 1)
        start += width
        order = np.argsort(keys, kind="stable")
        keys, positions = keys[order], first[order]
        offset = 1
        alive = np.arange(len(keys) - 1)
        while len(alive):
            alive = alive[alive + offset < len(keys)]
            alive = alive[keys[alive] == keys[alive + offset]]
            one, other = positions[alive], positions[alive + offset]
            near = np.bitwise_count(hashes[one] ^ hashes[other]) <= MAX_BITS
            one, other = one[near], other[near]
            alike = _correlation(thumbs[one], thumbs[other]) >= MIN_CORRELATION
            for pair in zip(one[alike].tolist(), other[alike].tolist(), strict=True):
                found.add((min(pair), max(pair)))
            offset += 1
    return np.array(sorted(found), dtype="int64").reshape(-1, 2)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pearson's correlation of pairs of thumbnails, of sums of whole numbers."""
    x, y = one.astype("int64"), other.astype("int64")
    n = x.shape[-1]
    sx, sy = x.sum(axis=-1), y.sum(axis=-1)
    covariance = n * (x * y).sum(axis=-1) - sx * sy
    spread_x = n * (x * x).sum(axis=-1) - sx * sx
    spread_y = n * (y * y).sum(axis=-1) - sy * sy
    product = spread_x.astype("float64") * spread_y.astype("float64")
    return covariance / np.sqrt(np.maximum(product, 1.0))
