"""Each public function that takes a model, and what must be true of its answer."""

import math

import keras
import numpy as np
from keras import ops, tree

from dlkeras import model_graph, stages, transfer
from dlkeras import visualization as show
from dlkeras.architectures import feature_extractor, load_weights_from, summary_table
from dlkeras.visualization.figure import TIMES, shortened
from tests.strangers.looks import faults
from tests.strangers.models import Patches

TRIED = {}


def tries(name):
    return lambda function: TRIED.setdefault(name, function)


class Brought:
    """A stranger's model with a batch of two that fits it, and what it answers."""

    def __init__(self, model):
        self.model = model
        self.graph = model_graph.read(model)
        draw = np.random.default_rng(0)
        self.arrays = [
            (3 * draw.random((2, *(n or 16 for n in x.shape[1:])))).astype(x.dtype)
            for x in self.graph.inputs
        ]
        self.x = self.arrays[0] if len(self.arrays) == 1 else self.arrays
        if isinstance(model, keras.Function) and isinstance(model.input, dict):
            self.x = dict(zip(sorted(model.input), self.arrays, strict=True))
        elif model.name == "of_dictionaries":
            self.x = {"facts" if x.ndim == 2 else "image": x for x in self.arrays}
        self.answer = self.computed(model)

    def computed(self, model):
        """A model's outputs for the batch, as arrays."""
        listed = isinstance(model, keras.Function) and not isinstance(model.input, dict)
        x = self.arrays if listed and isinstance(self.x, dict) else self.x
        return numbers(model(x, training=False))


def numbers(tensors):
    flat = [ops.convert_to_numpy(x) for x in tree.flatten(tensors)]
    return [np.asarray(x, "float64") for x in flat]


def same(mine, theirs):
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def _with_scores(brought):
    """The batch's scores before a last activation, as a function of the images."""
    model = brought.model
    last = model.layers[-1]
    activation = getattr(last, "activation", None)

    def scores(x):
        if activation is not None:
            last.activation = keras.activations.linear
        try:
            found = numbers(model(x, training=False))[0]
        finally:
            if activation is not None:
                last.activation = activation
        two = activation is keras.activations.sigmoid
        return np.concatenate([-found, found], 1) if two else found

    return scores


# --- Graphs and tables --------------------------------------------------------------


@tries("model_graph.read")
def _(brought):
    graph = brought.graph
    given = [ops.convert_to_tensor(x) for x in brought.arrays]
    pairs = list(zip(graph.inputs, given, strict=True))
    same(numbers(graph.run(pairs, graph.outputs)), brought.answer)


