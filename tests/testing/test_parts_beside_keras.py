"""Our layers where Keras has its own: built, quantised, empty, rematerialised."""

import inspect
import warnings

import keras
import numpy as np
import pytest
from test_parts_conform import CASES

from dlkeras import layers
from dlkeras.architectures import create
from dlkeras.layers import AuxiliaryClassifier, Conv2D, GroupedConv2D
from dlkeras.layers.blocks.composite import CompositeLayer

PUBLIC = [x for x in vars(layers).values() if isinstance(x, type)]
MODES = ("int8", "int4", "float8")


def keras_layer_of(kind):
    """Return the layer of Keras whose place a class of ours takes, or None."""
    theirs = next(x for x in kind.__mro__ if x.__module__.startswith("keras."))
    return None if theirs is keras.layers.Layer else theirs


REPLACING = [kind for kind in PUBLIC if keras_layer_of(kind)]


def made(case):
    kind, arguments, shape = CASES[case][:3]
    layer = kind(**arguments)
    layer.build((None, *shape[1:]))
    return layer, shape


def answers(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def quantized(model, mode):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras quantises no convolutions
        model.quantize(mode)


def assert_comes_back(model, x, file):
    """Save, load and clone: the answers and the policies of all parts are the same."""
    expected = answers(model, x)
    model.save(file)
    loaded = keras.saving.load_model(file)
    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    for other in (loaded, twin):
        np.testing.assert_array_equal(answers(other, x), expected)
        for one, two in zip(
            model._flatten_layers(), other._flatten_layers(), strict=True
        ):
            assert one.dtype_policy == two.dtype_policy


def test_classes_take_the_place_of_kerass():
    assert {x.__name__ for x in REPLACING} >= {
        "BatchNormalization",
        "Conv2D",
        "GroupedConv2D",
        "MaxPooling2D",
    }


@pytest.mark.parametrize("kind", REPLACING)
def test_arguments_have_the_positions_of_the_class_that_is_replaced(kind):
    ours = inspect.signature(kind).parameters
    theirs = inspect.signature(keras_layer_of(kind)).parameters
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default


def test_the_third_argument_of_a_grouped_convolution_is_its_strides():
    layer = GroupedConv2D(8, 3, 2)
    assert (layer.strides, layer.groups) == ((2, 2), 1)


@pytest.mark.parametrize("case", CASES)
def test_every_part_is_built_with_its_layer(case):
    layer, _ = made(case)
    parts = list(layer._flatten_layers(include_self=False))
    assert all(part.built for part in parts), [p.name for p in parts if not p.built]
    assert isinstance(layer, CompositeLayer) == bool(parts)


SHAPES = {
    **{case: (CASES[case][0], CASES[case][1], CASES[case][2]) for case in CASES},
    "1x1": (Conv2D, {"filters": 3, "kernel_size": 1, "strides": 2}, (3, 6, 6, 4)),
    "3x3": (Conv2D, {"filters": 3, "kernel_size": 3}, (3, 6, 6, 4)),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", SHAPES)
def test_an_empty_batch_is_answered_with_an_empty_one(case, training):
    kind, arguments, shape = SHAPES[case]
    layer = kind(**arguments)
    layer.build((None, *shape[1:]))
    x = np.zeros((0, *shape[1:]), "float32")
    takes = "training" in inspect.signature(layer.call).parameters
    y = layer(x, training=training) if takes else layer(x)
    assert tuple(y.shape) == tuple(layer.compute_output_shape(x.shape))
    assert y.shape[0] == 0


@pytest.mark.parametrize("mode", MODES)
def test_quantised_parts_come_back_from_a_file_and_a_configuration(mode, tmp_path):
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    side = AuxiliaryClassifier(
        3, filters=4, units=8, pool_size=3, normalization="batch"
    )
    model = keras.Model(images, side(images))
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    exact = answers(model, x)
    quantized(model, mode)
    assert side.hidden.quantization_mode == side.classifier.quantization_mode == mode
    assert np.abs(answers(model, x) - exact).max() < 0.2
    assert_comes_back(model, x, tmp_path / "model.keras")


NETWORKS = {
    "lenet5": {"version": "1998", "dropout": 0.5},
    "alexnet": {"input_shape": (67, 67, 3), "width_multiplier": 0.0625},
    "googlenet": {
        "input_shape": (65, 65, 3),
        "auxiliary": True,
        "width_multiplier": 0.0625,
    },
    "resnet20": {"width_multiplier": 0.25},
}


@pytest.mark.rotates
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_never_answered_is_quantised_and_comes_back(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = create(name, **NETWORKS[name])
    quantized(model, "int8")
    modes = [x.quantization_mode for x in model._flatten_layers() if x.weights]
    assert "int8" in modes or name == "lenet5"  # whose output is distances
    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:]))
    assert_comes_back(model, x.astype("float32"), tmp_path / "model.keras")


