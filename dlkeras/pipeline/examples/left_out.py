"""What was left out of the examples: counted, named, and listed in a file."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.examples.sources.source import Ignored, Source
from dlkeras.pipeline.store.publishing import write_atomically

MAX_NAMED = 5
QUARANTINE = "quarantine.json"
LEFT_OUT = "left_out.json"


def format_problems(
    source: Source, problems: list[tuple[str, str, int]], log: Path
) -> str:
    """Say which examples cannot be read; a file has what a line cannot hold."""
    lost = sum(number for *_, number in problems)
    named = "; ".join(f"{name}: {reason}" for name, reason, _ in problems[:MAX_NAMED])
    lines = [f"{name}: {reason}" for name, reason, _ in problems]
    return (
        f"expected examples that can be read whole in {source.description}; "
        f"{lost} cannot: {named}{_rest(lines, log)} (--example-gen.on-error quarantine "
        "leaves them out, and lists them)"
    )


def format_missed(source: Source, missed: list[Ignored], log: Path) -> str:
    """Say which files of a source would be left out, as `format_problems` does."""
    kinds = by_reason(missed)
    return (
        f"expected images alone, or a handful of other files, in {source.description}; "
        f"{len(missed)} files would be left out: {_format_kinds(kinds)}: "
        + "; ".join(file.name for file in missed[:MAX_NAMED])
        + _rest([f"{file.name}: {file.reason}" for file in missed], log)
        + " (--example-gen.on-error quarantine leaves them out, and lists them)"
    )


def _rest(lines: list[str], log: Path) -> str:
    """What comes after the first lines: how many more, and the file that has all."""
    if len(lines) <= MAX_NAMED:
        return ""
    log.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(log, ("\n".join(lines) + "\n").encode())
    return f"; and {len(lines) - MAX_NAMED} more, all in {log}"


def by_reason(files: Iterable[Ignored]) -> dict[str, dict[str, int]]:
    """Count files by the reason why they are left out, and by suffix."""
    counts: dict[str, dict[str, int]] = {}
    for file in sorted(files, key=lambda file: (file.reason, file.name)):
        suffix = os.path.splitext(file.name)[1].lower() or "no suffix"
        suffixes = counts.setdefault(file.reason, {})
        suffixes[suffix] = suffixes.get(suffix, 0) + 1
    return counts


def _format_kinds(kinds: dict[str, dict[str, int]]) -> str:
    return ", ".join(
        f"{sum(suffixes.values())} {reason} ("
        + ", ".join(f"{suffix} {count}" for suffix, count in list(suffixes.items())[:8])
        + ")"
        for reason, suffixes in kinds.items()
    )


def lines_of_left_out(
    properties: Mapping[str, Any], folder: Path = Path()
) -> list[str]:
    """Say what of a source is not among its examples, a line for each kind.

    Args:
        properties: those of the examples' artifact.
        folder: where it is.
    """
    lines = []
    if ignored := properties["ignored"]:
        lines.append(
            f"left out: {_format_kinds(ignored)}, listed in {folder / LEFT_OUT}"
        )
    if gone := properties.get("rare_classes"):
        lines.append(
            f"classes of too few photos, {gone['policy'].replace('_', ' ')}: "
            + ", ".join(gone["classes"][:5])
            + (f" and {len(gone['classes']) - 5} more" * (len(gone["classes"]) > 5))
        )
    if outside := properties.get("outside"):
        named = ", ".join(outside[:5]) + (", ..." if len(outside) > 5 else "")
        lines.append(f"taken from elsewhere, by {len(outside)} links: {named}")
    if number := properties["quarantined"]:
        lines.append(
            f"quarantined, cannot be read: {number} examples, listed in "
            f"{folder / QUARANTINE}"
        )
    return lines
