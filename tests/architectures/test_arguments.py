"""What every builder refuses, in words, and what the builders share."""

import inspect

import keras
import numpy as np
import pytest
from keras.applications.resnet import preprocess_input

from dlkeras import architectures
from dlkeras.architectures import create, lenet5, names, resnet18, resnet20, resnet50

SLIM = {"width_multiplier": 0.0625}
SMALL = {
    "lenet5": {"input_shape": (32, 32, 1)},
    "alexnet": {"input_shape": (67, 67, 3), **SLIM},
    "googlenet": {"input_shape": (32, 32, 3), **SLIM},
    "resnet18": {"input_shape": (32, 32, 3), **SLIM},
    "resnet20": {"input_shape": (32, 32, 3), **SLIM},
}
REFUSED = [
    ({"num_classes": -1}, r"num_classes must be at least 1, or 0.*num_classes=-1"),
    ({"num_classes": "10"}, r"num_classes must be.*num_classes='10'"),
    ({"num_classes": True}, r"num_classes must be.*num_classes=True"),
    ({"num_classes": 2.5}, r"num_classes must be.*num_classes=2.5"),
    ({"pooling": "sum"}, r"pooling must be one of \(None, 'avg', 'max'\).*'sum'"),
    ({"normalization": "weird"}, r"normalization must be one of.*'weird'"),
    ({"include_preprocessing": "x"}, r"include_preprocessing must be True.*'x'"),
    ({"width_multiplier": 0}, r"width_multiplier must be positive.*=0"),
    ({"width_multiplier": "x"}, r"width_multiplier must be positive.*='x'"),
    ({"weight_decay": -1}, r"weight_decay must be at least 0.*=-1"),
    ({"input_shape": None}, r"height, width and a number of channels"),
    ({"input_shape": (96, 96)}, r"height, width and a number of channels"),
    ({"input_shape": (96, 96, 0)}, r"height, width and a number of channels"),
    ({"input_shape": ("96", 96, 3)}, r"height, width and a number of channels"),
    ({"input_shape": (96.0, 96, 3)}, r"height, width and a number of channels"),
    ({"input_shape": (3, 96, 3)}, r"at least \d+x\d+ pixels.*\(3, 96, 3\)"),
    ({"weights": "digit"}, r"weights must be a Keras model.*'digit'"),
    ({"weights": 3}, r"source must be a Keras model.*source=3"),
]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda x: str(x)[:40])
def test_what_no_network_can_be_built_of_is_refused(name, options, message):
    if name == "alexnet" and options == {"input_shape": None}:
        return  # the size of the version's own paper
    with pytest.raises(ValueError, match=message):
        create(name, **{**SMALL[name], **options})


@pytest.mark.parametrize("name", [5, ["lenet5"], None])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(ValueError, match="name must be one of"):
        create(name)


@pytest.mark.parametrize("name", ["lenet5", "alexnet"])
def test_pixels_to_flatten_must_be_known_and_pooled_ones_need_not(name):
    options = {**SMALL[name], "input_shape": (None, None, 1)}
    with pytest.raises(ValueError, match=r"pass a height and a width, or pooling="):
        create(name, **options)
    model = create(name, pooling="avg", num_classes=3, **options)
    assert model(np.zeros((1, 80, 96, 1), "float32")).shape == (1, 3)
    assert create(name, num_classes=0, **options).output_shape[1:3] == (None, None)


@pytest.mark.parametrize("kind", ["batch", "group", "layer"])
@pytest.mark.parametrize("version", ["table", "1998"])
def test_lenets_convolutions_can_be_normalised(kind, version):
    model = lenet5(version=version, normalization=kind, num_classes=4)
    names = [x.name for x in model.layers if x.name.endswith("_normalization")]
    assert names == ["C1_normalization", "C3_normalization", "C5_normalization"]
    # A scale and a shift for each of 6 + 16 + 120 maps.
    plain = lenet5(version=version, num_classes=4).trainable_weights
    extra = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    extra -= sum(int(np.prod(w.shape)) for w in plain)
    assert extra == 2 * (6 + 16 + 120)


