"""Moves pixels: flip, shift, rotate, zoom and crop in one resampling; elastic, too."""

import functools
import math
from typing import TYPE_CHECKING, Any

from dlkeras.augmentation.settings import AugmentationSettings

if TYPE_CHECKING:
    import tensorflow as tf

# Images of so many pixels are worth the second that XLA takes to compile.
COMPILED_PIXELS = 128 * 128
# Crops of Inception's training (Szegedy et al. 2015): aspect ratio 3/4 to 4/3.
MAX_ASPECT = 4 / 3


def is_large(height: int, width: int) -> bool:
    """Whether images are so large that their augmentation is compiled by XLA."""
    return height * width >= COMPILED_PIXELS


def compiles(images: "tf.Tensor") -> bool:
    """Whether these images are."""
    size: Any = images.shape
    return is_large(size[1], size[2])


def moves_pixels(config: AugmentationSettings) -> bool:
    """Whether any of the transforms that are one matrix is on."""
    return bool(
        config.shift
        or config.rotation
        or config.zoom
        or config.horizontal_flip
        or config.vertical_flip
        or config.crop_padding
        or config.min_crop_area < 1
    )


def only_whole_pixels(config: AugmentationSettings) -> bool:
    """Whether pixels move as they are: flips and padded crops alone."""
    turned = config.shift or config.rotation or config.zoom or config.min_crop_area < 1
    # Along a side of one pixel `crop_and_resize` knows no outside.
    return not turned and min(config.height, config.width) > 1


def takes_transposed(config: AugmentationSettings) -> bool:
    """Whether `resample` is compiled, and so reads transposed images as well."""
    compiled = is_large(config.height, config.width) and config.fill_mode != "reflect"
    return compiled and moves_pixels(config)


