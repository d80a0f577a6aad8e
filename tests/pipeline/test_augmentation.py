"""Augmentations against NumPy, SciPy and Pillow, and independent of the order."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from dlkeras.augmentation import Policy, resample, transform_matrices
from dlkeras.augmentation.colour import colours, erase
from dlkeras.augmentation.geometry import elastic
from dlkeras.augmentation.mixing import mix
from dlkeras.augmentation.policy import uniform_rows
from dlkeras.augmentation.rand_augment import OPERATIONS, apply, rand_augment
from dlkeras.pipeline import TransformConfig
from dlkeras.pipeline.batches.input_pipeline import evaluation_batches, training_batches
from dlkeras.pipeline.tensorflow_import import keras, tf

OFF = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0, "scale": 1 / 255, "offset": 0.0}
GREY = {"constant_values": 0.5}


def pictures(number=4, height=32, width=32, channels=3, seed=0):
    random = np.random.default_rng(seed)
    return random.random((number, height, width, channels)).astype("float32")


def moved(images, places=(), **config):
    """Resample with all draws at 1/2 but those given by place."""
    _, height, width, _ = images.shape
    options = TransformConfig(**{**OFF, "height": height, "width": width, **config})
    draws = np.full((len(images), 12), 0.5, dtype="float32")
    for place, value in dict(places).items():
        draws[:, place] = value
    matrices = transform_matrices(options, 1.0, tf.constant(draws))
    return resample(options, tf.constant(images), matrices).numpy()


# Geometry -----------------------------------------------------------------------------


def test_flips_are_numpys():
    images = pictures(height=20)
    both = {"horizontal_flip": True, "vertical_flip": True}
    assert np.allclose(moved(images, {5: 0.2, 6: 0.9}, **both), images[:, :, ::-1])
    assert np.allclose(moved(images, {5: 0.9, 6: 0.2}, **both), images[:, ::-1])
    assert np.allclose(moved(images, {5: 0.2, 6: 0.2}, **both), images[:, ::-1, ::-1])
    assert np.allclose(moved(images, {5: 0.9, 6: 0.9}, **both), images)


def test_a_padded_crop_is_a_crop_of_the_padded_image():
    images = pictures(height=20, width=24)
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    for x, y in ((0, 0), (8, 3), (4, 4), (1, 8)):
        draws = {9: (x + 0.5) / 9, 10: (y + 0.5) / 9}
        found = moved(images, draws, crop_padding=4)
        assert np.allclose(found, padded[:, y : y + 20, x : x + 24], atol=1e-5)


def test_a_crop_of_a_quarter_is_that_quarter_enlarged():
    images = pictures()
    found = moved(images, {7: 0.0, 8: 0.5, 9: 1.0, 10: 0.0}, min_crop_area=0.25)
    quarter = images[:, :16, 16:]
    expected = tf.image.resize(quarter, (32, 32), "bilinear").numpy()
    inner = slice(2, -2)  # at the edge of the crop its neighbours show
    assert np.allclose(found[:, inner, inner], expected[:, inner, inner], atol=1e-4)


@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect"])
def test_large_images_are_resampled_as_keras_does(fill_mode):
    config = TransformConfig(
        height=140, width=150, fill_mode=fill_mode, horizontal_flip=True, shift=0.2,
        rotation=40.0, zoom=0.3, offset=-0.3,
    )  # fmt: skip
    images = tf.constant(pictures(4, 140, 150))
    draws = np.random.default_rng(1).random((4, 12)).astype("float32")
    matrices = transform_matrices(config, 1.0, tf.constant(draws))
    expected = keras.ops.image.affine_transform(
        images, matrices, interpolation="bilinear", fill_mode=fill_mode,
        fill_value=config.offset, data_format="channels_last",
    )  # fmt: skip
    found = resample(config, images, matrices)
    assert np.allclose(found, expected, atol=1e-3)
    # Of fewer images the loop is compiled anew: not a bit may change.
    assert np.array_equal(resample(config, images[:3], matrices[:3]), found[:3])


@pytest.mark.parametrize("fill_mode", ["constant", "nearest"])
@pytest.mark.parametrize("moves", [{"rotation": 40.0, "zoom": 0.3}, {}])
def test_turned_images_become_what_upright_ones_become(fill_mode, moves):
    config = TransformConfig(
        **{**OFF, **moves}, height=140, width=150, fill_mode=fill_mode,
        horizontal_flip=True, vertical_flip=True, crop_padding=9,
    )  # fmt: skip
    images = pictures(8, 140, 150)
    draws = np.random.default_rng(4).random((8, 12)).astype("float32")
    matrices = transform_matrices(config, 1.0, tf.constant(draws))
    transposed = tf.constant(images.transpose(0, 2, 1, 3))
    found = resample(config, transposed, matrices, transposed=True)
    expected = resample(config, tf.constant(images), matrices)
    assert np.allclose(found, expected, atol=1e-4)
    assert not np.allclose(found[0], images[0], atol=0.1)


@pytest.mark.parametrize("height, width", [(32, 32), (140, 150), (1, 7)])
def test_flips_and_padded_crops_keep_every_bit_of_a_pixel(height, width):
    config = TransformConfig(
        **{**OFF, "offset": -0.3}, height=height, width=width, horizontal_flip=True,
        vertical_flip=True, crop_padding=5,
    )  # fmt: skip
    images = pictures(64, height, width)
    draws = np.random.default_rng(2).random((64, 12)).astype("float32")
    matrices = transform_matrices(config, 1.0, tf.constant(draws))
    found = resample(config, tf.constant(images), matrices).numpy()
    for number in range(0, 64, 4):
        one = slice(number, number + 1)
        alone = resample(config, tf.constant(images[one]), matrices[one])
        assert np.array_equal(alone, found[one])
    frame = ((0, 0), (5, 5), (5, 5), (0, 0))
    padded = np.pad(images, frame, constant_values=np.float32(-0.3))
    for image, row, result in zip(padded, draws, found, strict=True):
        top, left = (int(np.floor(row[place] * 11)) for place in (10, 9))
        image = image[top : top + height, left : left + width]
        # A matrix looks through the flip first: what was cut out is mirrored.
        image = image[:, ::-1] if row[5] < 0.5 else image
        image = image[::-1] if row[6] < 0.5 else image
        assert np.array_equal(result, image)


def test_colours_of_large_images_are_those_of_small_ones():
    colourful = {
        "brightness": 0.3, "contrast": 0.3, "saturation": 0.4, "hue": 0.2,
        "auto_contrast": 0.5,
    }  # fmt: skip
    images = tf.constant(pictures(4, 140, 150))
    rows = np.random.default_rng(3).random((4, 32)).astype("float32")
    config = TransformConfig(**OFF, height=140, width=150, **colourful)
    policy = Policy(config, 1.0, 2)
    found = policy.batch(images, policy.decide(tf.constant(rows)))
    expected = colours(config, 1.0, images, tf.constant(rows[:, 12:17]))
    assert np.allclose(found, expected, atol=1e-3)


def test_elastic_displacement_has_the_standard_deviation_that_is_asked_for():
    """An image whose levels are its columns shows by how much each pixel moved."""
    config = TransformConfig(
        **OFF, height=64, width=64, elastic=1.5, elastic_sigma=3.0, fill_mode="nearest"
    )
    ramp = np.broadcast_to(np.arange(64, dtype="float32")[None, :, None], (64, 64, 1))
    spread = []
    for index in range(40):
        seed = tf.constant([0, index], tf.int64)
        found = elastic(config, 1.0, tf.constant(ramp), seed).numpy()
        spread.append((found - ramp)[16:-16, 16:-16].std())
    assert np.sqrt(np.mean(np.square(spread))) == pytest.approx(1.5, rel=0.1)


# Colours ------------------------------------------------------------------------------


def recoloured(images, places=(), **config):
    options = TransformConfig(**{**OFF, **config})
    draws = np.full((len(images), 5), 0.5, dtype="float32")
    for place, value in dict(places).items():
        draws[:, place] = value
    return colours(options, 1.0, tf.constant(images), tf.constant(draws)).numpy()


def test_brightness_adds_and_contrast_scales_about_the_mean():
    images = pictures()
    found = recoloured(images, {0: 1.0}, brightness=0.3)
    assert np.allclose(found, np.clip(images + 0.3, 0, 1), atol=1e-6)
    found = recoloured(images, {1: 0.0}, contrast=0.5)
    mean = images.mean(axis=(1, 2), keepdims=True)
    assert np.allclose(found, np.clip(mean + 0.5 * (images - mean), 0, 1), atol=1e-5)


def test_no_saturation_leaves_the_largest_channel_and_half_a_turn_the_hue():
    images = pictures()
    found = recoloured(images, {2: 0.0}, saturation=1.0)
    assert np.allclose(found, images.max(axis=-1, keepdims=True), atol=1e-5)
    pure = np.zeros((1, 4, 4, 3), dtype="float32")
    pure[..., 0] = 1.0  # red turns to cyan
    assert np.allclose(recoloured(pure, {3: 1.0}, hue=0.5)[0, 0, 0], (0, 1, 1))


def test_auto_contrast_is_pillows():
    images = pictures() * 0.4 + 0.2
    found = recoloured(images, {4: 0.1}, auto_contrast=0.5)
    for image, stretched in zip(images, found, strict=True):
        levels = np.round(image * 255).astype("uint8")
        expected = np.asarray(ImageOps.autocontrast(Image.fromarray(levels)))
        assert np.abs(stretched * 255 - expected).max() < 2.5
    assert np.allclose(recoloured(images, {4: 0.9}, auto_contrast=0.5), images)


def test_grey_images_have_neither_saturation_nor_hue():
    images = pictures(channels=1)
    assert np.allclose(recoloured(images, {2: 1, 3: 1}, saturation=1, hue=0.5), images)


def test_erasing_blanks_a_rectangle_of_the_area_that_was_drawn():
    images = np.ones((1, 100, 100, 1), dtype="float32")
    config = TransformConfig(**OFF, erasing=0.5)
    draws = np.array([[0.1, 1.0, 0.5, 0.5, 0.5, 0, 0]], dtype="float32")
    found = erase(config, tf.constant(images), tf.constant(draws), 0.0).numpy()[
        0, ..., 0
    ]
    assert (found == 0).mean() == pytest.approx(0.33, abs=0.01)
    rows, columns = np.where(found == 0)
    size = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert (found == 0).sum() == size
    draws[0, 0] = 0.9
    assert (
        (erase(config, tf.constant(images), tf.constant(draws), 0.0) == 1).numpy().all()
    )


def test_cutout_blanks_a_square_that_may_stand_over_the_edge():
    images = np.ones((1, 40, 40, 1), dtype="float32")
    config = TransformConfig(**OFF, cutout=0.5)
    for place, area in ((0.5, 400), (0.0, 100)):
        draws = np.full((1, 7), place, dtype="float32")
        found = erase(config, tf.constant(images), tf.constant(draws), 0.0)
        assert int((found.numpy() == 0).sum()) == area


def test_noise_has_the_standard_deviation_that_is_asked_for():
    config = TransformConfig(**OFF, noise=0.1)
    policy = Policy(config, 1.0, 2)
    image = tf.fill([64, 64, 3], 0.5)
    key, index = tf.constant([0, 0], tf.int64), tf.constant(3, tf.int64)
    found = policy.image(image, tf.zeros([32]), key, index).numpy()
    assert found.std() == pytest.approx(0.1, rel=0.05)
    assert found.mean() == pytest.approx(0.5, abs=0.005)


# RandAugment --------------------------------------------------------------------------


def test_rand_augment_has_the_papers_14_operations():
    assert len(OPERATIONS) == 14


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_keeps_shape_and_range(name):
    image = tf.constant(pictures(1)[0])
    for amount in (-1.0, 0.3, 1.0):
        found = apply(name, image, amount).numpy()
        assert found.shape == (32, 32, 3)
        assert np.isfinite(found).all()
        assert found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize(
    ("name", "amount", "pillows"),
    [
        ("auto_contrast", 1.0, ImageOps.autocontrast),
        ("solarize", 0.5, lambda i: ImageOps.solarize(i, 128)),
        ("posterize", 1.0, lambda i: ImageOps.posterize(i, 4)),
        ("color", 1.0, lambda i: ImageEnhance.Color(i).enhance(1.9)),
        ("brightness", -1.0, lambda i: ImageEnhance.Brightness(i).enhance(0.1)),
    ],
)
def test_operations_are_pillows_within_rounding(name, amount, pillows):
    levels = np.round(pictures(1)[0] * 255).astype("uint8")
    found = apply(name, tf.constant(levels / 255, tf.float32), amount).numpy() * 255
    expected = np.asarray(pillows(Image.fromarray(levels))).astype(float)
    assert np.abs(found - expected).max() < 3


@pytest.mark.parametrize(
    ("name", "amount", "expected"),
    [
        # 0.45 of 20 columns: 9; what comes in is grey
        ("translate_x", 1.0, lambda a: np.pad(a, ((0, 0), (0, 9)), **GREY)[:, 9:]),
        ("translate_y", -1.0, lambda a: np.pad(a, ((9, 0), (0, 0)), **GREY)[:-9]),
        ("rotate", 0.0, lambda a: a),
    ],
)  # fmt: skip
def test_translations_are_numpys(name, amount, expected):
    image = pictures(1, 20, 20, 1)[0]
    found = apply(name, tf.constant(image), amount).numpy()[..., 0]
    assert np.allclose(found, expected(image[..., 0]), atol=1e-5)


def test_rotation_is_scipys():
    image = pictures(1, 21, 21, 1)[0]
    found = apply("rotate", tf.constant(image), 1.0).numpy()[..., 0]
    expected = ndimage.rotate(
        image[..., 0], -30, reshape=False, order=1, mode="constant", cval=0.5
    )
    other = ndimage.rotate(
        image[..., 0], 30, reshape=False, order=1, mode="constant", cval=0.5
    )
    middle = slice(5, -5)
    difference = min(
        np.abs(found - turned)[middle, middle].max() for turned in (expected, other)
    )
    assert difference < 1e-3


def test_each_draw_chooses_its_operation():
    image = tf.constant(pictures(1)[0])
    for number, name in enumerate(OPERATIONS):
        draws = tf.constant([(number + 0.5) / 14, 0.9, 0.0, 0.0])
        found = rand_augment(image, 1, 6.0, draws).numpy()
        assert np.allclose(found, np.clip(apply(name, image, 0.6), 0, 1), atol=1e-6)


# Mixing -------------------------------------------------------------------------------


def mixed(**config):
    images = np.zeros((64, 16, 16, 1), dtype="float32")
    images += np.arange(64)[:, None, None, None]
    shares = np.eye(64, dtype="float32")
    seed = tf.constant([7, 3], tf.int64)
    options = TransformConfig(**OFF, **config)
    found, labels = mix(options, tf.constant(images), tf.constant(shares), seed)
    return found.numpy(), labels.numpy()


def test_mixup_mixes_pixels_and_labels_by_the_same_share():
    """Each image's level is its number: the labels' mean must be that of the pixels."""
    images, labels = mixed(mixup=0.8)
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(images[:, 0, 0, 0], labels @ np.arange(64), atol=1e-3)
    assert ((labels > 0).sum(axis=1) <= 2).all()


def test_mixups_share_is_of_the_beta_distribution():
    """Beta(a, a) has the variance 1 / (4 (2 a + 1))."""
    images = tf.zeros([4000, 1, 1, 1])
    shares = tf.one_hot(tf.range(4000) % 2, 2)
    config = TransformConfig(**OFF, mixup=0.4)
    _, labels = mix(config, images, shares, tf.constant([1, 1], tf.int64))
    own = tf.reduce_sum(labels * shares, axis=1).numpy()
    assert own.mean() == pytest.approx(0.5, abs=0.03)
    assert own.var() == pytest.approx(1 / (4 * 1.8), rel=0.06)


def test_cutmix_pastes_a_rectangle_and_shares_labels_by_its_area():
    images, labels = mixed(cutmix=1.0)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        own = (image == number).mean()
        assert label[number] == pytest.approx(own, abs=1e-5)
        other = image[image != number]
        assert len(np.unique(other)) <= 1
        if len(other):
            rows, columns = np.where(image[..., 0] != number)
            assert len(other) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_a_network_trains_on_shares_and_validates_on_numbers(prepared):
    from dlkeras.pipeline.artifacts.types import Transform
    from dlkeras.pipeline.configuration.config import TrainerConfig
    from dlkeras.pipeline.training.network import compiled_network

    transform = prepared["Transform"]
    record = transform.record.model_copy(
        update={
            "config": {"transform": TransformConfig(mixup=0.2).model_dump(mode="json")}
        }
    )
    mixing = Transform(transform.path, record)
    batches = training_batches(
        prepared["Examples"], mixing, batch_size=32, seed=0, augmentation_strength=1.0,
        first_epoch=0, epochs=1,
    )  # fmt: skip
    _, labels = next(iter(batches))
    assert labels.shape == (32, 10)
    model = compiled_network(
        TrainerConfig(), input_shape=(32, 32, 1), num_classes=10, learning_rate=2e-3,
        steps=60,
    )  # fmt: skip
    validation = evaluation_batches(prepared["Examples"], mixing, "validation", 64)
    history = model.fit(
        batches,
        steps_per_epoch=37,
        validation_data=validation,
        shuffle=False,
        verbose=0,
    ).history
    images = np.concatenate([x for x, _ in validation])
    numbers = np.concatenate([y for _, y in validation])
    right = (model.predict(images, verbose=0).argmax(axis=1) == numbers).mean()
    assert history["val_accuracy"][0] == pytest.approx(right, abs=1e-6)


# Independence of the order ------------------------------------------------------------

STRONG = TransformConfig(
    horizontal_flip=True, brightness=0.2, contrast=0.2, erasing=0.5, elastic=1.0,
    noise=0.05, rand_augment=1, auto_contrast=0.2,
)  # fmt: skip


def test_an_examples_augmentation_depends_on_seed_epoch_and_index_alone():
    policy = Policy(STRONG, 1.0, 10)
    images = tf.constant(pictures(6, channels=1))
    key = tf.constant([5, 2], tf.int64)
    rows = tf.stack(list(uniform_rows(key, 6, policy.decide)))

    def augmented(order, batch):
        found = {}
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            singles = [
                policy.image(images[i], rows[i], key, tf.constant(i, tf.int64))
                for i in part
            ]
            done = policy.batch(tf.stack(singles), tf.gather(rows, part))
            found.update(zip(part, done.numpy(), strict=True))
        return found

    one, other = augmented([0, 1, 2, 3, 4, 5], 6), augmented([3, 5, 1, 0, 2, 4], 2)
    for index in range(6):
        assert np.array_equal(one[index], other[index])


def test_rows_of_an_example_do_not_depend_on_how_many_there_are():
    key = tf.constant([5, 2], tf.int64)
    few = np.stack(list(uniform_rows(key, 10)))
    many = np.stack(list(uniform_rows(key, 3000)))
    assert np.array_equal(few, many[:10])
    assert len(np.unique(many)) > 0.99 * many.size
    assert not np.array_equal(few, np.stack(list(uniform_rows(key + 1, 10))))


def test_turning_one_augmentation_on_leaves_the_others_as_they_are():
    images = tf.constant(pictures(5))
    rows = tf.constant(np.random.default_rng(0).random((5, 32)), tf.float32)
    plain = Policy(TransformConfig(**{**OFF, "shift": 0.2}), 1.0, 2)
    more = Policy(TransformConfig(**{**OFF, "shift": 0.2}, cutout=0.3), 1.0, 2)
    one, other = (p.batch(images, p.decide(rows)).numpy() for p in (plain, more))
    same = np.isclose(one, other).all(axis=-1)
    assert 0.85 < same.mean() < 1


def test_all_augmentations_together_repeat_in_the_parallel_graph(prepared):
    from dlkeras.pipeline.artifacts.types import Transform

    config = STRONG.model_copy(
        update={"mixup": 0.2, "cutmix": 1.0, "cutout": 0.2, "vertical_flip": True,
                "crop_padding": 2, "min_crop_area": 0.5}
    )  # fmt: skip
    dumped = {"transform": config.model_dump(mode="json")}
    transform = prepared["Transform"]
    record = transform.record.model_copy(update={"config": dumped})

    def read(first_epoch):
        batches = training_batches(
            prepared["Examples"], Transform(transform.path, record), batch_size=100,
            seed=0, augmentation_strength=1.0, first_epoch=first_epoch, epochs=2,
        )  # fmt: skip
        return [(x.numpy(), y.numpy()) for x, y in batches]

    both, again, second = read(0), read(0), read(1)
    for one, other in zip(both + both[len(second) :], again + second, strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
    assert all(np.isfinite(images).all() for images, _ in both)
