"""Changes of pixel values: brightness, contrast, saturation, hue, noise, erasing.

The arithmetic is that of Keras's own layers; only the draws are ours, since a layer's
generator would depend on the order in which images pass it.
"""

from typing import TYPE_CHECKING, Any

from dlkeras.augmentation.keras_layers import unit_layer
from dlkeras.augmentation.settings import AugmentationSettings

if TYPE_CHECKING:
    import tensorflow as tf

# Zhong et al. 2020, "Random erasing": share of the area, and aspect ratio.
ERASED_AREA = (0.02, 0.33)
ERASED_ASPECT = 0.3


def changes_colours(config: AugmentationSettings) -> bool:
    """Whether any of the transforms of colours is on."""
    return bool(
        config.brightness
        or config.contrast
        or config.saturation
        or config.hue
        or config.auto_contrast
    )


def colours(
    config: AugmentationSettings,
    strength: float,
    images: "tf.Tensor",
    draws: "tf.Tensor",
) -> "tf.Tensor":
    """Change brightness, contrast, saturation and hue; stretch the contrast.

    Args:
        config: the largest changes, and the probability of the stretch.
        strength: factor on the changes.
        images: `(batch, height, width, 1 or 3)` float32, 0 to 1; grey images have
            neither saturation nor hue.
        draws: `(batch, 5)` in 0 to 1.

    Returns:
        Images of the same shape, 0 to 1.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    u = (2 * draws - 1) * strength
    whole = u[:, :, None, None, None]
    if config.brightness:
        delta = {"rgb_delta": whole[:, 0] * config.brightness}
        images = unit_layer("RandomBrightness").transform_images(images, delta)
    if config.contrast:
        factor = {"contrast_factor": 1 + whole[:, 1] * config.contrast}
        images = unit_layer("RandomContrast").transform_images(images, factor)
    if config.saturation and images.shape[-1] == 3:
        factor = {"factor": tf.maximum(1 + u[:, 2] * config.saturation, 0.0)}
        images = unit_layer("RandomSaturation").transform_images(images, factor)
    if config.hue and images.shape[-1] == 3:
        turn = {"factor": u[:, 3] * config.hue}
        images = unit_layer("RandomHue").transform_images(images, turn)
    if config.auto_contrast:
        stretched = unit_layer("AutoContrast").transform_images(images, None)
        chosen = (draws[:, 4] < config.auto_contrast)[:, None, None, None]
        images = tf.where(chosen, stretched, images)
    return images


def noise(
    config: AugmentationSettings, strength: float, image: "tf.Tensor", seed: "tf.Tensor"
) -> "tf.Tensor":
    """Add Gaussian noise to an image of 0 to 1, and keep it in that range.

    It is here for comparison: it moves no image to where a test image would be, and
    helps a classifier little.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    spread = strength * config.noise
    added = tf.random.stateless_normal(image.shape, seed, stddev=spread)
    return tf.clip_by_value(image + added, 0.0, 1.0)


def erase(
    config: AugmentationSettings, images: "tf.Tensor", draws: "tf.Tensor", value: Any
) -> "tf.Tensor":
    """Erase a rectangle of some images, or a square of all (cutout).

    Args:
        config: `erasing`, the probability of a random rectangle (Zhong et al. 2020);
            `cutout`, the square's side as a share of the image's (DeVries and Taylor
            2017), which may stand over the edge.
        images: `(batch, height, width, channels)`.
        draws: `(batch, 7)` in 0 to 1.
        value: what is put there.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    size: Any = images.shape
    _, height, width, _ = size
    rows = tf.range(height, dtype=tf.float32)[None, :, None]
    columns = tf.range(width, dtype=tf.float32)[None, None, :]

    def blank(top: Any, left: Any, tall: Any, wide: Any) -> "tf.Tensor":
        top, left = top[:, None, None], left[:, None, None]
        tall, wide = tall[:, None, None], wide[:, None, None]
        inside = (rows >= top) & (rows < top + tall)
        inside &= (columns >= left) & (columns < left + wide)
        return inside[..., None]

    if config.erasing:
        low, high = ERASED_AREA
        area = (low + (high - low) * draws[:, 1]) * height * width
        aspect = ERASED_ASPECT * tf.pow(1 / ERASED_ASPECT**2, draws[:, 2])
        tall = tf.minimum(tf.round(tf.sqrt(area * aspect)), float(height))
        wide = tf.minimum(tf.round(tf.sqrt(area / aspect)), float(width))
        top = tf.floor(draws[:, 3] * (height - tall + 1))
        left = tf.floor(draws[:, 4] * (width - wide + 1))
        images = unit_layer("RandomErasing").transform_images(
            images,
            {
                "batch_masks": blank(top, left, tall, wide),
                "apply_erasing": draws[:, 0] < config.erasing,
                "fill_value": value,
            },
        )
    if config.cutout:
        tall = tf.fill([tf.shape(images)[0]], round(config.cutout * height) * 1.0)
        wide = tf.fill([tf.shape(images)[0]], round(config.cutout * width) * 1.0)
        top = tf.floor(draws[:, 5] * height) - tf.floor(tall / 2)
        left = tf.floor(draws[:, 6] * width) - tf.floor(wide / 2)
        images = tf.where(blank(top, left, tall, wide), value, images)
    return images
