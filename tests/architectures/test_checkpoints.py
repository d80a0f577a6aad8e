"""Checkpoints as training scripts leave them: wrapped, prefixed, named otherwise."""

import argparse
import collections
import datetime
import json
import pathlib
import struct
import warnings

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_weights_from_torch import (  # noqa: E402
    IMAGES,
    TOLERANCE,
    build,
    calibrated,
    gap,
    outputs,
)
from torch_networks import ResNet  # noqa: E402

from dlkeras.architectures import (  # noqa: E402
    create,
    load_weights_from,
    resnet18,
    resnet50,
)


@pytest.fixture(scope="module")
def network():
    return calibrated(ResNet((2, 2, 2, 2), bottleneck=False), IMAGES)


@pytest.fixture(scope="module")
def loaded(network):
    """A function that loads a source into one model and returns the largest gap."""
    model = build(resnet18)
    expected = outputs(network, IMAGES)
    blank = [np.zeros(tuple(weight.shape)) for weight in model.weights]

    def load(source):
        model.set_weights(blank)
        load_weights_from(model, source)
        return gap(model, expected)

    return load


def lightning(network):
    """What Lightning's `ModelCheckpoint` writes, as far as it is plain."""
    return {
        "epoch": 3,
        "global_step": 100,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {
            **{f"model.{name}": x for name, x in network.state_dict().items()},
            "criterion.weight": torch.ones(10),
        },
        "loops": {"fit_loop": {"state_dict": {}, "progress": [1, 2.5, None, True]}},
        "callbacks": {},
        "optimizer_states": [
            {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}
        ],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
    }


def prefixed(prefix):
    def wrap(network):
        return {f"{prefix}{name}": x for name, x in network.state_dict().items()}

    return wrap


def of_a_training_script(network):
    """As torchvision's `references` and timm write it, arguments and schedule too."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6])
    return {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": schedule.state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(model="resnet18", lr=0.1, resume=None, sizes=[3]),
    }


WRAPPED = {
    "data parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "compiled, data parallel": prefixed("module._orig_mod."),
    "a part of a detector": prefixed("backbone.body."),
    "state_dict": lambda x: {"state_dict": x.state_dict(), "epoch": 3},
    "model_state_dict": lambda x: {"model_state_dict": x.state_dict(), "loss": 0.5},
    "model": lambda x: {"model": prefixed("module.")(x), "optimizer": {"state": {}}},
    "Lightning": lightning,
    "torchvision's training script": of_a_training_script,
    "around parts (FSDP, compiled, checkpointed)": lambda x: {
        f"_fsdp_wrapped_module.{name}".replace(
            "layer1.", "layer1._orig_mod._checkpoint_wrapped_module."
        ): value
        for name, value in x.state_dict().items()
    },
    "two dictionaries deep": lambda x: {
        "checkpoint": {"network": {"state_dict": prefixed("module.")(x)}},
        "step": 7,
    },
    "timm's average alone": lambda x: {"epoch": 3, "state_dict_ema": x.state_dict()},
    "torchvision's average": lambda x: {
        "model_ema": torch.optim.swa_utils.AveragedModel(x).state_dict(),
        "epoch": 3,
    },
    "what a script keeps beside it": lambda x: {
        "state_dict": x.state_dict(),
        "best": np.float64(71.2),
        "history": collections.defaultdict(list, {"loss": [1.0, 0.5]}),
        "args": {"output": pathlib.Path("runs"), "kinds": {"cat", "dog"}},
        "when": datetime.datetime(2026, 1, 2),
        "dtype": torch.float32,
        "device": torch.device("cpu"),
        "generators": [torch.get_rng_state(), np.random.RandomState(0).get_state()],
    },
    "another name": lambda x: {"net": prefixed("module.")(x), "acc": 95.1, "epoch": 3},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_checkpoint_loads_from_memory_as_from_its_file(
    kind, network, loaded, tmp_path
):
    content = WRAPPED[kind](network)
    assert loaded(content) < TOLERANCE
    torch.save(content, tmp_path / "last.ckpt")
    assert loaded(tmp_path / "last.ckpt") < TOLERANCE


@pytest.mark.parametrize("end", ["pth", "pt", "bin", "ckpt", "pth.tar", "tar"])
def test_a_file_of_pytorch_may_have_any_of_its_endings(end, network, loaded, tmp_path):
    torch.save(network.state_dict(), tmp_path / f"best.{end}")
    assert loaded(tmp_path / f"best.{end}") < TOLERANCE


def test_a_module_is_a_source_and_says_what_its_epsilon_is(network, loaded):
    assert loaded(network) < TOLERANCE
    assert loaded(torch.nn.DataParallel(network)) < TOLERANCE
    other = ResNet((2, 2, 2, 2), bottleneck=False, epsilon=1e-3).double().eval()
    other.load_state_dict(network.state_dict())
    model = build(resnet18, weights=other)
    assert gap(model, outputs(other, IMAGES)) < TOLERANCE


def test_a_modules_strides_dilation_and_blurs_are_compared():
    # As in timm: resnetblur50 takes the stride out of the 3x3 convolution and blurs
    # behind it; with output_stride=16 the last stage is dilated instead of strided.
    source = ResNet((3, 4, 6, 3), bottleneck=True)
    options = {"version": "v1.5", "input_shape": (64, 64, 3)}
    model = resnet50(num_classes=10, **options)
    before = model.get_weights()
    conv = source.layer2[0].conv2
    conv.stride = (1, 1)
    with pytest.raises(
        ValueError,
        match=r"'stage2_block1/convolution_2'.*strides \(2, 2\).*'layer2.0.conv2'.*"
        r"stride \(1, 1\)",
    ):
        load_weights_from(model, source)
    conv.stride, conv.dilation = (2, 2), (2, 2)
    with pytest.raises(ValueError, match=r"dilation_rate \(1, 1\).*dilation \(2, 2\)"):
        load_weights_from(model, source)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(old, new)
    conv.dilation = (1, 1)
    source.layer2[0].aa = torch.nn.AvgPool2d(2)
    with pytest.warns(UserWarning, match="does not have: AvgPool2d"):
        load_weights_from(model, source)


def test_a_normalisation_without_running_statistics_is_said_to_be_one(network):
    state = network.state_dict()
    model = build(resnet18)
    without = {n: x for n, x in state.items() if "running" not in n}
    with pytest.raises(
        ValueError,
        match=r"'stem_normalization'.*'bn1' has no mean and no variance.*group.*runn",
    ):
        load_weights_from(model, without)
    plain = {n: x for n, x in state.items() if n not in ("bn1.weight", "bn1.bias")}
    with pytest.raises(ValueError, match=r"'bn1' has no beta and no gamma.*a scale"):
        load_weights_from(model, plain)


def test_an_error_shows_the_nearest_names(network):
    renamed = {
        name.replace("downsample", "shortcut"): x
        for name, x in network.state_dict().items()
    }
    with pytest.raises(
        ValueError,
        match=r"'stage2_block1/projection'.*would be 'layer2.0.downsample.0'; its "
        r"nearest names are .*'layer2.0.shortcut.0'",
    ):
        load_weights_from(build(resnet18), renamed)


def safetensors(state, file):
    """Write a file as the format's page describes it."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in state.items():
        data = tensor.numpy().tobytes()
        header[name] = {
            "dtype": {"float64": "F64", "int64": "I64"}[str(tensor.numpy().dtype)],
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + body)


