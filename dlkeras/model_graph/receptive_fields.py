"""Receptive fields: which image pixels one pixel of a feature map depends on.

From the pixel in question the region is carried back, call by call, to the image. What
windows, padding and pointwise operations do to a region is known; layers made of layers
are opened; every other operation is measured: the gradient of the region with respect
to random maps is not zero just where it looks. What passes without a gradient, such as
a rounding, is found by a change of each row and column.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.model_graph import backend
from dlkeras.model_graph.calls import Call, filled_in
from dlkeras.model_graph.graph import Graph, opened, read
from dlkeras.model_graph.windows import Window, keeps_pixels, window_of

# A model of images of any size is looked at with images of this one.
SIZE = 256
_GLOBAL = ("GlobalAveragePooling2D", "GlobalMaxPooling2D")


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; it leaves the image where the layers pad.

    Attributes:
        top: First row, negative above the image.
        left: First column, negative to the left of it.
        height: Number of rows.
        width: Number of columns.
    """

    top: int
    left: int
    height: int
    width: int


# First and last pixel along each axis; of a tensor that is no map, all of it.
_Region = list[tuple[int, int]]
_ALL: _Region = []


class _NotMapsError(Exception):
    """Pixels cannot be followed through a tensor without rows and columns."""


def channels_first(graph: Graph) -> bool:
    """Whether a layer takes images as (batch, channels, height, width)."""
    formats = (getattr(c.operation, "data_format", None) for c in graph.calls)
    return "channels_first" in formats


