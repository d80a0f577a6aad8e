"""Rules on the inputs: their range, their scale, what is not a number among them."""

from collections.abc import Iterator

import numpy as np

from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import TrainingFinding, cause

SCALING = "LeCun et al., Efficient BackProp, 1998, 4.3"
# Inputs of a spread of 1 are what initialisers are made for.
LARGE, PIXELS, UNEQUAL, OTHER_SCALE = 10.0, 30.0, 100.0, 10.0
ROWS_TOLD = 3


def non_finite_inputs(facts: Facts) -> Iterator[TrainingFinding]:
    """NaN or infinity among the inputs: where, so that they can be found."""
    for values in facts.inputs:
        bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(1, bool)
        if not bad.any():
            continue
        rows = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
        where = [f"rows {rows[:ROWS_TOLD].tolist()} of those looked at"]
        if values.ndim == 2:
            columns = np.flatnonzero(bad.any(0))
            where.append(f"columns {columns[:ROWS_TOLD].tolist()}")
        yield cause(
            "non_finite_inputs",
            "inputs are not all numbers: one NaN makes every weight NaN",
            f"{bad.sum()} NaN or infinite", *where,
            fix="x = np.nan_to_num(x), or leave those rows out", value=bad.mean(),
            bound=0, source="IEEE 754: every sum with NaN is NaN",
        )  # fmt: skip


def unscaled(facts: Facts) -> Iterator[TrainingFinding]:
    """Pixels of 0 to 255, columns of different scales, numbers far from 1."""
    if facts.scaled_within or not any(layer.weights for layer in facts.layers):
        return
    for values in facts.inputs:
        if values.dtype.kind not in "biuf" or not values.size:
            continue
        numbers = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
        low, high = np.nanmin(numbers), np.nanmax(numbers)
        size = float(np.nanstd(numbers) + abs(np.nanmean(numbers)))
        severity = "note" if facts.learned_well else "warning"
        picture = values.ndim == 4 or (values.ndim == 2 and values.shape[1] >= 16)
        whole = bool(np.all(np.round(numbers) == numbers))
        if low >= 0 and PIXELS < high <= 255 and picture and whole:
            yield cause(
                "inputs_0_to_255",
                f"inputs are {low:g} to {high:g}: pixels that nobody scaled",
                f"mean {np.nanmean(numbers):.3g}, spread {np.nanstd(numbers):.3g}",
                severity=severity, source=SCALING, value=float(high), bound=PIXELS,
                fix="keras.layers.Rescaling(1 / 255) as the first layer",
                sure="likely",
            )  # fmt: skip
        elif values.ndim == 2 and values.shape[1] > 1 and _ratio(numbers) > UNEQUAL:
            spread = np.nanstd(numbers, 0)
            yield cause(
                "columns_of_different_scales",
                "the columns of the inputs have very different scales",
                f"spread {spread[spread > 0].min():.3g} to {spread.max():.3g}",
                f"column {int(spread.argmax())} is the widest",
                severity=severity, source=SCALING, value=_ratio(numbers),
                bound=UNEQUAL, sure="likely",
                fix="keras.layers.Normalization() as the first layer, adapted to x",
            )  # fmt: skip
        elif size > LARGE:
            yield cause(
                "inputs_far_from_one",
                "inputs are far larger than the initial weights are made for",
                f"{low:.3g} to {high:.3g}", severity=severity, source=SCALING,
                fix="keras.layers.Normalization() as the first layer, adapted to x",
                value=size, bound=LARGE, sure="likely",
            )  # fmt: skip


def _ratio(values: np.ndarray) -> float:
    """The widest column's spread over the narrowest's, if the widest is wide."""
    spread = np.nanstd(values, 0)
    spread = spread[spread > 0]
    wide = len(spread) and spread.max() > LARGE
    return float(spread.max() / spread.min()) if wide else 1.0


