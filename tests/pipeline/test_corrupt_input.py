"""Every kind of corrupt input is named, counted and listed, in less than 1 GiB."""

import re

import pytest
from corrupt_input import CASES, GOOD, run_case


def test_there_are_at_least_30_cases_with_names_of_their_own():
    assert len({case.name for case in CASES}) == len(CASES) >= 30


@pytest.mark.parametrize(
    "case",
    [
        # A hundred thousand files take a minute.
        pytest.param(case, marks=[pytest.mark.job] * ("100,000" in case.name))
        for case in CASES
    ],
    ids=[case.name for case in CASES],
)
def test_corrupt_input_is_named_counted_and_takes_less_than_1_gib(case):
    outcome = run_case(case)
    assert re.search(case.named, outcome.message, re.DOTALL), outcome.message
    assert bool(outcome.message) == (case.lost != 0)
    assert outcome.megabytes < 1024
    lost = sum(each["examples"] for each in outcome.quarantined)
    if case.lost is None or not outcome.kept:
        assert outcome.refused
        return
    assert lost == case.lost
    assert all(each["id"] and each["reason"] for each in outcome.quarantined)
    # Nothing is dropped: what was there is kept or listed.
    assert outcome.kept in (GOOD, GOOD - lost)
