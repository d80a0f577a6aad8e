"""keras.applications' ResNets, and models of our own, as sources of weights."""

import shutil

import h5py
import keras
import numpy as np
import pytest

from dlkeras.architectures import (
    WeightFileError,
    create,
    lenet5,
    load_weights_from,
    resnet18,
    resnet20,
    resnet50,
)

# Keras computes in float64 throughout on TensorFlow only: on JAX the whole process
# would have to be told so, and on PyTorch arrays and products pass through float32.
EXACT = keras.backend.backend() == "tensorflow"
DTYPE = "float64" if EXACT else "float32"
TOLERANCE = 1e-10 if EXACT else 1e-2  # 3e-4 of float32 are its own rounding
IMAGES = np.random.default_rng(1).normal(size=(4, 64, 64, 3)).astype(DTYPE)
OPTIONS = {"input_shape": (64, 64, 3), "num_classes": 10}
ZEROS = {"kernel_initializer": "zeros"}
NETWORKS = [
    ("resnet50", "ResNet50", {}),
    ("resnet101", "ResNet101", {}),
    ("resnet152", "ResNet152", {}),
    ("resnet50", "ResNet50V2", {"version": "v2", "layout": "keras"}),
    ("resnet101", "ResNet101V2", {"version": "v2", "layout": "keras"}),
    ("resnet152", "ResNet152V2", {"version": "v2", "layout": "keras"}),
]
V1, V2 = NETWORKS[0], NETWORKS[3]
if not EXACT:  # rounding grows with the depth, and the names are the same
    NETWORKS = [V1, V2]


@pytest.fixture(autouse=True, scope="module")
def precision():
    keras.config.set_floatx(DTYPE)  # of the inputs
    keras.config.set_dtype_policy(DTYPE)  # of the layers
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def source(name, seed=0, biases=True):
    """Return a network of keras.applications that sees its input.

    Random statistics leave a deep network almost blind. So each normalisation takes
    the statistics of one pass over the images, and some scales are negative.
    """
    keras.utils.set_random_seed(seed)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(64, 64, 3), classes=10
    )
    rng = np.random.default_rng(seed)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for layer in model.layers:
        if biases and getattr(layer, "use_bias", False):
            layer.bias.assign(0.2 * rng.normal(size=tuple(layer.bias.shape)))
    for layer in norms:
        size = tuple(layer.gamma.shape)
        sign = np.where(rng.uniform(size=size) < 0.2, -1, 1)
        layer.gamma.assign(sign * rng.uniform(0.5, 1.5, size))
        layer.beta.assign(0.2 * rng.normal(size=size))
        layer.momentum = 0.0
    model(IMAGES, training=True)
    return model


@pytest.fixture(scope="module")
def resnet50_source():
    return source("ResNet50")


def answers(model, images=IMAGES):
    return keras.ops.convert_to_numpy(model(images, training=False))


def gap(model, expected):
    """Return the largest relative difference of the class probabilities."""
    return np.abs(answers(model) / expected - 1).max()


@pytest.mark.parametrize(
    ("name", "theirs", "options"), NETWORKS, ids=[row[1] for row in NETWORKS]
)
def test_the_network_answers_as_that_of_keras_applications(name, theirs, options):
    given = source(theirs)
    expected = answers(given)
    assert expected.std(axis=0).mean() > 0.01  # it sees its input
    model = create(name, **OPTIONS, **options, **ZEROS)
    load_weights_from(model, given)
    assert gap(model, expected) < TOLERANCE


@pytest.mark.parametrize("row", [V1, V2], ids=["v1", "v2"])
def test_with_nothing_to_fold_even_float32_agrees_to_1e_6(row):
    # Folding rounds otherwise, and 50 layers make 3e-4 of a rounding in float32.
    name, theirs, options = row
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        given = source(theirs, biases=False)
        model = create(
            name, **OPTIONS, **options, **ZEROS, normalization_epsilon=1.001e-5
        )
    finally:
        keras.config.set_floatx(DTYPE)
        keras.config.set_dtype_policy(DTYPE)
    load_weights_from(model, given)
    images = IMAGES.astype("float32")
    limit = 1e-6 if EXACT else 1e-5  # XLA adds in another order: 1.4e-6
    assert np.abs(answers(model, images) / answers(given, images) - 1).max() < limit


