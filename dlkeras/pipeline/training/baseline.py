"""The baseline: the last blessed model, which a new one is compared with."""

from collections.abc import Callable

from dlkeras.pipeline.artifacts.types import Blessing, Examples, Model, Transform
from dlkeras.pipeline.errors import CorruptArtifactError
from dlkeras.pipeline.store.publishing import Store


def last_blessed(
    store: Store,
    pipeline: str,
    examples: Examples,
    model: Model,
    say: Callable[[str], None],
) -> tuple[Model, Transform] | None:
    """Find the last blessed model of a pipeline that a new one can be compared with.

    Args:
        store: where the models are.
        pipeline: name of the pipeline.
        examples: what both are measured on; a model for other classes or channels
            cannot be.
        model: the new model, which is not compared with itself.
        say: is told of a model that is passed over because its files were altered.

    Returns:
        The model and its transform, or None where there is no such model.
    """

    def passed_over(problem: object) -> None:
        say(f"not compared with an earlier blessed model: {problem}")

    for blessing in reversed(store.artifacts(Blessing, passed_over)):
        record = blessing.record
        if (
            not blessing.blessed
            or record.pipeline != pipeline
            or record.inputs["model"].digest == model.record.digest
        ):
            continue
        try:
            found = store.find(Model, record.inputs["model"].key)
            transform_of = store.find(Transform, record.inputs["transform"].key)
            if found is None or transform_of is None:
                continue
            key = found.record.inputs["examples"].key
            examples_of = store.find(Examples, key, verify=False)
        except CorruptArtifactError as error:
            passed_over(error)
            continue
        if (
            examples_of is not None
            and examples_of.labels == examples.labels
            and transform_of.input_shape[-1] == examples.channels
        ):
            return found, transform_of
    return None
