"""What a layer looks like in an architecture's diagram."""

import re
from typing import Any

import keras
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from dlkeras.layers import (
    AuxiliaryClassifier,
)
from dlkeras.visualization.figure import TIMES, say
from dlkeras.visualization.look.colours import GREY
from dlkeras.visualization.look.sizes import BOLD, fits, in_two_lines

# Light tints of the palette, on which black text can be read in print.
COLOURS = {
    "input": "#FFFFFF",
    "convolution": "#CFE4F3",
    "pooling": "#FBE0C4",
    "dense": "#CDEBDD",
    "other": "#E8E8E8",
}
KINDS = {
    "convolution": ("convolution", "convolução"),
    "pooling": ("pooling", "pooling"),
    "dense": ("fully connected", "totalmente conectada"),
    "other": ("other", "outras"),
}
PASSES_ON = (
    "Activation", "BatchNormalization", "Dropout", "Flatten", "GroupNormalization",
    "LayerNormalization", "LocalResponseNormalization", "Normalization", "ReLU",
    "Rescaling", "Softmax", "SpatialDropout2D", "ZeroPadding2D",
)  # fmt: skip
_SHORT = {
    "BatchNormalization": "batch norm",
    "GroupNormalization": "group norm",
    "LayerNormalization": "layer norm",
    "LocalResponseNormalization": "LRN",
    "ZeroPadding2D": "padding",
}


class Glyph:
    """A box of the diagram; `x` is its left side and `y` its middle, in inches."""

    def __init__(self, call: Any, language: str) -> None:
        layer = call.operation
        self.layer, self.language, self.count = layer, language, 1
        self.names, self.shape = [call.name], shape_of(call)
        self.x = self.y = 0.0
        self.row = 0
        self.width, self.height = 1.22, 0.86
        self.kinds = {kind_of(layer)}

    @property
    def name(self) -> str:
        """The layer's name; of several, the first and the end of the last."""
        if self.count == 1 or len(self.names) == 1:
            return self.names[0]
        last = self.names[-1]
        return f"{self.names[0]} … {last.rsplit('_', 1)[-1]}"

    def kind(self) -> str:
        """What the box is, for its colour."""
        return kind_of(self.layer)

    def words(self) -> str:
        """What it does."""
        return work(self.layer, self.language)

    def draw(self, axis: Any) -> None:
        """Draw the box with the layer's name, its work and its output's shape."""
        _box(axis, self.x, self.y, self.width, self.height, self.kind())
        lines = [self.words(), self.shape]
        middle = self.x + self.width / 2
        name, size = in_two_lines(self.name, self.width)
        axis.text(
            middle, self.y + 0.28, name, color="black", ha="center", va="center",
            fontsize=size, weight="bold", linespacing=1.1,
        )  # fmt: skip
        for offset, line in zip((-0.02, -0.3), lines, strict=True):
            axis.text(
                middle, self.y + offset, line, color="black", ha="center", va="center",
                fontsize=fits(line, self.width, 8), linespacing=1.0,
            )  # fmt: skip


class Narrow(Glyph):
    """A layer that only passes values on: its work, turned by 90 degrees."""

    def __init__(self, call: Any, language: str) -> None:
        super().__init__(call, language)
        self.width = 0.26

    def draw(self, axis: Any) -> None:
        """Draw the narrow box."""
        _box(axis, self.x, self.y, self.width, self.height, "other")
        axis.text(
            self.x + self.width / 2, self.y, work(self.layer, self.language),
            rotation=90, color="black", ha="center", va="center",
            fontsize=fits(work(self.layer, self.language), self.height, 8),
        )  # fmt: skip


class Nested(Glyph):
    """A model inside of the model, of too many layers to be drawn one by one."""

    def __init__(self, call: Any, language: str) -> None:
        super().__init__(call, language)
        self.kinds = {"other"}