def move_whole_pixels(
    config: AugmentationSettings, images: "tf.Tensor", matrices: "tf.Tensor"
) -> "tf.Tensor":
    """Do what `resample` does where `only_whole_pixels`: the same, some times faster.

    Args:
        config: the size; outside an image there is a raw pixel of 0.
        images: `(batch, height, width, channels)` float32.
        matrices: `(batch, 8)` from `transform_matrices`.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    def ends(first: "tf.Tensor", step: "tf.Tensor", size: int) -> list["tf.Tensor"]:
        """Where the first and the last output pixel are read, 0 to 1."""
        last = size - 1.0
        # An eighth of a pixel inwards, so that rounding puts no edge outside.
        return [
            0.5 + (place / max(last, 1.0) - 0.5) * (1 - 0.25 / size)
            for place in (first, first + step * last)
        ]

    top, bottom = ends(matrices[:, 5], matrices[:, 4], config.height)
    left, right = ends(matrices[:, 2], matrices[:, 0], config.width)
    moved = tf.image.crop_and_resize(
        images,
        tf.stack([top, left, bottom, right], axis=1),
        tf.range(tf.shape(images)[0]),
        [config.height, config.width],
        method="nearest",
        extrapolation_value=config.offset,
    )
    return tf.ensure_shape(moved, images.shape)


def _sizes(images: "tf.Tensor", transposed: bool) -> tuple[Any, int, int, int]:
    """Number, height, width and channels of images."""
    from dlkeras.augmentation.tensorflow_names import tf

    size: Any = images.shape
    number, height, width, channels = size
    if transposed:
        height, width = width, height
    return tf.shape(images)[0] if number is None else number, height, width, channels


@functools.cache
def _whole_pixels_compiled() -> Any:
    """Flips and shifts by whole pixels as one loop."""
    from dlkeras.augmentation.tensorflow_names import tf

    @tf.function(jit_compile=True, autograph=False)
    def moved(
        images: "tf.Tensor", matrices: "tf.Tensor", fill: "tf.Tensor", transposed: bool
    ) -> "tf.Tensor":
        number, height, width, channels = _sizes(images, transposed)

        def places(
            step: "tf.Tensor", first: "tf.Tensor", size: int
        ) -> tuple["tf.Tensor", "tf.Tensor"]:
            """Where each output row or column is read, and whether it is inside."""
            steps = step[:, None] * tf.range(size, dtype=tf.float32)
            place = tf.cast(tf.round(first[:, None] + steps), tf.int32)
            inside = (place >= 0) & (place < size)
            return tf.clip_by_value(place, 0, size - 1), inside

        rows, known_rows = places(matrices[:, 4], matrices[:, 5], height)
        columns, known_columns = places(matrices[:, 0], matrices[:, 2], width)
        first = tf.range(number)[:, None, None] * (height * width)
        rows, columns = rows[:, :, None], columns[:, None, :]
        place = columns * height + rows if transposed else rows * width + columns
        place += first
        pixels = tf.gather(tf.reshape(images, [-1, channels]), place)
        known = known_rows[:, :, None] & known_columns[:, None, :]
        return tf.where(tf.expand_dims(known, -1), pixels, fill)

    return moved


def transform_matrices(
    config: AugmentationSettings, strength: float, draws: "tf.Tensor"
) -> "tf.Tensor":
    """Turn draws into one projective transform for each image.

    An output pixel is looked up through, in this order: the flips, shift, rotation and
    zoom about the centre, and the crop.

    Args:
        config: the largest shift (share of the size), rotation (degrees) and zoom; the
            padding of the crop (pixels) or its least area; the flips; the size.
        strength: factor on shift, rotation and zoom.
        draws: `(batch, 12)` in 0 to 1: shift x, shift y, rotation, zoom x, zoom y,
            horizontal flip, vertical flip, crop's area, aspect, x, y; one is unused.

    Returns:
        `(batch, 8)` float32: the coefficients that map an output pixel to an input
        pixel, as `keras.ops.image.affine_transform` takes them.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    height, width = float(config.height), float(config.width)
    u = (2 * draws[:, :5] - 1) * strength
    shift_x, shift_y = u[:, 0] * config.shift * width, u[:, 1] * config.shift * height
    angle = u[:, 2] * (config.rotation * math.pi / 180)
    zoom_x, zoom_y = 1 + u[:, 3] * config.zoom, 1 + u[:, 4] * config.zoom
    cosine, sine = tf.cos(angle), tf.sin(angle)
    # Output pixel to input pixel about the centre: x_in = A (x_out - c - t) + c. Rows
    # count downwards: this turns a positive angle counter-clockwise.
    a0, a1 = cosine / zoom_x, -sine / zoom_x
    b0, b1 = sine / zoom_y, cosine / zoom_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = centre_x + shift_x, centre_y + shift_y
    a2 = centre_x - a0 * from_x - a1 * from_y
    b2 = centre_y - b0 * from_x - b1 * from_y
    if config.horizontal_flip:  # x_in = x(width - 1 - x_out) for half of the images
        flip, last = draws[:, 5] < 0.5, width - 1
        a2, b2 = a2 + tf.where(flip, last * a0, 0), b2 + tf.where(flip, last * b0, 0)
        a0, b0 = tf.where(flip, -a0, a0), tf.where(flip, -b0, b0)
    if config.vertical_flip:
        flip, last = draws[:, 6] < 0.5, height - 1
        a2, b2 = a2 + tf.where(flip, last * a1, 0), b2 + tf.where(flip, last * b1, 0)
        a1, b1 = tf.where(flip, -a1, a1), tf.where(flip, -b1, b1)
    if config.crop_padding:  # He et al. 2015: pad by so many pixels, cut out the size
        steps = 2 * config.crop_padding + 1
        a2 += tf.floor(draws[:, 9] * steps) - config.crop_padding
        b2 += tf.floor(draws[:, 10] * steps) - config.crop_padding
    if config.min_crop_area < 1:
        area = config.min_crop_area + (1 - config.min_crop_area) * draws[:, 7]
        aspect = tf.exp((2 * draws[:, 8] - 1) * math.log(MAX_ASPECT))
        scale_x = tf.minimum(tf.sqrt(area * aspect), 1.0)
        scale_y = tf.minimum(tf.sqrt(area / aspect), 1.0)
        # Edges to edges, pixel centres at halves: x_in = s (x + 1/2) - 1/2 + offset.
        offset_x = (1 - scale_x) * width * draws[:, 9] + (scale_x - 1) / 2
        offset_y = (1 - scale_y) * height * draws[:, 10] + (scale_y - 1) / 2
        a0, a1, a2 = a0 * scale_x, a1 * scale_x, a2 * scale_x + offset_x
        b0, b1, b2 = b0 * scale_y, b1 * scale_y, b2 * scale_y + offset_y
    zero = tf.zeros_like(a0)
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=-1)


def resample(
    config: AugmentationSettings,
    images: "tf.Tensor",
    matrices: "tf.Tensor",
    transposed: bool = False,
) -> "tf.Tensor":
    """Transform a batch of preprocessed images, bilinearly.

    Args:
        config: what is outside an image; for "constant" a raw pixel of 0.
        images: `(batch, height, width, channels)` float32.
        matrices: `(batch, 8)` from `transform_matrices`.
        transposed: the images come as `(batch, width, height, channels)`; only where
            `takes_transposed`.
    """
    from dlkeras.augmentation.tensorflow_names import keras, tf

    whole = only_whole_pixels(config) and config.fill_mode == "constant"
    if compiles(images) and config.fill_mode != "reflect":
        loop = _whole_pixels_compiled() if whole else _compiled(config.fill_mode)
        return loop(images, matrices, config.offset, transposed)
    if whole:
        return move_whole_pixels(config, images, matrices)
    transformed = keras.ops.image.affine_transform(
        images,
        matrices,
        interpolation="bilinear",
        fill_mode=config.fill_mode,
        fill_value=config.offset,
        data_format="channels_last",
    )
    return tf.ensure_shape(transformed, images.shape)


