"""What a layer costs: multiply-adds, counted from the shapes of a call."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from dlkeras.layers import LocalResponseNormalization, PartiallyConnectedConv2D
from dlkeras.model_graph import Call, Graph, opened, read

# Layers of Keras that multiply no weights: pooling, activations, reshaping, ...
_FREE_FAMILIES = (
    "activations", "merging", "normalization", "pooling", "preprocessing",
    "regularization", "reshaping",
)  # fmt: skip
_FREE_LAYERS = (
    keras.layers.Embedding, keras.layers.Identity, keras.layers.InputLayer,
    keras.layers.Masking, LocalResponseNormalization,
)  # fmt: skip
_NOT_FREE = (keras.layers.Dot, keras.layers.SpectralNormalization)
# Plain operations that multiply in a way which their shapes do not tell.
_UNKNOWN = (
    "AssociativeScan", "CDist", "CTCDecode", "CTCLoss", "Cond", "Correlate",
    "ElasticTransform", "ForiLoop", "GaussianBlur", "JVP", "Kron", "Map", "Outer",
    "SSIM", "STFT", "ISTFT", "Scan", "SobelEdges", "Switch", "VectorizedMap",
    "WhileLoop",
)  # fmt: skip


class _UnknownError(Exception):
    """The multiply-adds cannot be known."""


def model_multiply_adds(model: Any) -> int | None:
    """Count the multiply-adds of a model for one example.

    Args:
        model: A built Keras model.

    Returns:
        The multiply-adds of its convolutions, dense layers, recurrences and matrix
        products; a layer that is called twice counts twice. None where a part of them
        cannot be known: a size is not, or a layer computes with something else than
        layers and `keras.ops`.

    Raises:
        ValueError: The model is not built, or its graph cannot be known.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> model_multiply_adds(lenet5())
        416520
    """
    counts = [call_multiply_adds(call) for call in per_example(model).calls]
    return None if None in counts else sum(count or 0 for count in counts)


def per_example(model: Any) -> Graph:
    """Read a model for batches of any number, whatever batch it was built for."""
    graph = read(model)
    if all(x.shape[0] is None for x in graph.inputs):
        return graph
    return read(model, [(None, *x.shape[1:]) for x in graph.inputs])


def call_multiply_adds(call: Call) -> int | None:
    """Count the multiply-adds of one call of an operation, for one example.

    A bias, a normalisation, a pooling and an activation are not counted, as in the
    papers' own figures.

    Args:
        call: A call of a model's graph.

    Returns:
        Multiply-adds; None where they cannot be known.
    """
    try:
        return _counted(call.operation, call.args, call.kwargs, call.outputs)
    except _UnknownError:
        return None


def multiply_adds(layer: Any, input_shape: Any, output_shape: Any) -> int | None:
    """Count the multiply-adds of a built layer for one example.

    Args:
        layer: A built layer.
        input_shape: What goes in, with the batch.
        output_shape: What comes out, with the batch.

    Returns:
        Multiply-adds; None where they cannot be known.

    Example:
        >>> import keras
        >>> layer = keras.layers.Dense(3)
        >>> layer.build((None, 5))
        >>> multiply_adds(layer, (None, 5), (None, 3))
        15
    """
    try:
        known = _of_weights(layer, input_shape, output_shape)
        if known is not None:
            return known
        given = (keras.KerasTensor(tuple(input_shape)),)
        return _counted(layer, given, {}, [keras.KerasTensor(tuple(output_shape))])
    except _UnknownError:
        return None


def _counted(operation: Any, args: tuple, kwargs: Any, outputs: Sequence[Any]) -> int:
    if not isinstance(operation, keras.layers.Layer):
        given = [*args, *kwargs.values()]
        return _of_operation(operation, given, outputs[0].shape)
    structure = keras.tree.flatten((args, kwargs))
    inputs = [x for x in structure if isinstance(x, keras.KerasTensor)]
    if _is_free(operation, type(operation)) or not inputs:
        return 0
    known = _of_weights(operation, inputs[0].shape, outputs[0].shape)
    if known is not None:
        return known
    if isinstance(operation, keras.layers.RNN):
        return _of_recurrence(operation, inputs[0].shape)
    if isinstance(operation, keras.layers.Bidirectional):
        ways = operation.forward_layer, operation.backward_layer
        return sum(_of_recurrence(way, inputs[0].shape) for way in ways)
    if isinstance(operation, keras.layers.TimeDistributed):
        one = _without_time(inputs[0]), _without_time(outputs[0])
        steps = _product(inputs[0].shape[1:2])
        return steps * _counted(operation.layer, (one[0],), {}, [one[1]])
    inner = opened(operation, args, kwargs)
    if inner is None and any(_is_free(operation, x) for x in type(operation).__mro__):
        return 0  # a batch normalisation with a kernel of its own
    if inner is None:
        raise _UnknownError
    return sum(_counted(c.operation, c.args, c.kwargs, c.outputs) for c in inner.calls)


def _of_weights(layer: Any, input_shape: Any, output_shape: Any) -> int | None:
    """A layer that meets each of its weights once for every place."""
    if isinstance(layer, keras.layers.Dense):
        return _weights(layer.kernel) * _product(output_shape[1:-1])
    if isinstance(layer, _CONVOLUTIONS):
        return _places(layer, output_shape) * _weights(layer.kernel)
    if isinstance(layer, _SEPARABLE):
        kernels = _weights(layer.depthwise_kernel) + _weights(layer.pointwise_kernel)
        return _places(layer, output_shape) * kernels
    if isinstance(layer, _TRANSPOSED):
        return _places(layer, input_shape) * _weights(layer.kernel)
    return None


_CONVOLUTIONS = (
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D,
    PartiallyConnectedConv2D,
)  # fmt: skip
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)  # fmt: skip


def _of_recurrence(layer: Any, input_shape: Any) -> int:
    """The cell's, at every step."""
    steps = _product(input_shape[1:2])
    x = keras.KerasTensor((None, *input_shape[2:]))
    try:
        states = keras.tree.map_structure(
            lambda size: keras.KerasTensor((None, size)), layer.cell.state_size
        )
        if not isinstance(states, list | tuple):
            states = [states]
    except (AttributeError, TypeError, ValueError) as error:
        raise _UnknownError from error
    cell = opened(layer.cell, (x, states), {})
    if cell is None:
        raise _UnknownError
    counts = (_counted(c.operation, c.args, c.kwargs, c.outputs) for c in cell.calls)
    return steps * sum(counts)


