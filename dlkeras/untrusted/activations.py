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
# They hand on what is there, or give the weights, which are counted where they are
# made.
_FREE = frozenset(
    ("Const", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp",
     "Reshape", "StopGradient")
)  # fmt: skip


def check_activations(model: "keras.Model", height: int, width: int) -> None:
    """Refuse a network whose answer to one image would not fit into memory.

    A layer without weights can still make a small image as large as it likes. So
    TensorFlow infers the shape of whatever the network computes of one image of this
    size, which takes no memory.

    Args:
        model: a network of images.
        height: of the image.
        width: of the image.

    Raises:
        UntrustedFileError: it computes too much, or nothing of such an image.
    """
    total = largest = 0
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
    for node in itertools.chain(graph.node, *inner):
        if node.op in _FREE:
            continue
        for index, shape in enumerate(node.attr["_output_shapes"].list.shape):
            sizes = [size.size for size in shape.dim]
            name = f"{node.name}:{index}" if index else node.name
            if name in used and (shape.unknown_rank or min(sizes, default=0) < 0):
                raise UntrustedFileError(
                    f"{of} make arrays of unknown size ({printable(node.op)})"
                )
            numbers = math.prod(max(size, 1) for size in sizes)
            total, largest = total + numbers, max(largest, numbers)
    if total > _MOST_NUMBERS or largest > _LARGEST:
        raise UntrustedFileError(
            f"{of} make {total:,} numbers, {largest:,} of them at once; at most "
            f"{_MOST_NUMBERS:,} and {_LARGEST:,} are computed"
        )


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