def test_the_index_of_several_files_is_a_source(network, loaded, tmp_path):
    state = network.state_dict()
    places = {
        name: f"model-0000{number}-of-00002.safetensors"
        for number, names in enumerate((list(state)[:50], list(state)[50:]), start=1)
        for name in names
    }
    for file in set(places.values()):
        part = {name: x for name, x in state.items() if places[name] == file}
        safetensors(part, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"

    def write(content):
        index.write_text(json.dumps(content))

    write({"metadata": {"total_size": 1}, "weight_map": places})
    assert loaded(index) < TOLERANCE
    with pytest.raises(ValueError, match=r"is a folder: .*such as 'model-00001-of-"):
        loaded(tmp_path)
    with pytest.raises(ValueError, match=r"'layer2.1.conv2'; its nearest"):
        loaded(tmp_path / "model-00001-of-00002.safetensors")
    write({"weight_map": {**places, "fc.bias": next(iter(places.values()))}})
    with pytest.raises(ValueError, match=r"lists 'fc.bias' in 'model-00001-of-00002"):
        loaded(index)
    write({"weight_map": {**places, "fc.bias": "../model.safetensors"}})
    with pytest.raises(ValueError, match=r"names '\.\./model.* is no file beside it"):
        loaded(index)
    write(["conv1.weight"])
    with pytest.raises(ValueError, match=r"is not the index of a network's weight"):
        loaded(index)
    write({"weight_map": dict.fromkeys(places, "gone.safetensors")})
    with pytest.raises(FileNotFoundError, match=r"gone\.safetensors"):
        loaded(index)


def test_of_weights_and_their_average_the_user_is_told(network, loaded, tmp_path):
    state = network.state_dict()
    average = {name: torch.zeros_like(x) for name, x in state.items()}
    both = {"state_dict": state, "state_dict_ema": average}
    torch.save(both, tmp_path / "last.pth.tar")
    for source in (both, tmp_path / "last.pth.tar"):
        with pytest.warns(
            UserWarning, match=r"average pass checkpoint\['state_dict_ema"
        ):
            assert loaded(source) < TOLERANCE


def test_a_whole_network_in_a_dictionary_is_a_source(network, loaded, tmp_path):
    assert loaded({"model": torch.nn.DataParallel(network), "epoch": 3}) < TOLERANCE
    torch.save({"model": network}, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match=r"torch_networks.ResNet, which .*not run"):
        loaded(tmp_path / "whole.pt")


def test_a_program_of_torchscript_is_a_source_from_memory(network, loaded, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, of TorchScript itself
        images = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())
        program = torch.jit.trace(network, images)
        torch.jit.save(program, str(tmp_path / "program.pt"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert loaded(program) < TOLERANCE
    with pytest.raises(ValueError, match=r"TorchScript. Load it with torch.jit.load"):
        loaded(tmp_path / "program.pt")


def test_a_checkpoint_without_arrays_says_what_it_has(network, loaded, tmp_path):
    two = {"G": network.state_dict(), "D": prefixed("judge.")(network), "step": 7}
    torch.save(two, tmp_path / "gan.pth")
    for source in (two, tmp_path / "gan.pth"):
        with pytest.raises(ValueError, match=r"it has no arrays, but 'G', 'D', 'step'"):
            loaded(source)
    assert loaded(two["G"]) < TOLERANCE


def test_another_squeeze_and_excitation_is_said_to_be_one():
    source = ResNet((2, 2, 2, 2), bottleneck=False, se=8)
    model = build(resnet18, version="v1.5", reduction_ratio=16)
    with pytest.raises(
        ValueError, match=r"8 units for 64 channels.*ratio` would be 8,"
    ):
        load_weights_from(model, source.state_dict())


def test_two_networks_in_one_checkpoint_are_not_guessed(network):
    both = {**prefixed("student.")(network), **prefixed("teacher.")(network)}
    with pytest.raises(ValueError, match=r"2 networks.*'student.', 'teacher.'"):
        load_weights_from(build(resnet18), both)


def test_what_is_no_source_is_shown_in_one_line():
    with pytest.raises(ValueError, match="must be a Keras model, a module") as got:
        load_weights_from(build(resnet18), [0.5] * 10_000)
    assert len(str(got.value)) < 250


@pytest.mark.parametrize("classes", [None, 5], ids=["notop", "top"])
def test_the_h5_files_of_keras_applications_are_sources(classes, tmp_path):
    keras.utils.set_random_seed(0)
    top = {"classes": classes} if classes else {"include_top": False}
    theirs = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), **top)
    file = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    theirs.save(file)
    images = IMAGES.astype("float32")
    expected = keras.ops.convert_to_numpy(theirs(images))
    options = {"input_shape": (64, 64, 3), "num_classes": classes or 0}
    model = resnet50(**options, weights=file)
    got = keras.ops.convert_to_numpy(model(images))
    limit = 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=limit)
    if classes:
        other = resnet50((64, 64, 3), num_classes=3)
        with pytest.raises(ValueError, match=r"pass num_classes=5.*head=False"):
            load_weights_from(other, file)
        load_weights_from(other, file, head=False)
        features = resnet50((64, 64, 3), num_classes=0, weights=file)
        assert np.array_equal(features.get_weights()[0], other.get_weights()[0])


