"""What Keras itself says of a graph: nodes, ends, and the trace of a `call`.

Keras's private names for its graph are used in this file alone: `_keras_history`,
`_nodes_by_depth`, `_inbound_nodes`, `_outbound_nodes` and the counters of names.
"""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import keras
from keras import tree

from dlkeras.private_names import private


class NotTraceableError(ValueError):
    """The graph of a model or a layer cannot be known."""


def nodes_between(inputs: list[Any], outputs: list[Any]) -> list[Any]:
    """Return Keras's nodes from inputs to outputs, each after the ones it reads."""
    with _names_apart(inputs, outputs):
        function = keras.Function(inputs, outputs)
    try:
        levels = function._nodes_by_depth
    except AttributeError as error:
        raise NotTraceableError(
            f"Keras {keras.__version__} keeps its graphs elsewhere than expected; use "
            "the version that pyproject.toml asks for."
        ) from error
    order = {id(operation): i for i, operation in enumerate(function.operations)}
    starts = {id(x) for x in inputs}
    return [
        node
        for depth in sorted(levels, reverse=True)
        for node in sorted(levels[depth], key=lambda n: order.get(id(n.operation), -1))
        if not node.is_input and not starts.issuperset(map(id, node.outputs))
    ]


@contextlib.contextmanager
def _names_apart(inputs: list[Any], outputs: list[Any]) -> Iterator[None]:
    """Let operations of one name be in one graph, as they are in a `call`."""
    found: dict[int, Any] = {}
    starts, left = {id(x) for x in inputs}, list(outputs)
    seen: set[int] = set()
    while left:
        tensor = left.pop()
        history = getattr(tensor, "_keras_history", None)
        if id(tensor) in seen or history is None:
            continue
        seen.add(id(tensor))
        found[id(history.operation)] = history.operation
        if id(tensor) not in starts:
            node = history.operation._inbound_nodes[history.node_index]
            left += node.input_tensors
    before = [(operation, operation.name) for operation in found.values()]
    names: set[str] = set()
    try:
        for operation, name in before:
            if name in names:
                operation.name = f"{name}_{id(operation)}"
            names.add(name)
        yield
    finally:
        for operation, name in before:
            if operation.name != name:
                operation.name = name


def takes_training(operation: Any) -> bool:
    """Return whether a call of an operation may be told that it is not training."""
    if not isinstance(operation, keras.layers.Layer):
        return False
    parameters = inspect.signature(operation.call).parameters
    return "training" in parameters


def ends_of(
    model: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
) -> tuple[list[Any], list[Any]]:
    """Return the inputs and outputs of a model's own graph.

    Args:
        model: A Keras model.
        args: For a subclassed model inside another, what it is called with.
        kwargs: Its keyword arguments.

    Returns:
        Its symbolic inputs and outputs.

    Raises:
        NotTraceableError: The model is not built or cannot be traced.
    """
    if isinstance(model, keras.Function | keras.Sequential):
        try:
            inputs, outputs = list(model.inputs), list(model.outputs)
        except (AttributeError, TypeError, ValueError) as error:
            raise NotTraceableError(
                f"Model {model.name!r} is not built: begin it with keras.Input, or "
                "call it on a batch first."
            ) from error
        if isinstance(model, keras.Function) or inputs[0].shape[0] is None:
            return inputs, outputs
        # Built by a batch, whose size is not to be kept.
        shape, dtype = (None, *inputs[0].shape[1:]), inputs[0].dtype
        try:
            return _trace(model, (keras.Input(batch_shape=shape, dtype=dtype),), {})
        except NotTraceableError:
            return inputs, outputs
    if not args and not kwargs:
        args, kwargs = _built_with(model)
    inputs, outputs = _trace(model, args, kwargs or {})
    return inputs, outputs


@contextlib.contextmanager
def traced(
    operation: Any, args: tuple, kwargs: dict[str, Any]
) -> Iterator[tuple[list[Any], list[Any]]]:
    """Run a layer's `call` on symbolic tensors; the graph is gone behind the block.

    Raises:
        NotTraceableError: It computes with anything but layers and `keras.ops`.
    """
    if takes_training(operation):
        kwargs = {**kwargs, "training": False}
    with _names_kept():
        inputs, outputs = _trace(operation, args, kwargs)
    nodes = nodes_between(inputs, outputs)
    try:
        yield inputs, outputs
    finally:  # the layers shall not remember a call that never was
        for node in reversed(nodes):
            with contextlib.suppress(ValueError, AttributeError):
                node.operation._inbound_nodes.remove(node)
            for parent in node.parent_nodes:
                with contextlib.suppress(ValueError, AttributeError):
                    parent.operation._outbound_nodes.remove(node)


@contextlib.contextmanager
def _names_kept() -> Iterator[None]:
    """Let the next layer have the name that it would have had: `conv2d_1`."""
    get = private("keras.src.backend.common.global_state.get_global_attribute")
    counters = None if get is None else get("object_name_uids")
    before = None if counters is None else dict(counters)
    try:
        yield
    finally:
        if counters is not None and before is not None:
            counters.clear()
            counters.update(before)


def input_layer(tensor: Any) -> Any:
    """Return the input layer that gives a model's input."""
    return tensor._keras_history.operation


def differs_in_training(model: Any, inputs: Any) -> bool:
    """Return whether a subclassed model calls other operations while training."""
    if isinstance(model, keras.Function | keras.Sequential) or not takes_training(
        model
    ):
        return False
    kinds = []
    for training in (True, False):
        starts, ends = _trace(model, (inputs,), {"training": training})
        kinds.append([type(n.operation) for n in nodes_between(starts, ends)])
    return kinds[0] != kinds[1]


def _trace(operation: Any, args: tuple, kwargs: dict[str, Any]) -> tuple:
    inputs: list[Any] = []
    known: dict[int, Any] = {}

    def fresh(x: Any) -> Any:
        if not isinstance(x, keras.KerasTensor):
            return x
        if id(x) not in known:
            known[id(x)] = keras.Input(batch_shape=x.shape, dtype=x.dtype)
            inputs.append(known[id(x)])
        return known[id(x)]

    given: Any = tree.map_structure(fresh, (args, kwargs))
    try:
        outputs = tree.flatten(operation.call(*given[0], **given[1]))
        if not outputs or not all(isinstance(x, keras.KerasTensor) for x in outputs):
            raise TypeError("it returns something else than tensors")
        nodes_between(inputs, outputs)
    except Exception as error:  # whatever a stranger's call raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotTraceableError(
            f"The graph of {operation.name!r} cannot be known, because its call is not "
            f"written in layers and keras.ops alone: {reason[:200]}"
        ) from error
    return inputs, outputs


def _built_with(model: Any) -> tuple[tuple, dict[str, Any]]:
    """Symbolic arguments of the shapes that a subclassed model was built with."""
    config = (model.get_build_config() or {}) if model.built else {}
    shapes = config.get("shapes_dict") or {"": config.get("input_shape")}
    if not model.built or None in shapes.values():
        raise NotTraceableError(
            f"Model {model.name!r} is subclassed and not built: call it on a batch."
        )

    def tensor(shape: Any) -> Any:
        if isinstance(shape, dict):
            return {key: tensor(value) for key, value in shape.items()}
        if shape and isinstance(shape[0], list | tuple | dict):
            return [tensor(value) for value in shape]
        return keras.Input(batch_shape=(None, *shape[1:]), dtype=model.input_dtype)

    if len(shapes) == 1:
        return (tensor(next(iter(shapes.values()))),), {}
    return (), {
        key.removesuffix("_shape"): tensor(value) for key, value in shapes.items()
    }
