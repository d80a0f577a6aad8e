"""State dicts of PyTorch give the outputs of the networks they come from."""

import json
import pickle
import struct
import zipfile

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch_networks import (  # noqa: E402
    AlexNet,
    GoogLeNet,
    ResNet,
    calibrated,
    outputs,
)

from dlkeras.architectures import (  # noqa: E402
    WeightFileError,
    alexnet,
    feature_extractor,
    googlenet,
    load_weights_from,
    resnet18,
    resnet34,
    resnet50,
)
from dlkeras.architectures.googlenet import INCEPTIONS  # noqa: E402

# Keras computes in float64 throughout on TensorFlow only: on JAX the whole process
# would have to be told so, and on PyTorch arrays and products pass through float32.
EXACT = keras.backend.backend() == "tensorflow"
DTYPE = "float64" if EXACT else "float32"
TOLERANCE = 1e-10 if EXACT else 1e-3
IMAGES = np.random.default_rng(1).normal(size=(4, 64, 64, 3))
OPTIONS = {
    "input_shape": (64, 64, 3),
    "num_classes": 10,
    "classifier_activation": None,
    "kernel_initializer": "zeros",
}


def build(builder, **options):
    keras.config.set_floatx(DTYPE)  # of the input
    keras.config.set_dtype_policy(DTYPE)  # of the layers
    try:
        return builder(**{**OPTIONS, **options})
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def gap(model, expected, images=IMAGES):
    """Return the largest difference, relative to the spread of the outputs."""
    got = keras.ops.convert_to_numpy(model(images.astype(DTYPE), training=False))
    return np.abs(got - expected).max() / expected.std()


@pytest.fixture(scope="module")
def resnet18_source():
    return calibrated(ResNet((2, 2, 2, 2), bottleneck=False), IMAGES)


@pytest.fixture(scope="module")
def resnet50_source():
    return calibrated(ResNet((3, 4, 6, 3), bottleneck=True), IMAGES)


def test_the_sources_see_their_input(resnet18_source, resnet50_source):
    for source in (resnet18_source, resnet50_source):
        answers = outputs(source, IMAGES)
        assert answers.std(axis=0).mean() > 0.1 * answers.std()


def test_resnet_18_is_the_same_network(resnet18_source):
    model = build(resnet18)
    load_weights_from(model, resnet18_source.state_dict())
    assert gap(model, outputs(resnet18_source, IMAGES)) < TOLERANCE


def test_resnet_34_is_the_same_network():
    source = calibrated(ResNet((3, 4, 6, 3), bottleneck=False), IMAGES)
    model = build(resnet34, weights=source.state_dict())
    assert gap(model, outputs(source, IMAGES)) < TOLERANCE


def test_resnet_50_v1_5_is_the_same_network(resnet50_source):
    model = build(resnet50, version="v1.5", weights=resnet50_source.state_dict())
    assert gap(model, outputs(resnet50_source, IMAGES)) < TOLERANCE


