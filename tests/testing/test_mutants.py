"""The conformance suite finds each of these broken layers and says what is wrong."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from dlkeras.testing import check_layer

SHARED = []


def registered(layer):
    return keras.saving.register_keras_serializable("mutants")(layer)


@registered
class Scale(keras.layers.Layer):
    """The healthy layer: `activation(x * scale * factors)`; mutants break one thing."""

    def __init__(self, factors=(1.0, 1.0, 1.0), scale=1.0, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.factors = list(factors)
        self.scale = scale
        self.activation = keras.activations.get(activation)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1],), initializer="ones", name="kernel"
        )

    def call(self, inputs):
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if not keras.backend.is_float_dtype(dtype):
            raise ValueError(f"{self.name} expects floats. Received: dtype={dtype}")
        factors = ops.convert_to_tensor(list(self.factors), dtype)
        return self.activation(inputs * (self.scale * self.kernel * factors))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "factors": self.factors,
            "scale": self.scale,
            "activation": keras.activations.serialize(self.activation),
        }


@registered
class ForgottenKey(Scale):
    def get_config(self):
        config = super().get_config()
        del config["scale"]
        return config


@registered
class KeyWithTheDefault(Scale):
    def get_config(self):
        return {**super().get_config(), "scale": 1.0}


@registered
class ForgottenInitializer(Scale):
    def __init__(self, start="ones", **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1],), initializer=self.start, name="kernel"
        )

    def get_config(self):
        return {**super().get_config(), "start": "zeros"}


@registered
class ForgottenRegularizer(Scale):
    def __init__(self, strength=0.1, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1],),
            initializer="ones",
            regularizer=keras.regularizers.L2(self.strength),
            name="kernel",
        )

    def get_config(self):
        return {**super().get_config(), "strength": 0.5}


@registered
class ChangesItsArgument(Scale):
    def __init__(self, factors=(1.0, 1.0, 1.0), **kwargs):
        factors[0] = 5.0
        super().__init__(factors, **kwargs)


@registered
class BuildChangesTheConfig(Scale):
    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.scale * 2


@registered
class ConfigThatIsNoJson(Scale):
    def get_config(self):
        return {**super().get_config(), "scale": object()}


class NotRegistered(Scale):
    pass


@registered
class WeightMadeInCall(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3)

    def build(self, input_shape):
        super().build(input_shape)  # and forgets self.dense.build

    def call(self, inputs):
        return self.dense(super().call(inputs))


@registered
class SharedWeight(Scale):
    def build(self, input_shape):
        if not SHARED:
            super().build(input_shape)
            SHARED.append(self.kernel)
        self.kernel = SHARED[0]


@registered
class WrongOutputShape(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)


@registered
class WrongSymbolicDtype(Scale):
    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype="float16")


@registered
class FixedBatch(Scale):
    def call(self, inputs):
        return ops.reshape(super().call(inputs), (3, *inputs.shape[1:]))


@registered
class MixesExamples(Scale):
    def call(self, inputs):
        x = super().call(inputs)
        return x - ops.mean(x, axis=0, keepdims=True)


@registered
class FailsOnNothing(Scale):
    def call(self, inputs):
        if inputs.shape[0] == 0:
            raise ValueError("no examples")
        return super().call(inputs)


@registered
class FixedLength(Scale):
    def call(self, inputs):
        x = super().call(inputs)
        return ops.reshape(x, (-1, 4, x.shape[-1]))


@registered
class LeaksFloat32(Scale):
    def call(self, inputs):
        return ops.cast(super().call(inputs), "float32")


@registered
class NarrowWeights(Scale):
    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1],),
            initializer="ones",
            name="kernel",
            dtype=self.compute_dtype,
        )


@registered
class FailsInHalfPrecision(Scale):
    def call(self, inputs):
        if self.compute_dtype == "bfloat16":
            raise TypeError("bfloat16 is not for me")
        return super().call(inputs)


@registered
class ComputesInNumpy(Scale):
    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def call(self, inputs):
        values = ops.convert_to_numpy(super().call(inputs))
        return ops.convert_to_tensor(np.sort(values, axis=-1))


@registered
class StopsTheGradient(Scale):
    def call(self, inputs):
        frozen = ops.stop_gradient(self.kernel)
        return super().call(inputs) + ops.sum(self.kernel) * 0 + 0 * frozen - 0

    def build(self, input_shape):
        super().build(input_shape)
        self.unused = self.add_weight(shape=(2,), name="unused")


@registered
class WrongGradient(Scale):
    def call(self, inputs):
        # the straight-through trick: the value of x ** 2, the gradient of x
        x = super().call(inputs)
        return x + ops.stop_gradient(ops.square(x) - x)


@registered
class UnseededNoise(Scale):
    def call(self, inputs, training=None):
        noise = np.random.default_rng().normal() if training else 0.0
        return super().call(inputs) + noise


@registered
class NoiseInUse(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, inputs):
        noise = keras.random.normal((1,), seed=self.seeds, dtype=inputs.dtype)
        return super().call(inputs) + noise


@registered
class CountsItsCalls(Scale):
    def build(self, input_shape):
        super().build(input_shape)
        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="count"
        )

    def call(self, inputs):
        self.count.assign(self.count + 1)
        return super().call(inputs)


@registered
class KeepsItsTensors(Scale):
    def compute_output_spec(self, inputs):
        self.last = inputs
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


@registered
class MaskOfTheWrongLength(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return super().call(inputs)[:, ::2]

    def compute_output_shape(self, input_shape):
        length = input_shape[1]
        return (input_shape[0], None if length is None else -(-length // 2), 3)


@registered
class AnyRank(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = None

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(1,), initializer="ones", name="kernel")

    def call(self, inputs):
        return self.activation(self.scale * self.kernel * inputs)


@registered
class NamelessError(Scale):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = None

    def __call__(self, inputs, **kwargs):
        if len(inputs.shape) != 3:
            raise ValueError("that does not look right")
        return super().__call__(inputs, **kwargs)


@registered
class AnyDtype(Scale):
    def call(self, inputs):
        return super().call(ops.cast(inputs, self.compute_dtype))


@registered
class IgnoresTheDataFormat(Scale):
    def __init__(self, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(1,), initializer="ones", name="kernel")

    def call(self, inputs):
        return ops.cumsum(self.scale * self.kernel * inputs, axis=-1)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


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
    AnyRank: r"rank: an input with one axis too many is not refused",
    NamelessError: r"rank: the error .*does not name the layer: that does not look",
    AnyDtype: r"dtype: an input of dtype int32 is not refused",
    IgnoresTheDataFormat: r"data_format: data_format='channels_first' does not give",
}
INIT = {"factors": [1.0, 2.0, -1.0], "scale": 2.0, "activation": "tanh"}
MORE = {
    ForgottenInitializer: {"start": "ones"},
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


@registered
class Blend(keras.layers.Layer):
    """A healthy layer of two arguments."""

    def __init__(self, share=0.5, **kwargs):
        super().__init__(**kwargs)
        self.share = share

    def call(self, first, second):
        return self.share * first + (1 - self.share) * second

    def compute_output_shape(self, first_shape, second_shape):
        return tuple(first_shape)

    def get_config(self):
        return {**super().get_config(), "share": self.share}


def test_layers_with_several_inputs_pass():
    skip = ["rank", "dtype"]  # both take any
    passed = check_layer(keras.layers.Subtract, {}, [(3, 4), (3, 4)], skip=skip)
    assert {"config", "weights", "gradients", "shapes"} <= set(passed)
    shapes = {"first": (3, 4), "second": (3, 4)}
    passed = check_layer(Blend, {"share": 0.3}, shapes, skip=skip)
    assert {"config", "weights", "gradients", "shapes"} <= set(passed)
