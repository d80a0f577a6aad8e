"""The tf.data graph: parallel, reproducible, and geometrically what it says."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_digits

from dlkeras.augmentation import (
    geometry,
    resample,
    transform_matrices,
    uniform_rows,
)
from dlkeras.pipeline import TransformConfig
from dlkeras.pipeline.artifacts.types import Transform
from dlkeras.pipeline.batches import input_pipeline
from dlkeras.pipeline.batches.input_pipeline import (
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from dlkeras.pipeline.batches.resizing import resize_antialiased, with_aspect
from dlkeras.pipeline.batches.shown_images import shrunk
from dlkeras.pipeline.tensorflow_import import tf
from dlkeras.untrusted.activations import check_activations
from dlkeras.untrusted.gate import UntrustedFileError


def with_augmentation(transform: Transform, **config) -> Transform:
    """The same transform with other fields of its configuration."""
    dumped = {"transform": TransformConfig(**config).model_dump(mode="json")}
    return Transform(
        transform.path, transform.record.model_copy(update={"config": dumped})
    )


@pytest.fixture
def batches(prepared):
    def read(first_epoch=0, epochs=2, seed=0, strength=1.0):
        dataset = training_batches(
            prepared["Examples"], prepared["Transform"], batch_size=32, seed=seed,
            augmentation_strength=strength, first_epoch=first_epoch, epochs=epochs,
        )  # fmt: skip
        return [(x.numpy(), y.numpy()) for x, y in dataset]

    return read


def same(one, two):
    return len(one) == len(two) and all(
        np.array_equal(a, c) and np.array_equal(b, d)
        for (a, b), (c, d) in zip(one, two, strict=True)
    )


def test_the_same_seed_gives_the_same_batches_in_parallel(batches):
    assert same(batches(), batches())


def test_an_epoch_does_not_depend_on_where_reading_started(batches, prepared):
    steps = steps_per_epoch(prepared["Examples"], 32)
    assert same(batches(0, 3)[2 * steps :], batches(2, 3))


def test_the_batches_do_not_depend_on_tensorflows_global_seed(batches):
    tf.random.set_seed(0)
    one = batches()
    tf.random.set_seed(12345)
    assert same(one, batches())


def test_epochs_and_seeds_differ_in_order_and_in_augmentation(batches, prepared):
    steps = steps_per_epoch(prepared["Examples"], 32)
    both = batches(0, 2)
    assert not np.array_equal(both[0][1], both[steps][1])
    assert not np.array_equal(both[0][1], batches(0, 1, seed=1)[0][1])
    plain, augmented = batches(strength=0.0), batches(strength=1.0)
    assert np.array_equal(plain[0][1], augmented[0][1])
    assert not np.allclose(plain[0][0], augmented[0][0], atol=0.05)


def test_every_example_is_read_once_an_epoch(batches, prepared):
    labels = np.concatenate([y for _, y in batches(0, 1)])
    counts = prepared["Statistics"].summary["splits"]["train"]["classes"]
    assert np.bincount(labels).tolist() == list(counts.values())


COLOURFUL = {
    "brightness": 0.2, "contrast": 0.3, "auto_contrast": 0.5, "erasing": 0.5,
    "rand_augment": 2, "elastic": 1.0, "noise": 0.1, "crop_padding": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    "augmentation",
    [{}, COLOURFUL, {"mixup": 0.4, "cutmix": 1.0}],
    ids=["geometry", "all", "mixing"],
)
def test_the_parts_of_two_machines_are_the_batches_of_one(prepared, augmentation):
    """Same images, same augmentation, same order: each example once, on one machine."""
    transform = with_augmentation(prepared["Transform"], **augmentation)

    def read(part):
        return training_batches(
            prepared["Examples"], transform, batch_size=34, seed=0,
            augmentation_strength=1.0, first_epoch=0, epochs=2, part=part,
        ).as_numpy_iterator()  # fmt: skip

    steps = list(zip(read((0, 2)), read((1, 2)), strict=True))
    whole = list(read((0, 1)))
    assert whole[0][1].ndim == (2 if "mixup" in augmentation else 1)
    for (images, labels), ((even, e), (odd, o)) in zip(whole, steps, strict=True):
        assert np.array_equal(images[0::2], even)
        assert np.array_equal(images[1::2], odd)
        assert np.array_equal(labels[0::2], e)
        assert np.array_equal(labels[1::2], o)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 300), (256, 199), (32, 24)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("aspect", ["crop", "pad", "stretch"])
def test_images_are_resized_as_the_exported_model_does(size, channels, aspect):
    from dlkeras.pipeline.components.transform import preprocessing_model

    config = TransformConfig(
        height=32, width=24, scale=1 / 127.5, offset=-1.0, aspect=aspect
    )
    pixels = np.random.default_rng(0).integers(
        0, 256, (*size, channels), dtype=np.uint8
    )
    expected = preprocessing_model(config, channels)(pixels[None])[0].numpy()
    shaped = with_aspect(tf.constant(pixels), 32, 24, aspect)
    resized = resize_antialiased(shaped, 32, 24).numpy()
    assert resized.dtype == np.float32
    ours = resized * config.scale + config.offset
    assert np.allclose(ours, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(900, 1600), (1600, 900)])
@pytest.mark.parametrize(("aspect", "share"), [("crop", 800 / 900), ("pad", 0.5)])
def test_a_circle_in_a_photo_that_is_not_square_stays_one(shape, aspect, share):
    """Of 800 pixels across, in the middle of a photo of 1600 x 900."""
    from dlkeras.pipeline.components.transform import preprocessing_model

    y, x = np.ogrid[: shape[0], : shape[1]]
    middle = ((y - shape[0] / 2) ** 2 + (x - shape[1] / 2) ** 2) < 400**2
    pixels = np.uint8(255 * middle)[..., None]
    config = TransformConfig(
        height=32, width=32, scale=1 / 255, offset=0, aspect=aspect
    )
    seen = preprocessing_model(config, 1)(pixels[None])[0, ..., 0].numpy() > 0.5
    height, width = seen.any(axis=1).sum(), seen.any(axis=0).sum()
    assert height == width
    assert abs(width - 32 * share) <= 1
    shown = shrunk(pixels, 32, 32, aspect)[..., 0] > 127
    assert np.array_equal(shown, seen)


def test_the_default_keeps_circles_round():
    assert TransformConfig().aspect in ("crop", "pad")


@pytest.mark.parametrize("aspect", ["crop", "pad"])
def test_the_memory_that_a_photo_takes_is_known_before_it_is_answered(aspect):
    from dlkeras.pipeline.components.transform import preprocessing_model

    model = preprocessing_model(TransformConfig(aspect=aspect), 3)
    check_activations(model, 900, 1600)
    if aspect == "pad":  # a strip becomes a square of 60,000
        with pytest.raises(UntrustedFileError, match="at once"):
            check_activations(model, 10, 60_000)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("large", [True, False])
def test_what_is_read_is_what_the_exported_model_makes(
    prepared, antialias, large, tmp_path, monkeypatch
):
    from dlkeras.pipeline.components.transform import preprocessing_model

    monkeypatch.setattr(input_pipeline, "LARGE_BYTES", 0 if large else 2**30)
    config = TransformConfig(antialias=antialias)
    examples, transform = prepared["Examples"], prepared["Transform"]
    model = preprocessing_model(config, 1)
    model.save(tmp_path / Transform.PREPROCESSING)
    record = with_augmentation(transform, antialias=antialias).record
    read = evaluation_batches(examples, Transform(tmp_path, record), "test", 16)
    images = next(iter(read))[0].numpy()
    pixels = [e["image"] for e in examples.dataset("test").take(16)]
    assert np.allclose(images, model(tf.stack(pixels)).numpy(), rtol=0, atol=1e-6)


def test_of_large_images_only_so_many_bytes_are_shuffled_together(
    prepared, monkeypatch
):
    """With room for 10 records an example comes no earlier than 10 places before."""
    examples = prepared["Examples"]
    record = examples.stored_bytes("train") // examples.splits["train"]
    assert 200 < record < 400  # an 8x8 PNG, its name and label
    monkeypatch.setattr(input_pipeline, "CACHE_BYTES", 0)
    monkeypatch.setattr(input_pipeline, "SHUFFLE_BYTES", 10 * record)
    transform = with_augmentation(prepared["Transform"], augment=False)
    batches = training_batches(
        examples, transform, batch_size=500, seed=0, augmentation_strength=1.0,
        first_epoch=0, epochs=1,
    )  # fmt: skip
    seen = np.concatenate([x for x, _ in batches.as_numpy_iterator()])
    stored = np.concatenate(
        [x for x, _ in evaluation_batches(examples, transform, "train", 500)]
    )
    order = {image.tobytes(): place for place, image in enumerate(stored)}
    places = np.array([order[image.tobytes()] for image in seen])
    assert len(order) == len(stored) == len(seen)
    assert not np.array_equal(places, np.arange(len(places)))
    assert (places - np.arange(len(places))).max() <= 10


def test_what_is_not_training_is_not_augmented(prepared):
    """Scikit-learn's arrays, enlarged by SciPy, are the images of the test split."""
    examples, transform = prepared["Examples"], prepared["Transform"]
    (images, _) = next(iter(evaluation_batches(examples, transform, "test", 4)))
    first = next(examples.dataset("test").as_numpy_iterator())
    index = int(first["id"].decode().split("/")[1])
    raw = np.round(load_digits().images[index] * 255 / 16)
    # Bilinear, half-pixel centres: what tf.image.resize documents.
    grid = (np.arange(32) + 0.5) / 4 - 0.5
    rows, columns = np.meshgrid(grid, grid, indexing="ij")
    enlarged = ndimage.map_coordinates(raw, [rows, columns], order=1, mode="nearest")
    expected = enlarged * (1.275 / 255) - 0.1
    assert np.allclose(images[0, ..., 0], expected, atol=1e-5)


