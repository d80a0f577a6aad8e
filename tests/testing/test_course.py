"""Exercises that check themselves: right, nearly, or what to look at again."""

import re
from pathlib import Path

import numpy as np
import pytest

from dlkeras.testing.course import EXERCISES, check, compare, say, sealed

NUMBERS = [
    f"{chapter:02}.{exercise}" for chapter in range(1, 17) for exercise in (1, 2, 3)
]


def test_every_chapter_has_three_exercises_with_a_hint_in_both_languages():
    assert list(EXERCISES) == NUMBERS
    for number, exercise in EXERCISES.items():
        for words in (exercise, *exercise.get("traps", [])):
            assert words["en"] != words["pt"], number
            assert words["en"][-1] in ".?" and words["pt"][-1] in ".?", number


def test_no_answer_is_read_in_the_file():
    file = Path(__file__).parents[2] / "dlkeras/testing/course_exercises.toml"
    digests = re.findall(r"\"([0-9a-f.]{10,})\"", file.read_text("utf-8"))
    assert len(digests) > 100
    for answer in ("73856", "102464", "205524992", "268346", "11076608"):
        assert answer not in "".join(digests)
    # The same answer to another exercise, or in another place, has another digest.
    assert sealed("09.1", 4) != sealed("04.3", 4)
    first, second = sealed("12.2", (27, 27)).split(".")
    assert first != second


@pytest.mark.parametrize(
    ("number", "answer", "said"),
    [
        ("01.2", 0.6123, "right."),  # 2 / (1.81 + 1.8 cos(pi / 5))
        ("01.2", 0.3062, "nearly. That is 1 over the largest eigenvalue"),
        ("01.2", 0.65, "nearly. The limit is 2 over"),
        ("01.2", 7.0, "not yet. Look again: The limit is 2 over"),
        ("01.2", -0.6123, "not yet."),
        ("12.2", [27, 13, 6], "right."),
        ("12.2", np.array([27, 13, 6]), "right."),
        ("12.2", (28, 14, 7), "nearly. That rounds up"),
        ("12.2", (27, 13), "3 asked for, you gave 2."),
        ("06.2", " Xavier", "right."),
        ("06.2", "glorot_normal", "right."),
        ("06.2", "he", "nearly. He's is"),
        ("06.2", 3, "not yet."),
        ("13.2", 205_524_992, "right."),
        ("13.2", 205_520_896, "nearly. The units have biases"),
        ("08.2", None, "put your answer in place of None."),
    ],
)
def test_an_answer_is_right_nearly_or_told_what_to_look_at(
    number, answer, said, capsys, monkeypatch
):
    monkeypatch.delenv("DLKERAS_LANGUAGE", raising=False)
    found = check(number, answer)
    assert capsys.readouterr().out.startswith(f"{number}: {said}")
    assert found == (None if answer is None else said == "right.")


def test_the_tolerance_holds_on_both_sides_and_ends():
    for off in (0.98, 0.99, 1.01, 1.02):  # 2 % are allowed
        assert check("01.2", off * 0.61233)
    for off in (0.94, 1.06):
        assert not check("01.2", off * 0.61233)


def test_portuguese_is_said_where_the_notebook_is_portuguese(capsys, monkeypatch):
    monkeypatch.setenv("DLKERAS_LANGUAGE", "pt")
    assert check("06.2", "Glorot") and not check("06.2", "He")
    assert capsys.readouterr().out.splitlines()[0] == "06.2: certo."
    assert say("a loss", "um custo") == "um custo"


def test_an_exercise_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"no exercise '17\.1'"):
        check("17.1", 1)


def test_a_difference_is_said_to_a_reader_and_stops_our_own_runs(capsys, monkeypatch):
    monkeypatch.delenv("DLKERAS_STRICT", raising=False)
    assert compare([1.0, 2.0], np.array([1.0, 2.0 + 1e-9]))
    assert capsys.readouterr().out == ""
    assert not compare([1.0, 2.0], [1.0, 2.5], atol=0.1)
    assert "differ by up to 0.5" in capsys.readouterr().out
    assert not compare(np.zeros((2, 3)), np.zeros((3, 2)))
    assert "(2, 3), in the library (3, 2)" in capsys.readouterr().out
    monkeypatch.setenv("DLKERAS_STRICT", "1")
    with pytest.raises(AssertionError, match="what did you change"):
        compare(1.0, 2.0)
