"""ExampleValidator: names each example that breaks the schema."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlkeras.pipeline.artifacts.types import (
    SPLITS,
    Anomalies,
    ImageSchema,
    Schema,
    Statistics,
)
from dlkeras.pipeline.configuration.config import ExampleValidatorConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.examples.drift import Distributions, find_drift
from dlkeras.pipeline.examples.labels import joined_labels, look_alike
from dlkeras.pipeline.examples.overview.contradictions import contradictions
from dlkeras.pipeline.examples.sources.label_kinds import label_kind
from dlkeras.pipeline.store.errors import AnomaliesError
from dlkeras.pipeline.store.publishing import Draft

# Classes that are told one by one: a hundred thousand may all be too small.
MAX_CLASSES = 20


@component(packages=("pandas",), lines=lambda anomalies: warnings(anomalies))
def example_validator(
    config: ExampleValidatorConfig,
    output: Draft[Anomalies],
    statistics: Statistics,
    schema: Schema,
    last: Statistics | None = None,
) -> None:
    """Compare every example, and the splits as wholes, with the schema.

    Args:
        config: how many offenders are named.
        output: gets `anomalies.json`: for each broken rule its name, its severity (stop
            or warn), the bound, what was found, how many examples break it and the ids
            of the first ones; and the numbers of both severities as properties.
        statistics: the rows of the examples, and their summary.
        schema: the rules.
        last: the statistics of the pipeline's last run that had other data, if any.
    """
    anomalies = find_anomalies(
        statistics.table,
        schema.schema,
        config.max_named_examples,
        statistics.summary,
        last.summary if last is not None else None,
    )
    output.write_json("anomalies.json", anomalies)
    output.properties["anomalies"] = len(anomalies)
    output.properties["warnings"] = sum(a["severity"] == "warn" for a in anomalies)
    output.properties["compared_with_run"] = last.record.run_id if last else None


def find_anomalies(
    table: Any,
    schema: ImageSchema,
    max_named: int = 20,
    summary: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """List the rules that a table of examples breaks.

    Args:
        table: a pandas DataFrame with the columns id, split, label, height, width,
            channels, dtype and sha256.
        schema: the rules.
        max_named: how many ids are given for each anomaly.
        summary: the content of `statistics.json`; without it neither near-duplicates
            nor drift are looked at.
        last: the same file of the last run, for drift since then.

    Returns:
        For each broken rule a dictionary: rule, key (its name in the schema), severity,
        bound, value (what was found instead), count (number of examples) and examples
        (their ids, at most `max_named`).
    """
    anomalies: list[dict[str, Any]] = []

    def report(
        key: str,
        rule: str,
        bound: Any,
        value: Any,
        ids: Sequence[str],
        count: int = -1,
        severity: str | None = None,
    ) -> None:
        anomalies.append(
            {
                "rule": rule,
                "key": key,
                "severity": severity or schema.severity(key),
                "bound": bound,
                "value": value,
                "count": len(ids) if count < 0 else count,
                "examples": sorted(ids)[:max_named],
            }
        )

    task = (summary or {}).get("task", "classification")
    expected = schema.task or "classification"
    if task != expected:
        report("task", "what a label is", expected, task, [], len(table))
        return anomalies
    kind = label_kind(task)
    by_class = kind.by_class(table, (summary or {}).get("labels", schema.labels))
    _check_examples(table, by_class, schema, report)
    _check_classes(by_class, schema, report, (summary or {}).get("drawn_splits", ()))
    _check_copies(table, schema, report)
    _check_contradictions(table, schema, report)
    _check_names(schema, report)
    if summary is not None:
        _check_whole(summary, schema, report)
        now = Distributions.of_summary(summary)
        for was, bounds, prefix, since in (
            (Distributions.of_rules(schema.drift), schema.drift, "drift", "the schema"),
            (
                Distributions.of_summary(last) if last is not None else None,
                schema.last_run,
                "last_run",
                "the last run",
            ),
        ):
            if was is not None:
                find_drift(
                    was, now, bounds, by_class, report, prefix=prefix, since=since
                )
    return anomalies


Report = Callable[..., None]


def _check_examples(
    table: Any, by_class: Any, schema: ImageSchema, report: Report
) -> None:
    """Compare each example's label, channels, type and size."""
    allowed: dict[str, tuple[str, Any]] = {
        "label": ("labels", list(schema.labels)),
        "channels": ("channels", [schema.channels]),
        "dtype": ("dtype", [schema.dtype]),
    }
    for column, (key, values) in allowed.items():
        rows = by_class if column == "label" else table
        offenders = rows[~rows[column].isin(values)]
        if column == "channels" and "file_channels" in table:
            # One file with colours makes a whole set of three channels.
            offenders = offenders[offenders.file_channels != schema.channels]
        if len(offenders):
            own = "file_channels" if "file_channels" in table else column
            own = own if column == "channels" else column
            found = sorted(offenders[own].unique().tolist())
            report(key, column, values, found, list(offenders.id))
    ranged = ["height", "width"] + (["label"] if schema.task == "regression" else [])
    for column in ranged:
        low, high = getattr(schema, f"min_{column}"), getattr(schema, f"max_{column}")
        bound = [low, high]
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        offenders = table[~table[column].between(low, high)]
        if len(offenders):
            found = [offenders[column].min().item(), offenders[column].max().item()]
            key = f"min_{column}" if found[0] < low else f"max_{column}"
            report(key, column, bound, found, list(offenders.id))


