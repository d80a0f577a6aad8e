"""The pipeline: ingest, validate, transform, tune, train, evaluate, push; tracked.

A pipeline script is a `PipelineConfig` and one call of `main`. From Python, `run` does
the same. Each name is imported when it is first used: a pushed model is served where
neither TFDS nor the rest of what training needs is installed.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from dlkeras.pipeline.engine.result import PipelineResult as PipelineResult
    from dlkeras.pipeline.errors import PipelineError as PipelineError
    from dlkeras.pipeline.graph import run as run

_HOMES = {
    "main": "command_line",
    "EvaluatorConfig": "config",
    "ExampleGenConfig": "config",
    "ExampleValidatorConfig": "config",
    "InfraValidatorConfig": "config",
    "PipelineConfig": "config",
    "PusherConfig": "config",
    "SchemaGenConfig": "config",
    "StatisticsGenConfig": "config",
    "TrainerConfig": "config",
    "TransferConfig": "config",
    "TransformConfig": "config",
    "TunerConfig": "config",
    "PipelineError": "errors",
    "PipelineResult": "result",
    "run": "run",
}


class _OnDemand(types.ModuleType):
    """This package, whose public names are found where they are defined."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{self.__name__}.{_HOMES[name]}")
        value = getattr(module, name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Python puts a submodule on its package; `run` is the function, not its module.
        if name not in _HOMES or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOMES})


sys.modules[__name__].__class__ = _OnDemand
