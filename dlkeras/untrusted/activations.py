"""What a stranger's network computes of one image, counted before it is computed."""

import itertools
import math
from typing import TYPE_CHECKING, Any

from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.torch_pickle import printable

if TYPE_CHECKING:
    import keras

# EfficientNetV2-L, of an image of 480 x 480, computes 10**9.
_MOST_NUMBERS = 2**30
_LARGEST = 2**28
# Products that are added up: ConvNeXt-XL, of an image of 384 x 384, has 1.8 * 10**11.
_MOST_PRODUCTS = 2**38
# A comparison of a pooling takes as long as so many products of a convolution.
_POOLING = 8
_OF_MATRICES = frozenset(
    ("Cholesky", "Eig", "LogMatrixDeterminant", "Lu", "MatrixDeterminant",
     "MatrixInverse", "MatrixSolve", "MatrixSolveLs", "MatrixTriangularSolve", "Qr",
     "SelfAdjointEigV2", "Svd")
)  # fmt: skip
# They hand on what is there, or give the weights, which are counted where they are
# made.
_FREE = frozenset(
    ("Const", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp",
     "Reshape", "StopGradient")
)  # fmt: skip


def check_activations(model: "keras.Model", height: int, width: int) -> None:
    """Refuse a network that would fill the memory or never answer.

    A layer without weights can still make a small image as large as it likes, and pool
    over windows as large. So TensorFlow infers the shape of whatever the network
    computes of one image of this size, which takes no memory.

    Args:
        model: a network of images.
        height: of the image.
        width: of the image.

    Raises:
        UntrustedFileError: it computes too much, or nothing of such an image.
    """
    total = largest = products = 0
    of = f"for an image of {height} x {width} its layers"
    try:
        graph = _graph(model, height, width)
    except Exception as error:  # a network from outside may fail anywhere
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UntrustedFileError(
            f"{of} compute nothing; {printable(lines[0], 200)}"
        ) from error
    used = {name.lstrip("^") for node in graph.node for name in node.input}
    inner = (function.node_def for function in graph.library.function)
    shapes = {node.name: _shapes(node) for node in graph.node}
    for node in itertools.chain(graph.node, *inner):
        products += _products(node, shapes)
        if node.op in _FREE:
            continue
        for index, sizes in enumerate(_shapes(node)):
            name = f"{node.name}:{index}" if index else node.name
            if name in used and (sizes is None or min(sizes, default=0) < 0):
                raise UntrustedFileError(
                    f"{of} make arrays of unknown size ({printable(node.op)})"
                )
            numbers = _numbers(sizes)
            total, largest = total + numbers, max(largest, numbers)
    if total > _MOST_NUMBERS or largest > _LARGEST:
        raise UntrustedFileError(
            f"{of} make {total:,} numbers, {largest:,} of them at once; at most "
            f"{_MOST_NUMBERS:,} and {_LARGEST:,} are computed"
        )
    if products > _MOST_PRODUCTS:
        raise UntrustedFileError(
            f"{of} take {products:,} products; at most {_MOST_PRODUCTS:,} are computed"
        )


def _shapes(node: Any) -> list[list[int] | None]:
    """The sizes of what a node gives; None where even their number is unknown."""
    return [
        None if shape.unknown_rank else [size.size for size in shape.dim]
        for shape in node.attr["_output_shapes"].list.shape
    ]


def _numbers(sizes: list[int] | None) -> int:
    return math.prod(max(size, 1) for size in sizes or ())


def _products(node: Any, shapes: dict[str, list[list[int] | None]]) -> int:
    """How many products, or comparisons of a pooling, a node adds up."""
    given = []
    for name in node.input:
        name, _, index = name.lstrip("^").partition(":")
        known = shapes.get(name, [])
        place = int(index) if index.isdigit() else 0
        given.append((known[place] if place < len(known) else None) or [])
    out = sum(map(_numbers, _shapes(node)))
    if "ksize" in node.attr:  # MaxPool, AvgPool, and those of volumes
        return _POOLING * out * math.prod(node.attr["ksize"].list.i)
    if node.op in ("Conv2D", "Conv3D"):
        return out * _numbers(given[1][:-1])
    if node.op.startswith("DepthwiseConv2d"):
        return out * _numbers(given[1][:2])
    if node.op.startswith(("Conv2DBackpropInput", "Conv3DBackpropInput")):
        return _numbers(given[2]) * _numbers(given[1][:-1])
    if node.op == "Einsum":
        left, _, right = node.attr["equation"].s.decode().partition("->")
        letters: dict[str, int] = {}
        for term, sizes in zip(left.split(","), given, strict=True):
            letters |= dict(zip(term.replace("...", ""), sizes, strict=False))
        return out * math.prod(n for x, n in letters.items() if x not in right)
    if "MatMul" in node.op and given[0]:
        turned = node.attr["adj_x"].b or node.attr["transpose_a"].b
        return out * max(given[0][-2 if turned else -1], 1)
    if node.op in _OF_MATRICES and given[0]:
        return _POOLING * _numbers(given[0]) * max(given[0])
    return 0


class CheckedSizes:
    """The sizes of images for which a network has been found to fit into memory.

    A larger image takes more, so that few sizes are tried.

    Args:
        model: a network of images.
    """

    def __init__(self, model: "keras.Model") -> None:
        self._model = model
        self._fit: set[tuple[int, int]] = set()

    def check(self, height: int, width: int) -> None:
        """As `check_activations`, and at once for sizes like those before."""
        if any(height <= high and width <= wide for high, wide in tuple(self._fit)):
            return
        above = (_power_above(height), _power_above(width))
        if not any(self._model.inputs[0].shape[1:3]):
            try:
                check_activations(self._model, *above)
            except UntrustedFileError:
                pass  # that much too large may be: the size itself is tried
            else:
                self._fit.add(above)
                return
        check_activations(self._model, height, width)
        self._fit.add((height, width))


def _power_above(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _graph(model: Any, height: int, width: int) -> Any:
    import tensorflow as tf

    (image,) = model.inputs
    spec = tf.TensorSpec((1, height, width, image.shape[-1]), image.dtype)
    traced = tf.function(lambda image: model(image, training=False), autograph=False)
    return traced.get_concrete_function(spec).graph.as_graph_def(add_shapes=True)