def _operations_of_an_example(brought):
    """What PyTorch counts for two examples more, halved."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    known = {fused: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}
    counts = []
    for times in (1, 2):
        x = tree.map_structure(lambda x, n=times: np.concatenate([x] * n), brought.x)
        with FlopCounterMode(display=False, custom_mapping=known) as counter:
            brought.model(x, training=False)
        counts.append(counter.get_total_flops())
    return (counts[1] - counts[0]) // 2


@tries("architectures.summary_table")
def _(brought):
    graph, rows = brought.graph, summary_table(brought.model)
    given = [ops.convert_to_tensor(x) for x in brought.arrays]
    pairs = list(zip(graph.inputs, given, strict=True))
    computed = graph.run(pairs, [call.outputs[0] for call in graph.calls])
    for row, tensor in zip(rows, computed, strict=True):
        for said, size in zip(row.output, tensor.shape[1:], strict=True):
            assert said in (None, size), row
        width = ops.convert_to_numpy(tensor).dtype.itemsize
        assert row.memory == math.prod(n or 0 for n in row.output) * width, row
    held = sum(row.parameters + row.frozen for row in rows)
    assert held == brought.model.count_params()
    assert rows.parameters == sum(
        math.prod(w.shape) for w in brought.model.trainable_variables
    )
    # On PyTorch Keras runs a recurrence two steps further, to learn its shapes, and
    # cuts patches by a convolution: `test_costs.py` counts those by hand.
    other = (keras.layers.RNN, keras.layers.Bidirectional, Patches)
    other = any(isinstance(layer, other) for layer in brought.model.layers)
    if keras.backend.backend() == "torch" and rows.multiply_adds is not None:
        assert other or rows.multiply_adds * 2 == _operations_of_an_example(brought)
    assert not faults(show.network_table(rows))


@tries("model_graph.ReceptiveFields")
def _(brought):
    """A change of noise outside of the box does not reach the pixel."""
    fields = model_graph.ReceptiveFields(brought.model)
    maps = [c.outputs[0] for c in fields.graph.calls if len(c.outputs[0].shape) == 4]
    boxes = [(x, box) for x in maps if (box := fields.box(x)) is not None]
    draw = np.random.default_rng(0)
    shapes = [(2, *x.shape[1:]) for x in fields.graph.inputs]
    first, other = (
        [(3 * draw.random(s)).astype(x.dtype) for s, x in zip(shapes, i, strict=True)]
        for i in [fields.graph.inputs] * 2
    )
    for tensor, box in boxes[len(boxes) // 2 :: max(len(boxes) // 2, 1)]:
        for mine, changed in zip(first, other, strict=True):
            if mine.ndim == 4:
                rows = slice(max(box.top, 0), max(box.top + box.height, 0))
                columns = slice(max(box.left, 0), max(box.left + box.width, 0))
                changed[:, rows, columns] = mine[:, rows, columns]
            else:
                changed[:] = mine
        middle = (slice(None), *(n // 2 for n in tensor.shape[1:3]))
        answers = []
        for values in (first, other):
            given = [ops.convert_to_tensor(x) for x in values]
            pairs = list(zip(fields.graph.inputs, given, strict=True))
            answers.append(numbers(fields.graph.run(pairs, [tensor]))[0][middle])
        np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-5)


@tries("stages.stages")
def _(brought):
    found = stages.stages(brought.model)
    for name in found.values():
        assert brought.graph.ends(name) is not None


@tries("stages.find_layer")
def _(brought):
    named = [c for c in brought.graph.calls if isinstance(c.operation, keras.Layer)]
    found = stages.find_layer(brought.model, named[-1].name, "layer")
    assert found is named[-1].operation


@tries("architectures.feature_extractor")
def _(brought):
    found = feature_extractor(brought.model, brought.graph.calls[-1].name)
    last = brought.graph.calls[-1].outputs[0]
    place = [i for i, x in enumerate(brought.graph.outputs) if x is last]
    same(brought.computed(found)[:1], [brought.answer[i] for i in place[:1]])


@tries("architectures.load_weights_from")
def _(brought):
    before = brought.model.get_weights()
    load_weights_from(brought.model, brought.model)
    same(brought.model.get_weights(), before)


# --- Figures ------------------------------------------------------------------------


@tries("visualization.architecture_diagram")
def _(brought):
    figure = show.architecture_diagram(brought.model)
    assert len(figure.axes[0].patches) + len(figure.axes[0].collections) > 0
    assert not faults(figure)


def _last_maps(brought):
    """The name of the last call that gives maps, or of the last one."""
    maps = [c for c in brought.graph.calls if len(c.outputs[0].shape) == 4]
    return (maps or brought.graph.calls)[-1].name


@tries("visualization.receptive_field")
def _(brought):
    name = _last_maps(brought)
    box = show.receptive_field_box(brought.model, name)
    figure = show.receptive_field(brought.model, name)
    (label,) = figure.axes[1].get_legend().get_texts()
    first, second = label.get_text().replace(":\n", ": ").split(": ")
    assert second == f"{box.height} {TIMES} {box.width} pixels"
    assert first in (name, shortened(name, 26))
    assert not faults(figure)


@tries("visualization.receptive_field_box")
def _(brought):
    name = _last_maps(brought)
    box = show.receptive_field_box(brought.model, name)
    fields = model_graph.ReceptiveFields(brought.model)
    (last,) = [c for c in fields.graph.calls if c.name == name]
    assert box == fields.box(last.outputs[0])


@tries("visualization.stacked_layers")
def _(brought):
    """What the last neuron sees of the image is said for one layer by its box."""
    name = _last_maps(brought)
    figure = show.stacked_layers(brought.model, name)
    box = show.receptive_field_box(brought.model, name)
    said = figure.axes[0].texts[-1].get_text().replace("\n", " ")
    assert f"each sees {box.height} {TIMES} {box.width}" in said
    assert "stride 0" not in said.replace("stride 0.", "")
    assert not faults(figure)


@tries("visualization.saliency_map")
def _(brought):
    """The slope is a difference of the scores, at the pixel where it is steepest."""
    x = brought.x
    if getattr(x, "dtype", None) == np.uint8:
        x = np.maximum(x, 1)  # 0 less 1 would be 255
    found, classes = show.saliency_map(brought.model, x)
    scores = _with_scores(brought)
    np.testing.assert_array_equal(classes, scores(x).argmax(1))
    assert found.shape == x.shape[:-1]
    if any("float16" in layer.compute_dtype for layer in brought.model.layers):
        return  # too coarse for a difference
    place = np.unravel_index(found[0].argmax(), found[0].shape)
    channels = x.shape[-1]
    slopes = []
    # A difference over the corner of a ReLU is of two slopes, a small one of rounding.
    for step in (0.1, 0.01, 0.001) if x.dtype.kind == "f" else (1.0,):
        moved = np.repeat(x[:1].astype("float32"), 2 * channels, 0)
        for number in range(channels):
            moved[(number, *place, number)] += step
            moved[(channels + number, *place, number)] -= step
        up, down = scores(moved)[:, classes[0]].reshape(2, channels)
        slopes.append(np.abs(up - down).max() / (2 * step))
    slope = min(slopes, key=lambda slope: abs(slope - found[(0, *place)]))
    # A byte is a large step: the score bends within it.
    close = 0.1 if x.dtype.kind == "f" else 0.2
    np.testing.assert_allclose(found[(0, *place)], slope, rtol=close, atol=2e-4)


@tries("visualization.grad_cam_map")
def _(brought):
    found, classes = show.grad_cam_map(brought.model, brought.x)
    scores = _with_scores(brought)
    np.testing.assert_array_equal(classes, scores(brought.x).argmax(1))
    assert found.ndim == 3
    assert found.min() >= 0


@tries("visualization.saliency")
def _(brought):
    figure = show.saliency(brought.model, brought.x)
    assert len(figure.axes) == 7
    assert not faults(figure)


@tries("visualization.grad_cam")
def _(brought):
    figure = show.grad_cam(brought.model, brought.x)
    assert len(figure.axes) == 7
    assert not faults(figure)


@tries("visualization.loss_along")
def _(brought):
    """The first point is one step back along both directions."""
    before = brought.model.get_weights()
    y = np.zeros_like(brought.answer[0])
    landscape = show.loss_along(brought.model, brought.x, y, loss="mse", points=2)
    same(brought.model.get_weights(), before)
    assert any(np.any(part) for part in landscape.directions[0])
    variables = brought.model.trainable_variables
    steps = zip(variables, landscape.weights, *landscape.directions, strict=True)
    for variable, w, first, second in steps:
        variable.assign(w - first - second)
    (answer,) = brought.computed(brought.model)
    np.testing.assert_allclose(landscape.loss[0, 0], (answer**2).mean(), rtol=1e-3)
    brought.model.set_weights(before)
    assert not faults(show.loss_landscape(landscape))


# --- Transfer: these change the model, and stand last -------------------------------


@tries("transfer.replace_head")
def _(brought):
    found = transfer.replace_head(brought.model, 7)
    (answer,) = brought.computed(found)
    assert answer.shape == (2, 7)
    np.testing.assert_allclose(answer.sum(1), 1, rtol=1e-3)


@tries("transfer.penalize_distance")
def _(brought):
    pulled = transfer.penalize_distance(brought.model, 0.1, 0.2)
    assert set(pulled.values()) <= {0.1, 0.2}
    assert 0.1 in pulled.values()


@tries("transfer.layerwise_learning_rates")
def _(brought):
    optimizer = transfer.layerwise_learning_rates(
        brought.model, keras.optimizers.SGD(0.1), 0.5
    )
    factors = optimizer.learning_rate_factors
    assert factors
    assert {*factors} <= {w.path for w in brought.model.weights}


@tries("transfer.freeze")
def _(brought):
    frozen = transfer.freeze(brought.model, 1)
    held = {
        id(w)
        for call in brought.graph.calls
        if call.name in frozen
        for w in call.weights
    }
    assert held
    assert not held & {id(w) for w in brought.model.trainable_variables}


@tries("transfer.split_frozen")
def _(brought):
    front, rest = transfer.split_frozen(brought.model)
    features = front(brought.x, training=False)
    same(numbers(rest(features, training=False)), brought.answer)


@tries("transfer.cached_features")
def _(brought):
    found = transfer.cached_features(brought.model, brought.x)
    same([found], brought.answer)


@tries("transfer.unfreeze")
def _(brought):
    named = transfer.unfreeze(brought.model)
    kinds = keras.layers.BatchNormalization
    weighted = [
        c
        for c in brought.graph.calls
        if c.weights and not c.again and not isinstance(c.operation, kinds)
    ]
    assert {*named} >= {c.name for c in weighted if c.operation.trainable_weights}
    for call in weighted:
        assert call.operation.trainable


@tries("transfer.probe_then_fine_tune")
def _(brought):
    answer = brought.model(brought.x, training=False)
    y = tree.map_structure(lambda x: np.zeros(tuple(x.shape), "float32"), answer)
    loss = tree.map_structure(lambda x: "mse", answer)
    done = transfer.probe_then_fine_tune(
        brought.model, brought.x, y, probe_epochs=1, fine_tune_epochs=1, loss=loss,
        metrics=(),
    )  # fmt: skip
    assert len(done["loss"]) == 2
