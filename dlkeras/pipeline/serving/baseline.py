"""The baseline: the last blessed model, which a new one is compared with."""

import re

from dlkeras.pipeline.artifacts.types import (
    Blessing,
    Evaluation,
    Examples,
    Model,
    Transform,
)
from dlkeras.pipeline.engine.execution import Run
from dlkeras.pipeline.store.errors import CorruptArtifactError, reason


def last_blessed(
    run: Run, examples: Examples, model: Model
) -> tuple[Transform, Model] | None:
    """Find the last blessed model of a pipeline, to compare a new one with.

    One whose files were altered, or whose own layers are gone, is passed over, and the
    user is told.

    Args:
        run: the run that asks.
        examples: what both are measured on; a model for other classes or channels
            cannot be.
        model: the new model, which is not compared with itself.

    Returns:
        Its transform and the model, or None where there is no such model.
    """
    store = run.store

    def passed_over(problem: object) -> None:
        run.say(f"not compared with an earlier blessed model: {problem}")

    for blessing in reversed(store.artifacts(Blessing, passed_over)):
        record = blessing.record
        if not blessing.blessed or record.pipeline != run.config.name:
            continue
        try:
            key = record.inputs["evaluation"].key
            evaluation = store.find(Evaluation, key, verify=False)
            if evaluation is None:
                continue
            judged = evaluation.record.inputs
            if judged["model"].digest == model.record.digest:
                continue
            found = store.find(Model, judged["model"].key)
            transform_of = store.find(Transform, judged["transform"].key)
            if found is None or transform_of is None:
                continue
            key = found.record.inputs["examples"].key
            examples_of = store.find(Examples, key, verify=False)
        except CorruptArtifactError as error:
            passed_over(error)
            continue
        if (
            examples_of is not None
            and examples_of.task == examples.task
            and examples_of.labels == examples.labels
            and transform_of.input_shape[-1] == examples.channels
        ):
            if problem := what_stops_loading(found):
                passed_over(problem)
                continue
            return transform_of, found
    return None


def what_stops_loading(model: Model) -> str | None:
    """Why a model of the user's own code does not load any more, in a line.

    Its layers may have other names or arguments by now, or none.
    """
    if not (model.path / Model.SOURCES).is_dir():
        return None  # of the package's parts alone
    try:
        model.network()
    except Exception as error:  # of Keras, or of the user's code
        gone = re.search(r"Could not locate \w+ '[^']+'", str(error))
        why = gone[0] if gone else reason(error)[:200]
        return f"{model.path.name} does not load any more: {why}"
    return None
