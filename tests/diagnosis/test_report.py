"""A verdict names one cause; what it explains is evidence; opposites are not said."""

import re
from pathlib import Path

import numpy as np

from dlkeras.diagnosis import report
from dlkeras.diagnosis.finding import TrainingFinding, cause, found, summary
from dlkeras.diagnosis.report import CAUSES, judge


def test_dead_units_under_unscaled_pixels_are_evidence_of_the_pixels():
    pixels = cause(
        "inputs_0_to_255", "inputs are 0 to 255", fix="Rescaling(1 / 255)",
        severity="warning",
    )  # fmt: skip
    dead = found("dead_relu", "dense", 0.97, 0.5, "epoch 1")
    diagnosis = judge([dead, pixels])
    (told,) = diagnosis.told
    assert told.name == "inputs_0_to_255"
    assert told.evidence == ("so: dead relu 0.97 in 'dense'",)
    assert "leaky" not in str(diagnosis)


def test_one_rule_over_several_layers_is_one_line():
    rows = [found("dead_relu", name, 0.9, 0.5, "epoch 1") for name in "abc"]
    (told,) = judge(rows).told
    assert (told.layer, told.evidence) == ("a", ("and 2 more layers",))


def test_a_larger_and_a_smaller_learning_rate_are_never_advised_together():
    rows = [
        found("update_ratio_small", "", 0.0, 1e-5, "step 1"),
        found("learning_rate_too_large", "", 9.0, 2.0, "epoch 2"),
        found("update_ratio_large", "a", 0.1, 1e-2, "step 1", "note"),
    ]
    for first in (rows, rows[::-1]):
        diagnosis = judge(first)
        assert [f.name for f in diagnosis.told] == ["learning_rate_too_large"]
    slow = cause("learning_rate_below_usual", "too small", fix="Adam(1e-3)")
    assert [f.name for f in judge([slow, *rows])] == ["learning_rate_below_usual"]


def test_what_did_no_harm_is_a_note_but_not_a_number_lost_or_a_broken_loss():
    rows = [
        found("dead_relu", "a", 0.9, 0.5, "epoch 1"),
        found("vanishing_gradient", "a", 1e-4, 1e-3, "step 1"),
    ]
    assert judge(rows, learned=True).healthy and not judge(rows).healthy
    for name in ("non_finite", "overfitting"):
        row = found(name, "", 1.0, 0.0, "epoch 1", "warning")
        assert not judge([row], learned=True).healthy
    broken = cause("softmax_of_one_unit", "softmax of one unit", fix="sigmoid")
    assert not judge([broken], learned=True).healthy


def test_saturated_units_are_the_cause_only_where_nothing_was_learned():
    saturated = found("saturation", "a", 0.8, 0.5, "epoch 1", "note")
    assert judge([saturated]).healthy
    nothing = cause("nothing_learned", "a guess", fix="", severity="warning")
    (told,) = judge([nothing, saturated]).told
    assert (told.name, told.severity) == ("saturation", "warning")
    assert told.evidence == ("so: nothing learned",)


def test_a_healthy_verdict_says_what_was_looked_at_and_what_was_not():
    diagnosis = judge([], checked=("64 examples",), unseen=("no gradients",))
    assert diagnosis.healthy and len(diagnosis) == 0
    assert diagnosis.verdict == (
        "healthy: looked at 64 examples. Not looked at: no gradients."
    )


def test_notes_are_told_to_nobody():
    row = found("update_ratio_large", "a", 0.1, 1e-2, "step 1", "note")
    assert summary([row]) == []
    assert str(row).startswith("note: update ratio large in 'a'")


def test_every_name_has_one_place_in_the_order_of_causes():
    names = [name for tier in CAUSES for name in tier]
    assert len(names) == len(set(names))
    told = set()
    for file in (Path(report.__file__).parent / "rules").glob("*.py"):
        for call in file.read_text(encoding="utf-8").split("yield cause(")[1:]:
            call = call.split("# fmt: skip")[0]
            if 'severity="note"' not in call:
                told.add(re.search(r'"(\w+)"', call)[1])
    assert len(told) > 30 and told <= set(names)


def test_a_page_holds_the_verdict_and_the_curves_and_escapes_names():
    row = cause("relu_output", "ReLU <last>", "2 & 3", fix="softmax", source="a book")
    page = judge([row]).to_html({"loss": [2.0, 1.0, np.nan], "one": [1.0]})
    assert "ReLU &lt;last&gt;" in page and "2 &amp; 3" in page and "<last>" not in page
    assert "points='10.0,10.0 290.0,90.0'" in page and page.count("<svg") == 1


def test_a_finding_of_before_is_read_as_it_was_written():
    row = TrainingFinding("dead_relu", "error", "a", 1.0, 0.5, "epoch 1", "leaky ReLU")
    assert str(row) == (
        "error: dead relu in 'a' since epoch 1 (1, bound 0.5). Remedy: leaky ReLU."
    )
