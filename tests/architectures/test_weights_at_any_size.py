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

from dlkeras.architectures import alexnet, create, googlenet, resnet18  # noqa: E402
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
