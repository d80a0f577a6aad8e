"""The conformance suite finds each of these broken layers and says what is wrong."""

import re
import subprocess
import sys

import keras
import pytest
from broken_layers import (
    SHARED,
    AnyRank,
    ArgumentSetByBuild,
    Blend,
    BuildChangesTheConfig,
    ChangesItsArgument,
    ComputesInNumpy,
    ConfigThatIsNoJson,
    CountsItsCalls,
    FailsInHalfPrecision,
    FailsOnNothing,
    FailsOnNothingBesideAConvolution,
    FixedBatch,
    FixedLength,
    ForgottenConstraint,
    ForgottenDefault,
    ForgottenInitializer,
    ForgottenKey,
    ForgottenRegularizer,
    IgnoresTheDataFormat,
    KeepsItsTensors,
    KeyWithTheDefault,
    LeaksFloat32,
    MaskOfTheWrongLength,
    MixesExamples,
    NamelessError,
    NarrowWeights,
    NeedsTheBatch,
    NoiseInUse,
    NotRegistered,
    Scale,
    SharedWeight,
    StopsTheGradient,
    TruncatesForIntegers,
    UnseededNoise,
    WeightMadeInCall,
    WeightNotSaved,
    WrongGradient,
    WrongOutputShape,
    WrongSymbolicDtype,
)

from dlkeras.testing import check_layer

MUTANTS = {
    ForgottenKey: r"config: get_config\(\) lacks the constructor's argument `scale`",
    KeyWithTheDefault: r"config: .*computes other outputs .*argument is not restored",
    ForgottenInitializer: r"config: .*starts `.*kernel` with other values.*initialiser",
    ForgottenRegularizer: r"config: .*has losses .*a regulariser is not restored",
    ChangesItsArgument: r"arguments: the layer changes its argument `factors` in place",
    BuildChangesTheConfig: r"config: .*layer is built: 'scale' was 2.0, is 4.0",
    ConfigThatIsNoJson: r"config: get_config\(\) cannot be written as JSON",
    NotRegistered: r"save: a model of the layer cannot be loaded again",
    WeightMadeInCall: r"weights: call\(\) creates the weights \['.*dense.*/kernel', ",
    SharedWeight: r"weights: two layers share the weights \['.*kernel'\]",
    WrongOutputShape: r"shapes: compute_output_shape\(\) says .*4\)\], the call gives",
    WrongSymbolicDtype: r"shapes: the symbolic call says dtypes \['float16'\]",
    FixedBatch: r"batch: the layer fails on a batch of another size",
    MixesExamples: r"batch: an example gives another output alone than in its batch",
    FailsOnNothing: r"empty_batch: the layer fails on an empty batch: .*no examples",
    FailsOnNothingBesideAConvolution: r"empty_batch: .*empty batch: .*no examples",
    FixedLength: r"size: with axes \(1,\) unknown the layer",
    LeaksFloat32: r"mixed_precision: .*is \['float32'\]: the compute dtype leaks",
    NarrowWeights: r"mixed_precision: .*weights \['.*kernel'\] are not float32",
    FailsInHalfPrecision: r"mixed_precision: the layer fails under mixed_bfloat16",
    StopsTheGradient: r"gradients: no gradient reaches the weight `.*unused`",
    WrongGradient: r"gradients: the gradient of .* where the finite difference is",
    UnseededNoise: r"determinism: under one seed the outputs in training differ",
    NoiseInUse: r"state: with training=False two calls on one input give different",
    CountsItsCalls: r"state: with training=False the call changes `.*count`",
    KeepsItsTensors: r"state: after a symbolic call .*holds its tensors in \['last'\]",
    MaskOfTheWrongLength: r"masking: .*mask that comes out has shape \(3, 4\) beside",
    AnyRank: r"rank: .* one axis too many is not refused but gives .*\(6, 4, 3\)\]",
    NamelessError: r"rank: the error .*does not name the layer: that does not look",
    TruncatesForIntegers: r"dtype: .* int32 is not refused but gives other outputs",
    ForgottenConstraint: r"config: .*has the weight constraints \[None\] instead of",
    ForgottenDefault: r"config: get_config\(\) lacks the .*argument `shift`",
    WeightNotSaved: r"save: .*computes other outputs .*: a weight .*is not saved",
    NeedsTheBatch: r"shapes: compute_output_shape\(\) fails where the batch is unkn",
    ArgumentSetByBuild: r"config: .*when the layer is built: 'size' was None, is 3",
    IgnoresTheDataFormat: r"data_format: data_format='channels_first' does not give",
}
INIT = {"factors": [1.0, 2.0, -1.0], "scale": 2.0, "activation": "tanh"}
MORE = {
    ForgottenInitializer: {"start": "ones"},
    ForgottenConstraint: {"limit": 9.0},
    ForgottenRegularizer: {"strength": 0.1},
    IgnoresTheDataFormat: {"data_format": "channels_last"},
}


def test_the_healthy_layer_passes():
    passed = check_layer(Scale, INIT, (3, 4, 3), dynamic_axes=(1,))
    expected = 17 if keras.backend.backend() != "torch" else 16
    assert len(passed) == expected


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_mutant_is_caught_by_name(mutant):
    SHARED.clear()
    init = {**INIT, **MORE.get(mutant, {})}
    with pytest.raises(AssertionError) as caught:
        check = MUTANTS[mutant].split(":")[0]
        check_layer(mutant, init, (3, 4, 3), dynamic_axes=(1,), only=[check])
    message = str(caught.value)
    assert message.startswith(f"{mutant.__name__} fails")
    assert re.search(rf"^- {MUTANTS[mutant]}", message, re.MULTILINE), message


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="PyTorch is not compiled by XLA"
)
def test_a_layer_that_computes_in_numpy_is_caught_by_name():
    with pytest.raises(AssertionError, match="jit_compile: the layer cannot be compil"):
        check_layer(ComputesInNumpy, INIT, (3, 4, 3), only=["jit_compile"])


def test_a_layer_that_cannot_be_called_is_told_apart():
    message = r"Dense cannot be made and called on shape \(3, 4\): ValueError"
    with pytest.raises(AssertionError, match=message):
        check_layer(keras.layers.Dense, {"units": 3, "colour": "red"}, (3, 4))


def test_an_unknown_check_cannot_be_skipped():
    with pytest.raises(ValueError, match=r"`skip` must name checks.*\['colour'\]"):
        check_layer(Scale, INIT, (3, 4, 3), skip=["colour"])


def test_a_layer_with_its_own_config_can_stand_for_its_class():
    assert check_layer(Scale(**INIT), None, (3, 4, 3), only=["save"]) == ("save",)


def test_layers_with_several_inputs_pass():
    skip = ["rank", "dtype"]  # both take any
    passed = check_layer(keras.layers.Subtract, {}, [(3, 4), (3, 4)], skip=skip)
    assert {"config", "weights", "gradients", "shapes"} <= set(passed)
    shapes = {"first": (3, 4), "second": (3, 4)}
    passed = check_layer(Blend, {"share": 0.3}, shapes, skip=skip)
    assert {"config", "weights", "gradients", "shapes"} <= set(passed)


def test_the_suites_work_without_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "import keras\n"
        "from dlkeras.testing import check_layer\n"
        "class Flat(keras.layers.Layer):\n"
        "    call = lambda self, x: keras.ops.reshape(x, (-1, 4))\n"
        "    compute_output_shape = lambda self, shape: shape\n"
        "try:\n"
        "    check_layer(Flat, {}, (2, 4), only=['rank'])\n"
        "except AssertionError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    assert b"rank: an input with one axis too many is not refused" in run.stdout
