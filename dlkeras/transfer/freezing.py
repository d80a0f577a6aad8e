"""Freeze a network up to a layer, unfreeze it again, and give it a new head."""

from typing import Any

import keras

from dlkeras.layers.output_policy import output_policy
from dlkeras.model_graph import Call, Graph, read
from dlkeras.stages import find_ends, stages_of


def freeze(model: Any, until: str | float | int) -> list[str]:
    """Freeze a network from the input up to a layer; later layers stay as they are.

    A frozen layer keeps its weights, and a frozen batch normalisation uses and keeps
    its moving statistics. Compile the model afterwards.

    Args:
        model: A built Keras model: Functional, Sequential, nested, or subclassed and
            written in layers and `keras.ops`.
        until: The last frozen place: the name of a stage, of a layer or of a nested
            model; or a float from 0 to 1, the share of the layers with weights; or an
            integer, their number.

    Returns:
        Names of the layers with weights that are frozen now; `base/conv1` inside a
        nested model.

    Raises:
        ValueError: `until` names no stage and no layer (the message lists the stages),
            or is not a share or a number of layers.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import freeze
        >>> freeze(lenet5(), until="stage2")
        ['C1', 'C3']
    """
    chosen = _until(read(model), until)
    for call in chosen:
        call.operation.trainable = False
    return [call.name for call in chosen if call.weights]


def unfreeze(
    model: Any, since: str | None = None, *, batch_normalization: bool = False
) -> list[str]:
    """Unfreeze a network from a layer to its outputs.

    Batch normalisations stay frozen, scales and shifts with them, unless asked: the
    statistics of a few small batches would undo what the network has learnt. Inside a
    residual block or an inception module, too. Compile the model afterwards.

    A `.keras` file remembers what is frozen, within blocks too. `clone_model`, a file
    of weights alone, and the file of a subclass whose `get_config` does not hold its
    layers, such as KerasHub's backbones, do not: freeze and compile again.

    Args:
        model: A built Keras model, as `freeze` takes it.
        since: First thawed place, the name of a stage, of a layer or of a nested model;
            `None` thaws all.
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
    graph = read(model)
    before: set[int] = set()
    if since is not None:
        known = list(stages_of(graph))
        if since in known:
            place = known.index(since)
            if place:
                ends = find_ends(graph, known[place - 1], "since")
                before = {id(call.operation) for call in graph.leading_to(ends)}
        else:
            ends = find_ends(graph, since, "since")
            before = {id(call.operation) for call in graph.leading_to(ends)}
            before -= {id(call.operation) for call in graph.belonging_to(since)}
    _open_containers(graph)
    layers = _layers(graph)
    for call in layers:
        if id(call.operation) not in before:
            call.operation.trainable = True
            for part in normalizations(call.operation):
                part.trainable = batch_normalization
    return [call.name for call in layers if call.operation.trainable_weights]


def _open_containers(graph: Graph) -> None:
    """Let nested models train again; each of their layers stays as it is."""
    closed = [scope.model for scope in graph.scopes if not scope.model.trainable]
    parts = [
        (part, part.trainable)
        for call in _layers(graph)
        for part in call.operation._flatten_layers()
    ]
    for model in closed:
        model.trainable = True
    for part, trainable in parts if closed else ():  # a layer stands before its parts
        part.trainable = trainable


def _layers(graph: Graph, calls: list[Call] | None = None) -> list[Call]:
    """The first call of every layer, or of the layers of some calls."""
    chosen = {id(call.operation) for call in calls or graph.calls}
    return [
        call
        for call in graph.calls
        if not call.again
        and isinstance(call.operation, keras.layers.Layer)
        and id(call.operation) in chosen
    ]


def replace_head(
    model: Any,
    num_classes: int,
    *,
    activation: Any = "softmax",
    dropout: float = 0.0,
    name: str = "classifier",
) -> keras.Model:
    """Return the network with a new classifier instead of its last dense layer.

    The other layers are shared with the model given, not copied. Auxiliary
    classifiers are left out. A network without a head is pooled first.

    Args:
        model: A built Keras model, as `freeze` takes it.
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
    graph = read(model)
    graph.check_training()
    x = _features(graph)
    if dropout:
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    outputs = keras.layers.Dense(
        num_classes, activation=activation, dtype=output_policy(), name=name
    )(x)
    return keras.Model(graph.start, outputs, name=model.name)


def _until(graph: Graph, until: Any) -> list[Call]:
    if isinstance(until, str):
        return _layers(graph, graph.leading_to(find_ends(graph, until, "until")))
    weighted = [call for call in _layers(graph) if call.weights]
    if isinstance(until, float) and 0 <= until <= 1:
        return weighted[: round(until * len(weighted))]
    if (
        isinstance(until, int)
        and not isinstance(until, bool)
        and 0 <= until <= len(weighted)
    ):
        return weighted[:until]
    raise ValueError(
        f"until must name a stage ({', '.join(stages_of(graph))}) or a layer, be a "
        f"share from 0.0 to 1.0 or a number of layers from 0 to {len(weighted)}. "
        f"Received: until={until!r}"
    )


def normalizations(layer: Any) -> list[Any]:
    """Return a layer's batch normalisations: itself, or those among its parts."""
    return [
        part
        for part in layer._flatten_layers()
        if isinstance(part, keras.layers.BatchNormalization)
    ]


def _features(graph: Graph) -> Any:
    """Return what the model's classifier reads, pooled if it is maps."""
    tensor = graph.outputs[0]
    while True:
        call = graph.producer(tensor)
        kind = type(call.operation).__name__
        if isinstance(call.operation, keras.layers.Dense) or kind == "RBFOutput":
            tensor = call.inputs[0]
            break
        # "MainOutput" hides auxiliary classifiers.
        if kind not in ("MainOutput", "Activation", "Softmax", "Sigmoid"):
            break
        tensor = call.inputs[0]
    (output,) = graph.symbolic([tensor])
    if len(output.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name="global_pool")(output)
    if len(output.shape) == 2:
        return output
    raise ValueError(
        "The model must end in a dense layer or in features of images. "
        f"Received: model {graph.model.name!r} with an output of shape "
        f"{tuple(output.shape)}"
    )
