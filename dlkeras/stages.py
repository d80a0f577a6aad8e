"""The named stages of a network: stage1, stage2, ... from the images inwards."""

import difflib
import re
from typing import Any

import keras


def stages(model: Any) -> dict[str, str]:
    """Return the last layer of every stage of a network.

    Where layers are named `stage1...`, `stage2...`, as in the ResNets, those are the
    stages. Elsewhere a stage is what works at one resolution: it begins at a layer
    with a stride and ends before the next one; pooling that no weights follow is not
    a stage. So GoogLeNet's stages are the numbers of its paper, conv1 to inception 5.

    Args:
        model: A Functional model of images.

    Returns:
        Names of layers by names of stages, in order.

    Raises:
        ValueError: If the model is not a Functional one.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> stages(lenet5())
        {'stage1': 'C1', 'stage2': 'C3', 'stage3': 'C5'}
    """
    if not hasattr(model, "operations") or not getattr(model, "inputs", None):
        raise ValueError(
            "stages needs a Functional model, whose layers are known. "
            f"Received: model={model!r}"
        )
    named = {}
    for layer in model.layers:
        match = re.match(r"(stage\d+)(_|$)", layer.name)
        if match:
            named[match[1]] = layer.name
    return named or _by_resolution(model)


def _by_resolution(model: Any) -> dict[str, str]:
    reduction = {id(tensor): 1 for tensor in model.inputs}
    current, last, has_weights = 1, "", False
    ends = []
    for layer in model.layers:
        outputs = keras.tree.flatten(layer.output)
        if isinstance(layer, keras.layers.InputLayer) or len(outputs[0].shape) != 4:
            continue
        before = max(reduction.get(id(x), 1) for x in keras.tree.flatten(layer.input))
        strides = getattr(layer, "strides", 1)
        after = before * (strides if isinstance(strides, int) else max(strides))
        reduction.update((id(x), after) for x in outputs)
        if after > current:
            if has_weights:
                ends.append(last)
            current, has_weights = after, False
        if not isinstance(layer, keras.layers.ZeroPadding2D):  # part of what follows
            last = layer.name
            has_weights = has_weights or bool(layer.weights)
    if has_weights:
        ends.append(last)
    return {f"stage{number}": name for number, name in enumerate(ends, start=1)}


def find_layer(model: Any, name: str, argument: str) -> Any:
    """Return a layer by its own name, or the last layer of a stage by the stage's.

    Args:
        model: A Functional model of images.
        name: Name of a stage or of a layer.
        argument: What the name is called where the user gave it.

    Returns:
        The layer.

    Raises:
        ValueError: There is no such stage or layer; the message lists the stages and
            near names of layers.
    """
    known = stages(model)
    names = [layer.name for layer in model.layers]
    if name in known:
        return model.get_layer(known[name])
    if name in names:
        return model.get_layer(name)
    near = difflib.get_close_matches(str(name), [*known, *names], n=3)
    raise ValueError(
        f"{argument} must name a stage ({', '.join(known) or 'there are none'}) or a "
        f"layer of model {model.name!r}"
        + (f"; did you mean {' or '.join(near)}?" if near else ".")
        + f" Received: {argument}={name!r}"
    )
