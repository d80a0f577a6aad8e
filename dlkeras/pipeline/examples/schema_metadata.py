"""A schema in TensorFlow Metadata's form, for tools of TFX such as TFDV."""

from dlkeras.pipeline.examples.schema import ImageSchema

PROTO_FILE = "schema.pbtxt"


def to_metadata(schema: ImageSchema) -> str:
    """Write what of a schema TensorFlow Metadata has words for.

    These are the features of the examples with their types, the labels, the ranges of
    the sizes, and the bounds of the classes' drift. Copies, leaks, imbalance and the
    distributions of pixels have none there; `schema.toml` has them all.

    Args:
        schema: the rules.

    Returns:
        A `tensorflow.metadata.v0.Schema` as text.

    Example:
    >>> schema = ImageSchema(labels=("cat", "dog"), channels=3, min_height=1,
    ...     max_height=9, min_width=1, max_width=9, min_examples_per_class=1)
    >>> 'value: "cat"' in to_metadata(schema)
    True
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2 as proto

    ranges = {
        "height": (schema.min_height, schema.max_height),
        "width": (schema.min_width, schema.max_width),
        "channels": (schema.channels, schema.channels),
    }
    always = proto.FeaturePresence(min_fraction=1.0, min_count=1)
    one = proto.FixedShape()

    def comparator(bound: float) -> proto.FeatureComparator:
        return proto.FeatureComparator(
            infinity_norm=proto.InfinityNorm(threshold=bound)
        )

    if schema.task == "regression":
        low, high = schema.min_label, schema.max_label
        label = proto.Feature(
            name="label",
            type=proto.FLOAT,
            presence=always,
            shape=one,
            float_domain=proto.FloatDomain(name="label", min=low, max=high),
        )
    else:
        several = schema.task == "multilabel"
        number = {"value_count": proto.ValueCount()} if several else {"shape": one}
        label = proto.Feature(
            name="label",
            type=proto.BYTES,
            presence=always,
            **number,
            string_domain=proto.StringDomain(name="label", value=schema.labels),
            distribution_constraints=proto.DistributionConstraints(min_domain_mass=1.0),
            drift_comparator=comparator(schema.last_run.max_label_distance),
            skew_comparator=comparator(schema.drift.max_label_distance),
        )
    image = proto.Feature(
        name="image",
        type=proto.BYTES,
        presence=always,
        shape=one,
        image_domain=proto.ImageDomain(minimum_supported_image_fraction=1.0),
    )
    sizes = [
        proto.Feature(
            name=name,
            type=proto.INT,
            presence=always,
            shape=one,
            int_domain=proto.IntDomain(name=name, min=low, max=high),
        )
        for name, (low, high) in ranges.items()
    ]
    described = proto.Schema(
        feature=[image, label, *sizes],
        default_environment=["train", "validation", "test"],
    )
    return text_format.MessageToString(described, as_utf8=True)
