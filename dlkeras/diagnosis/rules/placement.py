"""Rules on where parts are: dropout, normalisation, windows beside the image."""

from collections.abc import Iterator

from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import TrainingFinding, cause
from dlkeras.diagnosis.histories.layer_tree import activation_name

DROPOUT = "Srivastava et al., Dropout, JMLR 2014"
NORMALIZATION = "Ioffe and Szegedy, Batch normalization, ICML 2015"
WINDOWS = "Luo et al., Understanding the effective receptive field, NeurIPS 2016"
RECIPE = "Karpathy, A recipe for training neural networks: chart dependencies"
MOST_DROPPED, MOST_IMAGES, MIXED = 0.8, 4, 0.02


def dropout(facts: Facts) -> Iterator[TrainingFinding]:
    """Dropout of nearly everything, or of the answers themselves."""
    chain = facts.chain
    for index, layer in enumerate(chain):
        if type(layer).__name__ not in ("Dropout", "SpatialDropout2D"):
            continue
        later = [part for part in chain[index + 1 :] if part.weights]
        if not later and layer.rate > 0 and index:
            yield cause(
                "dropout_of_the_answers",
                "dropout behind the last layer sets answers to 0 by chance",
                f"rate {layer.rate:g}", layer=layer.name, source=DROPOUT,
                fix="put Dropout before the last Dense layer", sure="certain",
            )  # fmt: skip
        elif layer.rate >= MOST_DROPPED:
            yield cause(
                "dropout_too_large",
                "dropout takes nearly everything away",
                f"rate {layer.rate:g}", layer=layer.name, source=DROPOUT,
                severity="note" if facts.learned else "warning", sure="likely",
                fix="keras.layers.Dropout(0.5)", value=layer.rate, bound=MOST_DROPPED,
            )  # fmt: skip


def bias_before_normalization(facts: Facts) -> Iterator[TrainingFinding]:
    """A bias that batch normalisation takes away again: no harm, no use."""
    for layer, following in zip(facts.chain, facts.chain[1:], strict=False):
        plain = not activation_name(layer)
        normalized = type(following).__name__ == "BatchNormalization"
        if normalized and plain and getattr(layer, "use_bias", False):
            yield cause(
                "bias_before_normalization",
                "batch normalisation takes the bias before it away again",
                layer=layer.name, severity="note",
                fix=f"use_bias=False in {layer.name!r}",
                source="Ioffe and Szegedy, Batch normalization, ICML 2015, 3.2",
            )  # fmt: skip
            return


def normalization_of_the_answers(facts: Facts) -> Iterator[TrainingFinding]:
    """Batch normalisation behind the last layer: answers depend on their batch."""
    last = facts.chain[-1] if len(facts.chain) > 1 else None
    known = facts.cross_entropy or facts.distance
    if type(last).__name__ != "BatchNormalization" or not known:
        return
    # Of numbers the others of a batch are noise that nothing takes away again.
    fine = facts.knows_all if facts.distance else facts.learned
    severity, seen = "note" if fine else "warning", ()
    if facts.cross_entropy and not facts.from_logits:
        severity, seen = "error", ("what was a probability may now be of any size",)
    yield cause(
        "normalization_of_the_answers",
        "batch normalisation behind the last layer makes an answer depend on its batch",
        *seen, layer=last.name, source=NORMALIZATION, sure="likely", severity=severity,
        fix=f"leave {last.name!r} out",
    )  # fmt: skip


def batches_of_one(facts: Facts) -> Iterator[TrainingFinding]:
    """Batch normalisation of vectors, one at a time: each is its own mean."""
    sizes = [len(labels) for labels in facts.batch_labels]
    if len(sizes) < 3 or max(sizes) > 1:
        return
    for layer in facts.layers:
        shape = getattr(getattr(layer, "input", None), "shape", ())
        if type(layer).__name__ == "BatchNormalization" and len(shape) == 2:
            yield cause(
                "normalization_of_one",
                "a batch of one example is its own mean: what is normalised is 0",
                f"{len(sizes)} batches of 1", layer=layer.name, source=NORMALIZATION,
                severity="note" if facts.learned else "warning",
                fix="batch_size=32, or keras.layers.LayerNormalization()",
            )  # fmt: skip
            return


def receptive_field(facts: Facts) -> Iterator[TrainingFinding]:
    """Windows that see far beyond the image, or too little before an average."""
    field = jump = 1
    last = ""
    for layer in facts.chain:
        kind = type(layer).__name__
        if "Global" in kind and kind.endswith("2D") and last:
            side = min(facts.inputs[0].shape[1:3]) if facts.inputs else 0
            if side and field > MOST_IMAGES * side:
                what = "the windows see far more than the image: most of it is padding"
                fix = "smaller strides in the first layers, or fewer layers"
            elif side and field < side / MOST_IMAGES:
                what = "each window sees a small part of the image before the average"
                fix = "more layers, or strides of 2, before the average"
            else:
                return
            yield cause(
                "receptive_field", what, f"windows of {field}, an image of {side}",
                layer=last, severity="note", source=WINDOWS, fix=fix, sure="possible",
                value=field, bound=side,
            )  # fmt: skip
            return
        size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
        if size is not None and len(size) == 2:
            dilation = (getattr(layer, "dilation_rate", None) or (1, 1))[0]
            field += (size[0] - 1) * dilation * jump
            jump *= (getattr(layer, "strides", None) or (1, 1))[0]
            last = layer.name


def examples_apart(facts: Facts) -> Iterator[TrainingFinding]:
    """The answer to an example that changes with the examples beside it."""
    change, spread = facts.mixed or (0.0, 0.0)
    if change > MIXED * spread:
        yield cause(
            "examples_mixed",
            "the answer to an example depends on the others of its batch",
            f"with one other it changes by {change:.3g}, all spread {spread:.3g}",
            severity="warning", source=RECIPE, value=change, bound=MIXED * spread,
            sure="likely",
            fix="axis=-1 in softmax and norms; Reshape, not keras.ops.reshape(x, ...) "
            "over the first axis",
        )  # fmt: skip


PLACEMENT_RULES = (
    dropout,
    bias_before_normalization,
    normalization_of_the_answers,
    batches_of_one,
    receptive_field,
    examples_apart,
)
