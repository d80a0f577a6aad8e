"""How "auto" finds out what measuring costs, on a clock that the test turns."""

import itertools
import math
import time

import pytest

from dlkeras.callbacks.schedule import BUDGET, CALLS, LEAST_COST, LONGEST, Schedule


class Training:
    """Steps that take 1 second, and more where they are measured.

    Args:
        dearer: seconds that a measured call takes more.
        delay: seconds that the call after a measured one takes more.
        between: seconds between two epochs: validation, say.
        disturbed: calls, by number, that take half a second more.
    """

    def __init__(
        self, monkeypatch, dearer=0.0, delay=0.0, between=0.0, disturbed=(), **begin
    ):
        self.dearer, self.delay, self.between = dearer, delay, between
        self.disturbed, self.now, self.calls = disturbed, 0.0, 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        self.schedule, self.measured, self.begin = Schedule("auto"), [], begin

    def fit(self, epochs, calls):
        schedule, late = self.schedule, 0.0
        schedule.begin(schedule.step, **self.begin)
        for _ in range(epochs):
            schedule.epoch()
            for _ in range(calls):
                due = schedule.due()
                self.now += 1 + due * self.dearer + late
                self.now += 0.5 * (self.calls in self.disturbed)
                self.calls += 1
                late = due * self.delay
                if due:
                    self.measured.append(schedule.step)
                if schedule.to_be_timed:
                    schedule.timed()
            self.now += self.between
        return schedule.every


def every(cost):
    return min(LONGEST, math.ceil(round(max(cost, LEAST_COST) / BUDGET, 9)))


@pytest.mark.parametrize("dearer", [-0.2, 0.01, 0.1375, 0.3125, 5.0])
def test_the_gap_is_so_long_that_measuring_takes_its_share(monkeypatch, dearer):
    training = Training(monkeypatch, dearer)
    assert training.fit(1, 400) == every(dearer)
    assert training.measured[:5] == [1, 3, 5, 7, 17]
    late = training.measured[24:]
    assert {b - a for a, b in itertools.pairwise(late)} == {every(dearer)}


def test_what_a_measured_call_makes_the_next_one_wait_is_counted(monkeypatch):
    assert Training(monkeypatch, 0.125, delay=0.3125).fit(1, 200) == every(0.4375)


@pytest.mark.parametrize("planned", [None, 10])
def test_what_happens_between_epochs_is_not_timed(monkeypatch, planned):
    """Ten calls an epoch: windows of five or of eight, none across an epoch's end."""
    training = Training(monkeypatch, 0.3125, between=1000.0, planned=planned)
    assert training.fit(40, 10) == every(0.3125)


@pytest.mark.parametrize("calls", [1, 2, 3])
@pytest.mark.parametrize("known", [True, False])
def test_epochs_of_few_calls_are_timed_call_by_call(monkeypatch, calls, known):
    planned = calls if known else None
    training = Training(monkeypatch, 0.3125, between=1000.0, planned=planned)
    assert training.fit(60, calls) == every(0.3125)
    if known:
        assert training.measured[:4] == [1, 3, 5, 7]


def test_fits_of_an_epoch_each_settle_too(monkeypatch):
    training = Training(monkeypatch, 0.3125, between=50.0)
    for _ in range(12):
        training.fit(1, 12)
    assert training.schedule.every == every(0.3125)


def windows(*numbers):
    """The calls of some windows; those with even numbers have measured ones."""
    return [CALLS * number + call for number in numbers for call in range(CALLS)]


def test_most_plain_windows_may_be_disturbed(monkeypatch):
    """By their median measuring would cost nothing; the fastest counts, too."""
    training = Training(monkeypatch, 0.3125, disturbed=windows(3, 5, 7))
    assert training.fit(1, 200) == every(0.3125)


def test_one_measured_window_may_be_spared_what_disturbs_the_others(monkeypatch):
    """By the fastest measuring would cost nothing; the median counts, too."""
    everywhere = sorted(set(windows(*range(12))) - set(windows(4)))
    training = Training(monkeypatch, 0.3125, disturbed=everywhere)
    assert training.fit(1, 200) == every(0.3125 / 1.5)


@pytest.mark.parametrize("accumulation", [2, 3, 11])
def test_of_an_accumulated_update_only_the_last_step_is_measured(
    monkeypatch, accumulation
):
    training = Training(monkeypatch, 0.3125, accumulation=accumulation)
    assert training.fit(1, 600) == every(0.3125)
    assert {step % accumulation for step in training.measured} == {0}


def test_where_any_step_may_update_as_many_are_measured_and_paid_for(monkeypatch):
    training = Training(monkeypatch, 0.1031, accumulation=4, skips=True)
    assert training.fit(1, 400) == every(4 * 0.1031)
    late = [step for step in training.measured if step > 12 * CALLS]
    assert late[1] - late[0] == 1 and late[4] - late[3] > 1
    share = len(late) / (400 - 12 * CALLS)
    assert 0.1031 * share <= 0.01


def test_several_steps_a_call_are_counted_as_steps(monkeypatch):
    assert Training(monkeypatch, 0.1375, per_call=3).fit(1, 200) == 28 * 3


def test_calls_that_are_wanted_are_measured_before_any_window():
    schedule = Schedule("auto")
    schedule.begin(0)
    schedule.epoch()
    schedule.wanted = 3
    assert [schedule.due() for _ in range(3)] == [True] * 3
    assert not schedule.to_be_timed and schedule.timing
    assert [schedule.due() for _ in range(4)] == [True, False, True, False]
    schedule.wanted = 1  # not within a window: it is timed
    assert [schedule.due() for _ in range(4)] == [True, False, True, False]
    schedule.timed()
    assert schedule.due() and schedule.wanted == 0 and not schedule.due()
