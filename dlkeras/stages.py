"""The named stages of a network: stage1, stage2, ... from the images inwards."""

import difflib
import re
from typing import Any

import keras

from dlkeras.model_graph import Call, Graph, opened, read
from dlkeras.model_graph.receptive_fields import pools_all
from dlkeras.model_graph.windows import spatial_axes, window_of


def stages(model: Any) -> dict[str, str]:
    """Return the last layer of every stage of a network.

    Where layers are named `stage1...`, `stage2...`, as in the ResNets, those are the
    stages. Elsewhere a stage is what works at one resolution: it begins at a layer
    that makes the maps smaller and ends before the next one; pooling that no weights
    follow is not a stage, nor is a border that a convolution without padding cuts off.
    So GoogLeNet's stages are the numbers of its paper, conv1 to inception 5.

    Args:
        model: A built Keras model of images: Functional, Sequential, nested or
            subclassed.

    Returns:
        Names of layers by names of stages, in order; a layer inside a nested model is
        named behind it, `"base/conv1"`.

    Raises:
        ValueError: The model is not built, or its graph cannot be known.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> stages(lenet5())
        {'stage1': 'C1', 'stage2': 'C3', 'stage3': 'C5'}
    """
    return stages_of(read(model))


def stages_of(graph: Graph) -> dict[str, str]:
    """Return the last layer of every stage of a model that was read."""
    named = {}
    for call in graph.calls:
        match = re.match(r"(stage\d+)(_|$)", call.operation.name)
        if match:
            named[match[1]] = call.name
    return named or _by_resolution(graph)


def _by_resolution(graph: Graph) -> dict[str, str]:
    reduction = {id(tensor): 1.0 for tensor in graph.inputs}
    current, last, has_weights = 1.0, "", False
    ends = []
    for call in graph.calls:
        if call.is_input or len(call.outputs[0].shape) != 4:
            continue
        after = _reduced(call, reduction)
        if after > current:
            if has_weights:
                ends.append(last)
            current, has_weights = after, False
        if not isinstance(call.operation, keras.layers.ZeroPadding2D):
            last = call.name  # padding is a part of what follows
            scales = isinstance(call.operation, keras.layers.Normalization)
            has_weights = has_weights or bool(call.weights and not scales)
    if has_weights:
        ends.append(last)
    return {f"stage{number}": name for number, name in enumerate(ends, start=1)}


def _reduced(call: Call, reduction: dict[int, float]) -> float:
    """How many pixels of the image lie between two of a call's output."""
    maps = [x for x in call.inputs if len(x.shape) == 4]
    before = max((reduction.get(id(x), 1.0) for x in maps), default=1.0)
    after = before * _factor(call, maps) if maps else before
    reduction.update((id(x), after) for x in call.outputs)
    return after


def _factor(call: Call, maps: list[Any]) -> float:
    """How much larger than its output the maps are that a call reads."""
    output = call.outputs[0]
    axes = spatial_axes(call.operation)
    sizes = [
        (max((x.shape[axis] or 0) for x in maps), output.shape[axis] or 0)
        for axis in axes
    ]
    if pools_all(call) or all(before == after and after for before, after in sizes):
        return 1.0  # one pixel of all is a summary, not a resolution
    windows = window_of(call) if all(before for before, _ in sizes) else None
    if windows is not None:
        return float(max(window.stride for window in windows))
    strides = getattr(call.operation, "strides", None)
    if any(not n for pair in sizes for n in pair):  # images of any size
        return float(max(strides)) if isinstance(strides, tuple | list) else 1.0
    inner = opened(call.operation, call.args, call.kwargs)
    if inner is not None:
        inside = {id(tensor): 1.0 for tensor in inner.inputs}
        for part in inner.calls:
            if not part.is_input and len(part.outputs[0].shape) == 4:
                _reduced(part, inside)
        return inside.get(id(inner.outputs[0]), 1.0)
    return max(before / after for before, after in sizes)


def find_layer(model: Any, name: str, argument: str) -> Any:
    """Return a layer by its own name, or the last layer of a stage by the stage's.

    Args:
        model: A built Keras model of images.
        name: Name of a stage or of a layer.
        argument: What the name is called where the user gave it.

    Returns:
        The layer.

    Raises:
        ValueError: There is no such stage or layer; the message lists the stages and
            near names of layers.
    """
    graph = read(model)
    return graph.producer(find_ends(graph, name, argument)[0]).operation


def find_ends(graph: Graph, name: str, argument: str) -> list[Any]:
    """Return what a layer, a nested model or a stage gives.

    Args:
        graph: A model that was read.
        name: Name of a stage, of a layer, or of a model inside of the model.
        argument: What the name is called where the user gave it.

    Returns:
        Tensors of the graph.

    Raises:
        ValueError: There is no such stage or layer; the message lists the stages and
            near names of layers.
    """
    known = stages_of(graph)
    found = graph.ends(known.get(name, name))
    if found is not None:
        return found
    near = difflib.get_close_matches(str(name), [*known, *graph.names], n=3)
    raise ValueError(
        f"{argument} must name a stage ({', '.join(known) or 'there are none'}) or a "
        f"layer of model {graph.model.name!r}"
        + (f"; did you mean {' or '.join(near)}?" if near else ".")
        + f" Received: {argument}={name!r}"
    )
