"""Provenance: why a component ran: which part of its key changed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.artifacts.types import Artifact, Examples, types_in
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.store.record import Record


def reasons(store: Path, lineage: Mapping[str, Any], component: str) -> Iterator[str]:
    """Say for each artifact of a component why a run made it, or that it did not.

    Args:
        store: the folder of the artifacts.
        lineage: what `store/runs/RUN.json` says of the run.
        component: name of the component.

    Yields:
        Lines: the artifact, then what changed since the artifact of the same pipeline
        and type that was made before it and differs least.

    Raises:
        InputError: the run has no such component.
    """
    steps = [s for s in lineage["steps"] if s["component"] == component]
    if not steps:
        known = ", ".join(dict.fromkeys(s["component"] for s in lineage["steps"]))
        raise InputError(
            f"COMPONENT: expected one of this run's components, {known}; "
            f"received {component!r}"
        )
    opened = Store(store, make=False)
    types = types_in(store)
    for step in steps:
        kind = types.get(step["type"], Artifact)
        artifacts = opened.artifacts(kind)
        found = [a for a in artifacts if a.record.key == step["key"]]
        name = f"{step['type']} {step['digest'][:8]}"
        if not found:
            yield f"{name}: it is no longer in the store"
            continue
        record = found[0].record
        if step["cached"]:
            yield (
                f"{name}: reused, nothing of its key had changed; run "
                f"{record.run_id[:8]} made it on {record.created[:19]}"
            )
            continue
        earlier = [
            a
            for a in artifacts
            if a.record.created < record.created
            and a.record.pipeline == record.pipeline
        ]
        if not earlier:
            yield f"{name}: made, the first of this pipeline"
            continue
        nearest = min(
            reversed(earlier), key=lambda a: len(list(differences(a.record, record)))
        )
        yield f"{name}: made, since these changed from {_name(nearest)}"
        changed = list(differences(nearest.record, record))
        if isinstance(made := found[0], Examples) and isinstance(nearest, Examples):
            files = made.changes_since(nearest)
            if files is not None:  # in place of the digest of their names and times
                changed = [
                    f"source: {files}" if line.startswith("config source:") else line
                    for line in changed
                ]
        yield from (f"  {line}" for line in changed)
        if not changed:
            yield "  nothing: it was forced"


def differences(before: Record, after: Record) -> Iterator[str]:
    """The parts of two keys that differ, a line each."""
    old, new = dict(_leaves(before.config)), dict(_leaves(after.config))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"config {name}: {old.get(name)} -> {new.get(name)}"
    for name in sorted(before.inputs.keys() | after.inputs.keys()):
        one, two = before.inputs.get(name), after.inputs.get(name)
        if one is None or two is None or one.digest != two.digest:
            yield f"input {name}: {_digest(one)} -> {_digest(two)}"
    for what, one, two in (
        ("code of", before.code, after.code),
        ("version of", before.versions, after.versions),
    ):
        for name in sorted(one.keys() | two.keys()):
            if one.get(name) != two.get(name):
                yield f"{what} {name}: {one.get(name)} -> {two.get(name)}"


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _digest(reference: Any) -> str:
    return f"{reference.type} {reference.digest[:8]}" if reference else "none"


def _name(artifact: Artifact) -> str:
    record = artifact.record
    return f"{record.type} {record.digest[:8]} of run {record.run_id[:8]}"