VARIANTS = {
    "ResNeXt": (
        {"groups": 32, "base_width": 4},
        {"groups": 32, "width_per_group": 4},
    ),
    "wide": ({"base_width": 128}, {"width_per_group": 128}),
    "ResNet-D": (
        {"deep": True, "avg_down": True},
        {"stem": "deep", "shortcut": "D"},
    ),
    "SE": ({"se": 16}, {"reduction_ratio": 16}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_of_resnet_50_is_the_same_network(variant):
    theirs, ours = VARIANTS[variant]
    # Odd maps in every stage: there the poolings and paddings tell themselves apart.
    images = np.random.default_rng(2).normal(size=(2, 69, 83, 3))
    source = calibrated(ResNet((3, 4, 6, 3), bottleneck=True, **theirs), images)
    model = build(
        resnet50,
        input_shape=(69, 83, 3),
        version="v1.5",
        weights=source.state_dict(),
        **ours,
    )
    assert gap(model, outputs(source, images), images) < TOLERANCE


def test_another_epsilon_here_is_made_good_in_the_variance(resnet18_source):
    model = build(resnet18, normalization_epsilon=1e-3)
    load_weights_from(model, resnet18_source.state_dict())
    assert gap(model, outputs(resnet18_source, IMAGES)) < TOLERANCE


def test_controls_a_wrong_network_gives_other_outputs(resnet18_source, resnet50_source):
    expected = outputs(resnet50_source, IMAGES)
    state = resnet50_source.state_dict()
    with pytest.warns(UserWarning, match=r"'stage2_block1'.*pass version='v1.5'"):
        wrong_stride = build(resnet50, version="v1", weights=state)
    assert gap(wrong_stride, expected) > 0.1
    with pytest.warns(UserWarning, match=r"SAME padding.*pass padding='symmetric'"):
        wrong_padding = build(resnet50, version="v1.5", padding="same", weights=state)
    assert gap(wrong_padding, expected) > 0.1
    if not EXACT:  # the next difference is within float32's rounding
        return
    other_epsilon = ResNet((2, 2, 2, 2), bottleneck=False, epsilon=1e-3).double().eval()
    other_epsilon.load_state_dict(resnet18_source.state_dict())
    model = build(resnet18, weights=other_epsilon.state_dict())
    assert gap(model, outputs(other_epsilon, IMAGES)) > 1e-5


def test_googlenet_with_batch_normalisation_is_the_same_network():
    source = calibrated(GoogLeNet(INCEPTIONS), IMAGES)
    options = {
        "normalization": "batch",
        "stem_padding": "symmetric",
        "pool4_size": 2,
    }
    model = build(googlenet, kernel_size_5x5=3, **options)
    load_weights_from(model, source.state_dict())
    expected = outputs(source, IMAGES)
    assert gap(model, expected) < TOLERANCE
    with pytest.warns(UserWarning) as warned:
        wrong = build(
            googlenet,
            kernel_size_5x5=3,
            normalization="batch",
            weights=source.state_dict(),
        )
    hints = " ".join(str(warning.message) for warning in warned)
    assert "pass stem_padding='symmetric'" in hints
    assert "pass pool4_size=2" in hints
    assert gap(wrong, expected) > 0.1
    with pytest.raises(ValueError, match=r"'inception_3a/5x5'.*kernel_size_5x5=3"):
        load_weights_from(build(googlenet, **options), source.state_dict())
    with pytest.raises(ValueError, match=r"'conv1'.*has a bias.*normalization='batch'"):
        load_weights_from(
            build(googlenet, **options | {"normalization": None}), source.state_dict()
        )


def test_alexnet_permutes_the_weights_behind_the_flattening():
    images = np.random.default_rng(1).normal(size=(3, 127, 127, 3))
    source = AlexNet(pixels=3, units=256).double().eval()
    options = {"input_shape": (127, 127, 3), "version": "2014"}
    model = build(alexnet, width_multiplier=1.0, **options, num_classes=0)
    with pytest.raises(ValueError, match=r"'C1'.*another width"):
        load_weights_from(
            build(alexnet, width_multiplier=0.5, **options), source.state_dict()
        )
    load_weights_from(model, source.state_dict())
    with torch.no_grad():
        maps = source.features(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    assert gap(model, maps.numpy().transpose(0, 2, 3, 1), images) < TOLERANCE


def test_alexnets_whole_network_is_the_same_and_the_permutation_matters():
    images = np.random.default_rng(1).normal(size=(2, 127, 127, 3))
    torch.manual_seed(0)
    source = AlexNet(pixels=3).double().eval()
    with torch.no_grad():
        for parameter in source.parameters():  # PyTorch's start makes maps vanish
            parameter *= 3.0 if parameter.ndim > 1 else 1.0
    model = build(alexnet, input_shape=(127, 127, 3), version="2014")
    state = source.state_dict()
    load_weights_from(model, state)
    expected = outputs(source, images)
    assert gap(model, expected, images) < TOLERANCE
    plain = (
        state["classifier.1.weight"].numpy().T
    )  # neither permuted nor wrong in shape
    model.get_layer("F8").kernel.assign(plain)
    assert gap(model, expected, images) > 0.1


def test_grey_images_get_the_sum_of_the_coloured_kernels(resnet18_source):
    model = build(resnet18, input_shape=(64, 64, 1))
    load_weights_from(model, resnet18_source.state_dict())
    grey = IMAGES[..., :1]
    expected = outputs(resnet18_source, np.repeat(grey, 3, axis=-1))
    assert gap(model, expected, grey) < TOLERANCE


def test_a_model_without_a_head_or_with_its_own_takes_the_rest(resnet18_source):
    state = resnet18_source.state_dict()
    features = build(resnet18, num_classes=0, pooling="avg", weights=state)
    kernel, bias = state["fc.weight"].numpy(), state["fc.bias"].numpy()
    got = keras.ops.convert_to_numpy(features(IMAGES.astype(DTYPE), training=False))
    expected = outputs(resnet18_source, IMAGES)
    assert np.abs(got @ kernel.T + bias - expected).max() < 10 * TOLERANCE
    other = build(resnet18, num_classes=3)
    before = other.get_layer("classifier").get_weights()
    load_weights_from(other, state, head=False)
    for one, two in zip(
        before, other.get_layer("classifier").get_weights(), strict=True
    ):
        assert np.array_equal(one, two)
    inner = feature_extractor(other, "stage4")
    maps = keras.ops.convert_to_numpy(inner(IMAGES.astype(DTYPE), training=False))
    assert np.abs(maps.mean(axis=(1, 2)) - got).max() < 10 * TOLERANCE


def test_a_mismatch_names_the_first_layer_that_differs(resnet18_source):
    state = resnet18_source.state_dict()
    model = build(resnet18, num_classes=3)
    before = model.get_weights()
    with pytest.raises(
        ValueError,
        match=r"'classifier' of model 'resnet18' has a weight of shape \(512, 3\), the "
        r"source's 'fc' one of \(512, 10\): pass num_classes=10.*head=False",
    ):
        load_weights_from(model, state)
    with pytest.raises(ValueError, match=r"'stage1_block3/convolution_1'.*'layer1.2"):
        load_weights_from(build(resnet34), state)
    with pytest.raises(
        ValueError, match=r"'layer1.0.conv3.weight' and .* more weights"
    ):
        extra = {"layer1.0.conv3.weight": np.zeros((1, 1, 1, 1)), "bn9.bias": [0.0]}
        load_weights_from(model, {**state, **extra}, head=False)
    with pytest.raises(ValueError, match=r"'stem_convolution'.* have 3 channels"):
        load_weights_from(build(resnet18, input_shape=(64, 64, 5)), state)
    with pytest.raises(ValueError, match=r"GroupNorm.*Pass normalization='batch'"):
        load_weights_from(build(resnet18, normalization="group"), state)
    with pytest.raises(ValueError, match=r"pass version='v1.5'"):
        load_weights_from(build(resnet18, version="v2"), state)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(old, new)  # nothing was half loaded


@pytest.fixture
def small_state():
    """A state dict of many number types, with a view and a parameter in it."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return {
        "plain": base,
        "view": base.T[1:3, ::2],
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "brain": torch.tensor([0.5, -3.0], dtype=torch.bfloat16),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }


def test_a_pth_file_is_read_as_pytorch_reads_it(small_state, tmp_path):
    from dlkeras.architectures.weights.files import read_weight_file

    file = tmp_path / "small.pth"
    torch.save(small_state, file)
    arrays = read_weight_file(file)
    again = torch.load(file, weights_only=True)
    assert set(arrays) == set(again)
    for name, tensor in again.items():
        assert np.array_equal(arrays[name], tensor.detach().float().numpy())
        assert arrays[name].shape == tuple(tensor.shape)
    wrapped = {"state_dict": {f"module.{k}": v for k, v in small_state.items()}}
    torch.save(wrapped, file)
    assert set(read_weight_file(file)) == set(small_state)


def test_resnet_18_loads_from_a_pth_file_and_from_safetensors(
    resnet18_source, tmp_path
):
    expected = outputs(resnet18_source, IMAGES)
    pth, tensors = tmp_path / "resnet18.pth", tmp_path / "resnet18.safetensors"
    state = resnet18_source.state_dict()
    torch.save(state, pth)
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in state.items():
        data = tensor.numpy().tobytes()
        header[name] = {
            "dtype": "F64" if tensor.dtype == torch.float64 else "I64",
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    tensors.write_bytes(struct.pack("<Q", len(text)) + text + body)
    for file in (pth, str(tensors)):
        assert gap(build(resnet18, weights=file), expected) < TOLERANCE
    tensors.write_bytes(tensors.read_bytes()[:-100])
    with pytest.raises(WeightFileError, match="cut off or corrupt"):
        build(resnet18, weights=tensors)


def test_a_hostile_or_broken_file_runs_nothing_and_is_refused(tmp_path):
    model = build(resnet18)
    bait = tmp_path / "bait"

    class Gadget:
        def __reduce__(self):
            import os

            return os.mkdir, (str(bait),)

    file = tmp_path / "hostile.pth"
    torch.save({"conv1.weight": Gadget()}, file)
    with pytest.raises(WeightFileError, match=r"asks for posix.mkdir.*was not run"):
        load_weights_from(model, file)
    assert not bait.exists()
    file.write_bytes(pickle.dumps({"conv1.weight": Gadget()}))
    with pytest.raises(WeightFileError, match="not a zip archive"):
        load_weights_from(model, file)
    assert not bait.exists()
    # An array that claims to be larger than its storage must not read beyond it.
    torch.save({"x": torch.zeros(2)}, file)
    with zipfile.ZipFile(file) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            if name.endswith("data.pkl"):  # BININT1 2 is the size, BININT1 1 the stride
                assert data.count(b"K\x02\x85") == 1
                data = data.replace(b"K\x02\x85", b"K\x63\x85")
            archive.writestr(name, data)
    with pytest.raises(WeightFileError, match=r"shape \(99,\).*ends at number 98 of 2"):
        load_weights_from(model, file)
    torch.save({"x": torch.zeros(1).expand(10**10)}, file)  # 40 GB of one number
    with pytest.raises(WeightFileError, match="repeats 1 numbers"):
        load_weights_from(model, file)
    torch.save(torch.nn.Linear(2, 2), file)
    with pytest.raises(WeightFileError, match=r"Save `model.state_dict"):
        load_weights_from(model, file)
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(WeightFileError, match="not a readable weight file"):
        load_weights_from(model, tmp_path / "cut.safetensors")
    with pytest.raises(FileNotFoundError, match="There is no weight file"):
        load_weights_from(model, tmp_path / "nowhere.pth")
    with pytest.raises(ValueError, match=r"must end in \.pth"):
        load_weights_from(model, tmp_path / "weights.txt")
    with pytest.raises(ValueError, match="source must be a Keras model"):
        load_weights_from(model, 3)
