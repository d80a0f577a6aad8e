"""The layer under test: makes it again, makes its inputs, and calls it."""

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops


class LayerSubject:
    """A layer class with arguments and inputs that every check can make afresh.

    Args:
        layer: A layer class, or a layer whose config then stands for the arguments.
        init: Arguments of the class.
        input_shape: Shape with batch; a list of shapes for a layer that takes a list,
            a dict of shapes by argument for one that takes several tensors.
        input_dtype: Dtype of the inputs.
        inputs: Function of (shape, random generator) that gives one input, or `None`
            for normal numbers (small non-negative ones for an integer dtype).
        dynamic_batch: Whether symbolic inputs leave the batch unknown.
    """

    def __init__(
        self,
        layer: Any,
        init: dict[str, Any] | None,
        input_shape: Any,
        input_dtype: str = "float32",
        inputs: Callable[..., Any] | None = None,
        dynamic_batch: bool = True,
    ) -> None:
        if isinstance(layer, type):
            self.type, self._config = layer, None
            self.init = dict(init or {})
        else:
            if init is not None:
                raise ValueError(
                    "`init` goes with a layer class; a layer brings its own config. "
                    f"Received: layer={layer!r}, init={init!r}"
                )
            self.type, self._config = type(layer), layer.get_config()
            self.init = {}
        if not issubclass(self.type, keras.layers.Layer):
            raise ValueError(
                f"`layer` must be a Keras layer or its class. Received: layer={layer!r}"
            )
        self.input_shape = input_shape
        self.input_dtype = input_dtype
        self.dynamic_batch = dynamic_batch
        self._inputs = inputs
        self._draws: bool | None = None

    @property
    def from_config(self) -> bool:
        """Whether a layer was given, whose config stands for the arguments."""
        return self._config is not None

    @property
    def name(self) -> str:
        """The class's name."""
        return self.type.__name__

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The named parameters of the class's constructor."""
        return {
            name: parameter
            for name, parameter in inspect.signature(self.type).parameters.items()
            if parameter.kind
            in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }

    def make(self, **changes: Any) -> Any:
        """Return a new layer; `changes` replace some of its arguments."""
        if "dtype" in changes and not self._takes_dtype:
            del changes["dtype"]
        if self._config is not None:
            return self.type.from_config({**copy.deepcopy(self._config), **changes})
        return self.type(**{**copy.deepcopy(self.init), **changes})

    @property
    def _takes_dtype(self) -> bool:
        parameters = inspect.signature(self.type).parameters
        return "dtype" in parameters or any(
            p.kind is p.VAR_KEYWORD for p in parameters.values()
        )

    def map_shapes(self, function: Callable[[Any], Any], shapes: Any = None) -> Any:
        """Apply a function to each input's shape and keep the structure."""
        shapes = self.input_shape if shapes is None else shapes
        if isinstance(shapes, dict):
            return {name: function(tuple(shape)) for name, shape in shapes.items()}
        if isinstance(shapes, list):
            return [function(tuple(shape)) for shape in shapes]
        return function(tuple(shapes))

    def arrays(self, shapes: Any = None, seed: int = 0, dtype: Any = None) -> Any:
        """Return inputs as NumPy arrays."""
        rng = np.random.default_rng(seed)
        dtype = dtype or self.input_dtype

        def one(shape: tuple) -> np.ndarray:
            if self._inputs is not None:
                return np.asarray(self._inputs(shape, rng)).astype(dtype)
            if "float" in dtype:
                return rng.normal(size=shape).astype(dtype)
            return rng.integers(0, 2, size=shape).astype(dtype)

        return self.map_shapes(one, shapes)

    def symbols(self, free_axes: tuple[int, ...] = (), dtype: Any = None) -> Any:
        """Return symbolic inputs whose `free_axes` are unknown, like the batch."""

        def one(shape: tuple) -> Any:
            sizes = tuple(
                None if axis in free_axes else size for axis, size in enumerate(shape)
            )
            batch = None if self.dynamic_batch else shape[0]
            kind = dtype or self.input_dtype
            return keras.Input(sizes[1:], batch_size=batch, dtype=kind)

        return self.map_shapes(one)

    def call(self, layer: Any, inputs: Any, training: bool | None = None) -> Any:
        """Call the layer with inputs of any structure."""
        # Keras hands `training` on to the layers within one that does not take it; one
        # with a `__call__` of its own may understand something else by it.
        asks = "training" in inspect.signature(layer.call).parameters
        options = {}
        if training is not None and (asks or not overrides(layer, "__call__")):
            options["training"] = training
        if isinstance(inputs, dict):
            # the order of the arguments: a tree of tensors comes back sorted by name
            first, *others = self.input_shape
            rest = {name: inputs[name] for name in others}
            return layer(inputs[first], **rest, **options)
        return layer(inputs, **options)

    def build(self, layer: Any) -> None:
        """Build the layer from the shapes alone."""
        if layer.built:  # a model of layers that came with its input
            return
        if not overrides(layer, "build"):
            # Keras builds such a layer by a call without numbers.
            self.call(layer, self.symbols())
            return
        if not isinstance(self.input_shape, dict):
            layer.build(self.input_shape)
            return
        given = {f"{name}_shape": shape for name, shape in self.input_shape.items()}
        if set(given) <= set(inspect.signature(layer.build).parameters):
            layer.build(**given)
        else:  # a layer that looks at its first input only
            layer.build(next(iter(given.values())))

    def built(self, **changes: Any) -> Any:
        """Return a new layer that has seen inputs, so that it has its weights."""
        layer = self.make(**changes)
        self.call(layer, self.arrays(), training=False)
        return layer

    def outputs(self, layer: Any, inputs: Any, training: bool = False) -> list:
        """Return the layer's outputs as a flat list of NumPy arrays.

        A layer that draws in use, too, draws the same every time.
        """
        seeds = values_of(seeds_of(layer)) if self.draws_in_use(layer) else []
        outputs = flat_arrays(self.call(layer, inputs, training=training))
        restore(seeds)
        return outputs

    def draws_in_use(self, layer: Any) -> bool:
        """Whether the outputs are random on purpose, not in training alone.

        So are those of a layer that moves a seed and does not ask for `training`, such
        as the draw in a variational autoencoder. One that asks promises to be still.
        """
        if self._draws is None:
            before = values_of(seeds_of(layer))
            self._draws = False
            if before and "training" not in inspect.signature(layer.call).parameters:
                self.call(layer, self.arrays(), training=False)
                self._draws = any(
                    not np.array_equal(value, to_array(seed)) for seed, value in before
                )
                restore(before)
        return self._draws

    def model(self, layer: Any, free_axes: tuple[int, ...] = ()) -> keras.Model:
        """Return a Functional model of the layer alone."""
        symbols = self.symbols(free_axes)
        return keras.Model(symbols, self.call(layer, symbols))

    def predictions(self, model: keras.Model, inputs: Any) -> list:
        """Return a Functional model's outputs as a flat list of NumPy arrays."""
        return flat_arrays(model(inputs, training=False))