@functools.cache
def _compiled(fill_mode: str) -> Any:
    """The bilinear resampling of `keras.ops.image.affine_transform` as one loop.

    TensorFlow's kernel computes a pixel's place again for each channel and on its way
    tests four neighbours for the edge; XLA's loop takes a quarter of the time.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    @tf.function(jit_compile=True, autograph=False)
    def resampled(
        images: "tf.Tensor", matrices: "tf.Tensor", fill: "tf.Tensor", transposed: bool
    ) -> "tf.Tensor":
        number, height, width, channels = _sizes(images, transposed)
        rows = tf.range(height, dtype=tf.float32)[None, :, None]
        columns = tf.range(width, dtype=tf.float32)[None, None, :]
        m = matrices[:, :, None, None]
        x = m[:, 0] * columns + m[:, 1] * rows + m[:, 2]
        y = m[:, 3] * columns + m[:, 4] * rows + m[:, 5]
        # A frame of one pixel: of what is outside, or of the edge itself.
        if fill_mode == "constant":
            frame = [[0, 0], [1, 1], [1, 1], [0, 0]]
            images = tf.pad(images, frame, constant_values=fill)
        else:
            images = tf.concat([images[:, :1], images, images[:, -1:]], axis=1)
            images = tf.concat([images[:, :, :1], images, images[:, :, -1:]], axis=2)
        x = tf.clip_by_value(x, -1.0, float(width))
        y = tf.clip_by_value(y, -1.0, float(height))
        left = tf.minimum(tf.floor(x), width - 1.0)
        top = tf.minimum(tf.floor(y), height - 1.0)
        across, down = (x - left)[..., None], (y - top)[..., None]
        to_right, to_below = (height + 2, 1) if transposed else (1, width + 2)
        place = tf.range(number)[:, None, None] * ((height + 2) * (width + 2))
        place += tf.cast(top + 1, tf.int32) * to_below
        place += tf.cast(left + 1, tf.int32) * to_right
        flat = tf.reshape(images, [-1, channels])
        above, below = (
            (1 - across) * tf.gather(flat, place + step)
            + across * tf.gather(flat, place + step + to_right)
            for step in (0, to_below)
        )
        return (1 - down) * above + down * below

    return resampled


def elastic(
    config: AugmentationSettings, strength: float, image: "tf.Tensor", seed: "tf.Tensor"
) -> "tf.Tensor":
    """Distort an image elastically (LeCun et al. 1998; Simard et al. 2003).

    Each pixel moves by a random displacement, uniform and then smoothed by a Gaussian,
    scaled so that its standard deviation is `elastic` pixels.

    Args:
        config: `elastic`, the displacement, and `elastic_sigma`, the Gaussian's width,
            both in pixels.
        strength: factor on the displacement.
        image: `(height, width, channels)` float32.
        seed: `(2,)` int64.
    """
    from dlkeras.augmentation.tensorflow_names import keras, tf

    size: Any = image.shape
    height, width, channels = size
    field = tf.random.stateless_uniform([1, height, width, 2], seed, -1.0, 1.0)
    sigma = config.elastic_sigma
    side = 2 * math.ceil(3 * sigma) + 1
    field = keras.ops.image.gaussian_blur(
        field, (side, side), (sigma, sigma), data_format="channels_last"
    )[0]
    # Of uniform noise, standard deviation 3**-0.5, a Gaussian leaves 1/(2 sqrt(pi) s).
    left = 3**-0.5 / (2 * math.sqrt(math.pi) * sigma)
    field *= strength * config.elastic / left
    rows, columns = tf.meshgrid(
        tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32),
        indexing="ij",
    )  # fmt: skip
    place = tf.stack([rows + field[..., 0], columns + field[..., 1]])
    mode = {"constant": "constant", "nearest": "nearest", "reflect": "reflect"}
    moved = [
        keras.ops.image.map_coordinates(
            image[:, :, channel], place, order=1, fill_mode=mode[config.fill_mode],
            fill_value=config.offset,
        )
        for channel in range(channels)
    ]  # fmt: skip
    return tf.ensure_shape(tf.stack(moved, axis=-1), image.shape)
