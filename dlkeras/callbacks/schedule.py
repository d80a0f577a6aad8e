"""Which steps a monitor measures: every so many, or as many as 1 % of the time buys."""

import math
import statistics
import time

# "auto": so many windows of calls, every other one measured, are timed, in
# turn with plain ones, after the first of each, which compiles. Windows, and not calls
# on their own: within them a backend works ahead, and a measured call may delay the
# next one. The cost is the larger of two estimates from so few windows: by the fastest,
# as everything else on the machine only adds, and by the median. The rest of the 1 % is
# for what is done between epochs, and for a cost that is larger than both.
WINDOWS = 5
CALLS = 8
BUDGET = 0.005
# What a clock cannot tell from nothing on a busy machine, and the longest gap.
LEAST_COST = 0.1
LONGEST = 100


class Schedule:
    """Decides call by call of the train function whether it is measured.

    Args:
        frequency: steps between two measurements, or `"auto"`.

    Attributes:
        step: the number of the last step of the call that runs; the first is 1.
        every: steps between two measurements, as far as they are settled.
        timing: whether calls are still to be timed.
        wanted: how many of the next calls are measured whatever the rhythm.
    """

    def __init__(self, frequency: int | str) -> None:
        self.timing = frequency == "auto"
        self.every = 1 if isinstance(frequency, str) else int(frequency)
        self.step = self._next = self._call = self.wanted = 0
        self._resumed: tuple[int, int] | None = None
        # How long windows took, with measured calls and without, and the present one:
        # its calls so far, its length, whether it is to have measured ones; how many of
        # them the last such window has.
        self._seconds: dict[bool, list[float]] = {True: [], False: []}
        self._done, self._window = 0, CALLS
        self._turn, self._sampled = True, 0
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
        self._done = 0
        if planned is not None:
            self._fit_windows(math.ceil(planned / per_call))

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
        if self._done:  # what happens between epochs must not be timed
            self._done = 0
            self._fit_windows(self._call)
        self._call = 0

    def _fit_windows(self, calls: int) -> None:
        """Let two windows fit into an epoch of so many calls, each with an update."""
        updates = self.accumulation * math.ceil(CALLS / self.accumulation)
        window = max(1, min(updates, calls // 2))
        if window != self._window:  # times of other windows cannot be compared
            self._window, self._seconds = window, {True: [], False: []}

    def due(self) -> bool:
        """Whether the call that begins now is measured."""
        steps = self.per_call
        if steps > 1 and self.planned is not None:
            steps = max(1, min(steps, self.planned - self._call * self.per_call))
        self._call += 1
        self.step += steps
        if self.wanted and not self._done:  # never within a window that is timed
            self.wanted -= 1
            return True
        if self.timing:
            if not self._done:
                self._start = time.perf_counter()
                self._sampled = 0 if self._turn else self._sampled
            self._done += 1
        if self.step < self._next:
            return False
        if self.accumulation > 1 and not self.skips and self.step % self.accumulation:
            return False  # this gradient is a part of one
        if self.timing:
            apart = self.accumulation > 1 and not self.skips
            measured = self._turn and (apart or self._done % 2 == 1)
            self._sampled += measured
            return measured
        if self.accumulation > 1 and self.skips:
            # One of so many calls updates; which one, only the device knows.
            if self.step - self._next + 1 >= self.accumulation * self.per_call:
                self._next = self.step + max(1, self.every - self.accumulation)
        else:
            self._next = self.step + self.every
        return True

    @property
    def to_be_timed(self) -> bool:
        """Whether a window of calls has ended: `timed` waits for the last one's end."""
        return self.timing and self._done >= self._window

    def timed(self) -> None:
        """A window has ended; after enough of both kinds `every` is settled."""
        self._done = 0
        if self._turn and not self._sampled:
            return  # it had no update
        self._seconds[self._turn].append(time.perf_counter() - self._start)
        self._turn = not self._turn
        if min(len(times) for times in self._seconds.values()) <= WINDOWS:
            return
        costs = [LEAST_COST]
        for typical in (min, statistics.median):
            plain, slow = (typical(self._seconds[kind][1:]) for kind in (False, True))
            costs.append((slow - plain) / plain * self._window / self._sampled)
        cost = max(costs)
        if self.skips:  # so many calls are measured to meet an update
            cost *= self.accumulation
        self.every = min(math.ceil(cost / BUDGET) * self.per_call, LONGEST)
        self._next = self.step + self.every
        self.timing = False