class ReceptiveFields:
    """Boxes of the pixels that a model's maps see.

    Args:
        model: A built Keras model with at least one image, `(batch, height, width,
            channels)` or channels first, among its inputs.

    Example:
        >>> import keras
        >>> images = keras.Input((9, 9, 1))
        >>> x = keras.layers.Conv2D(1, 3, name="a")(images)
        >>> model = keras.Model(images, keras.layers.Conv2D(1, 3, name="b")(x))
        >>> fields = ReceptiveFields(model)
        >>> fields.box(fields.graph.outputs[0])
        Box(top=2, left=2, height=5, width=5)

    Reference:
        Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
        networks", Distill 2019.
    """

    def __init__(self, model: Any) -> None:
        self.graph = read(model)
        shapes = [tuple(x.shape) for x in self.graph.inputs]
        if any(None in shape[1:] for shape in shapes):
            sizes = [(s[0], *(n or SIZE for n in s[1:])) for s in shapes]
            self.graph = read(model, sizes)
        self._images = [x for x in self.graph.inputs if len(x.shape) == 4]
        self._opened: dict[int, Graph | None] = {}

    def box(
        self, tensor: Any, position: Sequence[int] | None = None, seen: Any = None
    ) -> Box | None:
        """Return the pixels of the image that one pixel of a call's output sees.

        Args:
            tensor: An output of a call of `graph`.
            position: Row and column in it; by default the middle.
            seen: The maps whose pixels are asked for, an output of another call; by
                default the images.

        Returns:
            The smallest rectangle that holds all of them. Where every step is known it
            reaches into the padding around the image; where something is measured, it
            ends with the image. None if the output is no map, or sees no image, or
            channels stand first.

        Raises:
            ValueError: It must be measured, and the model gives no gradient.
        """
        sources = self._images if seen is None else [seen]
        if len(tensor.shape) != 4 or not sources or channels_first(self.graph):
            return None
        sizes = _sizes(tensor)
        place = tuple(n // 2 for n in sizes) if position is None else position
        regions = {id(tensor): [(i, i) for i in place]}
        try:
            self._carry_back(self.graph, regions, {id(x) for x in sources})
            found = [regions[id(x)] for x in sources if id(x) in regions]
        except _NotMapsError:
            found = self._measured_from(sources, tensor, regions[id(tensor)])
        found = [region for region in found if region]
        if not found:
            return None
        rows, columns = (_hull(spans) for spans in zip(*found, strict=True))
        return Box(
            rows[0], columns[0], rows[1] - rows[0] + 1, columns[1] - columns[0] + 1
        )

    def _carry_back(
        self, graph: Graph, regions: dict[int, _Region], ends: Set[int] = frozenset()
    ) -> None:
        """Add to the regions of some tensors those of all that they are made from.

        What the tensors of `ends` are made from is not asked.
        """
        for call in reversed(graph.calls):
            for number, tensor in enumerate(call.outputs):
                if id(tensor) in regions and not (call.is_input or id(tensor) in ends):
                    for x, region in self._through(call, number, regions[id(tensor)]):
                        known: Any = regions.get(id(x), region)
                        regions[id(x)] = [
                            _hull(pair) for pair in zip(known, region, strict=True)
                        ]

    def _through(self, call: Call, number: int, region: _Region) -> list:
        """What a call reads of its inputs, for a region of one of its outputs."""
        inputs = list({id(x): x for x in call.inputs}.values())
        maps = [len(x.shape) == 4 for x in inputs]
        if region and all(maps):
            window = window_of(call)
            if window is not None:
                return [(inputs[0], _looked_at(window, region))]
            if keeps_pixels(call):
                return [(x, _where_wide(x, region)) for x in inputs]
        elif not region and not any(maps):
            if all(len(x.shape) <= 2 for x in inputs):
                return [(x, _ALL) for x in inputs]
        elif not region and pools_all(call):
            return [(x, [(0, n - 1) for n in _sizes(x)]) for x in inputs]
        elif _is_unflattening(call) and not any(maps):
            return [(x, _ALL) for x in inputs if len(x.shape) <= 2]
        if id(call) not in self._opened:
            self._opened[id(call)] = opened(call.operation, call.args, call.kwargs)
        inner = self._opened[id(call)]
        if inner is not None:
            regions = {id(inner.outputs[number]): region}
            try:
                self._carry_back(inner, regions)
            except _NotMapsError:
                pass
            else:
                pairs = zip(inputs, inner.inputs, strict=True)
                return [(x, regions[id(y)]) for x, y in pairs if id(y) in regions]
        if not region or not all(maps):
            raise _NotMapsError
        return self._measured(call, number, region, inputs)

    def _measured(self, call: Call, number: int, region: _Region, inputs: list) -> list:
        """As `_through`, by the gradient with respect to random maps."""
        if type(call.operation).__name__ in ("Permute", "Transpose"):
            raise _NotMapsError
        draw = np.random.default_rng(0)
        values = [_drawn(draw, x) for x in inputs]
        found = []
        for place, x in enumerate(inputs):

            def outcome(value: Any, place: int = place) -> Any:
                given = [*values[:place], value, *values[place + 1 :]]
                known = dict(zip(map(id, inputs), given, strict=True))
                args, kwargs = filled_in((call.args, call.kwargs), known)
                output = keras.tree.flatten(call.operation(*args, **kwargs))[number]
                return _within(output, region)

            try:
                seen = _measured_with(outcome, values[place])
            except Exception as error:  # it computes in the whole model alone
                raise _NotMapsError from error
            if seen:
                found.append((x, seen))
        return found

    def _measured_from(
        self, sources: list[Any], tensor: Any, region: _Region
    ) -> list[_Region]:
        """The regions of sources, by the gradient with respect to random ones."""
        draw = np.random.default_rng(0)
        starts = {id(x): x for x in (*self.graph.inputs, *sources)}
        drawn = [(x, _drawn(draw, x)) for x in starts.values()]
        count = min(int(value.shape[0]) for _, value in drawn)
        values = [(x, value[:count]) for x, value in drawn]
        found = []
        for image in sources:

            def outcome(value: Any, image: Any = image) -> Any:
                given = [(x, value if x is image else y) for x, y in values]
                return _within(self.graph.run(given, [tensor])[0], region)

            start = next(y for x, y in values if x is image)
            try:
                found.append(_measured_with(outcome, start))
            except Exception as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise ValueError(
                    "The receptive field is measured by a gradient here, and the model "
                    f"{self.graph.model.name!r} gives none: {reason[:200]}"
                ) from error
        return found


def _axes() -> tuple[int, int]:
    first = keras.config.image_data_format() == "channels_first"
    return (2, 3) if first else (1, 2)


def _sizes(tensor: Any) -> list[int]:
    return [tensor.shape[axis] for axis in _axes()]


def _hull(spans: Any) -> tuple[int, int]:
    return min(first for first, _ in spans), max(last for _, last in spans)


def _looked_at(windows: tuple[Window, Window], region: _Region) -> _Region:
    return [w.looked_at(*span) for w, span in zip(windows, region, strict=True)]


def _where_wide(tensor: Any, region: _Region) -> _Region:
    """The region, or the only pixel of what is broadcast along an axis."""
    pairs = zip(_sizes(tensor), region, strict=True)
    return [(0, 0) if size == 1 else span for size, span in pairs]


def pools_all(call: Call) -> bool:
    """Return whether a call makes one pixel of all pixels of its maps."""
    kind = type(call.operation).__name__
    if kind in _GLOBAL:
        return True
    axis = getattr(call.operation, "axis", None)
    rank = len(call.inputs[0].shape)
    if kind not in ("Mean", "Max", "Sum", "Amax") or not isinstance(axis, tuple | list):
        return False
    return {i % rank for i in axis} == set(_axes())


def _is_unflattening(call: Call) -> bool:
    """Whether features become maps of one pixel, as in squeeze and excitation."""
    shape: Any = call.outputs[0].shape
    return type(call.operation).__name__ == "Reshape" and (
        len(shape) == 4 and _sizes(call.outputs[0]) == [1, 1]
    )


def _drawn(draw: np.random.Generator, tensor: Any) -> Any:
    """Random values of a tensor's shape; several examples, as a ReLU hides some."""
    pixels = int(np.prod(tensor.shape[1:]))
    shape = (
        tensor.shape[0] or int(np.clip(1_000_000 // pixels, 1, 4)),
        *tensor.shape[1:],
    )
    return ops.cast(draw.normal(size=shape), tensor.dtype)


def _within(output: Any, region: _Region) -> Any:
    """A number that depends on all of an output's pixels in a region."""
    index: list[Any] = [slice(None)] * 4
    for axis, (first, last) in zip(_axes(), region, strict=True):
        index[axis] = slice(max(first, 0), max(last + 1, 0))
    wide: Any = ops.cast(output, "float32")
    part = wide[tuple(index)]
    weights = np.random.default_rng(1).uniform(1, 2, size=tuple(part.shape))
    return ops.sum(part * ops.cast(weights, part.dtype))


def _measured_with(outcome: Callable[[Any], Any], value: Any) -> _Region:
    """First and last pixel of maps that an outcome depends on."""
    try:
        seen = _nonzero(backend.gradient(outcome, value))
    except Exception:  # the call reads values, which JAX does not trace
        seen = None
    start: Any = ops.convert_to_numpy(value)
    noise = 3 * np.random.default_rng(2).normal(size=start.shape)
    before: Any = ops.convert_to_numpy(outcome(value))

    def moves(chosen: np.ndarray) -> bool:
        changed = ops.cast(np.where(chosen, start + noise, start), value.dtype)
        after: Any = ops.convert_to_numpy(outcome(changed))
        return abs(float(after) - float(before)) > 1e-4 * abs(float(before))

    places = np.indices(start.shape)
    axes = [places[axis] for axis in _axes()]
    if seen is not None:
        inside = [(a <= x) & (x <= b) for x, (a, b) in zip(axes, seen, strict=False)]
        outside = ~np.logical_and(*inside) if inside else np.ones(start.shape, bool)
        if not moves(outside):
            return seen
    region = []  # something passes without a gradient: a round, a value of NumPy
    for x in axes:
        moved = [i for i in range(int(x.max()) + 1) if moves(x == i)]
        if not moved:
            return _ALL
        region.append((moved[0], moved[-1]))
    return region


def _nonzero(slope: np.ndarray) -> _Region:
    """First and last pixel of a gradient that are not zero; none if all are."""
    region = []
    for axis in _axes():
        others = tuple(i for i in range(4) if i != axis)
        (places,) = np.nonzero((np.asarray(slope) != 0).any(axis=others))
        if not len(places):
            return _ALL
        region.append((int(places[0]), int(places[-1])))
    return region
