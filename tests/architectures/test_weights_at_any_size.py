"""Weights from elsewhere compute the same at odd, uneven and unknown image sizes."""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_weights_from_torch import DTYPE, TOLERANCE, build, gap  # noqa: E402
from torch_networks import (  # noqa: E402
    AlexNet,
    GoogLeNet,
    ResNet,
    calibrated,
    outputs,
)

from dlkeras.architectures import (  # noqa: E402
    alexnet,
    create,
    googlenet,
    load_weights_from,
    resnet18,
)
from dlkeras.architectures.googlenet import INCEPTIONS  # noqa: E402

# Each pooling of GoogLeNet meets odd maps, even ones, and one of each.
SMALL = (64, 64)
SIZES = [(33, 47), (101, 75)]
TORCHVISION = {
    "normalization": "batch",
    "kernel_size_5x5": 3,
    "stem_padding": "symmetric",
    "pool4_size": 2,
}


def images(size):
    count = 4 if size == SMALL else 1  # statistics need more than one image
    return np.random.default_rng(2).normal(size=(count, *size, 3))


def assert_equal_at(sizes, model, source):
    for size in sizes:
        found = gap(model, outputs(source, images(size)), images(size))
        assert found < TOLERANCE, size


@pytest.fixture(scope="module")
def googlenet_source():
    return calibrated(GoogLeNet(INCEPTIONS), images(SMALL))


def test_googlenet_is_torchvisions_at_every_size(googlenet_source):
    options = {**TORCHVISION, "weights": googlenet_source.state_dict()}
    unknown = build(googlenet, input_shape=(None, None, 3), **options)
    assert_equal_at([*SIZES, (200, 200)], unknown, googlenet_source)
    for size in SIZES:  # even, odd and mixed maps, whose sizes are known
        model = build(googlenet, input_shape=(*size, 3), **options)
        assert_equal_at([size], model, googlenet_source)


def side(name, channels):
    """The shapes of torchvision's `InceptionAux` for 1000 classes."""
    shapes = {"conv.conv.weight": (128, channels, 1, 1)}
    shapes |= {f"conv.bn.{n}": (128,) for n in ("weight", "bias")}
    shapes |= {f"conv.bn.running_{n}": (128,) for n in ("mean", "var")}
    shapes |= {"fc1.weight": (1024, 2048), "fc1.bias": (1024,)}
    shapes |= {"fc2.weight": (1000, 1024), "fc2.bias": (1000,)}
    return {f"{name}.{key}": np.full(shape, 0.25) for key, shape in shapes.items()}


def test_other_classes_leave_googlenets_side_branches_their_own(googlenet_source):
    state = {**googlenet_source.state_dict(), **side("aux1", 512), **side("aux2", 528)}
    options = {**TORCHVISION, "num_classes": 7, "auxiliary": True}
    model = build(googlenet, input_shape=(224, 224, 3), **options)
    with pytest.raises(ValueError, match=r"pass num_classes=1000 .* or head=False"):
        load_weights_from(model, {**state, "fc.weight": np.ones((1000, 1024))})
    load_weights_from(model, state, head=False)
    branch = model.get_layer("auxiliary_4a")
    for part, value in ((branch.convolution, 0.25), (branch.classifier, 0.0)):
        kernel = keras.ops.convert_to_numpy(part.kernel)
        assert np.array_equal(kernel, np.full(kernel.shape, value))
    model = build(googlenet, input_shape=(96, 96, 3), **options)
    with pytest.raises(ValueError, match=r"'auxiliary_4a/hidden'.*have 224 x 224$"):
        load_weights_from(model, state, head=False)


def test_alexnet_of_another_size_is_said_to_be_one():
    state = AlexNet(pixels=6, units=8).state_dict()
    with pytest.raises(ValueError, match=r"'F8'.*other pixels there.*224 x 224$"):
        build(alexnet, input_shape=(256, 256, 3), version="2014", weights=state)


@pytest.mark.parametrize("pool4_size", [1, 2, 3, 5])
def test_googlenets_poolings_count_windows_as_pytorchs_ceil_mode(pool4_size):
    for size in (99, 127):
        model = googlenet(
            (size, size, 3),
            num_classes=0,
            width_multiplier=0.0625,
            stem_padding="symmetric",
            pool4_size=pool4_size,
            kernel_initializer="zeros",
        )
        maps = torch.zeros(1, 1, (size - 1) // 2 + 1, (size - 1) // 2 + 1)
        for window in (3, 3, 3, pool4_size):
            maps = torch.nn.functional.max_pool2d(maps, window, 2, ceil_mode=True)
        assert model.output_shape[1:3] == tuple(maps.shape[2:]), size


def test_resnet_18_is_torchvisions_at_every_size():
    source = calibrated(ResNet((2, 2, 2, 2), bottleneck=False), images(SMALL))
    model = build(resnet18, input_shape=(None, None, 3), weights=source.state_dict())
    assert_equal_at(SIZES, model, source)


def test_the_bottlenecks_of_v1_5_are_torchvisions_at_every_size():
    source = calibrated(ResNet((3, 4, 6, 3), bottleneck=True), images(SMALL))
    options = {"version": "v1.5", "weights": source.state_dict()}
    model = create_unknown("resnet50", **options)
    assert_equal_at(SIZES, model, source)


def test_alexnets_maps_are_torchvisions_at_every_size():
    source = AlexNet(units=8).double().eval()
    state = source.state_dict()
    model = build(
        alexnet,
        input_shape=(None, None, 3),
        version="2014",
        num_classes=0,
        weights=state,
    )
    source.forward = lambda x: source.features(x).permute(0, 2, 3, 1)
    assert_equal_at([(67, 90), (101, 75)], model, source)


@pytest.mark.parametrize(
    ("theirs", "options"),
    [("ResNet50", {}), ("ResNet50V2", {"version": "v2", "layout": "keras"})],
    ids=["v1", "v2"],
)
def test_resnet_50_is_that_of_keras_applications_at_every_size(theirs, options):
    keras.utils.set_random_seed(0)
    source = build(
        lambda **_: getattr(keras.applications, theirs)(
            weights=None, include_top=False, input_shape=(None, None, 3)
        )
    )
    rng = np.random.default_rng(0)
    for layer in source.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(rng.normal(size=tuple(layer.beta.shape)))
            layer.momentum = 0.0
    source(images(SMALL).astype(DTYPE), training=True)
    model = create_unknown("resnet50", num_classes=0, weights=source, **options)
    for size in SIZES:
        x = images(size)
        expected = source(x.astype(DTYPE), training=False)
        assert gap(model, keras.ops.convert_to_numpy(expected), x) < TOLERANCE, size


def create_unknown(name, **options):
    """Build for images of any size."""

    def builder(**settings):
        return create(name, **{**settings, "input_shape": (None, None, 3)})

    return build(builder, **options)