def matrix(config, u):
    """The transform for known draws, given in -1 to 1."""
    draws = np.full((1, 12), 0.5, dtype="float32")
    draws[0, :5] = (np.array(u) + 1) / 2
    return transform_matrices(config, 1.0, tf.constant(draws))


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        # shift x, shift y, rotation, zoom x, zoom y, each in units of the largest
        ([1, 0, 0, 0, 0], lambda a: np.pad(a, ((0, 0), (4, 0)))[:, :-4]),
        ([0, -1, 0, 0, 0], lambda a: np.pad(a, ((0, 4), (0, 0)))[4:]),
        ([0, 0, 1, 0, 0], lambda a: np.rot90(a)),
        ([0, 0, -1, 0, 0], lambda a: np.rot90(a, -1)),
    ],
)
def test_shift_and_rotation_move_the_image_as_numpy_does(draws, expected):
    config = TransformConfig(shift=4 / 32, rotation=90, zoom=0.5, offset=0.0)
    image = np.random.default_rng(0).random((32, 32)).astype("float32")
    tensor = tf.constant(image[..., None])
    moved = resample(config, tensor[None], matrix(config, draws))
    assert np.allclose(moved[0, ..., 0], expected(image), atol=1e-4)


def test_zoom_enlarges_about_the_centre_as_scipy_does():
    config = TransformConfig(zoom=0.5, offset=0.0)
    image = np.random.default_rng(0).random((32, 32)).astype("float32")
    tensor = tf.constant(image[..., None])
    by_half = matrix(config, [0, 0, 0, 1, 1])  # a factor of 1.5
    zoomed = resample(config, tensor[None], by_half)[0, ..., 0].numpy()
    centre = np.array([15.5, 15.5])
    scale = np.eye(2) / 1.5
    expected = ndimage.affine_transform(
        image, scale, centre - scale @ centre, order=1, mode="constant"
    )
    assert np.allclose(zoomed, expected, atol=1e-4)