class Residual(Glyph):
    """A residual block: the branch's convolutions, and the shortcut over them.

    A squeeze-and-excitation is the branch's last box, an average pooling (ResNet-D)
    a box on the shortcut.
    """

    def __init__(self, call: Any, language: str) -> None:
        super().__init__(call, language)
        layer = self.layer
        # What each box of the branch says, and its colour.
        self.steps = [(_of_block(part), "convolution") for part in layer.convolutions]
        if layer.excitation is not None:
            ratio = layer.excitation.reduction_ratio
            words = say(language, "squeeze,\nexcite", "aperta,\nexcita")
            self.steps.append((f"{words} {ratio}", "dense"))
        self.width = 0.76 * len(self.steps) + 0.62
        self.height = 1.42
        self.kinds = {kind for _, kind in self.steps}
        if layer.shortcut_pool is not None:
            self.kinds.add("pooling")

    def draw(self, axis: Any) -> None:
        """Draw the block."""
        _frame(axis, self)
        line = self.y - 0.12
        fork, left = self.x + 0.1, self.x + 0.2
        for words, kind in self.steps:
            _box(axis, left + 0.31, line, 0.62, 0.4, kind, centred=True)
            axis.text(
                left + 0.31, line, words, color="black", ha="center", va="center",
                fontsize=fits(words, 0.62, 7.5),
            )  # fmt: skip
            _arrow(axis, (left - 0.14, line), (left, line))
            left += 0.76
        plus = self.x + self.width - 0.22
        _arrow(axis, (left - 0.14, line), (plus - 0.08, line))
        axis.text(
            plus, line, "+", color="black", ha="center", va="center", fontsize=9,
            bbox={"boxstyle": "circle,pad=0.08", "fc": "white", "ec": "black",
                  "lw": 0.8},
        )  # fmt: skip
        axis.plot([self.x, left - 0.6], [line, line], color="black", lw=0.9, zorder=0.6)
        _arrow(axis, (plus + 0.1, line), (self.x + self.width, line), head=False)
        over = line + 0.42
        axis.plot(
            [fork, fork, plus, plus],
            [line, over, over, line + 0.2],
            color="black",
            lw=0.9,
        )
        _arrow(axis, (plus, line + 0.22), (plus, line + 0.09))
        projection = self.layer.projection
        words = "identity", "identidade"
        if projection is not None:
            words = (f"{_window(projection)}, {projection.filters}",) * 2
        elif self.layer.shortcut == "A" and self.layer.strides > 1:
            words = "subsampled, zeros", "subamostrada, zeros"
        middle = (fork + plus) / 2
        if self.layer.shortcut_pool is not None:
            pool = _window(self.layer.shortcut_pool)
            _box(axis, middle - 0.42, over, 0.78, 0.22, "pooling", centred=True)
            axis.text(
                middle - 0.42, over, f"{say(self.language, 'avg', 'média')} {pool}",
                color="black", ha="center", va="center", fontsize=7,
            )  # fmt: skip
            middle += 0.42
        axis.text(
            middle, over, say(self.language, *words), color="black",
            ha="center", va="center", fontsize=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip


class Inception(Glyph):
    """An inception module: four views of one input, stacked."""

    def __init__(self, call: Any, language: str) -> None:
        super().__init__(call, language)
        self.width, self.height = 2.16, 1.78
        self.kinds = {"convolution", "pooling"}

    def draw(self, axis: Any) -> None:
        """Draw the module."""
        _frame(axis, self)
        layer = self.layer
        one, three, five = (
            TIMES.join([str(n)] * 2) for n in (1, 3, layer.kernel_size_5x5)
        )
        pool = say(self.language, "max pool", "máx.") + f" {three}"
        paths = [
            [(one, layer.filters_1x1)],
            [(one, layer.filters_3x3_reduce), (three, layer.filters_3x3)],
            [(one, layer.filters_5x5_reduce), (five, layer.filters_5x5)],
            [(pool, None), (one, layer.filters_pool_proj)],
        ]
        fork, join = self.x + 0.12, self.x + self.width - 0.14
        tops = [self.y + 0.48 - 0.33 * index for index in range(4)]
        for line, path in zip(tops, paths, strict=True):
            places = [self.x + 1.06] if len(path) == 1 else []
            places = places or [self.x + 0.63, self.x + 1.5]
            before = fork
            for place, (window, filters) in zip(places, path, strict=True):
                kind = "pooling" if filters is None else "convolution"
                _box(axis, place, line, 0.76, 0.25, kind, centred=True)
                text = window if filters is None else f"{window}, {filters}"
                axis.text(
                    place,
                    line,
                    text,
                    color="black",
                    ha="center",
                    va="center",
                    fontsize=fits(text, 0.76, 8),
                )
                _arrow(axis, (before, line), (place - 0.38, line))
                before = place + 0.38
            _arrow(axis, (before, line), (join, line), head=False)
        for x in (fork, join):
            axis.plot([x, x], [tops[0], tops[-1]], color="black", lw=0.9)
        _arrow(axis, (self.x, self.y), (fork, self.y), head=False)
        _arrow(axis, (join, self.y), (self.x + self.width, self.y), head=False)


def kind_of(layer: Any) -> str:
    """What a layer is, for its colour."""
    name = type(layer).__name__
    if isinstance(layer, keras.layers.InputLayer):
        return "input"
    if isinstance(layer, AuxiliaryClassifier) or name in ("Dense", "RBFOutput"):
        return "dense"
    if "Pooling" in name or name == "Subsampling2D":
        return "pooling"
    return "convolution" if _convolves(layer) else "other"


def work(layer: Any, language: str) -> str:
    """What a layer does, in a few words."""
    name = type(layer).__name__
    if isinstance(layer, keras.layers.InputLayer):
        return say(language, "input", "entrada")
    function = getattr(layer, "activation", None)
    function = getattr(function, "__name__", "linear")
    if name == "Activation":
        return function
    if name in ("Dropout", "SpatialDropout2D"):
        return f"dropout {layer.rate:g}"
    if name in PASSES_ON:
        return _SHORT.get(name, name.lower())
    words = _words(layer, name, language)
    plain = function == "linear" or isinstance(layer, AuxiliaryClassifier)
    return words if plain else f"{words}\n{function}"


def _words(layer: Any, name: str, language: str) -> str:
    if isinstance(layer, keras.Model):
        count = len(layer.layers)
        return say(language, f"model of\n{count} layers", f"modelo de\n{count} camadas")
    if isinstance(layer, AuxiliaryClassifier):
        return say(language, "auxiliary\nclassifier", "classificador\nauxiliar")
    if name == "Dense":
        return say(language, "dense", "densa")
    if name == "RBFOutput":
        return say(language, "RBF units", "unidades RBF")
    if name.startswith("Global"):
        average = "Average" in name
        return say(
            language,
            f"global {'average' if average else 'max'}",
            f"{'média' if average else 'máximo'} global",
        )
    if name == "Subsampling2D":
        return say(language, "subsampling\n", "subamostragem\n") + _window(layer)
    if "Pooling" in name:
        average = "Average" in name
        pool = say(
            language,
            f"{'average' if average else 'max'} pool",
            f"pool {'médio' if average else 'máx.'}",
        )
        return f"{pool} {_window(layer)}"
    if _convolves(layer):
        return _convolution(layer, name, language)
    return name


def _convolves(layer: Any) -> bool:
    """Whether a layer is a convolution; not every name with "Conv" in it is one's."""
    named = re.search(r"Conv(LSTM)?[123]D", type(layer).__name__)
    return named is not None and hasattr(layer, "kernel_size")


def _convolution(layer: Any, name: str, language: str) -> str:
    kind = re.split(r"Conv(?:LSTM)?[123]D", name)
    words = {
        "Separable": say(language, "separable conv", "conv separável"),
        "Depthwise": say(language, "depthwise conv", "conv em profundidade"),
        "PartiallyConnected": "partial conv",
    }
    first = words.get(kind[0], "conv")
    first = "conv LSTM" if "LSTM" in name else first
    if kind[-1] == "Transpose":
        first = say(language, "transposed conv", "conv transposta")
    groups, rate = getattr(layer, "groups", 1), getattr(layer, "dilation_rate", 1)
    rate = rate if isinstance(rate, int) else max(rate)
    second = _window(layer) + (f" ({groups} g)" if groups > 1 else "")
    if rate > 1:
        second += say(language, f", dilated {rate}", f", dilatada {rate}")
    return f"{first} {second}" if len(first + second) <= 16 else f"{first}\n{second}"


def _window(layer: Any) -> str:
    """Kernel or pool size, and the stride where it is not 1."""
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", (1,))
    strides = getattr(layer, "strides", 1)
    stride = strides if isinstance(strides, int) else max(strides)
    return TIMES.join(map(str, size)) + (f" /{stride}" if stride > 1 else "")


def _of_block(convolution: Any) -> str:
    """A convolution of a block: its window, its filters and its groups."""
    groups = getattr(convolution, "groups", 1)
    filters = f"{convolution.filters}" + (f" ({groups} g)" if groups > 1 else "")
    return f"{_window(convolution)}\n{filters}"


def shape_of(call: Any) -> str:
    """The shape of a call's output without the batch: 28×28×6."""
    shape = call.outputs[0].shape[1:]
    return TIMES.join("?" if size is None else str(size) for size in shape)


def _frame(axis: Any, glyph: Glyph) -> None:
    """The frame of a block: its name and number above, its output's shape below."""
    _box(axis, glyph.x, glyph.y, glyph.width, glyph.height, "input", zorder=0.55)
    top = glyph.y + glyph.height / 2 - 0.13
    times = f"   {TIMES} {glyph.count}" if glyph.count > 1 else ""
    middle = glyph.x + glyph.width / 2
    axis.text(
        middle, top, glyph.name + times, color="black", ha="center", va="center",
        fontsize=fits(glyph.name + times, glyph.width, 8.5, BOLD), weight="bold",
    )  # fmt: skip
    axis.text(
        middle, glyph.y - glyph.height / 2 + 0.13, glyph.shape, color="black",
        ha="center", va="center", fontsize=8,
    )  # fmt: skip


def _box(
    axis: Any,
    x: float,
    y: float,
    width: float,
    height: float,
    kind: str,
    *,
    centred: bool = False,
    zorder: float = 1,
) -> None:
    left = x - width / 2 if centred else x
    axis.add_patch(
        FancyBboxPatch(
            (left + 0.02, y - height / 2 + 0.02),
            width - 0.04,
            height - 0.04,
            boxstyle="round,pad=0.02",
            facecolor=COLOURS[kind],
            edgecolor=GREY,
            lw=0.8,
            zorder=zorder,
        )
    )


def _arrow(axis: Any, start: tuple, end: tuple, head: bool = True) -> None:
    axis.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>" if head else "-",
            mutation_scale=6,
            color="black",
            lw=0.9,
            shrinkA=0,
            shrinkB=0,
        )
    )
