"""Which pixels a class score depends on: Grad-CAM and saliency, as arrays."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.model_graph import Graph, backend, read
from dlkeras.model_graph.receptive_fields import channels_first
from dlkeras.stages import find_ends
from dlkeras.visualization.inputs import numbers


def grad_cam_map(
    model: keras.Model,
    images: Any,
    layer: str | None = None,
    class_index: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute Grad-CAM: where a layer's maps speak for a class.

    With A^k the layer's maps and y^c the score of the class before the softmax, map k
    weighs a_k = mean over the pixels of dy^c / dA^k, and the result is
    ReLU(sum over k of a_k A^k), of the maps' size.

    Args:
        model: a built classifier of images, `(batch, classes)` out; of a single
            sigmoid the classes are 0 and 1.
        images: `(batch, height, width, channels)`, as the model takes them.
        layer: name of a layer or stage whose output is maps; by default the last one.
        class_index: the class to explain; by default each image's predicted one.

    Returns:
        The maps, `(batch, rows, columns)`, and the explained classes, `(batch,)`.

    Raises:
        ValueError: the model cannot be read, has no such layer or class or several
            answers by name, the layer's output is not maps, or a part of the model
            goes around the layer.

    Example:
    >>> import keras, numpy as np
    >>> images = keras.Input((4, 4, 2))
    >>> x = keras.layers.GlobalAveragePooling2D()(images)
    >>> x = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(x)
    >>> picture = np.zeros((1, 4, 4, 2), "float32"); picture[0, 1, 2] = 16
    >>> cam, _ = grad_cam_map(keras.Model(images, x), picture, images.name)
    >>> float(cam[0, 1, 2]), float(cam.sum())  # 2 maps, each weighs 1 / 16
    (2.0, 2.0)

    Reference:
        Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
        gradient-based localization", ICCV 2017, equations 1 and 2.
    """
    graph = _read(model)
    found = _maps(graph, layer)
    score_of = _scores(graph, found, graph.producer(found).name)
    images = _batch(graph, images)
    (maps,) = graph.run([(graph.inputs[0], images)], [found])
    chosen, score = _explained(score_of, maps, class_index)
    slope = np.asarray(backend.gradient(score, maps))
    maps = _values(maps)
    wide = np.result_type(maps.dtype, "float32")  # of half precision, too
    maps, slope = maps.astype(wide), slope.astype(wide)
    weights = slope.mean((1, 2), keepdims=True)
    return np.maximum((weights * maps).sum(-1), 0), chosen