UNDER_REMAT = {
    "1x1": lambda: Conv2D(4, 1, strides=2),
    "3x3": lambda: Conv2D(4, 3),
    "grouped": lambda: GroupedConv2D(4, 3, groups=2),
    "local response": lambda: layers.LocalResponseNormalization(),
    "inception": lambda: layers.InceptionModule(4, 4, 4, 4, 4, 4),
    "residual": lambda: layers.BottleneckBlock(4, 2, normalization="group"),
    "subsampling": lambda: layers.Subsampling2D(),
}


def ended(layer):
    """A classifier of two kinds of maps, with a layer at its beginning."""
    images = keras.Input((8, 8, 4))
    maps = keras.layers.Flatten()(layer(images))
    return keras.Model(images, keras.layers.Dense(2)(maps))


def losses_of(model):
    """The losses of three steps of it."""
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss)
    done = model.fit(x, np.arange(4) % 2, epochs=3, batch_size=4, verbose=0)
    return done.history["loss"]


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="Keras's own layers do not train under it: custom_gradient and keywords",
)
@pytest.mark.parametrize("case", UNDER_REMAT)
def test_what_is_computed_again_for_the_gradient_trains_the_same(case):
    losses = []
    for mode in (None, "full"):
        keras.utils.set_random_seed(0)
        with keras.RematScope(mode=mode):
            model = ended(UNDER_REMAT[case]())
        losses.append(losses_of(model))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize("case", ["1x1", "3x3", "grouped"])
@pytest.mark.parametrize("mode", ["activations", "list_of_layers"])
def test_one_convolution_is_computed_again_as_kerass_is(mode, case):
    """On TensorFlow, too, where Keras's own trains if only it is in the list."""
    losses = []
    for scope in (None, mode):
        keras.utils.set_random_seed(0)
        with keras.RematScope(mode=scope, layer_names=["again"]):
            layer = UNDER_REMAT[case]().get_config()
            layer = {**layer, "name": "again", "activation": "relu"}
            layer = type(UNDER_REMAT[case]()).from_config(layer)
            model = ended(layer)
        losses.append(losses_of(model))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert losses[0][-1] < losses[0][0]


BESIDE = {
    "1x1": (Conv2D, {"filters": 6, "kernel_size": 1, "strides": 2}),
    "3x3": (Conv2D, {"filters": 6, "kernel_size": 3}),
    "grouped": (GroupedConv2D, {"filters": 6, "kernel_size": 3, "groups": 2}),
}


@pytest.mark.parametrize("case", BESIDE)
def test_low_rank_training_is_that_of_kerass_convolution(case, tmp_path):
    kind, arguments = BESIDE[case]
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype("float32")
    losses = []
    for made_of in (kind, keras.layers.Conv2D):
        keras.utils.set_random_seed(0)
        images, layer = keras.Input((8, 8, 4)), made_of(**arguments)
        maps = keras.layers.GlobalAveragePooling2D()(layer(images))
        model = keras.Model(images, keras.layers.Dense(3)(maps))
        before = keras.ops.convert_to_numpy(layer.kernel)
        layer.enable_lora(2)
        draws = np.random.default_rng(1)
        for thin in (layer.lora_kernel_a, layer.lora_kernel_b):
            thin.assign(draws.normal(size=tuple(thin.shape)))
        model.compile(keras.optimizers.SGD(0.01), "mse")
        done = model.fit(x, np.ones((4, 3)), epochs=3, batch_size=4, verbose=0)
        losses.append(done.history["loss"])
        assert np.array_equal(keras.ops.convert_to_numpy(layer._kernel), before)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize("mode", [None, "float8"])
def test_a_side_classifier_trains_as_kerass_layers_in_its_place(mode, tmp_path):
    """Float8 layers gather their scales while they train; a file keeps them."""
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype("float32")
    y = np.eye(3)[np.arange(4) % 3]
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 4))
    side = AuxiliaryClassifier(3, filters=2, units=8, pool_size=3, dropout=0.0)
    ours = keras.Model(images, side(images))
    theirs = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.AveragePooling2D(3, 3),
            keras.layers.Conv2D(2, 1, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    theirs.set_weights(ours.get_weights()[: len(theirs.weights)])
    losses = []
    for model in (ours, theirs):
        if mode:
            quantized(model, mode)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        losses.append(model.fit(x, y, epochs=4, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    ours.save(tmp_path / "side.keras")
    again = keras.saving.load_model(tmp_path / "side.keras")
    onward = [m.fit(x, y, epochs=2, verbose=0).history["loss"] for m in (ours, again)]
    np.testing.assert_allclose(onward[0], onward[1], rtol=1e-6)
