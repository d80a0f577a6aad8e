"""Sharding by file: which shard files are a machine's, and its part of every batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dlkeras.pipeline.store.errors import InputError

if TYPE_CHECKING:
    from dlkeras.pipeline.artifacts.types import Examples


def assign(lengths: Sequence[int], machines: int) -> tuple[tuple[int, ...], ...]:
    """Give each shard file to one machine, so that all have about as many examples.

    The longest file comes first, each goes to the machine that has the fewest examples
    (Graham 1969), ties to the lower number: every machine finds the same.

    Args:
        lengths: number of examples in each shard file.
        machines: how many machines there are.

    Returns:
        For each machine the numbers of its files, in their order.

    Raises:
        InputError: there are fewer files than machines.

    Example:
    >>> assign([5, 9, 4], 2)
    ((1,), (0, 2))
    """
    if len(lengths) < machines:
        raise InputError(
            "--trainer.sharding file: expected at least one shard file of the training "
            f"split for each of {machines} machines; received {len(lengths)}: lower "
            "--example-gen.examples-per-shard, or leave --trainer.sharding at example"
        )
    files: list[list[int]] = [[] for _ in range(machines)]
    examples = [0] * machines
    for file in sorted(range(len(lengths)), key=lambda file: (-lengths[file], file)):
        machine = min(range(machines), key=lambda machine: examples[machine])
        files[machine].append(file)
        examples[machine] += lengths[file]
    return tuple(tuple(sorted(mine)) for mine in files)


def files_of_others(examples: "Examples", machines: int, index: int) -> set[str]:
    """The files of the training split that a machine never opens.

    Args:
        examples: the data set.
        machines: how many machines there are.
        index: which of them.

    Returns:
        Their names, as the record of the artifact has them.
    """
    files = examples.shard_files("train")
    mine = assign(examples.shard_lengths("train"), machines)[index]
    return {name for number, name in enumerate(files) if number not in mine}


@dataclass(frozen=True)
class FileSharding:
    """How machines that each read their own shard files share the steps of an epoch.

    Of its own examples every machine takes an equal share in each step, to within one:
    so all take as many steps, and every example comes once. Every step has as many
    rows on every machine; rows that are left are filled with examples of the step once
    more, of weight 0.

    Args:
        lengths: number of examples in each shard file.
        machines: how many machines there are.
        batch_size: most examples in a step, of all machines, on average.
        devices: devices of a machine, which share its rows.

    Raises:
        InputError: there are fewer files than machines, or a machine would have no
            example in a step.

    Example:
    >>> sharding = FileSharding((30, 20), machines=2, batch_size=10)
    >>> sharding.steps, sharding.rows
    (5, 6)
    >>> [sharding.part(machine, step=0) for machine in (0, 1)]
    [6, 4]
    """

    lengths: tuple[int, ...]
    machines: int
    batch_size: int
    devices: int = 1

    def __post_init__(self) -> None:
        fewest = min(self.examples)
        if fewest < self.steps:
            raise InputError(
                "--trainer.sharding file: expected an example in each of the "
                f"{self.steps} steps of an epoch on every machine; the shard files of "
                f"machine {self.examples.index(fewest)} of {self.machines} have "
                f"{fewest}: raise --trainer.batch-size, or write more shard files of "
                "like size with --example-gen.examples-per-shard"
            )

    @cached_property
    def files(self) -> tuple[tuple[int, ...], ...]:
        """For each machine the numbers of its files."""
        return assign(self.lengths, self.machines)

    @cached_property
    def examples(self) -> tuple[int, ...]:
        """For each machine the number of its examples."""
        return tuple(sum(self.lengths[file] for file in mine) for mine in self.files)

    @property
    def steps(self) -> int:
        """Number of steps of an epoch."""
        return math.ceil(sum(self.lengths) / self.batch_size)

    @property
    def rows(self) -> int:
        """Rows of a step on each machine: what the largest part needs."""
        largest = math.ceil(max(self.examples) / self.steps)
        return math.ceil(largest / self.devices) * self.devices

    def stretches(self, machine: int) -> list[tuple[int, int]]:
        """For each file of a machine the place of its first example, and how many."""
        starts = [sum(self.lengths[:file]) for file in range(len(self.lengths))]
        return [(starts[file], self.lengths[file]) for file in self.files[machine]]

    def part(self, machine: int, step: Any) -> Any:
        """Number of a machine's examples in a step; `step` may be a tensor."""
        examples = self.examples[machine]
        return (step + 1) * examples // self.steps - step * examples // self.steps

    def step_of(self, machine: int, place: Any) -> Any:
        """The step that takes a machine's example at a place of its epoch."""
        return ((place + 1) * self.steps - 1) // self.examples[machine]

    def whole(self, step: Any) -> Any:
        """Number of all machines' examples in a step."""
        return sum(self.part(machine, step) for machine in range(self.machines))
