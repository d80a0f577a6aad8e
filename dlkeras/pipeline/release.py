"""From a trained model to the registry: measured, judged, tried, pushed."""

from typing import Any

from dlkeras.pipeline.artifacts.types import (
    Blessing,
    Evaluation,
    Examples,
    Model,
    PushedModel,
    ServableModel,
    Statistics,
    Transform,
)
from dlkeras.pipeline.components.evaluator import evaluator
from dlkeras.pipeline.components.infra_validator import infra_validator
from dlkeras.pipeline.components.pusher import pusher
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.execution import Execution
from dlkeras.pipeline.tracking.reporting import log_evaluation
from dlkeras.pipeline.training.baseline import last_blessed
from dlkeras.pipeline.training.blessing import bless

# Changing a threshold decides anew, and measures nothing again.
BLESSING_RULES = {
    "min_accuracy",
    "refuse_trivial",
    "max_accuracy_drop",
    "significance",
    "min_slice_accuracy",
    "max_latency_ms",
    "first_model",
}


def release(
    config: PipelineConfig,
    execution: Execution,
    tracker: Any,
    *,
    examples: Examples,
    statistics: Statistics,
    transformation: Transform,
    model: Model,
) -> int | None:
    """Run the components that come after the training.

    Args:
        config: the job.
        execution: the steps of the run.
        tracker: the run in MLflow.
        examples: the data set; its test split decides.
        statistics: the data set's, by which the test examples are sliced.
        transformation: preprocessing, which becomes part of what is served.
        model: what was trained.

    Returns:
        The version of the pushed model in the registry; None if it was not blessed.
    """
    step, store, progress = execution.step, execution.store, execution.progress

    def evaluate(of: Model, transform_of: Transform) -> Evaluation:
        return step(
            "Evaluator",
            Evaluation,
            lambda output: evaluator(
                config.evaluator, output, examples, transform_of, of, statistics
            ),
            config={
                "evaluator": config.evaluator.model_dump(
                    mode="json", exclude=BLESSING_RULES
                )
            },
            inputs={
                "examples": examples,
                "transform": transform_of,
                "model": of,
                "statistics": statistics,
            },
            code=("dlkeras.pipeline.components.evaluator",),
            packages=("keras", "tensorflow", "scikit-learn", "scipy"),
        )

    evaluation = evaluate(model, transformation)
    log_evaluation(tracker, evaluation, model.properties["epochs"])
    previous = last_blessed(store, config.name, examples, model, progress.say)
    baseline = None
    if previous is not None:
        with execution.quietly():
            baseline = evaluate(*previous)
    blessing = step(
        "Evaluator",
        Blessing,
        lambda output: bless(config.evaluator, output, evaluation, baseline),
        config={
            "evaluator": config.evaluator.model_dump(
                mode="json", include=BLESSING_RULES
            )
        },
        inputs={
            "model": model,
            "transform": transformation,
            "evaluation": evaluation,
            "baseline": baseline,
        },
        code=("dlkeras.pipeline.training.blessing",),
        packages=("scipy",),
    )
    tracker.set_tags({"dlkeras.blessed": blessing.blessed})
    execution.stop_after("Evaluator")

    if not blessing.blessed:
        return None
    servable = step(
        "InfraValidator",
        ServableModel,
        lambda output: infra_validator(
            config.infra_validator,
            output,
            name=config.model_name,
            examples=examples,
            transform=transformation,
            model=model,
            blessing=blessing,
        ),
        config={
            "infra_validator": config.infra_validator.model_dump(
                mode="json", exclude={"timeout"}
            ),
            "name": config.model_name,
        },
        inputs={
            "examples": examples,
            "transform": transformation,
            "model": model,
            "blessing": blessing,
        },
        code=("dlkeras.pipeline.components.infra_validator",),
    )
    execution.stop_after("InfraValidator")

    pushed = step(
        "Pusher",
        PushedModel,
        lambda output: pusher(
            config.pusher,
            output,
            name=config.model_name,
            examples=examples,
            statistics=statistics,
            model=model,
            servable=servable,
            evaluation=evaluation,
            blessing=blessing,
        ),
        config={
            "pusher": config.pusher.model_dump(mode="json"),
            "name": config.model_name,
        },
        inputs={
            "examples": examples,
            "statistics": statistics,
            "model": model,
            "servable": servable,
            "evaluation": evaluation,
            "blessing": blessing,
        },
        code=("dlkeras.pipeline.components.pusher",),
        packages=(),
    )
    with store.named_lock(f"registry-{config.model_name}", progress.say):
        return tracker.register(pushed)
