"""What a stranger brings is drawn as it is, or refused in one line that says why."""

import pytest
from matplotlib.figure import Figure

from dlkeras import visualization as show
from tests.strangers.arrays import zoo
from tests.strangers.drawn import CALLS, drawn_by_call
from tests.strangers.looks import faults

# These draw nothing of arrays: what they take is a model, or a figure.
OTHERS = {"Box", "Figure", "Landscape", "in_language"}


def test_every_public_function_is_tried():
    assert {call.split(",")[0] for call in CALLS} == {*show.__all__} - OTHERS
    assert len(zoo()) > 50


@pytest.mark.parametrize("call", CALLS)
def test_what_a_stranger_brings_is_drawn_or_refused_in_one_line(call):
    drawn = set()
    for name, value in zoo().items():
        try:
            answer = CALLS[call](value)
        except (ValueError, TypeError) as error:
            message = str(error)
            assert "\n" not in message, (name, message)
            assert "eceived" in message, (name, message)
        else:
            drawn.add(name)
            if isinstance(answer, Figure):  # on a slide, read from the last row
                assert not faults(answer), name
    assert drawn == drawn_by_call()[call]
