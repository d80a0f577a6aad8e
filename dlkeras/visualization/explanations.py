"""Figures of what a classifier looked at: Grad-CAM and saliency over the image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dlkeras.model_graph import read
from dlkeras.visualization.attribution import grad_cam_map, saliency_map
from dlkeras.visualization.figure import (
    drawing,
    new_figure,
    say,
    shortened,
    wrapped,
)
from dlkeras.visualization.images import show_image
from dlkeras.visualization.inputs import names, numbers, pictures


@drawing()
def grad_cam(
    model: keras.Model,
    images: Any,
    layer: str | None = None,
    class_index: int | None = None,
    *,
    labels: Sequence[Any] | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw where a layer's maps speak for a class: image, map, and both together.

    Args:
        model: a built classifier of images.
        images: `(batch, height, width, channels)`, channels 1 or 3, as the model takes
            them; each is a row of the figure.
        layer: name of a layer or stage whose output is maps; by default the last one.
        class_index: the class to explain; by default each image's predicted one.
        labels: names of the classes; by default their indices.
        title: text above the figure; by default the layer's name.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure; each map is scaled by its own maximum, and drawn over the whole
        image with bicubic interpolation.

    Raises:
        ValueError: as `grad_cam_map`, or the language is unknown.

    Example:
    >>> from dlkeras.architectures import lenet5
    >>> figure = grad_cam(lenet5(), np.ones((2, 32, 32, 1), "float32"), "C3")
    >>> len(figure.axes)  # 2 rows of 3, and a colour bar
    7

    Reference:
        Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
        gradient-based localization", ICCV 2017.
    """
    maps, classes = grad_cam_map(model, images, layer, class_index)
    name = f" ({layer})" if layer else ""
    where = say(language, "Grad-CAM: what speaks for the class", "")
    where = where or "Grad-CAM: o que fala a favor da classe"
    measured = say(language, "share of the map's maximum", "fração do máximo do mapa")
    drawn = _drawn(images, maps)
    sized = [
        _enlarged(cam, picture.shape[:2])
        for cam, picture in zip(maps, drawn, strict=True)
    ]
    return _rows(
        drawn, maps, sized, _words(model, classes, labels), title or where + name,
        measured, language, figsize, ax,
    )  # fmt: skip


@drawing()
def saliency(
    model: keras.Model,
    images: Any,
    class_index: int | None = None,
    *,
    labels: Sequence[Any] | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw how much each pixel moves the score of a class.

    Args:
        model: a built classifier of images.
        images: `(batch, height, width, channels)`, channels 1 or 3, as the model takes
            them; each is a row of the figure.
        class_index: the class to explain; by default each image's predicted one.
        labels: names of the classes; by default their indices.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: image, saliency, and both together; each saliency is scaled by its
        own maximum.

    Raises:
        ValueError: as `saliency_map`, or the language is unknown.

    Example:
    >>> from dlkeras.architectures import lenet5
    >>> len(saliency(lenet5(), np.ones((1, 32, 32, 1), "float32")).axes)
    4

    Reference:
        Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", ICLR
        workshop 2014.
    """
    maps, classes = saliency_map(model, images, class_index)
    drawn = _drawn(images, maps)
    default = say(
        language,
        "Saliency: which pixels move the score",
        "Saliência: quais pixels movem o escore",
    )
    measured = say(language, "share of the largest |dy/dx|", "fração do maior |dy/dx|")
    return _rows(
        drawn, maps, maps, _words(model, classes, labels), title or default, measured,
        language, figsize, ax,
    )  # fmt: skip


def _drawn(images: Any, maps: np.ndarray) -> list[np.ndarray]:
    """The images as they are drawn, one for each map."""
    expected = "(batch, height, width, channels)"
    stack = numbers(images, "images", expected)
    if stack.ndim == 3:  # one image, or grey ones, as `attribution` took them
        stack = stack[None] if len(maps) == 1 != len(stack) else stack[..., None]
    if stack.ndim != 4 or maps.ndim != 3:  # noise before a generator, signals, videos
        raise ValueError(f"images must be {expected}. Received: shape {stack.shape}")
    return pictures(stack)


def _words(model: Any, classes: np.ndarray, labels: Any) -> list[str]:
    """The names of the explained classes."""
    if labels is None:
        return [str(chosen) for chosen in classes]
    known = names(labels, max(read(model).outputs[0].shape[-1], 2), "labels", "classes")
    return [known[chosen] for chosen in classes]


def _enlarged(cam: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A map at the image's size, as the paper draws it over the image."""
    image = Image.fromarray(cam.astype("float32"), mode="F")
    resized = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(resized), 0)


def _rows(
    drawn: list[np.ndarray],
    maps: Any,
    sized: Any,
    classes: list[str],
    title: str,
    measured: str,
    language: str,
    figsize: Any,
    ax: Any,
) -> Figure:
    count = len(drawn)
    figure, axes = new_figure(
        6.6, 1.95 * count + 0.7, title, figsize=figsize, ax=ax, nrows=count, ncols=3,
        squeeze=False,
    )  # fmt: skip
    heads = ("image", "map", "both"), ("imagem", "mapa", "ambos")
    bar: Any = None
    for axis, english, portuguese in zip(axes[0], *heads, strict=True):
        axis.set_title(say(language, english, portuguese), fontsize=10)
    for row, picture, cam, large, chosen in zip(
        axes, drawn, maps, sized, classes, strict=True
    ):
        show_image(row[0], picture)
        name = f"{say(language, 'class', 'classe')} {shortened(chosen, 40)}"
        row[0].set_ylabel(wrapped(name, 24), fontsize=9)
        shares: dict[str, Any] = {"cmap": "viridis", "vmin": 0, "vmax": 1}
        # In the image's shape, whatever the map's is.
        shares["extent"] = row[0].images[0].get_extent()
        bar = row[1].imshow(_share(cam), **shares)
        show_image(row[2], picture)
        row[2].imshow(_share(large), alpha=0.55, **shares)
        for axis in row[1:]:
            axis.set_aspect(row[0].get_aspect())
            axis.set_xticks([])
            axis.set_yticks([])
        if not cam.any():  # nothing speaks for it, or a score that nothing moves
            words = say(language, "0 everywhere", "0 em toda parte")
            row[1].set_xlabel(words, fontsize=9)
    figure.colorbar(bar, ax=axes, label=measured, shrink=min(1, 1.2 / count + 0.2))
    return figure


def _share(values: np.ndarray) -> np.ndarray:
    top = float(values.max())
    return values / top if top > 0 else values
