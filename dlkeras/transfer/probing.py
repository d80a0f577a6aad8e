"""Linear probing, then fine-tuning: train the new head first, then all layers."""

from typing import Any

import keras

from dlkeras.model_graph import read
from dlkeras.stages import find_ends
from dlkeras.transfer.feature_cache import (
    augments_images,
    cached_features,
    split_frozen,
)
from dlkeras.transfer.freezing import freeze, unfreeze
from dlkeras.transfer.learning_rates import layerwise_learning_rates


def probe_then_fine_tune(
    model: Any,
    x: Any,
    y: Any,
    *,
    probe_epochs: int = 20,
    fine_tune_epochs: int = 10,
    probe_optimizer: Any = None,
    fine_tune_optimizer: Any = None,
    decay: float = 0.5,
    since: str | None = None,
    batch_normalization: bool = False,
    batch_size: int = 32,
    loss: Any = "sparse_categorical_crossentropy",
    metrics: Any = ("accuracy",),
    validation_data: Any = None,
    callbacks: Any = None,
    cache_folder: Any = None,
    verbose: Any = 0,
) -> dict[str, list[float]]:
    """Train a new head on frozen features, then everything, lower layers more slowly.

    A head of random weights sends large gradients through the network and distorts
    what it knows. So the head is trained first, on the features of the network, which
    are computed once; then the network is thawed and trained with a learning rate for
    each stage, the batch normalisations still frozen unless asked. A model that
    augments its images itself has other features in every epoch: it is run whole, its
    head alone learning.

    Args:
        model: A built Keras model of images with a new head, as of `replace_head`.
        x: `(examples, height, width, channels)`, an array.
        y: The targets.
        probe_epochs: Epochs of the head alone; 0 leaves them out.
        fine_tune_epochs: Epochs of the thawed network; 0 leaves them out.
        probe_optimizer: A Keras optimizer; Adam with a learning rate of 0.01 if `None`.
        fine_tune_optimizer: One that `layerwise_learning_rates` takes; Adam with 0.0005
            if `None`.
        decay: Factor of the learning rate from one stage to the one before.
        since: First stage that is thawed; `None` thaws all.
        batch_normalization: Whether batch normalisations are thawed, too.
        batch_size: Images in a step.
        loss: As for `compile`.
        metrics: As for `compile`.
        validation_data: A pair of arrays, or `None`.
        callbacks: Of both trainings.
        cache_folder: Where the features are kept; `None` is memory.
        verbose: As for `fit`.

    Returns:
        The metrics of all epochs, those of the probing first.

    Raises:
        ValueError: The model has no head behind its stages, or the numbers of epochs
            are negative or both 0, or the second part cannot be trained with `since`,
            `decay` and the optimizer. Nothing has been trained then.

    Example:
        >>> import numpy as np
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import probe_then_fine_tune, replace_head
        >>> x = np.random.default_rng(0).normal(size=(8, 32, 32, 1)).astype("float32")
        >>> model = replace_head(lenet5(weights="digits"), num_classes=2)
        >>> history = probe_then_fine_tune(
        ...     model, x, np.arange(8) % 2, probe_epochs=2, fine_tune_epochs=1
        ... )
        >>> len(history["loss"])
        3

    Reference:
        Kumar, Raghunathan, Jones, Ma and Liang (2022), "Fine-tuning can distort
        pretrained features and underperform out-of-distribution".
    """
    if min(probe_epochs, fine_tune_epochs) < 0 or probe_epochs + fine_tune_epochs < 1:
        raise ValueError(
            "probe_epochs and fine_tune_epochs must be at least 0, and one of them 1. "
            f"Received: probe_epochs={probe_epochs}, "
            f"fine_tune_epochs={fine_tune_epochs}"
        )
    history: dict[str, list[float]] = {}
    rates: Any = None
    if fine_tune_epochs:  # what does not fit is said before the probing
        if since is not None:
            find_ends(read(model), since, "since")
        rates = fine_tune_optimizer or keras.optimizers.Adam(5e-4)
        rates = layerwise_learning_rates(model, rates, decay)

    def train(part: Any, optimizer: Any, x: Any, validation: Any, epochs: int) -> None:
        part.compile(optimizer, loss, metrics=list(metrics))
        done = part.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=validation,
            callbacks=callbacks,
            verbose=verbose,
        )
        for name, values in done.history.items():
            history.setdefault(name, []).extend(values)

    if probe_epochs:
        freeze(model, until=_last_before_head(model))
        optimizer = probe_optimizer or keras.optimizers.Adam(0.01)
    if probe_epochs and augments_images(model):
        train(model, optimizer, x, validation_data, probe_epochs)
    elif probe_epochs:
        frozen, head = split_frozen(model)

        def features(images: Any) -> Any:
            return cached_features(frozen, images, cache_folder, batch_size=batch_size)

        seen = None
        if validation_data is not None:
            seen = (features(validation_data[0]), *validation_data[1:])
        train(head, optimizer, features(x), seen, probe_epochs)
    if fine_tune_epochs:
        unfreeze(model, since, batch_normalization=batch_normalization)
        train(model, rates, x, validation_data, fine_tune_epochs)
    return history


def _last_before_head(model: Any) -> str:
    """Return the last layer with weights before the model's last dense layer."""
    calls = read(model).calls
    weighted = [call.name for call in calls if call.weights and not call.again]
    if len(weighted) < 2:
        raise ValueError(
            "probe_then_fine_tune needs a network with a head behind its stages. "
            f"Received: model {model.name!r}, whose layers with weights are {weighted}"
        )
    return weighted[-2]
