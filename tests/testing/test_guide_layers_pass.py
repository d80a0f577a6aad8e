"""The layers that Keras's guides show pass the suite: it accuses nobody falsely."""

import guide_layers as guide
import pytest

from dlkeras.testing import check_layer

CASES = {
    "Linear": (guide.Linear, {"units": 3}, (4, 5)),
    "LinearOfKnownInput": (
        guide.LinearOfKnownInput,
        {"units": 3, "input_dim": 5},
        (4, 5),
    ),
    "MLPBlock": (guide.MLPBlock, {}, (4, 5)),
    "ActivityRegularization": (guide.ActivityRegularization, {"rate": 0.1}, (4, 5)),
    "OuterLayer": (guide.OuterLayer, {}, (4, 5)),
    "OuterLayerWithKernelRegularizer": (
        guide.OuterLayerWithKernelRegularizer,
        {},
        (4, 5),
    ),
    "CustomDropout": (guide.CustomDropout, {"rate": 0.5}, (4, 5)),
    "Sampling": (guide.Sampling, {}, [(4, 5), (4, 5)]),
    "Encoder": (guide.Encoder, {"latent_dim": 2}, (4, 5)),
    "Decoder": (guide.Decoder, {"original_dim": 5}, (4, 3)),
    "VariationalAutoEncoder": (
        guide.VariationalAutoEncoder,
        {"original_dim": 5},
        (4, 5),
    ),
    "LogisticEndpoint": (
        guide.LogisticEndpoint,
        {},
        {"targets": (4, 3), "logits": (4, 3)},
    ),
    "CustomModel": (guide.CustomModel, {}, (4, 5)),
    "Antirectifier": (guide.Antirectifier, {"initializer": "ones"}, (4, 5)),
    "TransformerBlock": (
        guide.TransformerBlock,
        {"embed_dim": 4, "num_heads": 2, "ff_dim": 6},
        (2, 5, 4),
    ),
    "TokenAndPositionEmbedding": (
        guide.TokenAndPositionEmbedding,
        {"maxlen": 6, "vocab_size": 5, "embed_dim": 3},
        (2, 6),
    ),
    "TemporalSplit": (guide.TemporalSplit, {}, (2, 6, 4)),
    "MyActivation": (guide.MyActivation, {}, (2, 6, 4)),
    "TemporalSoftmax": (guide.TemporalSoftmax, {}, (2, 6, 4)),
    "ConvolutionalBlock": (guide.ConvolutionalBlock, {"filters": 3}, (2, 6, 6, 4)),
    "LayersInSequence": (guide.LayersInSequence, {}, (2, 6, 6, 3)),
}
# XLA compiles the larger ones for seconds; every change tries the others.
LARGE = {"VariationalAutoEncoder", "TransformerBlock", "TokenAndPositionEmbedding"}
LARGE |= {"Decoder", "OuterLayer", "OuterLayerWithKernelRegularizer"}


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=pytest.mark.rotates) if c in LARGE else c for c in CASES],
)
def test_a_layer_of_keras_guides_passes(case):
    layer, init, shape = CASES[case]
    options = {}
    if case == "TokenAndPositionEmbedding":
        options = {
            "input_dtype": "int32",
            "inputs": lambda shape, rng: rng.integers(0, 5, shape),
        }
    passed = check_layer(layer, init, shape, **options)
    assert {"config", "weights", "save", "clone", "shapes", "batch"} <= set(passed)
    assert {"gradients", "determinism", "state"} <= set(passed)
