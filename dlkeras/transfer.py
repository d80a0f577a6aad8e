"""Transfer learning: freeze and thaw, a new head, a learning rate for each stage."""

from typing import Any

import keras

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
    residual block or an inception module, too. Compile the model afterwards. A saved
    model forgets which layers within blocks were frozen: call this again after
    loading.

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
                before = {id(x) for x in _leading_to(model, known[place - 1], "since")}
        else:
            before = {id(x) for x in _leading_to(model, since, "since")}
            before.discard(id(find_layer(model, since, "since")))
    for layer in model.layers:
        if id(layer) not in before:
            layer.trainable = True
            for part in _normalizations(layer):
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
        model: A Functional model of images.
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
    outputs = keras.layers.Dense(num_classes, activation=activation, name=name)(x)
    return keras.Model(model.input, outputs, name=model.name)


def layerwise_learning_rates(
    model: Any, optimizer: Any, decay: float = 0.5
) -> keras.optimizers.Optimizer:
    """Return an optimizer that learns the more slowly the nearer to the images.

    The head learns with the optimizer's rate, the last stage with `decay` times it,
    the stage before with `decay ** 2`, and so on; what lies before the first stage
    learns with it. The factor multiplies the rate in each update, so that it holds
    for schedules and for decoupled weight decay, and Adam's scaling does not undo it.

    Args:
        model: A Functional model of images.
        optimizer: A Keras optimizer that has not trained yet: SGD, RMSprop, Adagrad,
            Adadelta, Adamax, Adam, AdamW or Lion.
        decay: Factor from one stage to the one before, above 0 and at most 1.

    Returns:
        An optimizer of the same settings; it is saved with the model and restored.

    Raises:
        ValueError: `decay` is out of range, the optimizer is of another kind, or the
            model has no stages.

    Example:
        >>> import keras
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import layerwise_learning_rates
        >>> adam = layerwise_learning_rates(lenet5(), keras.optimizers.Adam(), 0.5)
        >>> adam.learning_rate_factors["C1/kernel"]
        0.125

    Reference:
        Howard and Ruder (2018), "Universal language model fine-tuning for text
        classification", section 3.2.
    """
    if not 0 < decay <= 1:
        raise ValueError(
            f"decay must be above 0 and at most 1. Received: decay={decay!r}"
        )
    if not stages(model):
        raise ValueError(
            f"The model must have stages. Received: model {model.name!r}, in which "
            "no image layer has weights"
        )
    kind = next((k for k in _KINDS if type(optimizer).__name__ == k.__name__), None)
    if kind is None:
        raise ValueError(
            f"optimizer must be one of {', '.join(k.__name__ for k in _KINDS)}. "
            f"Received: optimizer={optimizer!r}"
        )
    factors = {path: decay**distance for path, distance in _distances(model).items()}
    config = optimizer.get_config()
    return _KINDS[kind].from_config({**config, "learning_rate_factors": factors})


def _leading_to(model: Any, name: str, argument: str) -> list[Any]:
    """Return the layers on the way from the images to a place, and the last one."""
    output = find_layer(model, name, argument).output
    return keras.Model(model.input, output).layers


def _distances(model: Any) -> dict[str, int]:
    """Return how many stages from the head each weight of a stage lies."""
    distances = {}
    for distance, stage in enumerate(reversed(stages(model)), start=1):
        for layer in _leading_to(model, stage, "stage"):
            distances.update((weight.path, distance) for weight in layer.weights)
    return distances


def _until(model: Any, until: Any) -> list[Any]:
    if isinstance(until, str):
        return _leading_to(model, until, "until")
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


def _normalizations(layer: Any) -> list[Any]:
    """Return a layer's batch normalisations: itself, or those among its parts."""
    return [
        part
        for part in layer._flatten_layers()
        if isinstance(part, keras.layers.BatchNormalization)
    ]


def _features(model: Any) -> Any:
    """Return what the model's classifier reads."""
    output = model.output
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


