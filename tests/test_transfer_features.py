"""Cached features train as images do, L2-SP pulls to the start, a head comes first."""

import keras
import numpy as np
import pytest

from dlkeras.architectures import googlenet, lenet5, resnet18, resnet20
from dlkeras.transfer import (
    L2SP,
    cached_features,
    freeze,
    penalize_distance,
    probe_then_fine_tune,
    replace_head,
    split_frozen,
)

IMAGES = np.random.default_rng(0).normal(size=(12, 32, 32, 3)).astype("float32")
CLASSES = np.arange(12) % 4
ONES = {"kernel_initializer": "he_normal", "width_multiplier": 0.125}


def network(**options):
    keras.utils.set_random_seed(1)
    return resnet18((32, 32, 3), num_classes=4, **ONES, **options)


def compiled(model):
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy"
    )
    return model


@pytest.mark.parametrize("until", ["stage2", "stage4"])
def test_an_epoch_on_cached_features_is_the_epoch_on_images(until, tmp_path):
    uncached, cached = network(weight_decay=0.0), network(weight_decay=0.0)
    freeze(uncached, until)
    expected = compiled(uncached).fit(
        IMAGES, CLASSES, batch_size=4, epochs=3, shuffle=False, verbose=0
    )
    freeze(cached, until)
    frozen, rest = split_frozen(cached)
    features = cached_features(frozen, IMAGES, tmp_path)
    got = compiled(rest).fit(
        features, CLASSES, batch_size=4, epochs=3, shuffle=False, verbose=0
    )
    np.testing.assert_allclose(got.history["loss"], expected.history["loss"], rtol=2e-4)
    for mine, theirs in zip(cached.weights, uncached.weights, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(mine),
            keras.ops.convert_to_numpy(theirs),
            rtol=1e-2,
            atol=1e-4,
        )


