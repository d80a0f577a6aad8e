"""Runs the checks of a conformance suite and tells everything they found."""

import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any


def expect(condition: Any, message: str) -> None:
    """Raise `AssertionError` with the message unless the condition holds.

    Unlike an `assert` statement this works under `python -O` and needs no pytest.
    """
    if not condition:
        raise AssertionError(message)


def run_checks(
    subject: str,
    checks: Mapping[str, Callable[[], bool | None]],
    skip: Collection[str],
    only: Collection[str] = (),
) -> tuple[str, ...]:
    """Run the checks that are not skipped and raise one error with all findings.

    Args:
        subject: What is checked, for the message.
        checks: The checks by name. A check raises when it finds something and
            returns `False` if it does not apply to the subject.
        skip: Names of checks to leave out.
        only: Names of the checks to run; all if there is none.

    Returns:
        The names of the checks that passed.

    Raises:
        AssertionError: If a check found something.
        ValueError: If `skip` or `only` names a check that does not exist.
    """
    for argument, names in (("skip", skip), ("only", only)):
        unknown = sorted(set(names) - set(checks))
        if unknown:
            raise ValueError(
                f"`{argument}` must name checks among {', '.join(checks)}. "
                f"Received: {argument} with {unknown}"
            )
    passed, findings = [], []
    for name, check in checks.items():
        if name in skip or (only and name not in only):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                applies = check()
        except AssertionError as error:
            findings.append(f"{name}: {error}")
        except Exception as error:  # whatever the subject raises is the finding
            findings.append(f"{name}: raised {type(error).__name__}: {brief(error)}")
        else:
            if applies is not False:
                passed.append(name)
    if findings:
        raise AssertionError(
            f"{subject} fails {len(findings)} of {len(findings) + len(passed)} checks:"
            + "".join(f"\n- {finding}" for finding in findings)
        )
    return tuple(passed)


def brief(error: BaseException) -> str:
    """Return an error's message on one line, without colours, at most 300 long."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:297] + "..."