class GradualUnfreezing(keras.callbacks.Callback):
    """Thaw one more stage every few epochs, from the head towards the images.

    In the first `every` epochs the head alone learns, then the last stage, too, and so
    on. The optimizer must come from `layerwise_learning_rates`: a stage that has yet
    to thaw has a learning rate of 0, so that nothing has to be compiled again and the
    optimizer keeps what it has gathered. The batch normalisations must be frozen, as
    `unfreeze` leaves them: a learning rate does not hold their statistics.

    Args:
        every: Epochs from one stage to the next.

    Raises:
        ValueError: If `every` is less than 1; at the start of the training if the
            optimizer has no rates for stages or a batch normalisation is not frozen.

    Example:
        >>> from dlkeras.transfer import GradualUnfreezing
        >>> GradualUnfreezing(every=2).every
        2

    Reference:
        Howard and Ruder (2018), "Universal language model fine-tuning for text
        classification", section 3.3.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1. Received: every={every!r}")
        self.every = every

    def on_train_begin(self, logs: Any = None) -> None:
        """Check the optimizer and note which weights thaw when."""
        model: Any = self.model
        optimizer = model.optimizer
        if not isinstance(optimizer, _Layerwise):
            raise ValueError(
                "GradualUnfreezing needs an optimizer of layerwise_learning_rates. "
                f"Received: optimizer={optimizer!r}"
            )
        live = [
            layer.name
            for layer in model.layers
            for part in _normalizations(layer)
            if part.trainable
        ]
        if live:
            raise ValueError(
                "GradualUnfreezing needs frozen batch normalisations: call "
                "unfreeze(model) before compile. Received: a model whose "
                f"{live[0]!r} is not frozen"
            )
        self._distance = _distances(model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the learning rates of this epoch."""
        model: Any = self.model
        optimizer, variables = model.optimizer, model.trainable_variables
        if not optimizer.built:
            optimizer.build(variables)
        thawed = epoch // self.every
        optimizer.factors.assign(
            [
                optimizer.learning_rate_factors.get(v.path, 1.0)
                if self._distance.get(v.path, 0) <= thawed
                else 0.0
                for v in variables
            ]
        )


class _Layerwise:
    """What each kind of optimizer gets: a factor of the learning rate by variable."""

    def __init__(
        self, *args: Any, learning_rate_factors: dict[str, float], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.learning_rate_factors = dict(learning_rate_factors)

    def build(self: Any, variables: Any) -> None:
        """Make the factors a variable, so that they can change between two steps."""
        if self.built:
            return
        super().build(variables)  # pyright: ignore
        paths = [variable.path for variable in variables]
        self.factors = self.add_variable(
            (len(paths),), dtype="float32", name="learning_rate_factors"
        )
        self.factors.assign([self.learning_rate_factors.get(p, 1.0) for p in paths])

    def _factor(self: Any, variable: Any) -> Any:
        factor = self.factors[self._get_variable_index(variable)]
        return keras.ops.cast(factor, variable.dtype)

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        """Update a variable with its own learning rate."""
        rate = keras.ops.cast(learning_rate, variable.dtype) * self._factor(variable)
        return super().update_step(gradient, variable, rate)  # pyright: ignore

    def _apply_weight_decay(self: Any, variables: Any) -> None:
        if self.weight_decay is None:
            return
        for variable in variables:
            if self._use_weight_decay(variable):
                rate = keras.ops.cast(self.learning_rate, variable.dtype)
                share = self.weight_decay * self._factor(variable)
                variable.assign(variable - variable * share * rate)

    def get_config(self: Any) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        config = super().get_config()  # pyright: ignore
        return {**config, "learning_rate_factors": dict(self.learning_rate_factors)}


def _layerwise(kind: type) -> type:
    made = type(
        f"Layerwise{kind.__name__}", (_Layerwise, kind), {"__module__": __name__}
    )
    return keras.saving.register_keras_serializable(package="dlkeras")(made)


# Optimizers whose update of a variable depends on that variable's state alone.
_KINDS: dict[Any, Any] = {
    kind: _layerwise(kind)
    for kind in (
        keras.optimizers.SGD,
        keras.optimizers.RMSprop,
        keras.optimizers.Adagrad,
        keras.optimizers.Adadelta,
        keras.optimizers.Adamax,
        keras.optimizers.Adam,
        keras.optimizers.AdamW,
        keras.optimizers.Lion,
    )
}
