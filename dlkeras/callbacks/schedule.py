"""Which steps a monitor measures: every so many, or as many as 1 % of the time buys."""

import math

# "auto": so many measured and plain steps are timed, after the first of each, which
# compiles. The fastest of each counts, as everything else on the machine only adds. The
# rest of the 1 % is for what is done between epochs, and for so few samples' error.
TIMED = 5
BUDGET = 0.0075
# What a clock cannot tell from nothing on a busy machine, and the longest gap.
LEAST_COST = 0.05
LONGEST = 100


class Schedule:
    """Decides call by call of the train function whether it is measured.

    Args:
        frequency: steps between two measurements, or `"auto"`.

    Attributes:
        step: the number of the last step of the call that runs; the first is 1.
        every: steps between two measurements, as far as they are settled.
        timing: whether calls are still to be timed.
    """

    def __init__(self, frequency: int | str) -> None:
        self.timing = frequency == "auto"
        self.every = 1 if isinstance(frequency, str) else int(frequency)
        self.step = self._next = self._call = 0
        self._resumed: tuple[int, int] | None = None
        self._seconds: dict[bool, list[float]] = {True: [], False: []}
        self._turn = True
        self.begin(0)

    def begin(
        self,
        step: int,
        *,
        per_call: int = 1,
        planned: int | None = None,
        accumulation: int = 1,
        skips: bool = False,
    ) -> None:
        """A training begins.

        Args:
            step: steps done before.
            per_call: steps in one call of the train function.
            planned: steps in an epoch, None if not known.
            accumulation: steps that share an update; only the update is measured.
            skips: whether the optimizer skips steps, so that updates shift.
        """
        self.step, self._next, self._call = step, step + 1, 0
        if self._resumed is not None:
            (self.step, self._next), self._resumed = self._resumed, None
        self.per_call, self.planned = per_call, planned
        self.accumulation, self.skips = accumulation, skips

    def get_state(self) -> dict[str, int] | None:
        """The rhythm, once it is settled: what `resume` takes."""
        if self.timing:
            return None
        return {"every": self.every, "step": self.step, "next": self._next}

    def resume(self, every: int, step: int, next: int) -> None:
        """Go on with the rhythm of an earlier training when the next one begins.

        Args:
            every: steps between two measurements, as they had been settled.
            step: steps done, which are more than the optimizer's iterations if it
                has skipped some.
            next: the step from which on the next call is measured.
        """
        self.timing, self.every, self._resumed = False, every, (step, next)

    def epoch(self) -> None:
        """An epoch begins: its last call may have fewer steps than the others."""
        self._call = 0

    def due(self) -> bool:
        """Whether the call that begins now is measured."""
        steps = self.per_call
        if self.planned is not None:
            steps = max(1, min(steps, self.planned - self._call * self.per_call))
        self._call += 1
        self.step += steps
        if self.step < self._next:
            return False
        if self.accumulation > 1 and not self.skips and self.step % self.accumulation:
            return False  # this gradient is a part of one
        if self.timing:
            self._turn = not self._turn
            return not self._turn
        if self.accumulation > 1 and self.skips:
            # One of so many calls updates; which one, only the device knows.
            if self.step - self._next + 1 >= self.accumulation * self.per_call:
                self._next = self.step + max(1, self.every - self.accumulation)
        else:
            self._next = self.step + self.every
        return True

    def timed(self, measured: bool, seconds: float) -> None:
        """How long a call took; after enough of both kinds `every` is settled."""
        self._seconds[measured].append(seconds)
        if min(len(times) for times in self._seconds.values()) <= TIMED:
            return
        plain, slow = (min(self._seconds[kind][1:]) for kind in (False, True))
        cost = max((slow - plain) / plain, LEAST_COST)
        self.every = min(math.ceil(cost / BUDGET) * self.per_call, LONGEST)
        self._next = self.step + self.every
        self.timing = False
