"""The network to train, compiled: what the tuner tries and the trainer trains."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlkeras.architectures import create
from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.pipeline.training.objectives import Classes, Objective
from dlkeras.pipeline.training.search_spaces import Choice, Dimension
from dlkeras.pipeline.training.transfer_source import transferred_network

if TYPE_CHECKING:
    import keras


def compiled_network(
    config: TrainerConfig,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    learning_rate: float,
    steps: int,
    objective: Objective | None = None,
) -> "keras.Model":
    """Build and compile the configured architecture.

    Args:
        config: architecture or source of the transfer, and learning rate schedule.
        input_shape: height, width and channels of the preprocessed images.
        num_classes: number of classes.
        learning_rate: initial learning rate of the optimizer.
        steps: number of training steps after which a cosine schedule reaches 0.
        objective: what is learned; default: a class.

    Returns:
        A model compiled with the configured optimizer and the loss and the metric of
        the objective: for classes, that are numbers or shares, cross-entropy and
        accuracy.

    Raises:
        InputError: there is no such architecture, it cannot be built for this input,
            or nothing of it would learn; the message says why.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    transfer = config.transfer
    policy = keras.config.dtype_policy()
    try:
        if config.precision is not None:
            keras.config.set_dtype_policy(config.precision)
        if transfer.source:
            model = _transferred(config, input_shape, num_classes)
        else:
            model = create(
                config.architecture,
                input_shape=input_shape,
                num_classes=num_classes,
                **architecture_options(config),
            )
        objective = objective or Classes()
        model = objective.with_last_layer(model, num_classes)
    except ValueError as error:
        raise InputError(f"--trainer.architecture: {reason(error)}") from error
    finally:
        keras.config.set_dtype_policy(policy)
    if config.frozen_layers:
        from dlkeras.transfer import freeze

        check_frozen_layers(model, config.frozen_layers)
        freeze(model, config.frozen_layers)
    if not model.trainable_weights:
        raise InputError(
            "--trainer.transfer.freeze-until: expected a place before the last layer, "
            f"so that something learns; received {transfer.freeze_until}"
        )
    schedule = learning_rate
    if config.learning_rate_schedule == "cosine":
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer = _optimizer(config.optimizer, schedule)
    if transfer.source and transfer.learning_rate_decay < 1:
        from dlkeras.transfer import layerwise_learning_rates

        decay = transfer.learning_rate_decay
        optimizer = layerwise_learning_rates(model, optimizer, decay)
    model.compile(
        optimizer=optimizer,
        loss=objective.loss,
        # A row that only fills a batch does not count.
        weighted_metrics=[objective.metric],
    )
    return model


def check_frozen_layers(
    model: "keras.Model", frozen: int, space: Mapping[str, Dimension] | None = None
) -> None:
    """Refuse to freeze all of a network, or more layers than it has.

    Args:
        model: the network.
        frozen: number of layers to freeze where no search varies it.
        space: the dimensions of the search, if there is one.

    Raises:
        InputError: names the flag and the number of layers.
    """
    flag, most = "--trainer.frozen-layers", frozen
    varied = (space or {}).get("frozen_layers")
    if varied is not None:
        flag = "--tuner.space frozen_layers"
        most = max(varied.values) if isinstance(varied, Choice) else int(varied.high)
    depth = sum(bool(layer.weights) for layer in model.layers)
    if most >= depth:
        raise InputError(
            f"{flag}: expected at most {depth - 1}, so that something learns: "
            f"{model.name} has {depth} layers with weights; received {most}"
        )


def architecture_options(config: TrainerConfig) -> dict[str, Any]:
    """The arguments of the builder that the configuration names."""
    names = ("dropout", "width_multiplier", "activation", "kernel_initializer")
    options = {name: getattr(config, name) for name in names}
    return {name: value for name, value in options.items() if value is not None}


def _transferred(
    config: TrainerConfig, input_shape: tuple[int, int, int], num_classes: int
) -> "keras.Model":
    for name, value in architecture_options(config).items():
        raise InputError(
            f"--trainer.{name.replace('_', '-')}: expected no option of an "
            f"architecture beside --trainer.transfer.source, whose network is made "
            f"already; received {value}"
        )
    return transferred_network(config.transfer, input_shape, num_classes)


def _optimizer(name: str, learning_rate: Any) -> "keras.optimizers.Optimizer":
    from dlkeras.pipeline.tensorflow_import import keras

    if name == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "rmsprop": keras.optimizers.RMSprop,
    }
    return kinds[name](learning_rate)


def make_deterministic(seed: int) -> None:
    """Seed every generator, and let TensorFlow choose only kernels that repeat."""
    from dlkeras.pipeline.tensorflow_import import keras, tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
