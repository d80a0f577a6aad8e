"""Trainer: fits the network, a checkpoint every epoch, and resumes where it stopped."""

import functools
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkeras.pipeline.artifacts.types import Examples, Hyperparameters, Model, Transform
from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.engine.versions import package_version
from dlkeras.pipeline.examples.sources.label_kinds import label_kind
from dlkeras.pipeline.machines import distribution
from dlkeras.pipeline.store.errors import PipelineError
from dlkeras.pipeline.store.publishing import Draft, canonical_digest
from dlkeras.pipeline.training.monitoring import FigureObserver
from dlkeras.pipeline.training.objectives import objective_of
from dlkeras.pipeline.training.own.code import code_of_trainer, named_apart, sources
from dlkeras.pipeline.training.own.network import augmentation_of, callbacks_of
from dlkeras.pipeline.training.search_spaces import chosen
from dlkeras.pipeline.training.transfer_source import (
    transfer_fingerprint,
    transfer_table,
)

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Convolutions whose maps are drawn: of more, the figure is too high to be looked at.
MAPPED = 6
# Batches of the training split that are looked at before the first step.
LOOKED_AT = 4


def _fingerprint(config: TrainerConfig) -> dict[str, Any]:
    """What the network starts from, and the engine that trains it."""
    on_jax = config.distribution == "data_parallel"
    source = transfer_fingerprint(config)
    jax = package_version("jax") if on_jax else None
    return {"source": source, "jax": jax, "own": code_of_trainer(config)}


def _machines(model: Model) -> list[str]:
    """Say where a model in the store is of other batches than this run would train."""
    config, machines = model.record.config["trainer"], model.properties["machines"]
    here = len(distribution.cluster_of(config["distribution"]).workers)
    if config["sharding"] != "file" or machines == here:
        return []
    return [
        f"{machines} machines trained the model, and each read its own files; "
        f"--force Trainer trains one of {here}"
    ]


