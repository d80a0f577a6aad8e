"""The gallery of a classifier's mistakes, the most confident first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, new_figure, plain, say, shortened
from dlkeras.visualization.images import image_grid
from dlkeras.visualization.inputs import names, numbers, pictures, received


@drawing()
def misclassified(
    images: Any,
    truth: Any,
    probabilities: Any,
    labels: Sequence[Any] | None = None,
    *,
    limit: int = 20,
    columns: int = 5,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    r"""Draw the images that a classifier got wrong, the most confident mistakes first.

    Args:
        images: `(examples, height, width, channels)`, as `image_grid` takes them.
        truth: `(examples,)` or `(examples, 1)`, the index of each example's class or
            its name in `labels`; or `(examples, classes)`, one-hot.
        probabilities: `(examples, classes)`, what the classifier answered; or
            `(examples,)` or `(examples, 1)` of a sigmoid, the probability of class 1.
        labels: names of the classes; by default their indices.
        limit: how many images are drawn at most.
        columns: images in a row.
        title: text above the grid; by default how many were mistaken.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure; below each image the predicted class, the true one, and the
        probability of the predicted one. Without any mistake it says so.

    Raises:
        ValueError: the arrays do not fit each other, the answers are not of 0 to 1, a
            class is unknown, or the language is.
        TypeError: they are no arrays.

    Example:
    >>> images = np.zeros((3, 8, 8, 1))
    >>> figure = misclassified(images, [0, 1, 1], [[0.9, 0.1], [0.7, 0.3], [0, 1]])
    >>> figure.get_suptitle(), figure.axes[0].get_xlabel()
    ('1 of 3 examples misclassified', '0\nnot 1\np = 0.70')
    """
    shown_images = pictures(images)
    answers = _answers(probabilities)
    named = names(
        range(answers.shape[1]) if labels is None else labels, answers.shape[1],
        "labels", "classes",
    )  # fmt: skip
    classes = _classes(truth, answers.shape[1], named if labels is not None else [])
    if not len(shown_images) == len(classes) == len(answers):
        raise ValueError(
            "images, truth and probabilities must be of the same number of examples. "
            f"Received: {len(shown_images)} images, truth of {len(classes)}, "
            f"probabilities of shape {answers.shape}"
        )
    for name, number in (("limit", limit), ("columns", columns)):
        if not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"{name} must be a number from 1. Received: {number!r}")
    predicted = answers.argmax(1)
    confidence = answers.max(1)
    wrong = np.flatnonzero(predicted != classes)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:limit]
    default = say(
        language,
        f"{len(wrong)} of {len(answers)} examples misclassified",
        f"{len(wrong)} de {len(answers)} exemplos mal classificados",
    )
    if len(shown) < len(wrong):
        default += say(
            language,
            f", the {len(shown)} most confident",
            f", os {len(shown)} de maior confiança",
        )
    if not len(wrong):
        figure, axis = new_figure(4.5, 1.5, title or default, figsize=figsize, ax=ax)
        axis.axis("off")
        return figure
    neither = say(language, "not", "não")
    named = [shortened(name, 30) for name in named]
    captions = [
        f"{named[predicted[i]]}\n{neither} {named[classes[i]]}\np = {confidence[i]:.2f}"
        for i in shown
    ]
    return image_grid(
        [shown_images[i] for i in shown],
        captions,
        columns=min(columns, len(shown)),
        title=title or default,
        language=language,
        figsize=figsize,
        ax=ax,
    )


def _answers(probabilities: Any) -> np.ndarray:
    """`(examples, classes)`; a sigmoid's one column becomes two."""
    expected = "probabilities (examples, classes), or of a sigmoid (examples, 1)"
    answers = numbers(probabilities, "probabilities", expected).astype(float)
    if answers.ndim == 1 or (answers.ndim == 2 and answers.shape[1] == 1):
        answers = answers.reshape(-1, 1)
        answers = np.concatenate([1 - answers, answers], 1)
    if answers.ndim != 2 or not answers.size:
        raise ValueError(
            f"probabilities must be {expected}. Received: {received(probabilities)}"
        )
    if not ((answers > -1e-6) & (answers < 1 + 1e-6)).all():
        raise ValueError(
            "probabilities must be from 0 to 1; keras.ops.softmax turns logits into "
            f"them. Received: from {answers.min():.3g} to {answers.max():.3g}"
        )
    return answers


def _classes(truth: Any, count: int, labels: Sequence[str]) -> np.ndarray:
    """The index of each example's class."""
    words = _flat(truth)
    if words and all(isinstance(word, str | bytes) for word in words):
        index = {label: i for i, label in enumerate(labels)}
        words = [w.decode() if isinstance(w, bytes) else w for w in words]
        words = [plain(word) for word in words]
        unknown = sorted({word for word in words if word not in index})
        if unknown:
            raise ValueError(
                "truth must have indices of the classes, or names that labels= has. "
                f"Received: {unknown[:5]}"
            )
        return np.array([index[word] for word in words])
    expected = "the classes' indices (examples,), or one-hot (examples, classes)"
    classes = numbers(truth, "truth", expected)
    if classes.ndim == 2 and classes.shape[1] == 1:
        classes = classes[:, 0]
    elif classes.shape[1:] == (count,) and ((classes == 0) | (classes == 1)).all():
        if not (classes.sum(1) == 1).all():
            raise ValueError(
                f"truth must be {expected}. Received: rows of {classes.sum(1).min():g} "
                f"to {classes.sum(1).max():g} classes"
            )
        classes = classes.argmax(1)
    if classes.ndim != 1:
        raise ValueError(f"truth must be {expected}. Received: {received(truth)}")
    unknown = ~((classes >= 0) & (classes < count) & (classes % 1 == 0))
    if unknown.any():
        raise ValueError(
            f"truth must be {expected}, from 0 to {count - 1}. Received: "
            f"{classes[unknown][:5].tolist()}"
        )
    return classes.astype(int)


def _flat(truth: Any) -> list[Any]:
    """Names of classes, from a list, an array or a frame's column; else nothing."""
    try:
        values = truth.tolist() if hasattr(truth, "tolist") else truth
    except RuntimeError:  # PyTorch's, without numbers: refused as such
        return []
    values = values if isinstance(values, list | tuple) else []
    return [w for v in values for w in (v if isinstance(v, list | tuple) else [v])]
