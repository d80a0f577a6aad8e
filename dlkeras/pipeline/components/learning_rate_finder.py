"""LearningRateFinder: suggests a learning rate for the configured network."""

from typing import Any

from dlkeras.pipeline.artifacts.types import Artifact, Examples, Transform
from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.pipeline.training.objectives import objective_of
from dlkeras.pipeline.training.own.code import code_of_trainer
from dlkeras.pipeline.training.own.network import augmentation_of
from dlkeras.pipeline.training.transfer_source import transfer_fingerprint

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 200


class LearningRates(Artifact):
    """Rates that were tried, their losses (rates.json), and the suggested one."""

    producer = "LearningRateFinder"


def _lines(found: LearningRates) -> list[str]:
    suggested = found.properties["suggested"]
    figure = found.figures["learning_rate_range"]
    if suggested is None:
        return [f"the loss fell at no learning rate; look at {figure}"]
    return [f"suggested: --trainer.learning-rate {suggested:.2g}; the figure: {figure}"]


@component(
    fingerprint=lambda config: [transfer_fingerprint(config), code_of_trainer(config)],
    lines=_lines,
)
def learning_rate_finder(
    config: TrainerConfig,
    output: Draft[LearningRates],
    examples: Examples,
    transform: Transform,
    *,
    seed: int,
) -> None:
    """Raise the rate from 1e-7 to 10 in 200 steps of the configured training.

    Args:
        config: the network and its training; its rate and its schedule are left out.
        output: gets `rates.json` (each step's rate, loss and running mean), a figure.
        examples: the data set.
        transform: preprocessing and augmentation.
        seed: decides initial weights, order and augmentation.

    Raises:
        InputError: the network is compiled by its own function, with a schedule.
    """
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  isort: split
    from dlkeras import visualization as show
    from dlkeras.callbacks import LearningRateFinder
    from dlkeras.pipeline.batches.class_weights import with_class_weights
    from dlkeras.pipeline.batches.input_pipeline import (
        steps_per_epoch,
        training_batches,
    )
    from dlkeras.pipeline.training.network import compiled_network, make_deterministic
    from dlkeras.visualization.figure import save_figure

    plain = {"learning_rate_schedule": "constant", "warmup_epochs": 0.0}
    config = config.model_copy(update=plain)
    steps = steps_per_epoch(examples, config.batch_size)
    epochs = -(-STEPS // steps)
    make_deterministic(seed)
    model = compiled_network(
        config,
        input_shape=transform.input_shape,
        num_classes=len(examples.labels),
        objective=objective_of(examples),
        learning_rate=config.learning_rate,
        steps=STEPS,
    )
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if isinstance(inner.get_config()["learning_rate"], dict):
        raise InputError(
            "dlkeras lr-find: expected an optimizer whose learning rate is a number; "
            f"that of {model.name} follows a schedule of its own"
        )
    batches = training_batches(
        examples,
        transform,
        batch_size=config.batch_size,
        seed=seed,
        augmentation_strength=config.augmentation_strength,
        first_epoch=0,
        epochs=epochs,
        augmentation=augmentation_of(config),
    )
    finder = LearningRateFinder(LOWEST, HIGHEST, STEPS)
    model.fit(
        with_class_weights(batches, examples, config.class_weight),
        steps_per_epoch=steps,
        epochs=epochs,
        callbacks=[finder],
        shuffle=False,  # the data set is in its order already
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
    tried: dict[str, Any] = {
        "rates": finder.rates, "losses": finder.losses, "smoothed": finder.smoothed,
    }  # fmt: skip
    output.write_json("rates.json", tried)
    if finder.rates:
        figure = show.learning_rate_range(**tried, suggested=finder.suggested)
        save_figure(figure, output.figure_path("learning_rate_range"))
    output.properties.update(suggested=finder.suggested, steps=len(finder.rates))