def _check_classes(
    table: Any, schema: ImageSchema, report: Report, drawn: Sequence[str] = ()
) -> None:
    """Compare the number of examples of each class."""
    least, name = schema.min_examples_per_class, "min_examples_per_class"
    left_out: dict[str, list[str]] = {}
    for split in SPLITS:
        rows = table[table.split == split]
        counts = rows.label.value_counts().reindex(list(schema.labels), fill_value=0)
        few = counts[counts < least]
        if split in drawn and least == 1 and len(few):  # nobody chose to leave them out
            left_out[split] = list(few.index)
            continue
        for label, count in few[:MAX_CLASSES].items():
            ids = list(rows[rows.label == label].id)
            report(
                name, f"examples of class {label!r} in {split}", least, int(count), ids
            )
        rest = few[MAX_CLASSES:]
        if len(rest):
            rule = f"examples of each of {len(rest):,} more classes in {split}"
            ids = list(rows[rows.label.isin(rest.index)].id)
            report(name, rule, least, int(rest.min()), ids)
    if left_out:
        listed = "; ".join(
            f"{split}: {_few(names)}" for split, names in left_out.items()
        )
        rule = (
            "classes that the hash of the images has left out of a split (add images, "
            "raise --example-gen.validation-fraction and --example-gen.test-fraction, "
            "or name the splits yourself: SPLIT/CLASS/IMAGE, or a "
            "manifest's column split)"
        )
        report(name, rule, "none", listed, [], severity="warn")
    counts = table[table.split == "train"].label.value_counts()
    counts = counts[counts.index.isin(schema.labels) & (counts > 0)]
    if len(counts) > 1:
        ratio = float(counts.max() / counts.min())
        if ratio > schema.max_class_imbalance:
            smallest = counts.idxmin()
            few = table[(table.split == "train") & (table.label == smallest)]
            report(
                "max_class_imbalance",
                f"examples of class {counts.idxmax()!r} for one of {smallest!r}",
                schema.max_class_imbalance,
                round(ratio, 2),
                list(few.id),
            )