@component(fingerprint=_fingerprint, lines=_machines)
def trainer(
    config: TrainerConfig,
    output: Draft[Model],
    examples: Examples,
    transform: Transform,
    hyperparameters: Hyperparameters | None,
    *,
    seed: int,
    work: Path,
    on_epoch_end: Callable[[int, dict[str, float]], None],
    on_figures: FigureObserver,
    verbose: str,
    say: Callable[[str], None],
) -> None:
    """Train until the validation loss no longer falls; keep the best weights.

    Args:
        config: network, epochs, batch size, schedule.
        output: gets `network.keras` (without preprocessing and optimizer) and
            `history.json`, figures of the learning curves, an augmented batch, the
            first layer's filters and its feature maps, and what the monitors measured.
        examples: the data set.
        transform: preprocessing and augmentation.
        hyperparameters: what the tuner found; None takes the configuration's values.
        seed: decides initial weights, order and augmentation.
        work: the folder of the checkpoints; training resumes from the last one.
        on_epoch_end: is told the metrics of every epoch, also of those before an
            interruption.
        on_figures: is told the monitors' figures of an epoch while training goes on.
        verbose: Keras's progress, "1" a bar, "2" a line an epoch.
        say: shows a line to the user.

    Raises:
        PipelineError: a loss is no longer finite; no checkpoint of it is written;
            or another machine of a distributed training has ended.
        InputError: the devices cannot share the batches, or the checkpoints are of
            another number of machines whose files decided them.
    """
    kind = config.distribution
    if kind == "data_parallel" and os.environ.get("KERAS_BACKEND") != "jax":
        from dlkeras.pipeline.training.jax_training import train_on_jax

        train_on_jax(
            trainer,
            config,
            output,
            {
                "examples": examples,
                "transform": transform,
                "hyperparameters": hyperparameters,
            },
            seed=seed,
            work=work,
            on_epoch_end=on_epoch_end,
            on_figures=on_figures,
            verbose=verbose,
            say=say,
        )
        return
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    from dlkeras.pipeline.batches.class_weights import with_class_weights
    from dlkeras.pipeline.batches.file_sharding import FileSharding
    from dlkeras.pipeline.batches.input_pipeline import steps_per_epoch
    from dlkeras.pipeline.training.keeping import BestEpoch, BestEpochs, averaging
    from dlkeras.pipeline.training.monitoring import Monitoring, first_images
    from dlkeras.pipeline.training.network import (
        compiled_network,
        make_deterministic,
        make_variables,
    )
    from dlkeras.pipeline.training.train_state import TrainState, not_kept

    config = chosen(config, hyperparameters.values if hyperparameters else {})
    learning_rate, strength = config.learning_rate, config.augmentation_strength
    objective = objective_of(examples)
    steps = steps_per_epoch(examples, config.batch_size)

    if kind == "data_parallel":
        from dlkeras.pipeline.batches.batch_feeding import (
            evaluation_batches,
            training_batches,
        )
    else:
        from dlkeras.pipeline.batches.input_pipeline import (
            evaluation_batches,
            training_batches,
        )
    cluster = distribution.cluster_of(kind)
    machines = len(cluster.workers)
    by_file = config.sharding == "file" and machines > 1
    if by_file:
        # Refuses files that the machines cannot share.
        FileSharding(examples.shard_lengths("train"), machines, config.batch_size)
    else:
        distribution.check_batches(kind, examples.splits["train"], config.batch_size)
    make_deterministic(seed)
    # The first values of the weights come from the chief.
    with distribution.scope(kind), distribution.lost_workers(kind):
        model = compiled_network(
            config,
            input_shape=transform.input_shape,
            num_classes=len(examples.labels),
            objective=objective,
            learning_rate=learning_rate,
            steps=steps * config.epochs,
        )
    if config.transfer.source:
        say(transfer_table(model, config.transfer))
    judged = {"monitor": config.objective, "mode": config.direction}
    stopping = BestEpoch(**judged, patience=config.early_stopping_patience)
    best_epochs = BestEpochs(**judged, number=config.keep_best)
    validation = evaluation_batches(
        examples, transform, "validation", config.batch_size
    )
    monitoring = None
    if config.monitor:
        monitoring = Monitoring(
            config,
            first_images(evaluation_batches, examples, transform, config.batch_size),
            steps=steps * config.epochs,
            folder=work if cluster.is_chief else output.path,
            say=say,
            on_figures=on_figures,
        )

    def record(epoch: int, logs: dict | None = None) -> None:
        logs = {} if logs is None else logs
        if not np.isfinite([logs["loss"], logs["val_loss"]]).all():
            found = monitoring.findings if monitoring else []
            raise PipelineError(
                f"expected finite losses; epoch {epoch + 1} has loss {logs['loss']}, "
                f"val_loss {logs['val_loss']} at learning rate {learning_rate:g}; "
                "lower it: --trainer.learning-rate, or --tuner.max-learning-rate"
                + "".join(f"; {line}" for line in found[:1])
            )
        rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
        logs["learning_rate"] = float(rate)  # of several devices it is no number yet
        measured = monitoring.epoch_metrics(epoch) if monitoring else {}
        metrics = {**logs, **measured}
        on_epoch_end(epoch, {name: float(value) for name, value in metrics.items()})

    own = callbacks_of(config)
    for callback in own:
        if lost := not_kept(callback):
            say(
                f"{type(callback).__name__} has {', '.join(lost)}, which no checkpoint "
                "holds: after an interruption it starts over; give it get_state and "
                "set_state"
            )
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=record), *own, stopping]
    callbacks += [best_epochs] * (config.keep_best > 1)
    if config.learning_rate_schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                **judged,
                factor=config.plateau_factor,
                patience=config.plateau_patience,
            )
        )
    state = TrainState(
        work,
        config.keep_checkpoints,
        callbacks,
        save_freq=config.save_freq,
        steps=steps,
        monitoring=monitoring,
        writes=cluster.is_chief,
        parts=machines if by_file else 1,
    )
    n_devices = distribution.local_devices(kind)
    shape, dtype = label_kind(examples.task).batched(len(examples.labels))
    labels = np.zeros((n_devices, *shape), dtype)
    sample = np.zeros((n_devices, *transform.input_shape), "float32"), labels
    with distribution.scope(kind), distribution.lost_workers(kind):
        resumed = state.load(model, sample)
    if resumed:
        within = f" and {state.step} steps" if state.step else ""
        say(f"resuming after epoch {state.epoch}{within} of {config.epochs}")
    for epoch, logs in enumerate(state.history):
        on_epoch_end(epoch, logs)
    if monitoring is not None:
        monitoring.show_earlier(state.epoch)

    @functools.cache  # looked at, trained on and drawn, it is traced and read once
    def batches(first_epoch: int) -> "tf.data.Dataset":
        made = training_batches(
            examples,
            transform,
            batch_size=config.batch_size,
            seed=seed,
            augmentation_strength=strength,
            first_epoch=first_epoch,
            epochs=config.epochs,
            part=(cluster.index, machines),
            sharding=config.sharding,
            devices=n_devices,
            augmentation=augmentation_of(config),
        )
        return with_class_weights(made, examples, config.class_weight)

    if monitoring is not None:
        looked_at = batches(0).take(LOOKED_AT)
        monitoring.begin(model, looked_at, is_asked=machines == 1)
    if cluster.is_chief:
        _draw_batch(output, examples, batches(0))
    if state.stopped or state.epoch == config.epochs:
        state.give_back()
        stopping.set_model(model)
        stopping.on_train_end()  # takes the best weights
    else:
        left = batches(state.epoch).skip(state.step)
        make_variables(model, left)
        with distribution.lost_workers(kind):
            model.fit(
                distribution.distributed(kind, left),
                steps_per_epoch=steps,
                initial_epoch=state.epoch,
                epochs=config.epochs,
                **distribution.validation(
                    kind,
                    validation,
                    steps_per_epoch(examples, config.batch_size, "validation"),
                ),
                callbacks=[
                    *averaging(model),
                    *(monitoring.callbacks if monitoring else ()),
                    *state.callbacks,
                ],
                shuffle=False,  # the data set is in its order already
                verbose=verbose,
            )
    if not cluster.is_chief:
        return  # what comes of it is the chief's to keep

    def finished() -> Any:
        network = keras.Model(model.inputs, model.outputs, name=model.name)
        return objective.finished(distribution.alone(kind, network))

    for epoch, (_, kept) in reversed(best_epochs.kept.items()):  # the best comes last
        (output.path / Model.BEST).mkdir(exist_ok=True)
        model.set_weights(kept)
        finished().save(output.path / Model.BEST / f"epoch-{epoch + 1:04d}.keras")
    network = finished()
    _draw_figures(output, network, state.history, examples, transform)
    network.save(output.path / Model.NETWORK)
    output.write_json("history.json", state.history)
    for name, file in named_apart(sources(config)).items():
        (output.path / Model.SOURCES).mkdir(exist_ok=True)
        shutil.copyfile(file, output.path / Model.SOURCES / name)
    better = min if config.direction == "min" else max
    best = better(range(state.epoch), key=lambda e: state.history[e][config.objective])
    output.properties.update(
        architecture=model.name if config.transfer.source else config.architecture,
        parameters=network.count_params(),
        optimizer=config.optimizer,
        learning_rate=learning_rate,
        augmentation_strength=strength,
        epochs=state.epoch,
        best_epoch=best + 1,
        best_epochs=[epoch + 1 for epoch in best_epochs.kept] or [best + 1],
        val_loss=state.history[best]["val_loss"],
        **objective.reached(state.history[best]),
        dtype_policy=model.dtype_policy.name,
        machines=machines,
    )
    weights = [hashlib.sha256(np.asarray(w).tobytes()) for w in network.get_weights()]
    output.digest = canonical_digest(
        [network.to_json(), [weight.hexdigest() for weight in weights]]
    )
    if monitoring is not None:
        monitoring.finish(output, model, state.history)


