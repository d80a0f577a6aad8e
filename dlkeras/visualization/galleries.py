"""Figures of many images at once: what was mistaken, and what augmentation makes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import in_language, new_figure, say
from dlkeras.visualization.images import image_grid, show_image


def misclassified(
    images: Any,
    truth: Any,
    probabilities: Any,
    labels: Sequence[str] | None = None,
    *,
    limit: int = 20,
    columns: int = 5,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    r"""Draw the images that a classifier took for another class, the surest first.

    Args:
        images: `(examples, height, width, channels)`, channels 1 or 3.
        truth: `(examples,)`, the index of each example's class.
        probabilities: `(examples, classes)`, what the classifier answered.
        labels: names of the classes; by default their indices.
        limit: how many images are drawn at most.
        columns: images in a row.
        title: text above the grid; by default how many were mistaken.
        language: `"en"` or `"pt"`.

    Returns:
        The figure; below each image the predicted class, the true one, and the
        probability of the predicted one. Without any mistake it says so.

    Raises:
        ValueError: the arrays do not fit each other, or the language is unknown.

    Example:
    >>> images = np.zeros((3, 8, 8, 1))
    >>> figure = misclassified(images, [0, 1, 1], [[0.9, 0.1], [0.7, 0.3], [0, 1]])
    >>> figure.get_suptitle(), figure.axes[0].get_xlabel()
    ('1 of 3 examples misclassified', '0\nnot 1\np = 0.70')
    """
    answers, classes = np.asarray(probabilities, float), np.asarray(truth)
    if answers.ndim != 2 or not len(images) == len(classes) == len(answers):
        raise ValueError(
            "images, truth and probabilities must be of the same number of examples, "
            f"probabilities of shape (examples, classes). Received: {len(images)} "
            f"images, truth of shape {classes.shape}, probabilities of shape "
            f"{answers.shape}"
        )
    names = list(labels) if labels is not None else list(range(answers.shape[1]))
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
        figure, axis = new_figure(4.5, 1.5, title or default)
        axis.axis("off")
        return in_language(figure, language)
    neither = say(language, "not", "não")
    captions = [
        f"{names[predicted[i]]}\n{neither} {names[classes[i]]}\np = {confidence[i]:.2f}"
        for i in shown
    ]
    figure = image_grid(
        [images[i] for i in shown], captions, title or default, min(columns, len(shown))
    )
    return in_language(figure, language)


def augmentation_grid(
    originals: Any,
    variants: Any,
    *,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw each image beside what data augmentation makes of it.

    Args:
        originals: `(images, height, width, channels)`, channels 1 or 3.
        variants: `(images, variants, height, width, channels)`, for each image what
            the augmentation drew.
        captions: a text below each column of variants, such as the name of the
            transformation.
        title: text above the figure.
        language: `"en"` or `"pt"`.

    Returns:
        The figure: a row for each image, the original on the left.

    Raises:
        ValueError: there are not variants for each image, or not a caption for each
            column, or the language is unknown.

    Example:
    >>> figure = augmentation_grid(np.zeros((2, 8, 8, 1)), np.zeros((2, 3, 8, 8, 1)))
    >>> len(figure.axes), figure.axes[0].get_title()
    (8, 'original')
    """
    first = [np.asarray(image) for image in originals]
    rest = [[np.asarray(image) for image in row] for row in variants]
    counts = {len(row) for row in rest}
    if not first or len(first) != len(rest) or len(counts) != 1 or counts == {0}:
        raise ValueError(
            "variants must hold, for each of the originals, the same number of images, "
            f"at least one. Received: {len(first)} originals and variants of "
            f"{[len(row) for row in rest]}"
        )
    (columns,) = counts
    if captions is not None and len(captions) != columns:
        raise ValueError(
            f"captions must be one for each of {columns} columns of variants. "
            f"Received: {len(captions)}"
        )
    figure, axes = new_figure(
        1.15 * (columns + 1) + 0.3,
        1.15 * len(first) + (0.55 if captions is None else 0.8),
        title or say(language, "Data augmentation", "Aumento de dados"),
        nrows=len(first),
        ncols=columns + 1,
        squeeze=False,
    )
    for number, (row, original, drawn) in enumerate(
        zip(axes, first, rest, strict=True)
    ):
        for axis, picture in zip(row, [original, *drawn], strict=True):
            show_image(axis, picture)
        for spine in row[0].spines.values():
            spine.set_linewidth(2)
        if number == 0:
            row[0].set_title(say(language, "original", "original"), fontsize=9)
            for axis, caption in zip(row[1:], captions or [], strict=False):
                axis.set_title(caption, fontsize=9)
    return in_language(figure, language)
