"""A healthy layer and its mutants, each of which breaks one promise."""

import keras
import numpy as np
from keras import ops

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
class FailsOnNothingBesideAConvolution(FailsOnNothing):
    """Keras's convolution may fail there, too: that is no excuse for one's own."""

    def build(self, input_shape):
        self.convolution = keras.layers.Conv1D(3, 1)
        self.convolution.build(input_shape)
        super().build(input_shape)

    def call(self, inputs):
        return super().call(self.convolution(inputs))


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

    def call(self, inputs, training=None):
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
    """Takes what it was not made for, and gives another number of examples."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = None

    def call(self, inputs):
        x = ops.reshape(inputs, (-1, 4, 3))
        return self.activation(self.scale * self.kernel * x)


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
class TruncatesForIntegers(Scale):
    def call(self, inputs):
        kernel = ops.cast(0.7 * self.kernel, inputs.dtype)
        return self.activation(ops.cast(inputs * kernel, self.compute_dtype))


@registered
class ForgottenConstraint(Scale):
    def __init__(self, limit=None, **kwargs):
        super().__init__(**kwargs)
        self.limit = limit

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1],),
            initializer="ones",
            constraint=self.limit and keras.constraints.MaxNorm(self.limit),
            name="kernel",
        )

    def get_config(self):
        return {**super().get_config(), "limit": None}


@registered
class ForgottenDefault(Scale):
    """Lacks a key for an argument that was left at its default."""

    def __init__(self, shift=0.0, **kwargs):
        super().__init__(**kwargs)
        self.shift = shift

    def call(self, inputs):
        return super().call(inputs) + self.shift


@registered
class WeightNotSaved(Scale):
    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


@registered
class NeedsTheBatch(Scale):
    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0] * 1, *input_shape[1:])


@registered
class ArgumentSetByBuild(Scale):
    def __init__(self, size=None, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def build(self, input_shape):
        super().build(input_shape)
        self.size = input_shape[-1]

    def get_config(self):
        return {**super().get_config(), "size": self.size}


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
