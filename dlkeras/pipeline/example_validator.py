"""ExampleValidator: where the examples break the schema, each offender by name."""

from typing import Any

from dlkeras.pipeline.artifacts import (
    SPLITS,
    Anomalies,
    ImageSchema,
    Schema,
    Statistics,
)
from dlkeras.pipeline.config import ExampleValidatorConfig
from dlkeras.pipeline.errors import AnomaliesError
from dlkeras.pipeline.store import Draft


def example_validator(
    config: ExampleValidatorConfig,
    output: Draft,
    statistics: Statistics,
    schema: Schema,
) -> None:
    """Compare every example with the schema.

    Args:
        config: how many offenders are named.
        output: gets `anomalies.json`: for each broken rule its name, the bound, what
            was found, how many examples break it and the ids of the first ones.
        statistics: the rows of the examples.
        schema: the rules.
    """
    anomalies = find_anomalies(
        statistics.table, schema.schema, config.max_named_examples
    )
    output.write_json("anomalies.json", anomalies)
    output.properties["anomalies"] = len(anomalies)


def find_anomalies(
    table: Any, schema: ImageSchema, max_named: int = 20
) -> list[dict[str, Any]]:
    """List the rules that a table of examples breaks.

    Args:
        table: a pandas DataFrame with the columns id, split, label, height, width,
            channels, dtype and sha256.
        schema: the rules.
        max_named: how many ids are given for each anomaly.

    Returns:
        For each broken rule a dictionary: rule, bound, value (what was found instead),
        count (number of examples) and examples (their ids, at most `max_named`).
    """
    anomalies: list[dict[str, Any]] = []

    def report(rule: str, bound: Any, value: Any, offenders: Any) -> None:
        anomalies.append(
            {
                "rule": rule,
                "bound": bound,
                "value": value,
                "count": len(offenders),
                "examples": sorted(offenders.id)[:max_named],
            }
        )

    allowed: dict[str, Any] = {
        "label": list(schema.labels),
        "channels": [schema.channels],
        "dtype": [schema.dtype],
    }
    for column, values in allowed.items():
        offenders = table[~table[column].isin(values)]
        if len(offenders):
            report(
                column, values, sorted(offenders[column].unique().tolist()), offenders
            )
    for column in ("height", "width"):
        low, high = getattr(schema, f"min_{column}"), getattr(schema, f"max_{column}")
        offenders = table[~table[column].between(low, high)]
        if len(offenders):
            found = [int(offenders[column].min()), int(offenders[column].max())]
            report(column, [low, high], found, offenders)
    for split in SPLITS:
        counts = table[table.split == split].label.value_counts()
        for label in schema.labels:
            count = int(counts.get(label, 0))
            if count < schema.min_examples_per_class:
                few = table[(table.split == split) & (table.label == label)]
                rule = f"examples of class {label!r} in {split}"
                report(rule, schema.min_examples_per_class, count, few)
    trained_on = set(table[table.split == "train"].sha256)
    leaks = table[(table.split != "train") & table.sha256.isin(trained_on)]
    if len(leaks) > schema.max_leaked_examples:
        rule = "images of train that stand in another split too"
        report(rule, schema.max_leaked_examples, len(leaks), leaks)
    return anomalies


def stop_on_anomalies(anomalies: Anomalies) -> None:
    """End the run where examples break the schema.

    Raises:
        AnomaliesError: names every broken rule with its bound, what was found, and
            the examples.
    """
    if not anomalies.anomalies:
        return
    lines = [
        f"{anomaly['rule']}: expected {anomaly['bound']}, found {anomaly['value']} "
        f"in {anomaly['count']} example{'s' * (anomaly['count'] != 1)}"
        + (f": {', '.join(anomaly['examples'])}" if anomaly["examples"] else "")
        + (", ..." if anomaly["count"] > len(anomaly["examples"]) else "")
        for anomaly in anomalies.anomalies
    ]
    raise AnomaliesError("the examples break the schema; " + "; ".join(lines))