def _of_operation(operation: Any, given: list[Any], output_shape: Any) -> int:
    """Of a plain operation, such as `keras.ops.matmul`."""
    kind, module = type(operation).__name__, type(operation).__module__
    if kind in _UNKNOWN or "linalg" in module or "FFT" in kind:
        raise _UnknownError
    if not module.startswith("keras."):
        raise _UnknownError
    shapes = [tuple(x.shape) for x in given if hasattr(x, "shape")]
    if kind in ("Matmul", "Dot", "Inner", "Vdot"):
        return _batched(output_shape) * _product(shapes[0][-1:])
    if kind == "Tensordot":
        axes: Any = operation.axes
        if isinstance(axes, int):
            summed = range(len(shapes[0]) - axes, len(shapes[0]))
        else:
            summed = [axes[0]] if isinstance(axes[0], int) else axes[0]
        return _batched(output_shape) * _product(shapes[0][i] for i in summed)
    if kind == "Einsum":
        letters: dict[str, Any] = {}
        for term, shape in zip(
            operation.subscripts.split("->")[0].split(","), shapes, strict=True
        ):
            if "." in term:
                raise _UnknownError
            letters.update(zip(term.strip(), shape, strict=True))
        return _batched(letters.values()) if len(shapes) > 1 else 0
    if kind == "DotProductAttention":
        query, key, value = shapes[:3]  # (batch, steps, heads, size)
        return (
            _product(query[1:3]) * _product(key[1:2]) * _product([query[3] + value[3]])
        )
    if kind in ("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose"):
        read, *kernels = shapes
        shape = read if kind == "ConvTranspose" else output_shape
        return _places(operation, shape) * sum(map(_product, kernels))
    return 0


def _is_free(layer: Any, kind: type) -> bool:
    family = kind.__module__.removeprefix("keras.src.layers.").split(".")[0]
    return (
        isinstance(layer, _FREE_LAYERS)
        or (kind.__module__.startswith("keras.") and family in _FREE_FAMILIES)
    ) and not isinstance(layer, _NOT_FREE)


def _places(layer: Any, shape: Any) -> int:
    """The number of pixels, or steps, of a batch of images or signals."""
    data_format = getattr(layer, "data_format", None)
    if (data_format or keras.config.image_data_format()) == "channels_first":
        return _product(shape[2:])
    return _product(shape[1:-1])


def _weights(variable: Any) -> int:
    return _product(variable.shape)


def _product(sizes: Iterable[Any]) -> int:
    sizes = list(sizes)
    if None in sizes:
        raise _UnknownError
    return math.prod(sizes)


def _batched(sizes: Iterable[Any]) -> int:
    """The product of sizes. The batch may be unknown and counts as 1."""
    sizes = list(sizes)
    if None in sizes:
        sizes.remove(None)
    return _product(sizes)


def _without_time(tensor: Any) -> Any:
    return keras.KerasTensor((tensor.shape[0], *tensor.shape[2:]), tensor.dtype)
