"""Multiply-adds: the papers' numbers, fvcore's rules by hand, and XLA's own count."""

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.architectures import summary_table
from dlkeras.architectures.costs import model_multiply_adds
from tests.strangers.models import MODELS


def transfer(base):
    return keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.RandomFlip(),
            layers.Rescaling(1 / 255),
            base(weights=None),
        ]
    )


@pytest.mark.parametrize(
    ("base", "million"),
    [
        # Howard et al. (2017), table 8: 569; Sandler et al. (2018), table 4: 300.
        (keras.applications.MobileNet, 569),
        (keras.applications.MobileNetV2, 300),
    ],
)
def test_a_nested_mobilenet_costs_what_its_paper_says(base, million):
    assert model_multiply_adds(transfer(base)) / 1e6 == pytest.approx(million, abs=1)


# By fvcore's rules (conv_flop_jit, matmul_flop_jit, einsum_flop_jit): a convolution
# costs its output's pixels times its kernel, a transposed one its input's.
BY_HAND = [
    ("conv1d", (14 * 5 * 2 * 4) + 14 * 3 * 4 * 2 + 2),
    ("conv3d", 4 * 6 * 6 * 27 * 2 + 2 * 3 * 3 * 2 * 2),
    ("separable", 100 * (9 * 4 + 4 * 6) + 16 * 9 * 6 + 16 * 3 * 4 + 4 * 2),
    ("unet", 256 * 9 * 4 + 64 * 9 * 4 * 8 + 64 * 9 * 8 * 4 + 256 * 8),
    ("shared_layer", 100 * 9 * 4 + 64 * 9 * 4 + 4),
    ("siamese", 2 * (36 * 9 * 3 + 108 * 4) + 4),
    ("text_lstm", 2 * 7 * 4 * 5 * (6 + 5) + 7 * 3 * 4 * (10 + 4) + 8),
    # Query, key, value and output; scores and their use; the dense layers.
    ("transformer", 4 * 6 * 8 * 6 + 2 * 6 * 6 * 6 + 2 * 6 * 8 * 16 + 16),
    ("custom_blocks", 256 * (9 * 12 + 9 * 16 + 12) + 64 * (9 * 24 + 9 * 36 + 24)
     + 16 * (9 * 48 + 9 * 64 + 48) + 32),
    ("plain_operations", 2 * 100 * 9 * 4 + 6),
    ("subclassed", 64 * 9 * 12 + 16 * (9 * 24 + 9 * 36 + 24) + 18),
    ("half_precision", 36 * 9 * 12 + 8),
    ("stacked_cells", 5 * (4 * 4 * (2 + 4) + 3 * 3 * (4 + 3))),
    ("low_rank", 10 * 8 + 8 * 3),
    ("guide_to_vision_transformers",
     16 * 48 * 6 + 4 * 16 * 6 * 6 + 2 * 16 * 16 * 6 + 16 * 6 * 6 + 16 * 6 * 3),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), BY_HAND)
def test_a_strangers_model_costs_what_the_rules_say(name, expected):
    assert summary_table(MODELS[name]()).multiply_adds == expected


class MatrixProducts(layers.Layer):
    """As a stranger writes it: weights and `keras.ops` alone."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], 7), name="w")
        self.v = self.add_weight(shape=(7, 3), name="v")

    def call(self, inputs):
        return keras.ops.einsum("bti,ij->btj", inputs @ self.w, self.v)


def plain(build, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, build(*inputs))


BARE = {"use_bias": False}
ALONE = {
    "dense": (lambda x: layers.Dense(9, **BARE)(x), (4, 5)),
    "conv1d": (lambda x: layers.Conv1D(4, 3, strides=2, **BARE)(x), (20, 6)),
    "conv2d": (lambda x: layers.Conv2D(4, 3, groups=2, **BARE)(x), (9, 9, 6)),
    "dilated": (lambda x: layers.Conv2D(4, 3, dilation_rate=2, **BARE)(x), (9, 9, 2)),
    "conv3d": (lambda x: layers.Conv3D(2, 3, **BARE)(x), (6, 7, 8, 2)),
    "depthwise": (lambda x: layers.DepthwiseConv2D(3, **BARE)(x), (9, 9, 5)),
    "separable": (lambda x: layers.SeparableConv2D(4, 3, **BARE)(x), (9, 9, 5)),
    "transposed": (
        lambda x: layers.Conv2DTranspose(4, 3, strides=3, padding="valid", **BARE)(x),
        (5, 5, 2),
    ),
    "einsum": (
        lambda x: layers.EinsumDense("abc,cde->abde", (None, 2, 4))(x), (6, 8),
    ),
    "custom": (lambda x: MatrixProducts()(x), (6, 8)),
    "twice": (lambda x: (d := layers.Dense(5, **BARE))(d(x)), (5,)),
    "time": (
        lambda x: layers.TimeDistributed(layers.Dense(3, **BARE))(x), (6, 5)
    ),
}  # fmt: skip


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="XLA is asked through JAX")
@pytest.mark.parametrize("name", ALONE)
def test_a_layer_costs_what_xla_counts(name):
    import jax

    model = plain(*ALONE[name])
    x = np.zeros((1, *ALONE[name][1]), "float32")

    def answer(weights, x):
        return model.stateless_call(weights, [], x)[0]

    weights = [v.value for v in model.trainable_variables]
    compiled = jax.jit(answer).lower(weights, x).compile()
    flops = compiled.cost_analysis()["flops"]
    assert 2 * model_multiply_adds(model) == pytest.approx(flops, rel=1e-3)


def test_what_cannot_be_counted_is_a_question_mark_and_not_0():
    table = summary_table(MODELS["opaque_layer"]())
    assert [row.multiply_adds for row in table] == [0, 4 * 4 * 9 * 2, None]
    assert table.multiply_adds is None
    assert table.parameters == 20
    opaque, total = str(table).splitlines()[-2:]
    assert " ? " in opaque
    assert " ? " in total
    assert model_multiply_adds(MODELS["unknown_size"]()) is None


def test_a_batch_that_a_model_was_built_for_costs_nothing():
    one = keras.Sequential([layers.Dense(3, **BARE)])
    one(np.zeros((8, 5), "float32"))
    fixed = keras.Model(x := keras.Input(batch_shape=(8, 5)), keras.ops.matmul(x, x[0]))
    assert model_multiply_adds(one) == 15
    assert model_multiply_adds(fixed) == 5


@pytest.mark.parametrize(("cell", "gates"), [("GRU", 3), ("LSTM", 4), ("SimpleRNN", 1)])
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_a_recurrence_both_ways_costs_twice_its_gates_at_every_step(cell, gates, merge):
    """Three features and four units: 3 x 4 and 4 x 4 for a gate, at six steps."""
    series = keras.Input((6, 3))
    layer = getattr(keras.layers, cell)(4, return_sequences=True)
    x = keras.layers.Bidirectional(layer, merge_mode=merge)(series)
    model = keras.Model(series, x)
    assert summary_table(model).multiply_adds == 2 * 6 * gates * (3 * 4 + 4 * 4)
