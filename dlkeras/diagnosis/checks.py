"""check_training: finds what is wrong before the first training step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import keras
import numpy as np

from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import TrainingFinding
from dlkeras.diagnosis.labels_seen import Labels
from dlkeras.diagnosis.report import Diagnosis, judge
from dlkeras.diagnosis.rules.generalisation import GENERALISATION_RULES
from dlkeras.diagnosis.rules.inputs import INPUT_RULES
from dlkeras.diagnosis.rules.labels import LABEL_RULES
from dlkeras.diagnosis.rules.optimisation import OPTIMISATION_RULES
from dlkeras.diagnosis.rules.placement import MIXED, PLACEMENT_RULES
from dlkeras.diagnosis.rules.structure import STRUCTURE_RULES
from dlkeras.diagnosis.untouched import untouched

RULES: tuple[Callable, ...] = (
    *STRUCTURE_RULES,
    *PLACEMENT_RULES,
    *INPUT_RULES,
    *LABEL_RULES,
    *OPTIMISATION_RULES,
    *GENERALISATION_RULES,
)
# Rows that are looked at, drawn over the whole set; answers that are computed.
ROWS, ANSWERED, BATCHES = 512, 64, 4
# A map of labels has an answer a pixel: so many numbers of a set are enough.
NUMBERS = 2_000_000


def check_training(
    model: Any, x: Any, y: Any = None, *, validation_data: Any = None
) -> Diagnosis:
    """Check a compiled model, its loss and its data before you train.

    The last layer is compared with the loss and the labels, the inputs with what
    initial weights are made for, the learning rate with what its optimizer is used
    with. No weight, state or seed is changed. Up to 512 examples are looked at: of
    arrays drawn over all of them, of data sets from the first batches.

    Args:
        model: compiled.
        x: what `fit` takes: arrays `(samples, ...)`, a `tf.data.Dataset`, a
            `PyDataset`, a PyTorch `DataLoader`, or any iterable of batches.
        y: labels `(samples, ...)`, where `x` is arrays.
        validation_data: what `fit` takes: `(x, y)`, or batches.

    Returns:
        The verdict, and the findings behind it.

    Raises:
        ValueError: if the model is not compiled, or there are no data.

    Example:
    >>> import keras, numpy as np
    >>> from dlkeras.diagnosis import check_training
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(1, "softmax", name="out")])
    >>> model.compile("adam", "binary_crossentropy")
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> diagnosis = check_training(model, x, (x[:, :1] > 0).astype(int))
    >>> diagnosis.healthy, diagnosis.findings[0].name, diagnosis.findings[0].fix[:20]
    (False, 'softmax_of_one_unit', 'keras.layers.Dense(1')
    """
    if not getattr(model, "compiled", False):
        raise ValueError("`model` must be compiled: its loss is looked at, too")
    inputs, labels, weighted, batches = examples(x, y)
    held = held_examples(validation_data)
    facts = Facts(model, inputs, labels, weighted, batches, *held)
    facts.before = answers_of(model, first_rows(x, inputs))
    return judge(found(facts), checked=looked_at(facts))


def found(facts: Facts, rules: Sequence[Callable] = RULES) -> Iterator[TrainingFinding]:
    """The findings of the rules; one that cannot be applied is silent."""
    for rule in rules:
        # Data that no rule foresaw must stop no training.
        with np.errstate(all="ignore"), suppress(Exception):
            yield from list(rule(facts))


def looked_at(facts: Facts) -> tuple[str, ...]:
    """What the verdict rests on, in words."""
    loss = facts.loss or "own"
    said = [f"the model ({len(facts.layers)} layers) beside its {loss} loss"]
    if facts.inputs:
        said.append(f"{len(facts.inputs[0])} examples of the inputs")
    if facts.labels is not None:
        said.append(f"their labels ({facts.labels.kind or 'unknown kind'})")
    # A schedule ends at nothing: what the rules judge is how far it goes.
    rate = max(facts.rates) if facts.rates else facts.learning_rate
    if np.isfinite(rate):
        said.append(f"the learning rate {rate:.3g}")
    if facts.trained:
        said.append(f"{len(facts.logs)} epochs of the loss")
    return tuple(said)


def examples(x: Any, y: Any = None) -> tuple[list, Labels | None, bool, list]:
    """Inputs, labels, whether they are weighted, and labels by batch, of any data.

    Raises:
        ValueError: if there is no example.
    """
    if y is not None or isinstance(x, (np.ndarray, dict, list)) or _is_tensor(x):
        arrays = [to_numpy(part) for part in keras.tree.flatten(x)]
        count = len(arrays[0]) if arrays else 0
        if not count:
            raise ValueError("`x` must have at least one example. Received: none")
        size = max(1, max(array[0].size for array in arrays))
        rows = min(count, ROWS, max(8, NUMBERS // size))
        drawn = np.sort(np.random.default_rng(0).permutation(count)[:rows])
        labels = None if y is None else [to_numpy(p) for p in keras.tree.flatten(y)]
        one = labels is not None and len(labels) == 1
        made = Labels(labels[0][drawn]) if labels is not None and one else None
        return [array[drawn] for array in arrays], made, False, []
    batches = list(islice(iter(x), BATCHES))
    if not batches:
        raise ValueError("`x` must have at least one batch. Received: none")
    return of_batches(batches)


def held_examples(validation_data: Any) -> tuple[list, Labels | None]:
    """Inputs and labels of what `fit` takes as `validation_data`."""
    if validation_data is None:
        return [], None
    if isinstance(validation_data, (tuple, list)):
        return examples(*validation_data[:2])[:2]
    return examples(validation_data)[:2]


def of_batches(batches: list[Any]) -> tuple[list, Labels | None, bool, list]:
    """The same of batches `x`, `(x, y)` or `(x, y, weights)`."""
    parts: list[list[np.ndarray]] = []
    labels: list[np.ndarray] = []
    weighted = single = False
    for batch in batches:
        batch = batch if isinstance(batch, (tuple, list)) else (batch,)
        parts.append([to_numpy(part) for part in keras.tree.flatten(batch[0])])
        if len(batch) > 1 and batch[1] is not None:
            flat = keras.tree.flatten(batch[1])
            single = len(flat) == 1
            labels.append(to_numpy(flat[0]))
        weighted = weighted or (len(batch) > 2 and batch[2] is not None)
    inputs = [joined(list(part)) for part in zip(*parts, strict=False)]
    made = Labels(joined(labels)) if labels and single else None
    return inputs, made, weighted, labels


def joined(arrays: list[np.ndarray]) -> np.ndarray:
    """Batches as one array; where shapes differ, the first alone."""
    if len({array.shape[1:] for array in arrays}) > 1:
        return arrays[0]
    return np.concatenate(arrays)


def to_numpy(value: Any) -> np.ndarray:
    """A tensor of any library, or what NumPy takes."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "numpy") and callable(value.numpy):
        value = value.numpy()
    return np.asarray(value)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def first_rows(x: Any, inputs: list[np.ndarray]) -> Any:
    """Some inputs in the structure that the model takes."""
    rows = [array[:ANSWERED] for array in inputs]
    if isinstance(x, dict) and len(rows) == len(x):
        return dict(zip(sorted(x), rows, strict=True))
    return rows[0] if len(rows) == 1 else rows