def test_features_are_computed_once_for_the_same_images_and_weights(
    tmp_path, monkeypatch
):
    model = network()
    freeze(model, "stage2")
    frozen, _ = split_frozen(model)
    first = cached_features(frozen, IMAGES, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(frozen, "predict", None)  # a second computation would fail
    np.testing.assert_array_equal(cached_features(frozen, IMAGES, tmp_path), first)
    monkeypatch.undo()
    cached_features(frozen, IMAGES[:6], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    kernel = frozen.get_layer("stem_convolution").kernel
    kernel.assign(keras.ops.convert_to_numpy(kernel) + 1)
    other = cached_features(frozen, IMAGES, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    assert not np.array_equal(other, first)


def test_the_frozen_part_ends_before_what_draws_random_numbers():
    model = network(dropout=0.5)
    freeze(model, "stage4")
    frozen, rest = split_frozen(model)
    assert not any(isinstance(x, keras.layers.Dropout) for x in frozen.layers)
    assert any(isinstance(x, keras.layers.Dropout) for x in rest.layers)
    assert frozen.output_shape == (None, 64)


def test_the_frozen_part_of_a_branching_network_ends_where_the_branches_meet():
    images = x = keras.Input((4, 4, 2))
    left = keras.layers.Conv2D(2, 1, name="left")(x)
    right = keras.layers.Conv2D(2, 1, name="right")(x)
    joined = keras.layers.Add(name="joined")([left, right])
    pooled = keras.layers.GlobalAveragePooling2D()(joined)
    model = keras.Model(images, keras.layers.Dense(2, name="head")(pooled))
    for name in ("left", "right"):
        model.get_layer(name).trainable = False
    frozen, rest = split_frozen(model)
    assert frozen.output_shape == (None, 2)
    assert [x.name for x in rest.layers if x.weights] == ["head"]
    model.get_layer("right").trainable = True
    with pytest.raises(ValueError, match="does not end in a single tensor"):
        split_frozen(model)


def test_nothing_or_everything_frozen_is_refused():
    with pytest.raises(ValueError, match="call freeze first"):
        split_frozen(network())
    model = network()
    model.trainable = False
    with pytest.raises(ValueError, match="frozen from input to output"):
        split_frozen(model)


def test_a_live_batch_normalisation_is_not_frozen():
    x = images = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(2, 1, trainable=False)(x)
    x = keras.layers.BatchNormalization(center=False, scale=False, name="live")(x)
    model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    _, rest = split_frozen(model)
    assert "live" in [layer.name for layer in rest.layers]


def test_the_penalty_is_half_the_squared_distance():
    start = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    w = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")
    got = float(keras.ops.convert_to_numpy(L2SP(0.3, start)(keras.ops.array(w))))
    assert got == pytest.approx(0.15 * ((w - start) ** 2).sum(), rel=1e-6)


def test_the_stages_are_pulled_to_their_start_and_the_head_to_0():
    model = replace_head(network(), num_classes=4)
    strengths = penalize_distance(model, alpha=0.2, beta=0.1)
    head = model.get_layer("classifier").kernel
    square = np.sum(keras.ops.convert_to_numpy(head) ** 2)
    losses = sum(float(keras.ops.convert_to_numpy(x)) for x in model.losses)
    assert losses == pytest.approx(0.05 * square, rel=1e-5)  # the others are at 0
    stem = model.get_layer("stem_convolution").kernel
    assert strengths[stem.path] == 0.2
    assert strengths[head.path] == 0.1
    stem.assign(stem + 2.0)
    count = int(np.prod(stem.shape))
    losses = sum(float(keras.ops.convert_to_numpy(x)) for x in model.losses)
    assert losses == pytest.approx(0.05 * square + 0.1 * 4 * count, rel=1e-5)
    assert not any("moving" in path for path in strengths)


def test_a_strong_penalty_holds_the_weights_where_they_were():
    moved = {}
    for alpha in (0.0, 5.0):
        keras.utils.set_random_seed(1)
        model = lenet5((32, 32, 3), num_classes=4)
        penalize_distance(model, alpha=alpha, beta=0.0)
        kernel = model.get_layer("C1").kernel
        before = keras.ops.convert_to_numpy(kernel).copy()
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        model.fit(IMAGES, CLASSES, batch_size=12, epochs=10, verbose=0)
        after = keras.ops.convert_to_numpy(kernel)
        moved[alpha] = np.linalg.norm(after - before)
    assert moved[5.0] < 0.8 * moved[0.0]


def test_a_negative_strength_is_refused():
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        penalize_distance(lenet5(), alpha=-1)


def test_probing_trains_the_head_alone_and_fine_tuning_the_rest_after_it():
    model = replace_head(network(), num_classes=4)
    for _ in range(30):  # statistics with which features are of a size to learn from
        model(IMAGES, training=True)
    norm = model.get_layer("stem_normalization")
    mean = keras.ops.convert_to_numpy(norm.moving_mean).copy()
    stem = keras.ops.convert_to_numpy(model.get_layer("stem_convolution").kernel).copy()
    options = {"batch_size": 4, "validation_data": (IMAGES, CLASSES)}
    history = probe_then_fine_tune(
        model, IMAGES, CLASSES, probe_epochs=3, fine_tune_epochs=0, **options
    )
    assert len(history["loss"]) == len(history["val_accuracy"]) == 3
    assert history["loss"][-1] < history["loss"][0]
    kernel = model.get_layer("stem_convolution").kernel
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(kernel), stem)
    history = probe_then_fine_tune(
        model, IMAGES, CLASSES, probe_epochs=0, fine_tune_epochs=2, **options
    )
    assert len(history["loss"]) == 2
    assert not np.array_equal(keras.ops.convert_to_numpy(kernel), stem)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(norm.moving_mean), mean)
    options |= {"probe_epochs": 0, "fine_tune_epochs": 1, "batch_normalization": True}
    probe_then_fine_tune(model, IMAGES, CLASSES, **options)
    assert not np.array_equal(keras.ops.convert_to_numpy(norm.moving_mean), mean)


def test_numbers_of_epochs_that_train_nothing_are_refused():
    with pytest.raises(ValueError, match="one of them 1"):
        probe_then_fine_tune(
            resnet20(), IMAGES, CLASSES, probe_epochs=0, fine_tune_epochs=0
        )


def test_a_network_of_inception_modules_is_cut_as_well():
    model = googlenet(
        (64, 64, 3), 4, width_multiplier=0.0625, kernel_initializer="zeros"
    )
    freeze(model, "stage5")
    frozen, rest = split_frozen(model)
    assert [x.name for x in rest.layers if x.weights] == ["classifier"]
    assert frozen.output_shape == (None, 64)


def test_a_model_that_was_built_of_lists_gets_a_new_head():
    model = network()
    model = replace_head(keras.Model(model.inputs, model.outputs), num_classes=3)
    assert model.output_shape == (None, 3)
    freeze(model, "stage4")
    assert split_frozen(model)[1].output_shape == (None, 3)


# The types that Keras has for arrays.
DTYPES = [
    *("bfloat16", "float16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"),
    *("complex64", "complex128", "bool", "uint8", "uint16", "uint32"),
    *("int8", "int16", "int32", "int64"),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_features_of_every_type_come_back_from_their_file_as_they_were(dtype, tmp_path):
    x = keras.Input((3,))
    features = keras.layers.Rescaling(1.0)(x)
    model = keras.Model(x, keras.ops.cast(features, dtype))
    numbers = np.array([[0, 1, 2], [3, 0.3, 0]], "float32")
    try:
        computed = cached_features(model, numbers)
    except TypeError as error:  # PyTorch gives NumPy no float8
        assert "ScalarType Float8" in str(error)
        return
    assert computed.dtype.name == dtype or keras.backend.backend() != "tensorflow"
    for _ in ("written", "found"):
        kept = cached_features(model, numbers, tmp_path)
        assert isinstance(kept, np.memmap)
        assert kept.dtype == computed.dtype
        np.testing.assert_array_equal(kept, computed)


def test_a_head_is_probed_on_features_that_were_kept_in_bfloat16(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = replace_head(network(), num_classes=4)
        weights = model.get_weights()
        heads = []
        for folder in (None, tmp_path, tmp_path):  # computed, written, found
            model.set_weights(weights)
            keras.utils.set_random_seed(0)
            probe_then_fine_tune(
                model,
                IMAGES,
                CLASSES,
                probe_epochs=2,
                fine_tune_epochs=0,
                batch_size=4,
                cache_folder=folder,
            )
            heads.append(model.get_layer("classifier").get_weights())
    finally:
        keras.config.set_dtype_policy("float32")
    for kernel, bias in heads[1:]:
        np.testing.assert_array_equal(kernel, heads[0][0])
        np.testing.assert_array_equal(bias, heads[0][1])
    assert not np.array_equal(heads[0][0], weights[-2])