def _check_copies(table: Any, schema: ImageSchema, report: Report) -> None:
    """Look for the same image in two splits, and twice in one."""
    trained_on = set(table[table.split == "train"].sha256)
    held_out = table[table.split != "train"]
    leaks = held_out[held_out.sha256.isin(trained_on)]
    share = len(leaks) / max(len(held_out), 1)
    if share > schema.max_leaked_share:
        rule = "share of validation and test that stands in train too"
        bound = schema.max_leaked_share
        report("max_leaked_share", rule, bound, round(share, 6), list(leaks.id))
    for split in SPLITS:
        rows = table[table.split == split]
        copies = rows[rows.duplicated("sha256")]
        share = len(copies) / max(len(rows), 1)
        if share > schema.max_duplicate_share:
            rule = f"share of {split} that repeats another image of it"
            bound = schema.max_duplicate_share
            report("max_duplicate_share", rule, bound, round(share, 4), list(copies.id))


def _check_contradictions(table: Any, schema: ImageSchema, report: Report) -> None:
    """Look for the same image in two classes: one of its labels is wrong."""
    found = [
        " = ".join(f"{name} ({label})" for name, label in sorted(same))
        for same in contradictions(table)
    ]
    if len(found) > schema.max_contradictions:
        rule = "images that stand in several classes"
        bound = schema.max_contradictions
        report("max_contradictions", rule, bound, len(found), found)


def _check_names(schema: ImageSchema, report: Report) -> None:
    """Look for classes that are one class, or two, by their names."""
    for alike in look_alike(schema.labels):
        rule = (
            "classes whose names differ in case, spaces, hyphens or underscores alone"
        )
        report("labels", rule, "one name", alike, [], severity="warn")
    joined = joined_labels(schema.labels) if schema.task is None else {}
    for label, parts in joined.items():
        rule = f"class {label!r}, which joins others (an image has one label here)"
        report("labels", rule, "one label", parts, [], severity="warn")


def _check_whole(summary: dict[str, Any], schema: ImageSchema, report: Report) -> None:
    """Compare what was left out, and near-duplicates of train in other splits."""
    kept = sum(split["examples"] for split in summary["splits"].values())
    lost = summary["quarantined"]
    share = lost / max(kept + lost, 1)
    if share > schema.max_quarantined_share:
        report(
            "max_quarantined_share",
            "share of the source that could not be read (quarantine.json lists it)",
            schema.max_quarantined_share,
            round(share, 4),
            [],
            lost,
        )
    for split, ids in summary["near_leaked"].items():
        share = len(ids) / max(summary["splits"][split]["examples"], 1)
        if share > schema.max_near_leaked_share:
            report(
                "max_near_leaked_share",
                f"share of {split} that all but repeats an image of train",
                schema.max_near_leaked_share,
                round(share, 4),
                ids,
            )


def format_anomaly(anomaly: dict[str, Any]) -> str:
    """Say an anomaly in one line."""
    bound, value = _few(anomaly["bound"]), _few(anomaly["value"])
    text = f"{anomaly['rule']}: expected {bound}, found {value}"
    if anomaly["count"]:
        text += f" in {anomaly['count']} example{'s' * (anomaly['count'] != 1)}"
    if anomaly["examples"]:
        text += f": {', '.join(anomaly['examples'])}"
        text += ", ..." if anomaly["count"] > len(anomaly["examples"]) else ""
    return text


def _few(value: Any) -> str:
    """Write a bound or a value; of a long list its first entries."""
    if not isinstance(value, list) or len(value) <= MAX_CLASSES:
        return str(value)
    first = ", ".join(map(repr, value[:MAX_CLASSES]))
    return f"[{first}, ... ({len(value):,} in all)]"


def warnings(anomalies: Anomalies) -> list[str]:
    """A line for each anomaly that does not stop the run."""
    found = [a for a in anomalies.anomalies if a["severity"] != "stop"]
    return [f"warning: {format_anomaly(anomaly)}" for anomaly in found]


def stop_on_anomalies(anomalies: Anomalies) -> None:
    """End the run where examples break a rule that stops it.

    Raises:
        AnomaliesError: names every broken rule with its bound, what was found, and
            the examples.
    """
    found = [a for a in anomalies.anomalies if a["severity"] == "stop"]
    stops = [format_anomaly(anomaly) for anomaly in found]
    if stops:
        raise AnomaliesError("the examples break the schema; " + "; ".join(stops))
