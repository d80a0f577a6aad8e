"""A source whose rare classes are left out, or merged into one."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dlkeras.pipeline.examples.sources.label_kinds import NO_LABEL
from dlkeras.pipeline.examples.sources.source import Problem, Source, SourceExample

MERGED = "other"


class Relabelled:
    """A source with other names for its classes.

    Args:
        source: the source.
        names: for each of its labels the name that it gets; None: its examples are
            left out.

    Attributes:
        whole: the source itself.
    """

    def __init__(self, source: Source, names: Mapping[str, str | None]):
        self.whole = source
        self.names = dict(names)
        self.description = source.description
        self.ignored = source.ignored
        self.splits = source.splits
        self.labels = tuple(sorted({name for name in names.values() if name}))
        numbers = {name: number for number, name in enumerate(self.labels)}
        self._numbers = [numbers.get(names[label] or "") for label in source.labels]
        counts: Counter[int] | None = getattr(source, "label_counts", None)
        if counts is not None:
            self.label_counts: Counter[int] = Counter()
            for label, count in counts.items():
                number = self._numbers[label] if label != NO_LABEL else NO_LABEL
                if number is not None:
                    self.label_counts[number] += count

    def __getattr__(self, name: str) -> Any:
        """What only some sources have: `metadata`, `outside`."""
        return getattr(self.whole, name)

    def __len__(self) -> int:
        return len(self.whole)

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample | Problem]:
        """Go through the source's examples, but for the ones left out."""
        for example in self.whole.examples(start, stop):
            if isinstance(example, Problem):
                yield example
                continue
            label = example.label
            if isinstance(label, tuple):  # an image without its rare labels stays
                new = {self._numbers[number] for number in label}
                kept = sorted(number for number in new if number is not None)
                yield replace(example, label=tuple(kept))
                continue
            number = self._numbers[int(label)]
            if number is not None:
                yield replace(example, label=number)
