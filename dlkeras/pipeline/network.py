"""The network to train, compiled: what the tuner tries and the trainer trains."""

from typing import TYPE_CHECKING

from dlkeras.architectures import create
from dlkeras.pipeline.config import TrainerConfig
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.soft_labels import accuracy, cross_entropy
from dlkeras.pipeline.transfer_source import transferred_network

if TYPE_CHECKING:
    import keras


def compiled_network(
    config: TrainerConfig,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    learning_rate: float,
    steps: int,
) -> "keras.Model":
    """Build and compile the configured architecture.

    Args:
        config: architecture or source of the transfer, and learning rate schedule.
        input_shape: height, width and channels of the preprocessed images.
        num_classes: number of classes.
        learning_rate: initial learning rate of Adam.
        steps: number of training steps after which a cosine schedule reaches 0.

    Returns:
        A model compiled with Adam, cross-entropy and accuracy, for labels that are
        class numbers or shares of classes.

    Raises:
        InputError: there is no such architecture, or it cannot be built for this
            input; the message says why.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    transfer = config.transfer
    if transfer.source:
        model = transferred_network(transfer, input_shape, num_classes)
    else:
        try:
            model = create(
                config.architecture, input_shape=input_shape, num_classes=num_classes
            )
        except ValueError as error:
            raise InputError(f"--trainer.architecture: {error}") from error
    schedule = learning_rate
    if config.learning_rate_schedule == "cosine":
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer = keras.optimizers.Adam(schedule)
    if transfer.source and transfer.learning_rate_decay < 1:
        from dlkeras.transfer import layerwise_learning_rates

        decay = transfer.learning_rate_decay
        optimizer = layerwise_learning_rates(model, optimizer, decay)
    model.compile(
        optimizer=optimizer,
        loss=cross_entropy,
        metrics=[accuracy],
    )
    return model


def make_deterministic(seed: int) -> None:
    """Seed every generator, and let TensorFlow choose only kernels that repeat."""
    from dlkeras.pipeline.tensorflow_import import keras, tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