def saliency_map(
    model: keras.Model, images: Any, class_index: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute how much each pixel moves the score of a class.

    Args:
        model: a built classifier of images, `(batch, classes)` out; of a single
            sigmoid the classes are 0 and 1.
        images: `(batch, height, width, channels)`, as the model takes them.
        class_index: the class to explain; by default each image's predicted one.

    Returns:
        max over the channels of |dy^c / dx|, `(batch, height, width)`, y^c being the
        score before the softmax; and the explained classes, `(batch,)`.

    Raises:
        ValueError: the model cannot be read, or has no such class or several answers
            by name.

    Example:
    >>> import keras, numpy as np
    >>> images = keras.Input((2, 2, 1))
    >>> x = keras.layers.Dense(1)(keras.layers.Flatten()(images))
    >>> model = keras.Model(images, x)
    >>> model.layers[-1].set_weights([np.array([[1], [-2], [0], [3.0]]), np.zeros(1)])
    >>> saliency_map(model, np.ones((1, 2, 2, 1), "float32"))[0].tolist()
    [[[1.0, 2.0], [0.0, 3.0]]]

    Reference:
        Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", ICLR
        workshop 2014, section 3.1.
    """
    graph = _read(model)
    if len(graph.inputs[0].shape) < 3:
        raise ValueError(
            "model must take images, (batch, height, width, channels). "
            f"Received: an input of shape {tuple(graph.inputs[0].shape)}"
        )
    score_of = _scores(graph, graph.inputs[0], "the input")
    images = _batch(graph, images)
    chosen, score = _explained(score_of, images, class_index)
    slope = np.abs(backend.gradient(score, images)).max(-1)
    integer = "int" in keras.backend.standardize_dtype(graph.inputs[0].dtype)
    if integer and not slope.any():
        raise ValueError(
            "model must take images of a floating dtype, through which a gradient "
            "passes: build it on keras.Input(shape, dtype='float32'). "
            f"Received: an input of {graph.inputs[0].dtype}"
        )
    return slope, chosen


def _batch(graph: Graph, images: Any) -> Any:
    """The images as a tensor of floats, which has a gradient where uint8 has none."""
    shape = (None, *graph.inputs[0].shape[1:])  # of any number of examples
    expected = f"images of shape {('batch', *shape[1:])}, as the model takes them"
    batch = numbers(images, "images", expected)
    if batch.ndim == 3 and len(shape) == 4:  # one image, or grey ones as of MNIST
        alone = all(s in (None, n) for s, n in zip(shape[1:], batch.shape, strict=True))
        batch = batch[None] if alone else batch[..., None]
    fits = batch.ndim == len(shape) and all(
        known in (None, size) for known, size in zip(shape, batch.shape, strict=True)
    )
    if not fits or not batch.size or not np.isfinite(batch).all():
        raise ValueError(
            f"images must be {expected}, finite. Received: shape {batch.shape}"
        )
    wide = batch.dtype.kind == "f"
    return ops.convert_to_tensor(batch if wide else batch.astype("float32"))


def _read(model: Any) -> Graph:
    graph = read(model)
    if channels_first(graph):
        raise ValueError(
            "model must take images with channels last. Received: layers of "
            "data_format='channels_first'"
        )
    answers = getattr(model, "output", None) if len(graph.outputs) > 1 else None
    if isinstance(answers, dict):  # which of them is meant?
        raise ValueError(
            "model must answer with one score for each class, such as "
            f"keras.Model(model.input, model.output[{next(iter(answers))!r}]). "
            f"Received: answers named {sorted(answers)}"
        )
    if len(graph.inputs) != 1 or len(graph.outputs[0].shape) != 2:
        raise ValueError(
            "model must take one image and answer with one score for each class. "
            f"Received: inputs {[tuple(x.shape) for x in graph.inputs]}, outputs "
            f"{[tuple(x.shape) for x in graph.outputs]}"
        )
    return graph


def _maps(graph: Graph, name: str | None) -> Any:
    """The tensor of maps that is explained."""
    if name is None:
        several = [x for c in graph.calls for x in c.outputs if len(x.shape) == 4]
        several = [x for x in several if x is not graph.inputs[0]] or several
        if not several:
            raise ValueError(
                "model must have a layer whose output is maps, (batch, rows, columns, "
                f"maps). Received: model {graph.model.name!r} without one"
            )
        end = _answering(graph).outputs[:1]
        passed = (
            x
            for x in reversed(several)
            if not any(c.is_input for c in graph.leading_to(end, [x]))
        )  # not those of a branch
        return next(passed, several[-1])
    if name == graph.inputs[0].name:  # of the tensor, as `keras.Input` gives it
        return graph.inputs[0]
    found = find_ends(graph, name, "layer")[0]
    if len(found.shape) != 4:
        raise ValueError(
            "layer must name one whose output is maps, (batch, rows, columns, maps). "
            f"Received: layer={name!r} with output {tuple(found.shape)}"
        )
    return found


def _answering(graph: Graph) -> Any:
    """The call that gives the answer."""
    call = graph.producer(graph.outputs[0])
    if type(call.operation).__name__ == "MainOutput":  # auxiliary ones stand aside
        call = graph.producer(call.inputs[0])
    return call


def _scores(graph: Graph, start: Any, name: str) -> Any:
    """The function from the tensor `start` to the scores before the activation.

    If the last layer is neither Dense nor an activation alone, its outputs: nobody can
    know what comes before its activation. A single sigmoid is a classifier of
    two: -z is the score of class 0, z of class 1; of outputs, 1 - p and p.
    """
    call = _answering(graph)
    last, end, kernel, bias = call.operation, call.outputs[0], None, None
    activation = getattr(last, "activation", None)
    squashing = (keras.activations.softmax, keras.activations.sigmoid)
    sigmoid = (
        activation is keras.activations.sigmoid or type(last).__name__ == "Sigmoid"
    )
    if (
        isinstance(last, keras.layers.Softmax)
        or (type(last).__name__ in ("Softmax", "Sigmoid"))
        or (activation in squashing and isinstance(last, keras.layers.Activation))
    ):
        end = call.inputs[0]
    elif activation in squashing and type(last).call is keras.layers.Dense.call:
        end, kernel, bias = call.inputs[0], last.kernel, last.bias
    if any(c.is_input for c in graph.leading_to([end], [start])):
        raise ValueError(
            "layer must be one that everything passes through. "
            f"Received: layer={name!r}, which a part of the model goes around"
        )

    def scores(x: Any) -> Any:
        (x,) = graph.run([(start, x)], [end])
        if kernel is not None:
            x = ops.matmul(x, kernel)
        x = x if bias is None else ops.add(x, bias)
        if sigmoid and x.shape[-1] == 1:
            other = 1 - x if end is call.outputs[0] else -x
            x = ops.concatenate([other, x], -1)
        return x

    return scores


def _values(tensor: Any) -> Any:
    """A tensor as an array; of bfloat16, which NumPy does not have, as float32."""
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = ops.cast(tensor, "float32")
    return ops.convert_to_numpy(tensor)


def _explained(score_of: Any, x: Any, class_index: int | None) -> tuple[Any, Any]:
    """The classes to explain, and the sum of their scores as a function of x."""
    answers: Any = _values(score_of(x))
    classes = answers.shape[-1]
    if class_index is None:
        chosen = answers.argmax(-1)
    elif isinstance(class_index, int | np.integer) and 0 <= class_index < classes:
        chosen = np.full(len(answers), class_index)
    else:
        raise ValueError(
            f"class_index must be from 0 to {classes - 1}. Received: {class_index}"
        )
    # Each image's score depends on that image alone: the sum's gradient has them all.
    mask = ops.convert_to_tensor(np.eye(classes, dtype=answers.dtype)[chosen])
    return chosen, lambda tensor: ops.sum(ops.multiply(score_of(tensor), mask))
