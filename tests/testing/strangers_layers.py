"""Layers as strangers write them, each with one fault, and what finds it."""

import keras
import numpy as np
from keras import layers, ops

FAULTS = {}  # fault: (layer, arguments, shape, what is said)


def fault(name, said, shape=(4, 5), **arguments):
    def add(layer):
        layer = keras.saving.register_keras_serializable("strangers")(layer)
        FAULTS[name] = layer, arguments, shape, said
        return layer

    return add


@fault(
    "state made in call",
    r"cannot be made and called .* All state must be created in the `__init__\(\)`",
)
class LazyScale(layers.Layer):
    def call(self, inputs):
        if not hasattr(self, "scale"):
            self.scale = self.add_weight(shape=(5,), name="scale")
        return inputs * self.scale


@fault(
    "get_config misses an argument",
    r"config: get_config\(\) lacks the constructor's argument `activation`",
    units=3,
    activation="tanh",
)
class TwoArguments(layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(units, activation)
        self.units = units

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@fault(
    "training ignored",
    r"state: with training=False two calls on one input give different outputs",
)
class AlwaysNoisy(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, inputs, training=None):
        return keras.random.dropout(inputs, 0.5, seed=self.seeds)


@fault(
    "mask dropped",
    r"masking: .*takes a `mask`, but what is masked changes its outputs elsewhere",
    (2, 5, 3),
)
class MeanOverTime(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return ops.mean(inputs, axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


@fault("mutable default", r"arguments: .*changes the default of its argument `sizes`")
class GrowsItsDefault(layers.Layer):
    def __init__(self, sizes=[4], **kwargs):  # noqa: B006  # the fault
        super().__init__(**kwargs)
        sizes.append(3)
        self.parts = [layers.Dense(size) for size in sizes]

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs


@fault("wrong compute_output_shape", r"shapes: compute_output_shape\(\) says .*5\)\]")
class Forgets(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)

    def call(self, inputs):
        return self.dense(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@fault("non-deterministic build", r"determinism: under one seed the weights differ")
class DrawsByItself(layers.Layer):
    def build(self, input_shape):
        start = np.random.default_rng().normal(size=(input_shape[-1],))
        self.w = self.add_weight(
            shape=start.shape, initializer=keras.initializers.Constant(start), name="w"
        )

    def call(self, inputs):
        return inputs * self.w


@fault(
    "dtype hard-coded",
    r"mixed_precision: .*(is \['float32'\]: the compute dtype leaks|fails under)",
)
class SinglePrecision(layers.Layer):
    def call(self, inputs):
        return ops.cast(inputs, "float32") * ops.ones((5,), "float32")


class Holder:
    def __init__(self, layer):
        self.layer = layer


@fault(
    "weights not tracked",
    r"weights: call\(\) reads the weights \['.*bias', '.*kernel'\], which the layer do",
)
class HiddenParts(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [Holder(layers.Dense(5))]

    def build(self, input_shape):
        self.parts[0].layer.build(input_shape)

    def call(self, inputs):
        return self.parts[0].layer(inputs)


@fault(
    "parts made but not built",
    r"weights: call\(\) creates the weights \['.*kernel', '.*bias'\]",
)
class UnbuiltPart(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs):
        return self.dense(inputs) * self.scale


@fault("NumPy in call", r"(shapes|batch|jit_compile|gradients): ")
class SortsInNumpy(layers.Layer):
    def call(self, inputs):
        return ops.convert_to_tensor(np.sort(ops.convert_to_numpy(inputs), axis=-1))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


@fault("result depends on the batch", r"batch: an example gives another output alone")
class CentresTheBatch(layers.Layer):
    def call(self, inputs):
        return inputs - ops.mean(inputs, axis=0, keepdims=True)


@fault("moves in use", r"state: with training=False the call changes `.*average`")
class AveragesAlways(layers.Layer):
    def build(self, input_shape):
        self.average = self.add_weight(
            shape=(5,), initializer="zeros", trainable=False, name="average"
        )

    def call(self, inputs):
        self.average.assign(0.9 * self.average + 0.1 * ops.mean(inputs, axis=0))
        return inputs


@fault("a part is lost in from_config", r"(config|save): ", units=3)
class LosesItsPart(layers.Layer):
    def __init__(self, units, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = inner or layers.Dense(units, "tanh" if units == 3 else None)

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units + 1, "inner": None}


@fault("a constant size", r"batch: the layer fails on a batch of another size")
class KnowsItsBatch(layers.Layer):
    def call(self, inputs):
        return ops.reshape(inputs * 2.0, (4, 5))
