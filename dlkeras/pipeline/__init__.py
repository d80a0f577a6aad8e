"""The pipeline: ingest, validate, transform, tune, train, evaluate, push; tracked.

A pipeline script is a `PipelineConfig` and one call of `main`. From Python, `run` does
the same. Importing this package imports neither TensorFlow nor MLflow.
"""

from dlkeras.pipeline.command_line import main as main
from dlkeras.pipeline.config import EvaluatorConfig as EvaluatorConfig
from dlkeras.pipeline.config import ExampleGenConfig as ExampleGenConfig
from dlkeras.pipeline.config import ExampleValidatorConfig as ExampleValidatorConfig
from dlkeras.pipeline.config import InfraValidatorConfig as InfraValidatorConfig
from dlkeras.pipeline.config import PipelineConfig as PipelineConfig
from dlkeras.pipeline.config import PusherConfig as PusherConfig
from dlkeras.pipeline.config import SchemaGenConfig as SchemaGenConfig
from dlkeras.pipeline.config import StatisticsGenConfig as StatisticsGenConfig
from dlkeras.pipeline.config import TrainerConfig as TrainerConfig
from dlkeras.pipeline.config import TransferConfig as TransferConfig
from dlkeras.pipeline.config import TransformConfig as TransformConfig
from dlkeras.pipeline.config import TunerConfig as TunerConfig
from dlkeras.pipeline.errors import PipelineError as PipelineError
from dlkeras.pipeline.result import PipelineResult as PipelineResult
from dlkeras.pipeline.run import run as run
