"""Figures of what a classifier looked at: Grad-CAM and saliency over the image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dlkeras.visualization.attribution import grad_cam_map, saliency_map
from dlkeras.visualization.figure import in_language, new_figure, say
from dlkeras.visualization.images import show_image


def grad_cam(
    model: keras.Model,
    images: Any,
    layer: str | None = None,
    class_index: int | None = None,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw where a layer's maps speak for a class: image, map, and both together.

    Args:
        model: a Functional classifier of images.
        images: `(batch, height, width, channels)`, channels 1 or 3, as the model takes
            them; each is a row of the figure.
        layer: name of a layer or stage whose output is maps; by default the last one.
        class_index: the class to explain; by default each image's predicted one.
        labels: names of the classes; by default their indices.
        title: text above the figure; by default the layer's name.
        language: `"en"` or `"pt"`.

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
    pictures: list[Any] = [keras.ops.convert_to_numpy(image) for image in images]
    sized = [
        _enlarged(cam, picture.shape[:2])
        for cam, picture in zip(maps, pictures, strict=True)
    ]
    return _rows(
        pictures, maps, sized, classes, labels, title or where + name, measured,
        language,
    )  # fmt: skip


def saliency(
    model: keras.Model,
    images: Any,
    class_index: int | None = None,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw how much each pixel moves the score of a class.

    Args:
        model: a Functional classifier of images.
        images: `(batch, height, width, channels)`, channels 1 or 3, as the model takes
            them; each is a row of the figure.
        class_index: the class to explain; by default each image's predicted one.
        labels: names of the classes; by default their indices.
        title: text above the figure.
        language: `"en"` or `"pt"`.

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
    pictures: list[Any] = [keras.ops.convert_to_numpy(image) for image in images]
    default = say(
        language,
        "Saliency: which pixels move the score",
        "Saliência: quais pixels movem o escore",
    )
    measured = say(language, "share of the largest |dy/dx|", "fração do maior |dy/dx|")
    return _rows(
        pictures, maps, maps, classes, labels, title or default, measured, language
    )


def _enlarged(cam: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A map at the image's size, as the paper draws it over the image."""
    image = Image.fromarray(cam.astype("float32"), mode="F")
    resized = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(resized), 0)


def _rows(
    pictures: list[np.ndarray],
    maps: Any,
    sized: Any,
    classes: Any,
    labels: Sequence[str] | None,
    title: str,
    measured: str,
    language: str,
) -> Figure:
    count = len(pictures)
    figure, axes = new_figure(
        6.6, 1.95 * count + 0.7, title, nrows=count, ncols=3, squeeze=False
    )
    heads = ("image", "map", "both"), ("imagem", "mapa", "ambos")
    drawn: Any = None
    for axis, english, portuguese in zip(axes[0], *heads, strict=True):
        axis.set_title(say(language, english, portuguese), fontsize=10)
    for row, picture, cam, large, chosen in zip(
        axes, pictures, maps, sized, classes, strict=True
    ):
        show_image(row[0], picture)
        name = str(labels[chosen]) if labels is not None else str(chosen)
        row[0].set_ylabel(f"{say(language, 'class', 'classe')} {name}", fontsize=9)
        drawn = row[1].imshow(_share(cam), cmap="viridis", vmin=0, vmax=1)
        show_image(row[2], picture)
        row[2].imshow(_share(large), cmap="viridis", vmin=0, vmax=1, alpha=0.55)
        for axis in row[1:]:
            axis.set_xticks([])
            axis.set_yticks([])
    figure.colorbar(drawn, ax=axes, label=measured, shrink=min(1, 1.2 / count + 0.2))
    return in_language(figure, language)


def _share(values: np.ndarray) -> np.ndarray:
    top = float(values.max())
    return values / top if top > 0 else values
