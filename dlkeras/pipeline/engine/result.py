"""What a run of a pipeline ended with, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlkeras.pipeline.artifacts.types import Artifact


@dataclass(frozen=True)
class Step:
    """What became of one step of a run.

    Attributes:
        component: its name.
        artifact: what it made or reused.
        cached: whether the artifact was reused.
        seconds: how long it took.
        inputs: what it read, by the name of the component's parameter.
    """

    component: str
    artifact: Artifact
    cached: bool
    seconds: float
    inputs: Mapping[str, Artifact | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineResult:
    """What a run ended with.

    Attributes:
        run_id: the run in MLflow.
        steps: every step in order: component, artifact, whether it was cached, seconds.
        blessed: whether the model may be pushed; None where the run stopped before.
        reason: why, in one line.
        model_version: version of the model in the registry, where it was pushed.
        run_link: the run's page in MLflow.
        compare_link: the page that compares the tuner's trials, or the runs.
    """

    run_id: str
    steps: tuple[Step, ...]
    blessed: bool | None
    reason: str
    model_version: int | None
    run_link: str
    compare_link: str

    @property
    def artifacts(self) -> dict[str, Any]:
        """The artifacts by type: `result.artifacts["Evaluation"].metrics`."""
        return {step.artifact.record.type: step.artifact for step in self.steps}

    @property
    def exit_code(self) -> int:
        """0, or 3 where the model was not blessed and so not pushed."""
        return 3 if self.blessed is False else 0