def _draw_batch(output: Draft, examples: Examples, batches: "tf.data.Dataset") -> None:
    """Draw what goes in, while the training begins."""
    from dlkeras import visualization as show
    from dlkeras.visualization.look.saved_beside import draw_figure

    images, labels, *_ = next(iter(batches.take(1)))
    kind = label_kind(examples.task)
    draw_figure(
        output.figure_path("augmented_batch"),
        show.image_grid,
        images[:25].numpy(),
        [kind.in_words(y, examples.labels) for y in labels[:25].numpy()],
        title="A batch of training images, as the augmentation leaves them",
    )


def _draw_figures(
    output: Draft,
    network: "keras.Model",
    history: list[dict[str, float]],
    examples: Examples,
    transform: Transform,
) -> None:
    """Draw the learning curves, the filters, and what the layers make of an image."""
    from dlkeras import visualization as show
    from dlkeras.pipeline.tensorflow_import import keras
    from dlkeras.visualization.look.saved_beside import draw_figure

    label = label_kind(examples.task)
    loss = objective_of(examples).loss_in_words
    path = output.figure_path
    # Each layer's gradient norms have figures of their own.
    curves = [
        {k: v for k, v in logs.items() if not k.startswith("gradient_norm/")}
        for logs in history
    ]
    draw_figure(path("learning_curves"), show.learning_curves, curves, loss_label=loss)
    convolutions = [x for x in network.layers if isinstance(x, keras.layers.Conv2D)]
    if not convolutions:
        return
    number = min(len(convolutions), MAPPED)  # from the first to the last
    places = np.linspace(0, len(convolutions) - 1, number).round().astype(int)
    convolutions = [convolutions[place] for place in places]
    first = convolutions[0]
    kernel = keras.ops.convert_to_numpy(first.kernel)
    title = f"The filters of {first.name}"
    draw_figure(path("filters"), show.filters, kernel, title=title)
    example = next(iter(examples.dataset("test").take(1)))
    image = transform.preprocessing()(example["image"][None])
    maps = keras.Model(network.inputs, [layer.output for layer in convolutions])(image)
    draw_figure(
        path("feature_maps"),
        show.feature_maps,
        keras.ops.convert_to_numpy(image[0]),
        {
            layer.name: keras.ops.convert_to_numpy(layer_maps[0])
            for layer, layer_maps in zip(
                convolutions, maps if isinstance(maps, list) else [maps], strict=True
            )
            if min(layer_maps.shape[1:3]) > 1
        },
        title="The feature maps of a "
        + label.in_words(example["label"].numpy(), examples.labels),
    )