def test_controls_a_wrong_network_gives_other_answers(resnet50_source):
    expected = answers(resnet50_source)
    with pytest.warns(UserWarning, match="SAME padding"):
        model = resnet50(**OPTIONS, padding="same", weights=resnet50_source, **ZEROS)
    assert gap(model, expected) > 1e-2
    model = resnet50(**OPTIONS, weights=resnet50_source, **ZEROS)
    assert gap(model, expected) < TOLERANCE
    if not EXACT:  # the next difference is within float32's rounding
        return
    for layer in model.layers:  # a wrong epsilon, which loading would have made good
        for norm in getattr(layer, "normalizations", []):
            norm.epsilon = 1e-3
    assert gap(model, expected) > 1e-4


def test_another_version_is_refused_with_what_to_pass(resnet50_source):
    with pytest.raises(
        ValueError,
        match=r"'stage2_block1/convolution_1' of model 'resnet50' has strides \(1, 1\),"
        r" the source's 'conv3_block1_1_conv' has \(2, 2\): pass version='v1'",
    ):
        resnet50(**OPTIONS, version="v1.5", weights=resnet50_source, **ZEROS)
    with pytest.raises(ValueError, match="is a ResNet v1: pass version='v1'"):
        resnet50(**OPTIONS, version="v2", weights=resnet50_source, **ZEROS)
    with pytest.raises(ValueError, match=r"'stem_convolution'|'stage1_block1"):
        resnet18(**OPTIONS, weights=resnet50_source, **ZEROS)
    with pytest.raises(ValueError, match="neither this model's nor those of a ResNet"):
        lenet5(weights=resnet50_source)


def test_a_head_of_another_size_is_refused_or_left_out(resnet50_source):
    options = {"input_shape": (64, 64, 3), "num_classes": 7, **ZEROS}
    with pytest.raises(ValueError, match="pass num_classes=10"):
        resnet50(**options, weights=resnet50_source)
    model = resnet50(**options)
    load_weights_from(model, resnet50_source, head=False)
    kernel = model.get_layer("stem_convolution").get_weights()[0]
    theirs = resnet50_source.get_layer("conv1_conv").get_weights()[0]
    assert np.array_equal(kernel, theirs)


def test_files_of_keras_applications_are_sources(resnet50_source, tmp_path):
    expected = answers(resnet50_source)
    for ending in ("weights.h5", "keras"):
        file = tmp_path / f"theirs.{ending}"
        if ending == "keras":
            resnet50_source.save(file)
        else:
            resnet50_source.save_weights(file)
        model = resnet50(**OPTIONS, weights=file, **ZEROS)
        assert gap(model, expected) < TOLERANCE
    file = tmp_path / "theirs.weights.h5"
    with pytest.raises(ValueError, match=r"for ResNet-50, 101 and 152.*'resnet18'"):
        resnet18(**OPTIONS, weights=file, **ZEROS)
    with pytest.raises(ValueError, match=r"pass layout='keras'"):
        resnet50(**OPTIONS, version="v2", weights=file, **ZEROS)


def test_our_own_models_and_files_are_sources(tmp_path):
    model = resnet20(num_classes=4)
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    expected = answers(model, image)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    for given in (model, tmp_path / "model.keras", tmp_path / "model.weights.h5"):
        other = resnet20(num_classes=4, weights=given)
        assert np.allclose(answers(other, image), expected, atol=1e-6)
    features = resnet20(num_classes=0, pooling="avg", weights=model)
    kernel, bias = model.get_layer("classifier").get_weights()
    logits = answers(features, image) @ kernel + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(shares, expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"'classifier'.*pass num_classes=4"):
        resnet20(num_classes=5, weights=model)
    with pytest.raises(ValueError, match=r"'stage1_block4/convolution_1' and 23 more"):
        load_weights_from(model, create("resnet32", num_classes=4))
    lenet = lenet5(version="1998")
    twin = lenet5(version="1998", weights=lenet)
    digits = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    assert np.allclose(answers(twin, digits), answers(lenet, digits), rtol=1e-5)


