"""Rules on the model: its last layer beside the loss and the labels, and its parts."""

from collections.abc import Iterator

import keras
import numpy as np

from dlkeras.diagnosis.facts import PASSING, RELU_LIKE, Facts
from dlkeras.diagnosis.finding import TrainingFinding, cause
from dlkeras.diagnosis.histories.layer_tree import activation_name

OUTPUT_UNITS = "Goodfellow, Bengio and Courville, Deep learning, 6.2.2"
SYMMETRY = "Goodfellow, Bengio and Courville, Deep learning, 8.4"
XAVIER = "Glorot and Bengio, Understanding the difficulty of training, AISTATS 2010"
LINEAR = "Goodfellow, Bengio and Courville, Deep learning, 6.1"
# What is affine, or leaves values as they are: a chain of these is one linear layer.
AFFINE = (
    *PASSING, "Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose",
    "DepthwiseConv2D", "SeparableConv2D", "BatchNormalization", "AveragePooling1D",
    "AveragePooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "Activation",
)  # fmt: skip
WIDE, OUTSIDE = 4.0, 0.01
WEIGHTED = ("Dense", "Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


def one_unit(facts: Facts) -> Iterator[TrainingFinding]:
    """Softmax, or a cross-entropy over classes, of a single number."""
    if facts.units != 1:
        return
    layer = getattr(facts.output_layer, "name", "")
    numbers = facts.labels is not None and facts.labels.kind == "numbers"
    fix = 'keras.layers.Dense(1, activation="sigmoid") and loss="binary_crossentropy"'
    if numbers:
        fix = 'keras.layers.Dense(1) and loss="mse"'
    if facts.output_activation == "softmax":
        yield cause(
            "softmax_of_one_unit",
            "softmax over one unit is always 1: every example gets the same answer",
            f"loss {facts.loss or 'of your own'}, 1 unit",
            layer=layer, fix=fix, source=OUTPUT_UNITS,
        )  # fmt: skip
    elif facts.loss in ("categorical", "sparse"):
        yield cause(
            "crossentropy_of_one_unit",
            f"the {facts.loss} cross-entropy compares classes, and there is one unit",
            layer=layer, fix=fix, source=OUTPUT_UNITS,
        )  # fmt: skip


def output_beside_loss(facts: Facts) -> Iterator[TrainingFinding]:
    """A last activation whose values are not what a cross-entropy takes."""
    activation, layer = facts.output_activation, facts.output_layer
    if not facts.cross_entropy or (facts.units == 1 and facts.loss != "binary"):
        return
    name, units = getattr(layer, "name", ""), facts.units or "N"
    right = "sigmoid" if facts.loss == "binary" else "softmax"
    several = facts.labels is not None and facts.labels.kind == "several"
    numbers = facts.labels is not None and facts.labels.kind == "numbers"
    fix = f'keras.layers.Dense({units}, activation="{right}")'
    given = f"{activation} before the {facts.loss} cross-entropy"
    if facts.from_logits:
        # Keras on TensorFlow goes back to the logits by itself.
        quiet = keras.backend.backend() == "tensorflow"
        if activation in ("softmax", "sigmoid"):
            yield cause(
                "probabilities_as_logits",
                "the loss expects logits (from_logits=True) and gets probabilities",
                given, layer=name, source=OUTPUT_UNITS,
                severity="note" if quiet else "error",
                fix=f"keras.layers.Dense({units})  # no activation",
            )  # fmt: skip
        elif activation in RELU_LIKE:
            yield cause(
                "relu_output",
                "the last layer cuts off every negative score",
                given, layer=name, source=OUTPUT_UNITS,
                fix=f"keras.layers.Dense({units})  # no activation",
            )  # fmt: skip
        return
    if activation == "sigmoid" and facts.loss != "binary" and facts.units > 1:
        if several or numbers:
            return  # the labels say what the loss should be
        yield cause(
            "sigmoid_with_categorical_crossentropy",
            "sigmoid scores each class by itself, and this loss expects one choice",
            given, layer=name, fix=fix, source=OUTPUT_UNITS,
        )  # fmt: skip
    elif activation == "softmax" and facts.loss == "binary" and not several:
        yield cause(
            "softmax_with_binary_crossentropy",
            "softmax chooses one class; its loss is the categorical cross-entropy",
            given, layer=name, source=OUTPUT_UNITS, severity="note",
            fix='loss="categorical_crossentropy"',
        )  # fmt: skip
    elif activation == "linear" or activation in (*RELU_LIKE, "tanh"):
        seen = facts.before if facts.before is not None else facts.answers
        if seen is not None and activation == "linear" and _are_shares(seen):
            return  # the model makes probabilities of them in another way
        spread = (
            ()
            if seen is None
            else (f"answers from {np.nanmin(seen):.3g} to {np.nanmax(seen):.3g}",)
        )
        if activation in RELU_LIKE:
            yield cause(
                "relu_output",
                "the last layer's ReLU is no probability: it is 0, or may be above 1",
                given, *spread, layer=name, fix=fix, source=OUTPUT_UNITS,
            )  # fmt: skip
            return
        kind = {"sparse": "SparseCategorical", "binary": "Binary"}.get(
            facts.loss, "Categorical"
        )
        yield cause(
            "logits_without_from_logits",
            "the loss expects probabilities and gets numbers of any size",
            given, *spread, layer=name, source=OUTPUT_UNITS,
            fix=fix if activation == "tanh"
            else f"loss=keras.losses.{kind}Crossentropy(from_logits=True)",
        )  # fmt: skip


def answers_beside_loss(facts: Facts) -> Iterator[TrainingFinding]:
    """Answers of the user's own layer or model that are no probabilities."""
    seen = facts.before if facts.before is not None else facts.answers
    layer = facts.output_layer
    if not facts.cross_entropy or facts.from_logits or facts.output_activation:
        return
    if seen is None or type(layer).__name__ == "BatchNormalization":
        return  # that one has a rule of its own
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    # Keras makes shares of positive scores for the categorical cross-entropy.
    if low < -OUTSIDE or (high > 1 + OUTSIDE and facts.loss != "categorical"):
        kind = {"sparse": "SparseCategorical", "binary": "Binary"}.get(
            facts.loss, "Categorical"
        )
        yield cause(
            "logits_without_from_logits",
            "the loss expects probabilities and gets numbers of any size",
            f"answers from {low:.3g} to {high:.3g}",
            layer=getattr(layer, "name", ""), source=OUTPUT_UNITS,
            fix=f"loss=keras.losses.{kind}Crossentropy(from_logits=True)",
        )  # fmt: skip


def _are_shares(answers: np.ndarray) -> bool:
    inside = np.nanmin(answers) >= 0 and np.nanmax(answers) <= 1
    return bool(inside and answers.size > 1 and np.ptp(answers) > 0)


def output_beside_labels(facts: Facts) -> Iterator[TrainingFinding]:
    """An activation that cannot reach the targets, or chooses one of several labels."""
    activation, labels = facts.output_activation, facts.labels
    if labels is None or not labels.kind:
        return
    if not (facts.cross_entropy or facts.distance):
        return  # nobody knows what a user's own loss, or CTC, takes
    name, units = getattr(facts.output_layer, "name", ""), facts.units or "N"
    if activation == "softmax" and labels.kind == "several" and facts.units > 1:
        per = labels.rows.sum(1)
        yield cause(
            "softmax_for_several_labels",
            "softmax chooses one class, and examples have several labels",
            f"{per.mean():.2g} labels an example, at most {per.max():.0f}",
            layer=name, source=OUTPUT_UNITS,
            fix=f'keras.layers.Dense({units}, activation="sigmoid") '
            'and loss="binary_crossentropy"',
        )  # fmt: skip
        return
    if facts.cross_entropy:
        if labels.kind == "several" and facts.loss == "categorical":
            yield cause(
                "categorical_crossentropy_for_several_labels",
                "the categorical cross-entropy expects one label, and examples have "
                "several",
                layer=name, source=OUTPUT_UNITS, fix='loss="binary_crossentropy"',
            )  # fmt: skip
        return
    low, high = _range(activation)
    rows, one = labels.rows, facts.units == 1 and activation == "softmax"
    outside = np.mean((rows < low - 1e-6) | (rows > high + 1e-6))
    if outside > 0.01 and not one:
        yield cause(
            "targets_out_of_reach",
            f"{activation} gives {low:g} to {high:g}, and the targets lie beyond",
            f"targets from {rows.min():.4g} to {rows.max():.4g}",
            f"{100 * outside:.0f} % out of reach",
            layer=name, source=OUTPUT_UNITS, value=float(outside), bound=0.01,
            fix=f"keras.layers.Dense({units})  # no activation",
        )  # fmt: skip
    elif (labels.kind == "one_hot" and activation in ("softmax", "sigmoid")) or (
        labels.kind == "classes" and len(labels.shares) > 2 and _wants_accuracy(facts)
    ):
        whole = labels.kind == "classes"
        fix = 'loss="categorical_crossentropy"'
        if whole:
            count = int(rows.max()) + 1
            fix = (
                f'keras.layers.Dense({count}, activation="softmax") '
                'and loss="sparse_categorical_crossentropy"'
            )
        yield cause(
            "regression_loss_for_classes",
            "the labels are classes, and the loss measures a distance between numbers",
            f"{facts.loss.replace('_', ' ')}, {len(labels.shares)} classes",
            layer=name, source=OUTPUT_UNITS, severity=_unless_learned(facts), fix=fix,
            sure="likely",
        )  # fmt: skip


def _range(activation: str) -> tuple[float, float]:
    if activation in ("sigmoid", "softmax"):
        return 0.0, 1.0
    if activation == "tanh":
        return -1.0, 1.0
    return (0.0, np.inf) if activation in RELU_LIKE else (-np.inf, np.inf)


def _unless_learned(facts: Facts, otherwise: str = "warning") -> str:
    return "note" if facts.learned else otherwise


def _wants_accuracy(facts: Facts) -> bool:
    try:
        asked = str(facts.model.get_compile_config().get("metrics"))
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return False
    return "acc" in asked.lower()


def linear_network(facts: Facts) -> Iterator[TrainingFinding]:
    """Several layers of weights with nothing nonlinear between them."""
    run: list[str] = []
    longest: list[str] = []
    for layer in facts.chain:
        kind = type(layer).__name__
        if kind not in AFFINE:
            run = []
            continue
        if kind in WEIGHTED:
            run = [*run, layer.name]
            longest = max(longest, run, key=len)
        if activation_name(layer):
            run = []
    weighted = [p.name for p in facts.chain if type(p).__name__ in WEIGHTED]
    if len(longest) > 1:
        all_of_it = longest == weighted
        narrow = _narrows(facts, longest)  # a factorisation may be meant
        severity = "warning" if all_of_it and not narrow else "note"
        yield cause(
            "no_activation",
            f"{len(longest)} layers in a row without activation are one linear layer",
            ", ".join(longest),
            layer=longest[0], source=LINEAR, sure="certain",
            severity="note" if facts.learned_well else severity,
            fix=f'activation="relu" in {longest[0]!r}',
        )  # fmt: skip


def _narrows(facts: Facts, names: list[str]) -> bool:
    widths = [
        getattr(facts.model.get_layer(n), "units", 0) for n in names if _has(facts, n)
    ]
    return len(widths) > 1 and min(widths[:-1]) < widths[-1]


def _has(facts: Facts, name: str) -> bool:
    return any(layer.name == name for layer in facts.model.layers)


def softmax_within(facts: Facts) -> Iterator[TrainingFinding]:
    """A hidden softmax: all units of a layer share a sum of 1."""
    weighted = [p for p in facts.chain if type(p).__name__ in WEIGHTED]
    hidden = [
        layer.name for layer in weighted[:-1] if activation_name(layer) == "softmax"
    ]
    if hidden:
        fine = facts.nothing_left if len(hidden) == 1 else facts.knows_all
        yield cause(
            "softmax_in_a_hidden_layer",
            "a hidden softmax squeezes all units of its layer into a sum of 1",
            ", ".join(hidden),
            layer=hidden[0], source=OUTPUT_UNITS,
            severity="note" if fine else "warning",
            fix=f'activation="relu" in {hidden[0]!r}', sure="likely",
        )  # fmt: skip


def equal_weights(facts: Facts) -> Iterator[TrainingFinding]:
    """Hidden kernels whose entries are all the same: units that never differ."""
    kernels = facts.kernels
    adds = any(
        type(layer).__name__ in ("Add", "MultiHeadAttention") for layer in facts.layers
    )
    same, values = [], []
    for layer, kernel in kernels[:-1]:
        value = np.asarray(keras.ops.convert_to_numpy(kernel), np.float64)
        columns = value.reshape(-1, value.shape[-1])
        if columns.shape[1] > 1 and np.ptp(columns, 1).max() <= 1e-7 * (
            np.abs(columns).max() + 1e-30
        ):
            if adds and not value.any():
                continue  # the last of a residual branch may begin at 0
            same.append(layer.name)
            values.append(float(value.flat[0]))
    if same:
        yield cause(
            "equal_weights",
            "all units of a layer have the same weights and stay copies of each other",
            f"every weight {values[0]:.3g}", f"{len(same)} of {len(kernels)} kernels",
            layer=same[0], source=SYMMETRY,
            fix=f'kernel_initializer="glorot_uniform" in {same[0]!r}',
        )  # fmt: skip


def wide_initial_weights(facts: Facts) -> Iterator[TrainingFinding]:
    """Hidden kernels so wide that tanh or sigmoid is flat for most inputs: at 1 each.

    For initial weights alone. Xavier's have a root mean square of about
    1 / sqrt(inputs), so that a sum of inputs of size 1 is of size 1.
    """
    gains = []
    for layer, kernel in facts.kernels[:-1]:
        kind = type(layer).__name__
        if kind in WEIGHTED and activation_name(layer) in ("tanh", "sigmoid"):
            value = np.asarray(keras.ops.convert_to_numpy(kernel), np.float64)
            inputs = value[..., 0].size
            gains.append((float(np.sqrt(inputs * np.mean(value**2))), layer.name))
    gains = [(gain, name) for gain, name in gains if gain > WIDE]
    if gains:
        gain, name = max(gains)
        yield cause(
            "wide_initial_weights",
            "the initial weights are so wide that the activation is flat for most "
            "inputs",
            f"{gain:.2g} times those of Xavier", f"{len(gains)} layers",
            layer=name, severity="note", source=XAVIER, sure="likely", value=gain,
            bound=WIDE, fix=f'kernel_initializer="glorot_uniform" in {name!r}',
        )  # fmt: skip


def nothing_to_train(facts: Facts) -> Iterator[TrainingFinding]:
    """A model all of whose weights are frozen, or that has none."""
    if facts.model.built and not facts.model.trainable_variables:
        yield cause(
            "nothing_to_train",
            "no weight of the model is trained: every layer is frozen",
            f"{len(facts.model.variables)} variables, none trainable",
            fix="model.layers[-1].trainable = True, then model.compile(...)",
            source="Keras guide, Transfer learning and fine-tuning",
        )  # fmt: skip


STRUCTURE_RULES = (
    one_unit,
    output_beside_loss,
    answers_beside_loss,
    output_beside_labels,
    linear_network,
    softmax_within,
    equal_weights,
    nothing_to_train,
)
# Of initial weights: once trained they differ, and may be as wide as they like.
EARLY_RULES = (equal_weights, wide_initial_weights)
