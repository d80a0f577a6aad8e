"""The baseline: the last blessed model, which a new one is compared with."""

from dlkeras.pipeline.artifacts import Blessing, Examples, Model, Transform
from dlkeras.pipeline.store import Store


def last_blessed(
    store: Store, pipeline: str, examples: Examples, model: Model
) -> tuple[Model, Transform] | None:
    """The last blessed model of this pipeline other than this one, if it compares.

    A model for other classes cannot be evaluated on these examples.
    """
    for blessing in reversed(store.artifacts(Blessing)):
        record = blessing.record
        if (
            not blessing.blessed
            or record.pipeline != pipeline
            or record.inputs["model"].digest == model.record.digest
        ):
            continue
        found = store.find(Model, record.inputs["model"].key)
        transform_of = store.find(Transform, record.inputs["transform"].key)
        if found is None or transform_of is None:
            continue
        examples_of = store.find(
            Examples, found.record.inputs["examples"].key, verify=False
        )
        if examples_of is not None and examples_of.labels == examples.labels:
            return found, transform_of
    return None
