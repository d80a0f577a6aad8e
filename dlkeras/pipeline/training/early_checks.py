"""What of a configuration can be refused before any component runs."""

import os

from dlkeras.judging.slices import check_columns
from dlkeras.pipeline.artifacts.statistics_table import COLUMNS
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.examples.sources.manifest import metadata_columns
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.training.search_spaces import Choice, search_space


def check(config: PipelineConfig) -> None:
    """Refuse what a late component would stumble over, after hours of training.

    Args:
        config: the job.

    Raises:
        InputError: there is no column to slice by, a search varies what there is not,
            a network has fewer layers than are to be frozen, or Keras runs on another
            backend than TensorFlow.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise InputError(
            "the pipeline runs on Keras's TensorFlow backend; "
            f"received KERAS_BACKEND={backend}"
        )
    _check_slices(config)
    if config.example_gen.task == "regression" and config.transform.cutmix:
        raise InputError(
            "--transform.cutmix: expected 0 where a label is a number: the part of an "
            "image that is pasted into another has no number of its own (mixup works)"
        )
    space = {}
    if config.tuner.enabled:
        space = search_space(config.trainer.architecture, config.tuner)
    frozen = config.trainer.frozen_layers or "frozen_layers" in space
    # The engine of several machines starts before anything is computed, and a source's
    # network is not there yet: there the tuner and the trainer look, before they train.
    later = (
        config.trainer.distribution == "multi_worker" or config.trainer.transfer.source
    )
    if frozen and not later:
        _check_depths(config, space)


def _check_slices(config: PipelineConfig) -> None:
    known = [name for name in COLUMNS if name != "id"]
    if config.example_gen.manifest is not None:
        known += metadata_columns(
            config.example_gen.manifest,
            config.example_gen.columns,
            config.example_gen.task,
        )
    try:
        check_columns(config.evaluator.slices, list(dict.fromkeys(known)))
    except ValueError as error:
        raise InputError(str(error)) from error


def _check_depths(config: PipelineConfig, space: dict) -> None:
    """Build each network that may be trained, to count its layers."""
    from dlkeras.pipeline.training.network import check_frozen_layers, compiled_network

    trainer = config.trainer
    varied = space.get("architecture", Choice((trainer.architecture,)))
    for architecture in varied.values:
        changed = {"architecture": architecture, "frozen_layers": 0}
        model = compiled_network(
            trainer.model_copy(update=changed),
            # Neither channels nor classes change the number of layers.
            input_shape=(config.transform.height, config.transform.width, 3),
            num_classes=2,
            learning_rate=trainer.learning_rate,
            steps=1,
        )
        check_frozen_layers(model, trainer.frozen_layers, space)