def test_a_file_of_another_network_is_refused_with_the_first_layer_and_a_way_out(
    tmp_path,
):
    file = tmp_path / "model.weights.h5"
    resnet20(num_classes=4).save_weights(file)
    model = resnet20(num_classes=7)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"'classifier'.*\(64, 7\).*\(64, 4\).*head=F"):
        load_weights_from(model, file)
    with pytest.raises(ValueError, match=r"'stage1_block4/convolution_1'.*depth or v"):
        create("resnet32", num_classes=4, weights=file)
    with pytest.raises(ValueError, match=r"'head_normalization'.*pass version='v1'"):
        load_weights_from(resnet20(num_classes=7, version="v2"), model)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(old, new)  # nothing was half loaded
    load_weights_from(model, file, head=False)
    assert np.array_equal(before[-2], model.get_weights()[-2])
    assert not np.array_equal(before[0], model.get_weights()[0])
    with pytest.raises(ValueError, match=r"'head_normalization'.*pass version='v2'"):
        load_weights_from(model, resnet20(version="v2"), head=False)
    with pytest.raises(ValueError, match=r"'S2'.*Pass version='table'"):
        lenet5(version="1998", weights="digits")


def test_a_file_for_colours_serves_grey_images(tmp_path):
    file = tmp_path / "model.weights.h5"
    colours = resnet20(num_classes=4)
    colours.save_weights(file)
    grey = resnet20((32, 32, 1), num_classes=4, weights=file)
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    expected = answers(colours, np.repeat(image, 3, axis=-1))
    assert np.allclose(answers(grey, image), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda: lenet5(version="1998", normalization="batch", dropout=0.5),
        lambda: create("alexnet", input_shape=(67, 67, 3), width_multiplier=0.0625),
        lambda: create(
            "googlenet",
            input_shape=(65, 65, 3),
            auxiliary=True,
            normalization="group",
            width_multiplier=0.0625,
        ),
        lambda: create(
            "resnet18",
            input_shape=(32, 32, 3),
            version="v2",
            shortcut="C",
            stochastic_depth=0.1,
            width_multiplier=0.0625,
        ),
    ],
    ids=["lenet5", "alexnet", "googlenet", "resnet18"],
)
def test_every_network_finds_its_own_weights_in_its_file(build, tmp_path):
    file = tmp_path / "model.weights.h5"
    model, other = build(), build()
    model.save_weights(file)
    load_weights_from(other, file)
    for one, two in zip(model.weights, other.weights, strict=True):
        if "seed_generator" not in one.path:
            one, two = (keras.ops.convert_to_numpy(w) for w in (one, two))
            assert np.array_equal(one, two)


def test_a_corrupt_or_hostile_file_of_keras_is_refused(tmp_path):
    model = resnet20(width_multiplier=0.25)
    good, file = tmp_path / "good.weights.h5", tmp_path / "bad.weights.h5"
    model.save_weights(good)
    for data in (b"", b"no weights", good.read_bytes()[:5000]):
        file.write_bytes(data)
        with pytest.raises(WeightFileError, match="not a readable weight file of Kera"):
            load_weights_from(model, file)
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as other:
        other["kernel"] = np.ones((3, 3, 3, 4), "float32")
    place = "layers/conv2d/vars/0"
    shutil.copy(good, file)
    with h5py.File(file, "r+") as opened:
        del opened[place]
        opened[place] = h5py.ExternalLink(str(secret), "kernel")
    with pytest.raises(WeightFileError, match=r"'layers/conv2d/vars/0' is a link to"):
        load_weights_from(model, file)
    shutil.copy(good, file)
    with h5py.File(file, "r+") as opened:
        del opened[place]
        opened.create_dataset(
            place, (3, 3, 3, 4), "f4", external=[(str(secret), 0, 4 * 108)]
        )
    with pytest.raises(WeightFileError, match=r"vars/0' lie in another file"):
        load_weights_from(model, file)
    shutil.copy(good, file)
    with h5py.File(file, "r+") as opened:
        del opened[place]
        opened.create_dataset(place, (10**7, 10**7), "f4", chunks=(1, 1))  # 400 TB
    with pytest.raises(WeightFileError, match=r"cut into chunks"):
        load_weights_from(model, file)
    whole = tmp_path / "model.keras"
    model.save(whole)
    whole.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(WeightFileError, match="cut short, or of another kind"):
        load_weights_from(model, whole)
    for missing in ("none.keras", "none.weights.h5"):
        with pytest.raises(FileNotFoundError, match="There is no weight file"):
            load_weights_from(model, tmp_path / missing)
