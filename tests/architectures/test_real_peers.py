"""The weights of torchvision's and timm's own networks, and fvcore's count of them.

They are not among the project's packages. To run it, install torchvision, timm and
fvcore beside a PyTorch that fits them.
"""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")

from test_weights_from_torch import TOLERANCE, build, gap  # noqa: E402
from torch_networks import calibrated, outputs  # noqa: E402

from dlkeras.architectures import create, load_weights_from  # noqa: E402
from dlkeras.architectures.costs import model_multiply_adds  # noqa: E402

# Odd and uneven: every stage of a network meets odd maps, GoogLeNet's poolings all of
# odd by even, even by odd and odd by odd.
SIZE, ANOTHER = (69, 83), (33, 47)
V15 = {"version": "v1.5"}
RESNET_D = {**V15, "stem": "deep", "shortcut": "D"}
GOOGLENET = {
    "normalization": "batch",
    "kernel_size_5x5": 3,
    "stem_padding": "symmetric",
    "pool4_size": 2,
}
# theirs: (ours, its arguments)
TORCHVISION = {
    "googlenet": ("googlenet", GOOGLENET),
    "resnet18": ("resnet18", V15),
    "resnet34": ("resnet34", V15),
    "resnet50": ("resnet50", V15),
    "resnext50_32x4d": ("resnet50", {**V15, "groups": 32, "width_per_group": 4}),
    "wide_resnet50_2": ("resnet50", {**V15, "width_per_group": 128}),
}
TIMM = {
    "resnet18d": ("resnet18", RESNET_D),
    "resnet34d": ("resnet34", RESNET_D),
    "resnet50d": ("resnet50", RESNET_D),
    "resnext50_32x4d": ("resnet50", {**V15, "groups": 32, "width_per_group": 4}),
    "resnext50d_32x4d": ("resnet50", {**RESNET_D, "groups": 32, "width_per_group": 4}),
    "wide_resnet50_2": ("resnet50", {**V15, "width_per_group": 128}),
    "seresnet50": ("resnet50", {**V15, "reduction_ratio": 16}),
    "seresnext50_32x4d": (
        "resnet50",
        {**V15, "groups": 32, "width_per_group": 4, "reduction_ratio": 16},
    ),
}


def images(size, count=2):
    return np.random.default_rng(2).normal(size=(count, *size, 3))


def from_torchvision(name, **options):
    if name == "googlenet":
        options |= {"init_weights": False, "transform_input": False}
        options.setdefault("aux_logits", False)
    return getattr(torchvision.models, name)(weights=None, num_classes=10, **options)


def from_timm(name):
    return timm.create_model(name, pretrained=False, num_classes=10)


CASES = [
    *((from_torchvision, name, *ours) for name, ours in TORCHVISION.items()),
    *((from_timm, name, *ours) for name, ours in TIMM.items()),
]


@pytest.mark.parametrize(
    ("make", "name", "ours", "options"),
    CASES,
    ids=[f"{make.__name__}-{name}" for make, name, *_ in CASES],
)
def test_a_network_of_theirs_is_the_same_here(make, name, ours, options):
    source = calibrated(make(name), images(SIZE))

    def unknown(**settings):
        return create(ours, **{**settings, "input_shape": (None, None, 3)})

    model = build(unknown, **options)
    load_weights_from(model, source.state_dict())
    weights = model.get_weights()
    for size in (SIZE, ANOTHER):
        x = images(size)
        assert gap(model, outputs(source, x), x) < TOLERANCE, size
    load_weights_from(model, source)  # the module itself: nothing to warn of
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_googlenets_auxiliary_classifiers_load_and_leave_the_main_one_alone():
    source = calibrated(from_torchvision("googlenet"), images(SIZE))
    both = from_torchvision("googlenet", aux_logits=True).double().eval()
    both.load_state_dict(source.state_dict(), strict=False)
    x = images((95, 111))

    def known(**settings):
        return create("googlenet", **{**settings, "input_shape": (95, 111, 3)})

    model = build(known, **GOOGLENET)
    load_weights_from(model, both.state_dict())
    assert gap(model, outputs(both, x), x) < TOLERANCE


def test_alexnet_at_an_odd_size():
    source = torchvision.models.alexnet(weights=None, num_classes=10).double().eval()
    with torch.no_grad():
        for parameter in source.parameters():
            parameter *= 3.0 if parameter.ndim > 1 else 1.0
    # Theirs averages to 6x6 pixels: equal where the maps have that many.
    size = (227, 245)
    x = images(size, 1)
    assert source.features(torch.zeros(1, 3, *size).double()).shape[2:] == (6, 6)
    model = build(
        lambda **o: create("alexnet", **{**o, "input_shape": (*size, 3)}),
        version="2014",
        weights=source.state_dict(),
    )
    assert gap(model, outputs(source, x), x) < TOLERANCE


@pytest.mark.parametrize("name", ["resnetblur50", "resnetaa50"])
def test_a_network_that_blurs_is_named_where_it_can_be_known(name):
    model = build(lambda **o: create("resnet50", **o), **V15)
    with (
        pytest.warns(UserWarning, match="modules that model 'resnet50' does not have"),
        pytest.raises(ValueError, match="of another version, or dilated"),
    ):
        load_weights_from(model, from_timm(name))


@pytest.mark.parametrize(
    ("name", "arguments", "ours", "options"),
    [
        ("resnet50", {}, "resnet50", V15),
        ("resnext50_32x4d", {}, *TORCHVISION["resnext50_32x4d"]),
        ("wide_resnet50_2", {}, *TORCHVISION["wide_resnet50_2"]),
        ("resnet18", {}, "resnet18", V15),
        ("googlenet", {}, "googlenet", GOOGLENET),
    ],
)
def test_fvcore_counts_as_many_multiply_adds(name, arguments, ours, options):
    fvcore = pytest.importorskip("fvcore.nn")
    source = from_torchvision(name, **arguments).eval()
    counted = fvcore.FlopCountAnalysis(source, torch.zeros(1, 3, 225, 191))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = counted.by_operator()
    model = create(ours, input_shape=(225, 191, 3), num_classes=10, **options)
    assert model_multiply_adds(model) == by_operator["conv"] + by_operator["linear"]
    assert model.count_params() - sum(
        keras.ops.size(w) for w in model.non_trainable_weights
    ) == sum(p.numel() for p in source.parameters())
