"""The pipeline: ingest, validate, transform, tune, train, evaluate, push; tracked.

A pipeline script is a `PipelineConfig` and one call of `main`. From Python, `run` does
the same. Each name is imported when it is first used: a pushed model is served where
neither TFDS nor the rest of what training needs is installed.
"""

from typing import TYPE_CHECKING

from dlkeras.on_demand import on_demand

if TYPE_CHECKING:
    from dlkeras.pipeline.artifacts.types import Artifact as Artifact
    from dlkeras.pipeline.commands.command_line import main as main
    from dlkeras.pipeline.configuration.config import EvaluatorConfig as EvaluatorConfig
    from dlkeras.pipeline.configuration.config import (
        ExampleGenConfig as ExampleGenConfig,
    )
    from dlkeras.pipeline.configuration.config import (
        ExampleValidatorConfig as ExampleValidatorConfig,
    )
    from dlkeras.pipeline.configuration.config import (
        InfraValidatorConfig as InfraValidatorConfig,
    )
    from dlkeras.pipeline.configuration.config import PipelineConfig as PipelineConfig
    from dlkeras.pipeline.configuration.config import PusherConfig as PusherConfig
    from dlkeras.pipeline.configuration.config import SchemaGenConfig as SchemaGenConfig
    from dlkeras.pipeline.configuration.config import (
        StatisticsGenConfig as StatisticsGenConfig,
    )
    from dlkeras.pipeline.configuration.config import TrainerConfig as TrainerConfig
    from dlkeras.pipeline.configuration.config import TransferConfig as TransferConfig
    from dlkeras.pipeline.configuration.config import TransformConfig as TransformConfig
    from dlkeras.pipeline.configuration.config import TunerConfig as TunerConfig
    from dlkeras.pipeline.configuration.data import ComponentConfig as ComponentConfig
    from dlkeras.pipeline.configuration.key_fields import InKeyOf as InKeyOf
    from dlkeras.pipeline.configuration.key_fields import NotInKey as NotInKey
    from dlkeras.pipeline.engine.component import component as component
    from dlkeras.pipeline.engine.execution import Run as Run
    from dlkeras.pipeline.engine.result import PipelineResult as PipelineResult
    from dlkeras.pipeline.graph import run as run
    from dlkeras.pipeline.graph import standard as standard
    from dlkeras.pipeline.store.errors import PipelineError as PipelineError
    from dlkeras.pipeline.store.publishing import Draft as Draft

__getattr__, __dir__ = on_demand(__name__)