def _symbol_of(array: np.ndarray) -> Any:
    return keras.KerasTensor((None, *array.shape[1:]), dtype=array.dtype.name)


def answers_of(model: Any, inputs: Any) -> np.ndarray | None:
    """The model's answers, `(samples, ...)`; None if there are several or none."""
    try:
        if not model.built:  # by shapes alone: states begin with the first step
            model(keras.tree.map_structure(_symbol_of, inputs))
        with untouched(model):
            return _answer(model, inputs)
    except Exception:  # what the model does not take, `fit` will say better
        return None


def _answer(model: Any, inputs: Any) -> np.ndarray | None:
    has_training = getattr(model, "_call_has_training_arg", False)
    options = {"training": False} if has_training else {}
    made = keras.tree.flatten(model(inputs, **options))
    answers = to_numpy(keras.ops.convert_to_numpy(made[0]))
    return answers if len(made) == 1 and answers.ndim else None


def mixes_examples(
    model: Any, inputs: Any, together: np.ndarray | None
) -> tuple[float, float] | None:
    """How far the answers to two examples change when no others are beside them.

    Args:
        model: built.
        inputs: of three examples or more.
        together: the answers to all of them, as `answers_of` gives them.

    Returns:
        The largest change, and the spread of all answers; None where it cannot be
        tried, or where answers are drawn by chance or change from call to call.
    """
    if together is None or len(together) < 3 or not np.isfinite(together).all():
        return None
    # Two: of one alone Keras warns that a softmax over one value is 1.
    first = keras.tree.map_structure(lambda x: x[:2], inputs)
    spread = float(np.ptp(together.astype(np.float64)))
    try:
        with untouched(model):
            alone = _answer(model, first)
            if alone is None or alone.shape != together[:2].shape:
                return None
            before = together[:2].astype(np.float64)
            change = float(np.abs(alone.astype(np.float64) - before).max())
            again = _answer(model, inputs) if change > MIXED * spread else together
    except Exception:  # a model that takes so many alone
        return None
    same = again is not None and np.array_equal(together, again)
    return (change, spread) if same else None