def test_what_comes_in_from_outside_is_a_raw_pixel_of_0():
    config = TransformConfig(shift=0.5)
    tensor = tf.ones([32, 32, 1])
    moved = resample(config, tensor[None], matrix(config, [1, 0, 0, 0, 0]))
    assert np.allclose(moved[0, :, :15], -0.1)
    assert np.allclose(moved[0, :, 17:], 1.0)


def test_draws_fill_the_range_that_the_configuration_gives():
    config = TransformConfig(shift=0.1, rotation=0, zoom=0, height=20, width=40)
    rows = np.stack(list(uniform_rows(tf.constant([3, 1], tf.int64), 400)))
    matrices = transform_matrices(config, 0.5, tf.constant(rows[:, :12])).numpy()
    shifts_x, shifts_y = -matrices[:, 2], -matrices[:, 5]
    for shifts, largest in ((shifts_x, 2.0), (shifts_y, 1.0)):
        assert np.abs(shifts).max() <= largest
        assert np.abs(shifts).max() > 0.97 * largest
        assert abs(shifts.mean()) < 0.1 * largest
        assert shifts.std() == pytest.approx(largest / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    "augmentation", [{"rotation": 20.0}, {"crop_padding": 3, "brightness": 0.3}]
)
def test_large_images_are_the_same_whether_kept_in_memory_or_read_anew(
    prepared, monkeypatch, augmentation
):
    """What is kept stands upright; what is read anew is turned while it is resized."""
    off = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0, "horizontal_flip": True}
    transform = with_augmentation(prepared["Transform"], **{**off, **augmentation})
    monkeypatch.setattr(geometry, "COMPILED_PIXELS", 1)

    def epoch():
        return list(
            training_batches(
                prepared["Examples"], transform, batch_size=100, seed=3,
                augmentation_strength=1.0, first_epoch=0, epochs=1,
            ).as_numpy_iterator()
        )  # fmt: skip

    kept = epoch()
    monkeypatch.setattr(input_pipeline, "CACHE_BYTES", 0)
    monkeypatch.setattr(input_pipeline, "LARGE_BYTES", 0)
    anew = epoch()
    assert len(kept) == len(anew)
    for (images, labels), (others, same) in zip(kept, anew, strict=True):
        assert np.array_equal(labels, same)
        assert np.allclose(images, others, atol=1e-3)


def test_images_augmented_one_by_one_are_those_augmented_together(
    prepared, monkeypatch
):
    def epoch():
        return list(
            training_batches(
                prepared["Examples"], prepared["Transform"], batch_size=100, seed=3,
                augmentation_strength=1.0, first_epoch=0, epochs=1,
            ).as_numpy_iterator()
        )  # fmt: skip

    together = epoch()
    monkeypatch.setattr(geometry, "COMPILED_PIXELS", 1)
    alone = epoch()
    assert len(alone) == len(together)
    for (images, labels), (others, same) in zip(alone, together, strict=True):
        assert np.array_equal(labels, same)
        assert np.allclose(images, others, atol=1e-3)