OWN = [
    ("resnet20", {"num_classes": 4, "width_multiplier": 0.25}),
    ("lenet5", {"version": "1998"}),
    ("googlenet", {"input_shape": (65, 65, 3), "width_multiplier": 0.0625,
                   "auxiliary": True, "normalization": "batch"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), OWN, ids=[name for name, _ in OWN])
def test_our_own_networks_find_their_weights_in_a_whole_h5_file(
    name, options, tmp_path
):
    model, other = create(name, **options), create(name, **options)
    model.save(tmp_path / "model.h5")
    load_weights_from(other, tmp_path / "model.h5")
    for one, two in zip(model.weights, other.weights, strict=True):
        if "seed_generator" not in one.path:
            one, two = (keras.ops.convert_to_numpy(w) for w in (one, two))
            assert np.array_equal(one, two)


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "float64"])
def test_weights_of_every_width_are_read_from_their_files(policy, tmp_path):
    options = {"num_classes": 4, "width_multiplier": 0.25}
    file = tmp_path / "model.weights.h5"
    keras.config.set_dtype_policy(policy)
    try:
        model = create("resnet20", **options)
    finally:
        keras.config.set_dtype_policy("float32")
    model.save_weights(file)
    other = create("resnet20", **options, weights=file)
    for one, two in zip(model.weights, other.weights, strict=True):
        one, two = (keras.ops.convert_to_numpy(w).astype("float32") for w in (one, two))
        assert np.array_equal(one, two)