def test_lenet_has_weight_decay_only_if_asked():
    assert lenet5().losses == []
    model = lenet5(weight_decay=0.1)
    squares = sum(float((w**2).sum()) for w in model.get_weights() if w.ndim > 1)
    penalty = float(keras.ops.convert_to_numpy(sum(model.losses)))
    assert penalty == pytest.approx(0.05 * squares, rel=1e-5)


def test_pooling_the_single_pixel_of_c5_is_flattening_it():
    keras.utils.set_random_seed(0)
    flat = lenet5()
    pooled = lenet5(pooling="max")
    pooled.set_weights(flat.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    outputs = [keras.ops.convert_to_numpy(m(images)) for m in (flat, pooled)]
    assert np.allclose(*outputs, atol=1e-6)


def test_caffes_preprocessing_is_that_of_keras_applications(tmp_path):
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    model = resnet20(include_preprocessing="caffe", **SLIM)
    model.save(tmp_path / "model.keras")
    for network in (model, keras.saving.load_model(tmp_path / "model.keras")):
        inner = keras.Model(network.input, network.get_layer("preprocessing").output)
        got = keras.ops.convert_to_numpy(inner(pixels))
        assert np.allclose(got, preprocess_input(pixels.copy()), atol=1e-4)


def test_groups_are_for_bottlenecks_and_of_one_filter_at_least():
    with pytest.raises(ValueError, match=r"are for BottleneckBlock.*groups=32"):
        resnet18(groups=32)
    with pytest.raises(ValueError, match=r"at least 64: one filter a group.*group=4"):
        resnet50((32, 32, 3), groups=2, width_per_group=4, width_multiplier=0.125)
    with pytest.raises(ValueError, match="stem must be one of"):
        resnet50(stem="wide")
    with pytest.raises(ValueError, match=r"layout='keras' .*stem='deep'"):
        resnet50(version="v2", layout="keras", stem="deep")


KERASS = {
    "include_top": (False, "num_classes=0"),
    "classes": (10, "num_classes"),
    "input_tensor": (None, "call the model on the tensor"),
}


@pytest.mark.parametrize("name", names())
def test_the_arguments_of_keras_applications_work_or_are_named(name):
    build = getattr(architectures, name)
    for argument, (value, ours) in KERASS.items():
        said = rf"{name}: .*`{argument}` of keras.applications is here: .*{ours}"
        with pytest.raises(TypeError, match=said):
            build(**{argument: value})
        with pytest.raises(ValueError, match=said):
            create(name, **{argument: value})
    # These have Keras's names: logits, and weights that Keras has or that are refused.
    assert "classifier_activation" in inspect.signature(build).parameters
    if name not in ("resnet50", "resnet101", "resnet152"):
        options = {} if name == "lenet5" else {"kernel_initializer": "zeros"}
        with pytest.raises(ValueError, match="ResNet-50, 101 and 152"):
            build(weights="imagenet", **options)


def test_the_features_are_those_of_include_top_false():
    theirs = keras.applications.ResNet50(
        include_top=False, weights=None, pooling="avg", input_shape=(32, 32, 3)
    )
    options = {"pooling": "avg", "kernel_initializer": "zeros"}
    ours = resnet50((32, 32, 3), num_classes=0, **options)
    assert ours.output_shape == theirs.output_shape == (None, 2048)


def test_imagenets_weights_are_refused_before_a_download_that_cannot_fit():
    slim = {"weights": "imagenet", "kernel_initializer": "zeros"}
    with pytest.raises(ValueError, match=r"1000 classes.*num_classes=0.*=10"):
        resnet50((32, 32, 3), 10, **slim)
    with pytest.raises(ValueError, match=r"pass version='v1'.*'v1.5'"):
        resnet50((32, 32, 3), version="v1.5", **slim)
    with pytest.raises(ValueError, match=r"pass layout='keras'"):
        resnet50((32, 32, 3), version="v2", **slim)
    for variant in ({"groups": 2}, {"stem": "deep"}, {"reduction_ratio": 16}):
        with pytest.raises(ValueError, match=r"for the paper's ResNets: pass shortcut"):
            resnet50((32, 32, 3), **variant, **slim)
    with pytest.raises(ValueError, match=r"ResNet-50, 101 and 152.*'resnet20'"):
        resnet20(**slim)