@contextlib.contextmanager
def default_policy(policy: str) -> Iterator[None]:
    """Make layers within a layer compute as the layer itself is told to.

    A layer of a guide makes its parts without naming a type: they take the default.
    """
    before, floats = keras.config.dtype_policy(), keras.config.floatx()
    if policy == "float64":  # of losses and of random numbers
        keras.config.set_floatx(policy)
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy(before)


def has_own_policies(layer: Any) -> bool:
    """Whether a layer within it computes in another type, as a softmax may."""
    inner = layer._flatten_layers(include_self=False)
    return any(one.compute_dtype != layer.compute_dtype for one in inner)


def overrides(layer: Any, method: str) -> bool:
    """Whether the layer has a method of its own instead of Keras's `Layer`."""
    return getattr(type(layer), method) is not getattr(keras.layers.Layer, method)


def seeds_of(layer: Any) -> list:
    """Return the states of the random seeds of a layer and of those within it."""
    weights = {id(weight) for weight in layer.weights}
    return [
        variable
        for variable in layer.non_trainable_variables
        if id(variable) not in weights and "int" in variable.dtype
    ]


def flat_arrays(outputs: Any) -> list:
    """Return tensors of any structure as a flat list of NumPy arrays."""
    return [to_array(tensor) for tensor in keras.tree.flatten(outputs)]


def to_array(tensor: Any) -> np.ndarray:
    """Return a tensor as a NumPy array, bfloat16 as float32."""
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = ops.cast(tensor, "float32")
    return np.asarray(ops.convert_to_numpy(tensor))


def copy_state(source: Any, target: Any) -> None:
    """Give `target` the variables of `source`: weights and states of random seeds."""
    for value, variable in zip(source.variables, target.variables, strict=True):
        variable.assign(ops.convert_to_numpy(value))


def values_of(variables: list) -> list[tuple[Any, np.ndarray]]:
    """Return variables with copies of their values, to `restore` them."""
    return [(v, np.array(ops.convert_to_numpy(v))) for v in variables]


def restore(values: list[tuple[Any, np.ndarray]]) -> None:
    """Give variables the values that they had."""
    for variable, value in values:
        variable.assign(value)


def names_of(layer: Any) -> set[str]:
    """Return the names and classes of a layer and of the layers within it."""
    layers = [layer, *layer._flatten_layers(include_self=False)]
    return {name for one in layers for name in (one.name, type(one).__name__)}


def perturb(layer: Any, seed: int = 3) -> None:
    """Move every weight a little up, so that none is what it was made as."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        value = to_array(weight)
        if "float" in weight.dtype:
            weight.assign(value + rng.uniform(0.05, 0.15, value.shape))


def difference(first: list, second: list) -> float:
    """Return the largest difference relative to the largest value, NaNs as equal.

    Outputs of another number or shape differ by infinity.
    """
    if len(first) != len(second):
        return np.inf
    largest = 0.0
    for a, b in zip(first, second, strict=True):
        if a.shape != b.shape:
            return np.inf
        if a.size == 0:
            continue
        a, b = np.asarray(a, "complex128"), np.asarray(b, "complex128")
        if (np.isnan(a) != np.isnan(b)).any():
            return np.inf
        gap = np.nan_to_num(np.abs(a - b)).max()
        scale = max(1e-3, float(np.nan_to_num(np.abs(a)).max()))
        largest = max(largest, float(gap) / scale)
    return largest
