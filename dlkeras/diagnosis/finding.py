"""What a rule finds: the problem, the remedy, and the words for both."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

# From the worst on. A note is what healthy trainings may show, too: nobody is told.
SEVERITIES = ("error", "warning", "note")
REMEDIES = {
    "vanishing_gradient": "use a nonsaturating activation (ReLU, leaky ReLU) with He "
    "initialization, or tanh with Xavier; batch normalization; a skip connection",
    "exploding_gradient": "Xavier initialization for tanh and sigmoid, He for ReLU; "
    "gradient clipping (`global_clipnorm`); batch normalization; a smaller learning "
    "rate",
    "non_finite": "a smaller learning rate; gradient clipping (`global_clipnorm`); He "
    "initialization for ReLU; look for a logarithm or division of 0 in this layer",
    "dead_relu": "a smaller learning rate; leaky ReLU, whose units can wake up; He "
    "initialization",
    "saturation": "Xavier initialization for tanh and sigmoid; a nonsaturating "
    "activation (ReLU with He initialization); batch normalization; scaled inputs",
    "update_ratio_small": "a larger learning rate",
    "update_ratio_large": "a smaller learning rate, or gradient clipping",
    "poor_initialization": "Xavier initialization for tanh and sigmoid, He for ReLU; "
    "batch normalization",
    "learning_rate_too_large": "a smaller learning rate: steepest descent diverges "
    "beyond 2 / lambda_max",
    "loss_not_decreasing": "another learning rate; check that inputs and labels belong "
    "together",
    "overfitting": "early stopping; dropout or weight decay; data augmentation",
    "one_answer": "fit 32 examples first; look at the balance of the labels, at the "
    "range of the inputs, and at the learning rate",
    "frozen_layer_moves": "call `compile` after setting `trainable`; call a frozen "
    "batch normalization with `training=False`",
    "no_gradient": "connect the layer to the loss; look for `stop_gradient`, an "
    "argmax or a rounding after it, or units that are all dead",
}


@dataclass(frozen=True)
class TrainingFinding:
    """One thing that is wrong with a training.

    Attributes:
        name: which rule found it, e.g. `vanishing_gradient`.
        severity: `"error"`, `"warning"` where a training may still succeed, or
            `"note"` for what healthy trainings show, too.
        layer: the layer it was found in, "" for the whole network.
        value: what was measured.
        bound: the value beyond which the rule speaks.
        since: when it began, e.g. `step 12`, `epoch 3`.
        remedy: what the lecture advises.
        what: what is wrong, in a sentence.
        evidence: what was seen, in numbers.
        fix: one line of Keras code to change.
        source: where you can read about it.
        sure: `"certain"`, `"likely"` or `"possible"`.
    """

    name: str
    severity: str
    layer: str
    value: float
    bound: float
    since: str
    remedy: str
    what: str = ""
    evidence: tuple[str, ...] = ()
    fix: str = ""
    source: str = ""
    sure: str = ""

    @property
    def rank(self) -> int:
        """0 for an error, 1 for a warning, 2 for a note."""
        return SEVERITIES.index(self.severity)

    def __str__(self) -> str:
        where = f" in {self.layer!r}" if self.layer else ""
        if self.what:
            seen = f" ({'; '.join(self.evidence)})" if self.evidence else ""
            change = f". Change: {self.fix}" if self.fix else ""
            source = f" [{self.source}]" if self.source else ""
            return f"{self.severity}: {self.what}{where}{seen}{change}{source}"
        return (
            f"{self.severity}: {self.name.replace('_', ' ')}{where} since {self.since} "
            f"({self.value:.3g}, bound {self.bound:.3g}). Remedy: {self.remedy}."
        )


# The name of before.
Finding = TrainingFinding


def found(
    name: str,
    layer: str,
    value: float,
    bound: float,
    since: str,
    severity: str = "error",
) -> TrainingFinding:
    """What was measured beyond its bound, with its remedy."""
    remedy = REMEDIES[name]
    return TrainingFinding(name, severity, layer, float(value), bound, since, remedy)


def cause(
    name: str,
    what: str,
    *evidence: str,
    fix: str,
    source: str = "",
    severity: str = "error",
    layer: str = "",
    sure: str = "certain",
    value: float = float("nan"),
    bound: float = float("nan"),
) -> TrainingFinding:
    """What a person would name: the cause, what was seen of it, and what to change."""
    return TrainingFinding(
        name, severity, layer, value, bound, "the start", fix, what, evidence, fix,
        source, sure,
    )  # fmt: skip


def summary(findings: list[TrainingFinding]) -> list[str]:
    """A line for each kind of finding: its first layer, and how many more there are.

    Notes are left out.
    """
    lines: dict[tuple[str, str], list[TrainingFinding]] = {}
    for finding in findings:
        if finding.severity == "note":
            continue
        lines.setdefault((finding.severity, finding.name), []).append(finding)
    return [
        str(same[0]) + (f" The same in {len(same) - 1} more layers." * (len(same) > 1))
        for same in lines.values()
    ]


class Reporter:
    """Tells new findings once.

    Args:
        on_finding: `"warn"`, `"stop"`, a function of a finding, or None.
    """

    def __init__(
        self, on_finding: str | Callable[[TrainingFinding], Any] | None
    ) -> None:
        if on_finding not in ("warn", "stop", None) and not callable(on_finding):
            raise ValueError(
                '`on_finding` must be "warn", "stop", a function or None. '
                f"Received: on_finding={on_finding!r}"
            )
        self.on_finding = on_finding
        self.findings: list[TrainingFinding] = []

    def __call__(self, findings: list[TrainingFinding]) -> bool:
        """Report what is new; True if training should stop."""
        known = {(f.name, f.layer, f.severity) for f in self.findings}
        new = [f for f in findings if (f.name, f.layer, f.severity) not in known]
        self.findings += new
        if callable(self.on_finding):
            for finding in new:
                self.on_finding(finding)
        elif self.on_finding:
            for line in summary(new):
                print(line)
        errors = any(finding.severity == "error" for finding in new)
        return errors and self.on_finding == "stop"

    def state(self) -> list[dict[str, Any]]:
        """What has been told, as JSON."""
        return [asdict(finding) for finding in self.findings]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Know what an earlier reporter has told."""
        told = [TrainingFinding(**finding) for finding in state]
        self.findings = [replace(f, evidence=tuple(f.evidence)) for f in told]