def constant(facts: Facts) -> Iterator[TrainingFinding]:
    """Inputs that are the same for every example."""
    for values in facts.inputs:
        if len(values) < 8 or values.dtype.kind not in "biuf":
            continue
        flat = values.reshape(len(values), -1)
        still = (flat == flat[:1]).all(0)
        if still.all():
            yield cause(
                "inputs_all_equal",
                "every example has the same inputs, so every answer is the same",
                f"{len(values)} examples looked at", source=SCALING,
                fix="look at how x is made: model.fit(x, y) got one example repeated",
            )  # fmt: skip
        elif still.any() and values.ndim == 2 and values.shape[1] < 16:
            columns = np.flatnonzero(still)[:ROWS_TOLD].tolist()
            yield cause(
                "constant_columns", "columns that never change say nothing",
                f"columns {columns}", severity="note", source=SCALING,
                fix=f"x = np.delete(x, {columns}, axis=1)", sure="likely",
            )  # fmt: skip


def not_numbers(facts: Facts) -> Iterator[TrainingFinding]:
    """Words or objects, and no layer that looks them up."""
    kinds = {type(layer).__name__ for layer in facts.layers}
    if kinds & {"TextVectorization", "StringLookup", "Hashing", "HashedCrossing"}:
        return
    for values in facts.inputs:
        if values.dtype.kind in "OSU":
            yield cause(
                "inputs_not_numbers", "the inputs are words or objects, and no numbers",
                f"dtype {values.dtype}, such as {values.flat[0]!r:.40}",
                fix="keras.layers.StringLookup() first, or numbers for words",
                source="Keras, preprocessing layers",
            )  # fmt: skip


def ids_out_of_range(facts: Facts) -> Iterator[TrainingFinding]:
    """Tokens beyond the table of an embedding."""
    first = next((p for p in facts.layers if type(p).__name__ != "InputLayer"), None)
    if type(first).__name__ != "Embedding" or len(facts.inputs) != 1:
        return
    values = facts.inputs[0]
    if values.min() < 0 or values.max() >= first.input_dim:
        yield cause(
            "ids_out_of_range", "ids lie outside of the embedding's table",
            f"ids from {values.min():g} to {values.max():g}",
            f"the table has {first.input_dim} rows", layer=first.name,
            fix=f"input_dim={int(values.max()) + 1} in {first.name!r}",
            source="Keras, Embedding",
        )  # fmt: skip


def channels_first(facts: Facts) -> Iterator[TrainingFinding]:
    """Pictures with their colours first in a network that expects them last."""
    for values in facts.inputs:
        if values.ndim != 4:
            continue
        _, first, second, last = values.shape
        if first in (1, 3) and second == last and last > 4 and _convolves_last(facts):
            yield cause(
                "channels_first", "the colours are the first axis of each picture",
                f"inputs {values.shape[1:]}", severity="warning", sure="likely",
                fix="x = np.moveaxis(x, 1, -1)", source="Keras, image_data_format",
            )  # fmt: skip


def _convolves_last(facts: Facts) -> bool:
    return any(
        getattr(layer, "data_format", "") == "channels_last" for layer in facts.layers
    )


def validation_of_another_scale(facts: Facts) -> Iterator[TrainingFinding]:
    """Validation data that were not prepared as the training data were."""
    for ours, held in zip(facts.inputs, facts.held_inputs, strict=False):
        if ours.dtype.kind not in "biuf" or min(len(ours), len(held)) < 8:
            continue
        spread = [float(np.nanstd(v.astype(np.float64))) for v in (ours, held)]
        if min(spread) > 0 and max(spread) / min(spread) > OTHER_SCALE:
            yield cause(
                "validation_of_another_scale",
                "the validation inputs are scaled otherwise than the training inputs",
                f"spread {spread[0]:.3g} in training, {spread[1]:.3g} in validation",
                fix="prepare both by the same layer: keras.layers.Normalization()",
                source=SCALING, value=max(spread) / min(spread), bound=OTHER_SCALE,
            )  # fmt: skip


INPUT_RULES = (
    non_finite_inputs,
    unscaled,
    constant,
    not_numbers,
    ids_out_of_range,
    channels_first,
    validation_of_another_scale,
)
