"""A learning rate for each stage, and stages that unfreeze one after another."""

from typing import Any

import keras

from dlkeras.model_graph import read
from dlkeras.stages import find_ends, stages_of
from dlkeras.transfer.freezing import normalizations


def layerwise_learning_rates(
    model: Any, optimizer: Any, decay: float = 0.5
) -> keras.optimizers.Optimizer:
    """Return an optimizer with smaller steps the nearer a layer is to the input.

    The head learns with the optimizer's rate, the last stage with `decay` times it,
    the stage before with `decay ** 2`, and so on; what lies before the first stage
    learns with it. The factor multiplies the rate in each update, so that it holds
    for schedules and for decoupled weight decay, and Adam's scaling does not undo it.

    Args:
        model: A built Keras model, as `freeze` takes it.
        optimizer: A Keras optimizer that has not trained yet: SGD, RMSprop, Adagrad,
            Adadelta, Adamax, Adam, AdamW or Lion, itself or in a `LossScaleOptimizer`.
        decay: Factor from one stage to the one before, above 0 and at most 1.

    Returns:
        An optimizer of the same settings; it is saved with the model and restored.

    Raises:
        ValueError: `decay` is out of range, the optimizer is of another kind, or the
            model has no stages, or weights of several stages have one path.

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
    staged = distances(model)
    if not staged:
        raise ValueError(
            f"The model must have stages. Received: model {model.name!r}, in which "
            "no image layer has weights"
        )
    factors = _by_path(model, {key: decay**far for key, far in staged.items()})
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        scaling = optimizer.get_config()
        for key in ("name", "inner_optimizer"):
            scaling.pop(key)
        inner = _with_factors(optimizer.inner_optimizer, factors)
        return keras.optimizers.LossScaleOptimizer(inner, **scaling)
    return _with_factors(optimizer, factors)


def _by_path(model: Any, factors: dict[int, float]) -> dict[str, float]:
    """The factor of each path: a saved optimizer knows variables by their paths.

    A layer in a nested model and one around it may have the same name.
    """
    found: dict[str, float] = {}
    for weight in model.weights:
        factor = factors.get(id(weight), 1.0)
        if found.setdefault(weight.path, factor) != factor:
            raise ValueError(
                f"Two weights of model {model.name!r} are called {weight.path!r} and "
                "lie in different stages, so that a saved optimizer could not tell "
                "them apart: give the new one of the two layers another `name`"
            )
    return found


def _with_factors(optimizer: Any, factors: dict[str, float]) -> Any:
    kind = type(optimizer)
    # On PyTorch Keras makes one of its own subclasses, of the same name.
    known = [
        layerwise
        for base, layerwise in _KINDS.items()
        if kind is base
        or (
            issubclass(kind, base)
            and kind.__name__ == base.__name__
            and kind.__module__.startswith("keras.src.")
        )
    ]
    if not known:
        raise ValueError(
            f"optimizer must be one of {', '.join(k.__name__ for k in _KINDS)} of "
            "keras.optimizers, and no subclass, whose update is not known here. "
            f"Received: {kind.__module__}.{kind.__qualname__}"
        )
    config = optimizer.get_config()
    return known[0].from_config({**config, "learning_rate_factors": factors})


def distances(model: Any) -> dict[int, int]:
    """Return how many stages from the head a weight of a stage lies, by its `id`."""
    distances = {}
    graph = read(model)
    for distance, stage in enumerate(reversed(stages_of(graph)), start=1):
        for call in graph.leading_to(find_ends(graph, stage, "stage")):
            distances.update((id(weight), distance) for weight in call.weights)
    return distances


class GradualUnfreezing(keras.callbacks.Callback):
    """Unfreeze one more stage every few epochs, from the head towards the input.

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
        optimizer = _unscaled(model.optimizer)
        if not isinstance(optimizer, _Layerwise):
            raise ValueError(
                "GradualUnfreezing needs an optimizer of layerwise_learning_rates. "
                f"Received: optimizer={optimizer!r}"
            )
        live = [
            layer.name
            for layer in model.layers
            for part in normalizations(layer)
            if part.trainable
        ]
        if live:
            raise ValueError(
                "GradualUnfreezing needs frozen batch normalisations: call "
                "unfreeze(model) before compile. Received: a model whose "
                f"{live[0]!r} is not frozen"
            )
        self._distance = distances(model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the learning rates of this epoch."""
        model: Any = self.model
        variables = model.trainable_variables
        if not model.optimizer.built:
            model.optimizer.build(variables)
        optimizer: Any = _unscaled(model.optimizer)
        thawed = epoch // self.every
        optimizer.factors.assign(
            [
                optimizer.factor_of(v.path)
                if self._distance.get(id(v), 0) <= thawed
                else 0.0
                for v in variables
            ]
        )


def _unscaled(optimizer: Any) -> Any:
    """The optimizer itself: `compile` wraps it where a model is of half precision."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


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
        factors = [self.factor_of(v.path) for v in variables]
        self.factors = self.add_variable(
            (len(factors),),
            initializer=lambda shape, dtype=None: keras.ops.array(factors, dtype),
            dtype="float32",
            name="learning_rate_factors",
        )

    def factor_of(self, path: str) -> float:
        """Return the factor of a variable by its path.

        The layers of a Sequential inside of another model lie below its name, and no
        longer do when that is loaded from a file.
        """
        known = self.learning_rate_factors
        if path in known:
            return known[path]
        same = {
            factor
            for other, factor in known.items()
            if other.endswith(f"/{path}") or path.endswith(f"/{other}")
        }
        return same.pop() if len(same) == 1 else 1.0

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
