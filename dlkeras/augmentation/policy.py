"""The augmentation policy: which changes are drawn, and in which order they apply.

The order: RandAugment, elastic distortion and noise, image by image; then, for a whole
batch at once, geometry, colours, erasing, and mixing. Every draw has a place of its own
in an example's row of random numbers, so that turning one augmentation on or off leaves
the others as they are.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dlkeras.augmentation import colour, geometry, mixing
from dlkeras.augmentation.rand_augment import rand_augment
from dlkeras.augmentation.settings import AugmentationSettings

if TYPE_CHECKING:
    import tensorflow as tf


GEOMETRY = slice(0, 12)
COLOURS = slice(12, 17)
ERASING = slice(17, 24)
RAND_AUGMENT = slice(24, 32)
COLUMNS = 32
MATRICES = slice(COLUMNS, COLUMNS + 8)
ROWS = 1024
ELASTIC, NOISE = 1, 2


def uniform_rows(
    key: "tf.Tensor",
    number: int,
    decide: "Callable[[tf.Tensor], tf.Tensor] | None" = None,
    stretches: "Sequence[tuple[int, int]] | None" = None,
) -> "tf.data.Dataset":
    """Give each example of an epoch a row of random numbers, by its place alone.

    Args:
        key: `(2,)` int64, the seed and the epoch.
        number: how many examples.
        decide: makes of 1,024 rows as many longer ones. Always of so many: sines of
            vectors and of what remains beside them may differ in their last bit.
        stretches: of these places alone, each the first and how many.

    Returns:
        `number` rows `(32,)` float32, 0 to 1, or what `decide` makes of them.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    mixed = key[0] * 1_000_003 + key[1]

    @tf.autograph.experimental.do_not_convert
    def block(start: "tf.Tensor") -> "tf.data.Dataset":
        rows = tf.random.stateless_uniform([ROWS, COLUMNS], tf.stack([mixed, start]))
        rows = rows if decide is None else decide(rows)
        return tf.data.Dataset.from_tensor_slices(rows)

    if stretches is None:
        return tf.data.Dataset.range(0, number, ROWS).flat_map(block).take(number)

    @tf.autograph.experimental.do_not_convert
    def along(stretch: "tf.Tensor") -> "tf.data.Dataset":
        first, length = stretch[0], stretch[1]
        starts = tf.data.Dataset.range(first // ROWS * ROWS, first + length, ROWS)
        return starts.flat_map(block).skip(tf.math.floormod(first, ROWS)).take(length)

    places = tf.constant(list(stretches), tf.int64)
    return tf.data.Dataset.from_tensor_slices(places).flat_map(along)


class Policy:
    """The augmentation of a transform's configuration.

    Args:
        config: the augmentations and their largest changes.
        strength: factor on the changes of geometry, colours, elastic and noise.
        classes: number of classes, for mixing.
    """

    def __init__(self, config: AugmentationSettings, strength: float, classes: int):
        self._config = config
        self._strength = strength
        self._classes = classes
        self.mixes = mixing.mixes(config)
        on = config.augment and strength > 0
        self.single = on and bool(config.rand_augment or config.elastic or config.noise)
        self.batched = on and bool(
            geometry.moves_pixels(config)
            or colour.changes_colours(config)
            or config.erasing
            or config.cutout
        )
        # Large images one by one, while each is in the processor's cache.
        self.one_by_one = geometry.is_large(config.height, config.width)
        # What reads pixels where they are needed may as well read columns for rows.
        self.takes_transposed = (
            on and not self.single and geometry.takes_transposed(config)
        )

    def decide(self, rows: "tf.Tensor") -> "tf.Tensor":
        """Add to examples' random numbers what of the augmentation follows from them.

        Args:
            rows: `(examples, 32)` float32, 0 to 1.

        Returns:
            `(examples, 40)`, with the coefficients of the geometric transform; the same
            rows where there is none.
        """
        from dlkeras.augmentation.tensorflow_names import tf

        if not geometry.moves_pixels(self._config):
            return rows
        draws = rows[:, GEOMETRY]
        matrices = geometry.transform_matrices(self._config, self._strength, draws)
        return tf.concat([rows, matrices], axis=1)

    def image(
        self, image: "tf.Tensor", row: "tf.Tensor", key: "tf.Tensor", index: "tf.Tensor"
    ) -> "tf.Tensor":
        """Augment one image by what cannot be done for a batch at once.

        Args:
            image: `(height, width, channels)`, the network's input.
            row: its random numbers, `(32,)` or more.
            key: `(2,)` int64, the seed and the epoch.
            index: the example's place in the split.
        """
        from dlkeras.augmentation.tensorflow_names import tf

        config = self._config
        seed = tf.stack([key[0] * 1_000_003 + key[1], index])
        if config.rand_augment:
            magnitude = min(config.rand_augment_magnitude * self._strength, 10.0)
            draws = row[RAND_AUGMENT]
            unit = rand_augment(
                self._unit(image), config.rand_augment, magnitude, draws
            )
            image = self._network(unit)
        if config.elastic:
            image = geometry.elastic(
                config, self._strength, image, mixing.offset(seed, ELASTIC)
            )
        if config.noise:
            unit = self._unit(image)
            noisy = colour.noise(
                config, self._strength, unit, mixing.offset(seed, NOISE)
            )
            image = self._network(noisy)
        return image

    def batch(
        self, images: "tf.Tensor", rows: "tf.Tensor", transposed: bool = False
    ) -> "tf.Tensor":
        """Augment a batch.

        Args:
            images: `(batch, height, width, channels)`, the network's input.
            rows: what `decide` made of their random numbers.
            transposed: the images come as `(batch, width, height, channels)`; only
                where the policy `takes_transposed`.
        """
        config = self._config
        if geometry.moves_pixels(config):
            images = geometry.resample(config, images, rows[:, MATRICES], transposed)
        if colour.changes_colours(config):
            images = self._colours(images, rows[:, COLOURS])
        if config.erasing or config.cutout:
            grey = config.offset + 127.5 * config.scale
            images = colour.erase(config, images, rows[:, ERASING], grey)
        return images

    def mix(
        self,
        images: "tf.Tensor",
        labels: "tf.Tensor",
        key: "tf.Tensor",
        first: "tf.Tensor",
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Mix the images of a batch; labels become shares of the classes.

        Of several labels each gets its share, and numbers are averaged.

        Args:
            images: `(batch, height, width, channels)`.
            labels: `(batch,)` int64; several, `(batch, classes)` 0.0 or 1.0; or
                numbers, `(batch,)` float32.
            key: `(2,)` int64, the seed and the epoch.
            first: place in the split of the batch's first example.
        """
        from dlkeras.augmentation.tensorflow_names import tf

        seed = tf.stack([key[0] * 1_000_003 + key[1], first])
        if labels.dtype.is_floating:
            shares = tf.reshape(labels, [tf.shape(labels)[0], self._classes])
            images, shares = mixing.mix(self._config, images, shares, seed)
            return images, tf.reshape(shares, tf.shape(labels))
        shares = tf.one_hot(labels, self._classes)
        return mixing.mix(self._config, images, shares, seed)

    def _colours(self, images: "tf.Tensor", draws: "tf.Tensor") -> "tf.Tensor":
        """Change colours; those of large images in one compiled loop."""
        from dlkeras.augmentation.tensorflow_names import tf

        def changed(images: "tf.Tensor", draws: "tf.Tensor") -> "tf.Tensor":
            unit = self._unit(images)
            return self._network(
                colour.colours(self._config, self._strength, unit, draws)
            )

        if not geometry.compiles(images):
            return changed(images, draws)
        return tf.function(changed, jit_compile=True, autograph=False)(images, draws)

    def _unit(self, images: "tf.Tensor") -> "tf.Tensor":
        """From the network's range to 0 to 1."""
        config = self._config
        return (images - config.offset) / (255 * config.scale)

    def _network(self, images: "tf.Tensor") -> "tf.Tensor":
        config = self._config
        return images * (255 * config.scale) + config.offset
