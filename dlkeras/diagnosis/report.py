"""From findings to a verdict: the cause first, then what it explains."""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from dlkeras.diagnosis.finding import TrainingFinding

# From what breaks everything to what is only seen. A cause explains what is below.
CAUSES = (
    # Data that are no data.
    ("non_finite_inputs", "non_finite_labels", "inputs_not_numbers",
     "nothing_to_train"),
    # The last layer beside the loss and the labels.
    (
        "labels_not_whole", "labels_out_of_range", "labels_beyond_binary",
        "class_numbers_with_categorical_crossentropy", "softmax_of_one_unit",
        "crossentropy_of_one_unit", "softmax_for_several_labels",
        "categorical_crossentropy_for_several_labels", "relu_output",
        "sigmoid_with_categorical_crossentropy", "logits_without_from_logits",
        "probabilities_as_logits", "targets_out_of_reach",
        "one_hot_with_sparse_crossentropy",
    ),
    ("labels_all_equal", "inputs_all_equal", "ids_out_of_range", "equal_weights"),
    ("dropout_of_the_answers", "examples_mixed", "penalty_too_large",
     "schedule_at_zero"),
    # How the data come, and how far the weights go at a step.
    (
        "inputs_0_to_255", "columns_of_different_scales", "inputs_far_from_one",
        "targets_far_from_one", "validation_of_another_scale", "channels_first",
        "sorted_by_class", "learning_rate_above_usual", "learning_rate_below_usual",
    ),
    ("labels_unrelated", "one_class_nearly_always", "dropout_too_large",
     "softmax_in_a_hidden_layer", "no_activation", "regression_loss_for_classes",
     "wide_initial_weights", "too_few_units", "normalization_of_the_answers",
     "normalization_of_one"),
    # What the monitors measure.
    ("non_finite",),
    ("learning_rate_too_large", "exploding_gradient"),
    ("vanishing_gradient", "no_gradient", "frozen_layer_moves"),
    ("saturation", "dead_relu", "update_ratio_small"),
    ("too_few_steps", "unsteady_loss"),
    ("negative_cross_entropy", "overfitting"),
    # And what is only another word for "it does not learn".
    ("worse_than_guessing", "nothing_learned", "one_answer", "less_than_neighbours",
     "loss_not_decreasing"),
    ("update_ratio_large", "poor_initialization"),
)  # fmt: skip
TIER = {name: tier for tier, names in enumerate(CAUSES) for name in names}
# Of causes in one tier all are told; of those above this none is a symptom of another.
FIRST_SYMPTOM = TIER["non_finite"]
NOT_LEARNED = TIER["nothing_learned"]
NO_WAY_BACK = ("no_gradient",)
MAY_BE_HEALTHY = ("saturation", "dead_relu")
# Those before this are wrong whatever training makes of them.
FIRST_OUTCOME = TIER["penalty_too_large"]
# Who advises shorter steps, and who longer ones: never both.
STEPS = (
    {
        "learning_rate_above_usual", "learning_rate_too_large", "update_ratio_large",
        "unsteady_loss",
    },
    {"learning_rate_below_usual", "update_ratio_small", "too_few_steps"},
)  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """What was found, the cause first.

    Attributes:
        findings: causes with what they explain as their evidence, then notes.
        checked: what was looked at, in words.
        unseen: what could not be looked at, and why.
    """

    findings: list[TrainingFinding] = field(default_factory=list)
    checked: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def told(self) -> list[TrainingFinding]:
        """Errors and warnings."""
        return [finding for finding in self.findings if finding.severity != "note"]

    @property
    def healthy(self) -> bool:
        """Whether nothing beyond notes was found."""
        return not self.told

    @property
    def verdict(self) -> str:
        """One line: the cause, or that the training is healthy and what was checked."""
        if self.told:
            return str(self.told[0])
        unseen = f" Not looked at: {'; '.join(self.unseen)}." if self.unseen else ""
        return f"healthy: looked at {', '.join(self.checked) or 'nothing'}.{unseen}"

    def __str__(self) -> str:
        return "\n".join([self.verdict, *map(str, self.findings[bool(self.told) :])])

    def __iter__(self) -> Iterator[TrainingFinding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def to_html(self, curves: dict[str, list[float]] | None = None) -> str:
        """A page of its own: the verdict, the evidence, and the curves as a picture.

        Args:
            curves: values by epoch of what should be drawn, such as `loss`.
        """
        rows = "".join(
            f"<tr class={f.severity}><td>{f.severity}</td><td>{html.escape(f.layer)}"
            f"</td><td>{html.escape(f.what or f.name.replace('_', ' '))}</td><td>"
            f"{html.escape('; '.join(f.evidence))}</td><td><code>"
            f"{html.escape(f.fix or f.remedy)}</code></td><td>{html.escape(f.source)}"
            "</td></tr>"
            for f in self.findings
        )
        drawn = "".join(_curve(name, values) for name, values in (curves or {}).items())
        return (
            "<!doctype html><meta charset=utf-8><title>Diagnosis</title><style>"
            ":root{color-scheme:light dark}body{font:16px sans-serif;margin:2em}"
            "td,th{padding:.4em;text-align:left;vertical-align:top}"
            ".error{background:#d336}.warning{background:#da26}</style>"
            "<h1>Why does it not learn?</h1>"
            f"<p><b>{html.escape(self.verdict)}</b></p>{drawn}<table><tr><th>How bad"
            "<th>Where<th>What<th>Evidence<th>Change<th>Source</tr>"
            f"{rows}</table>\n"
        )


def _curve(name: str, values: list[float]) -> str:
    """A small line chart as SVG."""
    known = [v for v in values if v == v and abs(v) != float("inf")]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    span = high - low or 1.0
    points = " ".join(
        f"{10 + 280 * i / (len(known) - 1):.1f},{90 - 80 * (v - low) / span:.1f}"
        for i, v in enumerate(known)
    )
    return (
        f"<figure><svg width=300 height=100><polyline points='{points}' fill=none "
        f"stroke='#3a87c8' stroke-width=2 /></svg><figcaption>{html.escape(name)}: "
        f"{known[0]:.4g} to {known[-1]:.4g}</figcaption></figure>"
    )


def judge(
    findings: Iterable[TrainingFinding],
    *,
    learned: bool = False,
    learned_well: bool = True,
    checked: tuple[str, ...] = (),
    unseen: tuple[str, ...] = (),
) -> Diagnosis:
    """Order findings by cause; what a cause explains becomes its evidence.

    Args:
        findings: of all rules.
        learned: whether the training knows more than a constant answer: what the
            monitors have seen did no harm then.
        learned_well: whether hardly anything is left to learn: otherwise a layer that
            no gradient reaches may be what it lacks.
        checked: what was looked at.
        unseen: what could not be.
    """
    one_each: dict[str, list[TrainingFinding]] = {}
    for finding in findings:
        one_each.setdefault(finding.name, []).append(finding)
    merged = [_of_several_layers(same) for same in one_each.values()]
    if learned:
        harmful = {"non_finite", "overfitting", *([] if learned_well else NO_WAY_BACK)}
        merged = [
            replace(finding, severity="note")
            if _tier(finding) >= FIRST_SYMPTOM and finding.name not in harmful
            else finding
            for finding in merged
        ]
    if any(f.severity != "note" and _tier(f) == NOT_LEARNED for f in merged):
        # What may be healthy is the likely cause where nothing is learned.
        merged = [
            replace(f, severity="warning")
            if f.severity == "note" and f.name in MAY_BE_HEALTHY
            else f
            for f in merged
        ]
    # The surest of a tier first.
    sure = {"certain": 0, "likely": 1, "": 2, "possible": 3}
    merged.sort(key=lambda f: (_tier(f), f.rank, sure[f.sure]))
    merged = _of_one_mind(merged)
    told = [finding for finding in merged if finding.severity != "note"]
    notes = [finding for finding in merged if finding.severity == "note"]
    if told:
        first = told[0]
        explained = [f for f in told[1:] if _explains(first, f)]
        told = [f for f in told[1:] if f not in explained]
        seen = tuple(_short(f) for f in explained)
        told = [replace(first, evidence=(*first.evidence, *seen)), *told]
    return Diagnosis([*told, *notes], checked, unseen)


def _tier(finding: TrainingFinding) -> int:
    return TIER.get(finding.name, len(CAUSES))


def _explains(first: TrainingFinding, other: TrainingFinding) -> bool:
    """Whether a finding is what one would expect to see under another."""
    if _tier(other) >= FIRST_SYMPTOM:
        return True
    return _tier(first) < 4 and _tier(other) > _tier(first)


def _of_one_mind(findings: list[TrainingFinding]) -> list[TrainingFinding]:
    """Without findings whose advice contradicts the first and worst one's."""
    ways = [
        way
        for finding in sorted(findings, key=lambda f: f.severity == "note")
        for way in STEPS
        if finding.name in way
    ]
    if not ways:
        return findings
    (opposite,) = [way for way in STEPS if way is not ways[0]]
    return [finding for finding in findings if finding.name not in opposite]


def _short(finding: TrainingFinding) -> str:
    where = f" in {finding.layer!r}" if finding.layer else ""
    value = f" {finding.value:.3g}" if finding.value == finding.value else ""
    return f"so: {finding.name.replace('_', ' ')}{value}{where}"


def _of_several_layers(same: list[TrainingFinding]) -> TrainingFinding:
    """One line for one rule, however many layers it has found."""
    worst = min(same, key=lambda finding: finding.rank)
    others = {finding.layer for finding in same} - {worst.layer, ""}
    if not others:
        return worst
    return replace(worst, evidence=(*worst.evidence, f"and {len(others)} more layers"))
