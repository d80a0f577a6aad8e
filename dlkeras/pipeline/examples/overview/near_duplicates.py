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
# Images with which one is compared at least, for each band.
MIN_NEIGHBOURS = 256
# And at most: the work and the memory grow with the number of images.
MAX_NEIGHBOURS = 512
# Near-duplicates of one image that are kept from a band, within splits and across.
MAX_KEPT = 16

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
    hashes: np.ndarray,
    thumbs: np.ndarray,
    digests: np.ndarray,
    splits: np.ndarray | None = None,
) -> tuple[np.ndarray, bool]:
    """Find the pairs of images that are nearly, but not exactly, the same.

    The work grows with the number of images, not with its square: where a great many
    hash alike, such as frames of one film, each is compared with the next ones only,
    and only some of its near-duplicates are kept.

    Args:
        hashes: `(images,)` uint64, from `perceptual_hashes`.
        thumbs: `(images, 256)` uint8, from `thumbnails`.
        digests: `(images,)` of the exact content; of exact copies only the first is
            compared with others.
        splits: `(images,)` names; those of other splits are kept as many again.

    Returns:
        `(pairs, 2)` int64, positions, the smaller first, in rising order; and whether
        these are all pairs.
    """
    _, first = np.unique(digests, return_index=True)
    first = np.sort(first)
    values = hashes[first]
    correlation = _Correlation(thumbs)
    # By chance 1 of 2**10 images is alike in a band; some times that are compared.
    neighbours = MIN_NEIGHBOURS + 8 * len(values) // 2 ** min(BANDS)
    neighbours = min(neighbours, MAX_NEIGHBOURS)
    home = np.zeros(len(hashes), "int64")
    if splits is not None:
        home = np.unique(splits, return_inverse=True)[1]
    found, complete, masks = [np.empty((0, 2), "int64")], True, []
    start = 0
    for width in BANDS:
        mask = np.uint64((2**width - 1) << start)
        start += width
        order = np.lexsort((values, values & mask))
        sorted_values, positions = values[order], first[order]
        keys = sorted_values & mask
        alive = np.arange(len(keys) - 1)
        kept = np.zeros((len(hashes), 2), "int64")
        for offset in range(1, neighbours + 1):
            alive = alive[alive + offset < len(keys)]
            alive = alive[keys[alive] == keys[alive + offset]]
            if not len(alive):
                break
            bits = sorted_values[alive] ^ sorted_values[alive + offset]
            near = np.bitwise_count(bits) <= MAX_BITS
            for earlier in masks:  # alike in that band: compared there
                near &= (bits & earlier) != 0
            one, other = positions[alive[near]], positions[alive[near] + offset]
            across = (home[one] != home[other]).astype("int64")
            wanted = kept[one, across] < MAX_KEPT
            if not wanted.all():
                complete = False
                one, other, across = one[wanted], other[wanted], across[wanted]
            alike = correlation(one, other) >= MIN_CORRELATION
            kept[one[alike], across[alike]] += 1  # each is there once
            pairs = np.stack([one[alike], other[alike]], axis=1)
            found.append(np.sort(pairs, axis=1))
        else:
            complete = complete and not len(alive)
        masks.append(mask)
    return np.unique(np.concatenate(found), axis=0), complete


class _Correlation:
    """Pearson's correlation of pairs of thumbnails, of sums of whole numbers.

    Args:
        thumbs: `(images, 256)` uint8.
    """

    def __init__(self, thumbs: np.ndarray):
        self._thumbs = thumbs
        self._n = thumbs.shape[-1]
        self._sums = thumbs.sum(axis=-1, dtype="int64")
        squares = np.array([_products(part, part) for part in thumbs], dtype="int64")
        self._spreads = (self._n * squares - self._sums**2).astype("float64")

    def __call__(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        products = _products(self._thumbs[one], self._thumbs[other]).astype("int64")
        covariance = self._n * products - self._sums[one] * self._sums[other]
        spread = self._spreads[one] * self._spreads[other]
        return covariance / np.sqrt(np.maximum(spread, 1.0))


def _products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sum products of uint8 along the last axis.

    256 of them are less than 2**24, below which float32 holds whole numbers.
    """
    return np.einsum("...j,...j->...", x.astype("float32"), y.astype("float32"))
