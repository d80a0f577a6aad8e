"""Freeze a network up to a place, thaw it again, and give it a new head."""

from typing import Any

import keras

from dlkeras.layers.output_policy import output_policy
from dlkeras.stages import find_layer, stages


def freeze(model: Any, until: str | float | int) -> list[str]:
    """Freeze a network from the images up to a place; what lies behind stays as it is.

    A frozen layer keeps its weights, and a frozen batch normalisation uses and keeps
    its moving statistics. Compile the model afterwards.

    Args:
        model: A Functional model of images.
        until: The last frozen place: the name of a stage or of a layer; or a float
            from 0 to 1, the share of the layers with weights; or an integer, their
            number.

    Returns:
        Names of the layers with weights that are frozen now.

    Raises:
        ValueError: `until` names no stage and no layer (the message lists the stages),
            or is not a share or a number of layers.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import freeze
        >>> freeze(lenet5(), until="stage2")
        ['C1', 'C3']
    """
    chosen = _until(model, until)
    for layer in chosen:
        layer.trainable = False
    return [layer.name for layer in chosen if layer.weights]


def unfreeze(
    model: Any, since: str | None = None, *, batch_normalization: bool = False
) -> list[str]:
    """Thaw a network from a place to its outputs.

    Batch normalisations stay frozen, scales and shifts with them, unless asked: the
    statistics of a few small batches would undo what the network has learnt. Inside a
    residual block or an inception module, too. Compile the model afterwards. A
    `.keras` file remembers what is frozen, within blocks too; `clone_model` and a file
    of weights alone do not.

    Args:
        model: A Functional model of images.
        since: First thawed place, the name of a stage or of a layer; `None` thaws all.
        batch_normalization: Whether batch normalisations are thawed, too.

    Returns:
        Names of the layers with weights that can train now, in the whole model.

    Raises:
        ValueError: `since` names no stage and no layer.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import freeze, unfreeze
        >>> model = lenet5()
        >>> frozen = freeze(model, until="F6")
        >>> unfreeze(model, since="stage3")
        ['C5', 'F6', 'Out']
    """
    before: set[int] = set()
    if since is not None:
        known = list(stages(model))
        if since in known:
            place = known.index(since)
            if place:
                before = {id(x) for x in leading_to(model, known[place - 1], "since")}
        else:
            before = {id(x) for x in leading_to(model, since, "since")}
            before.discard(id(find_layer(model, since, "since")))
    for layer in model.layers:
        if id(layer) not in before:
            layer.trainable = True
            for part in normalizations(layer):
                part.trainable = batch_normalization
    return [layer.name for layer in model.layers if layer.trainable_weights]


def replace_head(
    model: Any,
    num_classes: int,
    *,
    activation: Any = "softmax",
    dropout: float = 0.0,
    name: str = "classifier",
) -> keras.Model:
    """Return the network with a new classifier in the place of its last dense layer.

    The other layers are shared with the model given, not copied. Auxiliary
    classifiers are left out. A network without a head is pooled first.

    Args:
        model: A Functional or Sequential model of images.
        num_classes: Number of outputs.
        activation: Of the outputs; None gives logits.
        dropout: Share of the features dropped while training.
        name: Name of the new dense layer.

    Returns:
        A Functional model of the same name.

    Raises:
        ValueError: `num_classes` is less than 1, or the model's output is neither a
            classifier's nor features.

    Example:
        >>> from dlkeras.architectures import resnet20
        >>> from dlkeras.transfer import replace_head
        >>> replace_head(resnet20(), num_classes=4).output.shape
        (None, 4)
    """
    if num_classes < 1:
        raise ValueError(
            f"num_classes must be at least 1. Received: num_classes={num_classes}"
        )
    x = _features(model)
    if dropout:
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    outputs = keras.layers.Dense(
        num_classes, activation=activation, dtype=output_policy(), name=name
    )(x)
    return keras.Model(_only(model.inputs), outputs, name=model.name)


def leading_to(model: Any, name: str, argument: str) -> list[Any]:
    """Return the layers on the way from the images to a place, and the last one."""
    output = find_layer(model, name, argument).output
    return keras.Model(model.input, output).layers


def _until(model: Any, until: Any) -> list[Any]:
    if isinstance(until, str):
        return leading_to(model, until, "until")
    weighted = [layer for layer in model.layers if layer.weights]
    if isinstance(until, float) and 0 <= until <= 1:
        return weighted[: round(until * len(weighted))]
    if (
        isinstance(until, int)
        and not isinstance(until, bool)
        and 0 <= until <= len(weighted)
    ):
        return weighted[:until]
    raise ValueError(
        f"until must name a stage ({', '.join(stages(model))}) or a layer, be a share "
        f"from 0.0 to 1.0 or a number of layers from 0 to {len(weighted)}. "
        f"Received: until={until!r}"
    )


def normalizations(layer: Any) -> list[Any]:
    """Return a layer's batch normalisations: itself, or those among its parts."""
    return [
        part
        for part in layer._flatten_layers()
        if isinstance(part, keras.layers.BatchNormalization)
    ]


def _only(tensors: Any) -> Any:
    """Return the tensor of a list of one: a model may have been built of lists."""
    return tensors[0] if isinstance(tensors, list) and len(tensors) == 1 else tensors


def _features(model: Any) -> Any:
    """Return what the model's classifier reads."""
    output = _only(model.outputs)  # a Sequential has no `output` before it is called
    producers = [x for x in model.layers if x.output is output]
    while producers:
        layer = producers[0]
        if isinstance(layer, keras.layers.Dense) or type(layer).__name__ == "RBFOutput":
            return layer.input
        if type(layer).__name__ == "MainOutput":  # of auxiliary classifiers
            output = layer.input[0]
        elif isinstance(layer, keras.layers.Activation | keras.layers.Softmax):
            output = layer.input
        else:
            break
        producers = [x for x in model.layers if x.output is output]
    if len(output.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name="global_pool")(output)
    if len(output.shape) == 2:
        return output
    raise ValueError(
        "The model must end in a dense layer or in features of images. "
        f"Received: model {model.name!r} with an output of shape {tuple(output.shape)}"
    )
