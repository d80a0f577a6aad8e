"""The network to train, compiled: what the tuner tries and the trainer trains."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlkeras.architectures import create
from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.pipeline.training.compiling import compile_network
from dlkeras.pipeline.training.objectives import Classes, Objective
from dlkeras.pipeline.training.own.network import build, builder_of, parameters
from dlkeras.pipeline.training.search_spaces import BUILDER_OPTIONS, Choice, Dimension
from dlkeras.pipeline.training.transfer_source import transferred_network

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


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
        A model compiled with the configured optimizer, and the loss and the metrics of
        the objective: for classes the configured ones, and accuracy, for labels
        that are class numbers or shares of classes.

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
            given = {"input_shape": input_shape, "num_classes": num_classes}
            given |= architecture_options(config)
            if config.network is not None:
                if "learning_rate" in parameters(builder_of(config)):
                    given["learning_rate"] = learning_rate
                model = build(config, **given)
            else:
                model = create(config.architecture, **given)
        objective = objective or Classes()
        if model.compiled and not isinstance(objective, Classes):
            raise InputError(
                "--trainer.network: expected a network that is not compiled, since "
                "--example-gen.task decides the last layer and the loss"
            )
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
    compile_network(model, config, learning_rate, steps, objective)
    return model


def make_variables(model: "keras.Model", batches: "tf.data.Dataset") -> None:
    """Make what Keras would make within the first step, which it then traces twice.

    Those are the variables of the optimizer and of the metrics. Where the machines or
    the devices share a batch, and where the user's own model measures in its own way,
    they are left to Keras.

    Args:
        model: compiled.
        batches: what it is to be trained on; none is read.
    """
    from dlkeras.pipeline.tensorflow_import import keras, tf

    if (
        keras.backend.backend() != "tensorflow"
        or model.distribute_strategy is not tf.distribute.get_strategy()
        or type(model).compute_metrics is not keras.Model.compute_metrics
        or len(model.outputs) != 1
    ):
        return

    def zeros(like: Any) -> Any:
        return tf.zeros(
            [1 if side is None else side for side in like.shape], like.dtype
        )

    model.optimizer.build(model.trainable_variables)
    images, labels, *weights = tf.nest.map_structure(zeros, batches.element_spec)
    answers = zeros(model.outputs[0])
    model.compute_metrics(images, labels, answers, *weights)
    model.reset_metrics()


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
    """The arguments of the builder that the configuration gives."""
    options = {name: getattr(config, name) for name in sorted(BUILDER_OPTIONS)}
    options = {name: value for name, value in options.items() if value is not None}
    return {**config.network_args, **options}


def _transferred(
    config: TrainerConfig, input_shape: tuple[int, int, int], num_classes: int
) -> "keras.Model":
    options: dict[str, Any] = {"network": config.network} if config.network else {}
    for name, value in (options | architecture_options(config)).items():
        raise InputError(
            f"--trainer.{name.replace('_', '-')}: expected no option of an "
            f"architecture beside --trainer.transfer.source, whose network is made "
            f"already; received {value}"
        )
    return transferred_network(config.transfer, input_shape, num_classes)


def make_deterministic(seed: int) -> None:
    """Seed every generator, and let TensorFlow choose only kernels that repeat.

    The numbers that Keras gives to layers without a name start over, too: what was
    built before does not show in a saved network.
    """
    from dlkeras.pipeline.tensorflow_import import keras, tf

    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
