"""What is read from a stranger's model: names of its calls, features, its inside."""

import keras
import numpy as np
import pytest

from dlkeras.architectures import feature_extractor
from dlkeras.model_graph import ReceptiveFields, opened, read
from dlkeras.stages import stages
from tests.strangers.models import MODELS, Subclassed


def arrays(graph):
    draw = np.random.default_rng(0)
    shapes = [[2, *(size or 16 for size in x.shape[1:])] for x in graph.inputs]
    pairs = zip(shapes, graph.inputs, strict=True)
    return [(3 * draw.random(shape)).astype(x.dtype) for shape, x in pairs]


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def names(name):
    return [c.name for c in read(MODELS[name]()).calls if not c.is_input]


def test_nested_shared_and_plain_calls_have_their_own_names():
    assert names("two_levels_deep")[:2] == ["middle/inner/deep", "middle/inner/deeper"]
    assert names("shared_layer")[:3] == ["shared", "between", "shared#2"]
    assert [n for n in names("siamese") if n.endswith("eye")] == [
        "branch/eye",
        "branch#2/eye",
    ]
    assert read(MODELS["siamese"]()).calls[0].name == "left"
    kinds = [
        type(c.operation).__name__ for c in read(MODELS["plain_operations"]()).calls
    ]
    assert kinds == ["InputLayer", "Conv2D", "Relu", "Add", "Conv2D", "Mean", "Dense"]


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("transfer_guide", "base/block_3_project", (2, 4, 4, 16)),
        ("transfer_guide", "block_3_project", (2, 4, 4, 16)),
        ("transfer_sequential", "base", (2, 4, 4, 16)),
        ("two_levels_deep", "deep", (2, 10, 10, 2)),
        ("sequential", "second", (2, 5, 5, 6)),
        ("sequential_built_by_data", "stage1", (2, 8, 8, 4)),
        ("shared_layer", "shared#2", (2, 8, 8, 2)),
        ("subclassed", "block", (2, 4, 4, 6)),
        ("base_inside_subclassed", "base/conv1", (2, 8, 8, 4)),
    ],
)
def test_features_inside_any_model_are_those_on_the_way_to_its_output(
    name, layer, shape
):
    graph = read(model := MODELS[name]())
    (given,) = arrays(graph)
    features = feature_extractor(model, [layer, graph.calls[-1].name])
    inner, output = (numbers(x) for x in features(given, training=False))
    assert inner.shape == shape
    answer = numbers(model(given, training=False))
    np.testing.assert_allclose(output, answer, rtol=1e-4, atol=1e-5)
    found = feature_extractor(model, layer)(given, training=False)
    np.testing.assert_allclose(numbers(found), inner, rtol=1e-4, atol=1e-5)


def test_what_is_inside_a_layer_is_read_and_leaves_no_trace():
    call = next(c for c in read(MODELS["custom_blocks"]()).calls if c.name == "block_1")
    before = len(call.operation.one._inbound_nodes), keras.layers.ReLU().name
    inner = opened(call.operation, call.args, call.kwargs)
    kinds = [type(c.operation).__name__ for c in inner.calls]
    assert kinds == ["InputLayer", "Conv2D", "Relu", "Conv2D", "Conv2D", "Add", "Relu"]
    assert len(call.operation.one._inbound_nodes) == before[0]
    number = int(before[1].rsplit("_", 1)[-1].replace("lu", "0"))
    assert keras.layers.ReLU().name == f"re_lu_{number + 1}"


class ReadsValues(keras.Model):
    def call(self, inputs):
        return inputs * float(keras.ops.convert_to_numpy(inputs).mean())


def test_what_cannot_be_read_is_one_line():
    with pytest.raises(
        ValueError, match="'fresh' is subclassed and not built: call it"
    ):
        read(Subclassed(name="fresh"))
    with pytest.raises(ValueError, match=r"begin it with keras.Input, or call it"):
        read(keras.Sequential([keras.layers.Dense(2)]))
    model = ReadsValues(name="reader")
    model(np.ones((2, 3), "float32"))
    with pytest.raises(ValueError, match="'reader' cannot be known, because its call"):
        read(model)
    with pytest.raises(ValueError, match=r"must be a Keras model.*Received: Dense"):
        read(keras.layers.Dense(2))


def test_the_calls_of_a_subclassed_model_have_the_same_names_each_time():
    model = MODELS["subclassed"]()
    first = [call.name for call in read(model).calls]
    assert first == [call.name for call in read(model).calls]
    assert first[:5] == ["input", "conv", "norm", "relu", "block"]


def test_a_subclassed_models_names_are_its_own_and_the_same_at_every_reading():
    """Keras counts up the operations of all models that a process has traced."""
    model = MODELS["list_of_blocks"]()
    first, second = ([call.name for call in read(model).calls] for _ in range(2))
    assert first == second
    assert len({*first}) == len(first)
    assert [name for name in first if name.startswith("add")] == [
        "add", "add_1", "add_2",
    ]  # fmt: skip
    for name in stages(model).values():
        assert name in first


class TwoOfOneName(keras.Model):
    """A `call` may use two blocks of one name, whose layers have one name, too."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (
            keras.Sequential([keras.layers.Conv2D(3, 3, name="conv")], name="block")
            for _ in range(2)
        )

    def call(self, x):
        return self.second(self.first(x))


def test_blocks_of_one_name_are_told_apart():
    model = TwoOfOneName()
    model(np.ones((1, 16, 16, 3), "float32"))
    graph = read(model)
    names = [call.name for call in graph.calls]
    assert {"block/conv", "block#2/conv"} <= {*names}
    assert len({*names}) == len(names)
    assert [layer.name for layer in model.layers] == ["block", "block"]
    fields = ReceptiveFields(model)
    (last,) = [c for c in fields.graph.calls if c.name == "block#2/conv"]
    assert fields.box(last.outputs[0]).height == 5  # two of 3 x 3
    with pytest.raises(ValueError, match="a name of its own for each layer"):
        feature_extractor(model, "block#2/conv")
