"""What the course's chapters use: exercises that check themselves, and two languages.

from dlkeras.testing.course import check

check("12.2", (27, 13, 6))
"""

import hashlib
import math
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

EXERCISES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("course_exercises.toml").read_text("utf-8")
)
language = os.environ.get("DLKERAS_LANGUAGE", "en")  # of the pictures: "en" or "pt"


def say(english: str, portuguese: str) -> str:
    """Return the words in the reader's language.

    Args:
        english: what an English notebook shows.
        portuguese: what it shows where the environment variable `DLKERAS_LANGUAGE` is
            `pt`.

    Returns:
        One of the two.

    Example:
    >>> say("a loss", "um custo")
    'a loss'
    """
    portuguese_now = os.environ.get("DLKERAS_LANGUAGE", "en") == "pt"
    return portuguese if portuguese_now else english


def check(number: str, answer: Any = None) -> bool | None:
    """Say whether your answer to an exercise is right, nearly right, or not yet.

    Args:
        number: the chapter and the exercise, e.g. `"08.2"`.
        answer: a number, a word, or several of them in the order that the exercise
            asks for. A number may be a little off where it is measured.

    Returns:
        True if the answer is right, False if it is not, None without an answer. What
        to look at again is printed.

    Raises:
        ValueError: The course has no such exercise.

    Example:
    >>> check("09.2", (73_856, 102_464))
    09.2: right.
    True
    >>> check("09.2", (73_728, 102_400))
    09.2: nearly. Each map has a bias, too.
    False
    """
    exercise = EXERCISES.get(number)
    if exercise is None:
        raise ValueError(
            f"the course has no exercise {number!r}: chapters 01 to 16 have the "
            'exercises 1 to 3, e.g. check("08.2", answer)'
        )
    if answer is None:
        say_so = say("put your answer in place of None.",
                     "coloque a sua resposta no lugar de None.")  # fmt: skip
        print(f"{number}: {say_so}")
        return None
    given = values(answer)
    asked = exercise["right"][0].split(".")
    if len(given) != len(asked):
        count = say(f"{len(asked)} asked for, you gave {len(given)}.",
                    f"o exercício pede {len(asked)}, você deu {len(given)}."
                    )  # fmt: skip
        print(f"{number}: {count}")
        return False
    tolerance = exercise.get("tolerance", 0.0)
    if any(_matches(number, given, seal, tolerance) for seal in exercise["right"]):
        print(f"{number}: {say('right.', 'certo.')}")
        return True
    hint, nearly = exercise, False
    for trap in exercise.get("traps", []):
        if _matches(number, given, trap["mistake"], tolerance):
            hint, nearly = trap, True
    nearly = nearly or any(
        _matches(number, given, seal, coarse(tolerance))
        for seal in exercise.get("near", [])
    )
    verdict = (say("nearly.", "quase.") if nearly else
               say("not yet. Look again:", "ainda não. Veja de novo:"))  # fmt: skip
    print(f"{number}: {verdict} {say(hint['en'], hint['pt'])}")
    return False


def compare(ours: Any, library: Any, *, rtol: float = 1e-7, atol: float = 0.0) -> bool:
    """Compare what a chapter computes by hand with what the library computes.

    A difference is said and does not stop the notebook: you may have changed one side
    on purpose. The tests that run the chapters set `DLKERAS_STRICT`, and there it is
    an error.

    Args:
        ours: numbers of any shape, computed by hand.
        library: numbers of the same shape.
        rtol: how much they may differ, as a share of the library's.
        atol: how much they may differ, absolutely.

    Returns:
        True if they agree.

    Raises:
        AssertionError: They differ, and `DLKERAS_STRICT` is set.

    Example:
    >>> compare(0.5 + 0.25, 0.75)
    True
    >>> compare([1.0, 2.0], [1.0, 2.5], atol=0.1)
    By hand and in the library differ by up to 0.5: what did you change, and ...
    False
    """
    first, second = np.asarray(ours), np.asarray(library)
    if first.shape != second.shape and first.size > 1 < second.size:
        words = say(
            f"By hand the shape is {first.shape}, in the library {second.shape}",
            f"À mão o formato é {first.shape}, na biblioteca {second.shape}",
        )
    elif first.dtype.kind in "US" or second.dtype.kind in "US":
        if (first == second).all():
            return True
        words = say(
            "By hand and in the library differ", "À mão e na biblioteca diferem"
        )
    elif np.allclose(first, second, rtol=rtol, atol=atol, equal_nan=True):
        return True
    else:
        apart = np.abs(first.astype(float) - second.astype(float)).max()
        words = say(f"By hand and in the library differ by up to {apart:.2g}",
                    f"À mão e na biblioteca diferem em até {apart:.2g}")  # fmt: skip
    words += say(": what did you change, and what must change with it?",
                 ": o que você mudou, e o que precisa mudar junto?")  # fmt: skip
    if os.environ.get("DLKERAS_STRICT"):
        raise AssertionError(words)
    print(words)
    return False


def values(answer: Any) -> list[str | float]:
    """Return an answer as a flat list of words and numbers.

    Example:
    >>> values((3, "Max pooling!"))
    [3.0, 'maxpooling']
    """
    if isinstance(answer, str):
        return ["".join(sign for sign in answer.casefold() if sign.isalnum())]
    if hasattr(answer, "detach"):
        answer = answer.detach()
    if isinstance(answer, dict):
        answer = list(answer.values())
    if hasattr(answer, "shape"):
        answer = np.asarray(answer).ravel().tolist()
    if isinstance(answer, Iterable):
        return [value for part in answer for value in values(part)]
    return [float(answer)]


def coarse(tolerance: float) -> float:
    """Return how far off an answer may be and still be called nearly right."""
    return max(0.1, 5 * tolerance)


def sealed(number: str, answer: Any, tolerance: float = 0.0) -> str:
    """Return what the course keeps of an answer: a digest, from which nobody reads it.

    Args:
        number: the chapter and the exercise, e.g. `"08.2"`.
        answer: what is right, as for `check`.
        tolerance: relative; the digest is that of the logarithm's bin.

    Example:
    >>> sealed("09.2", (73_856, 102_464)) == EXERCISES["09.2"]["right"][0]
    True
    """
    return ".".join(
        _digest(number, place, _bins(value, tolerance)[0])
        for place, value in enumerate(values(answer))
    )


def _bins(value: str | float, tolerance: float) -> list[str]:
    """Return a value's own bin, and those beside it."""
    if isinstance(value, str):
        return [value]
    if not (tolerance and value and math.isfinite(value)):
        return [f"{value:.10g}"]
    sign, place = math.copysign(1, value), math.log(abs(value)) / math.log1p(tolerance)
    return [f"{sign:+.0f}e{round(place) + step}" for step in (0, -1, 1)]


def _digest(number: str, place: int, text: str) -> str:
    return hashlib.sha256(f"{number}/{place}/{text}".encode()).hexdigest()[:10]


def _matches(number: str, given: list, seal: str, tolerance: float) -> bool:
    parts = seal.split(".")
    return len(parts) == len(given) and all(
        any(_digest(number, place, text) == part for text in _bins(value, tolerance))
        for place, (value, part) in enumerate(zip(given, parts, strict=True))
    )
