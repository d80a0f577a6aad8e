"""What is frozen stays, what is thawed learns, each stage at its own rate."""

import keras
import numpy as np
import pytest

from dlkeras.architectures import alexnet, googlenet, lenet5, resnet18, resnet20
from dlkeras.layers import AuxiliaryClassifier, InceptionModule
from dlkeras.transfer import (
    GradualUnfreezing,
    freeze,
    layerwise_learning_rates,
    replace_head,
    unfreeze,
)

TINY = {"width_multiplier": 0.125}
IMAGES = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
CLASSES = np.arange(8) % 4


def small():
    keras.utils.set_random_seed(1)
    return resnet18((32, 32, 3), num_classes=4, normalization_epsilon=1e-3, **TINY)


def changed(model, epochs=1):
    """Train, and return the top-level layers whose weights moved, with what moved."""
    before = {w.path: keras.ops.convert_to_numpy(w).copy() for w in model.weights}
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(IMAGES, CLASSES, batch_size=8, epochs=epochs, verbose=0)
    return {
        w.path
        for w in model.weights
        if not np.array_equal(before[w.path], keras.ops.convert_to_numpy(w))
    }


def test_a_sequential_model_gets_a_new_head():
    layers = keras.layers
    images, head = keras.Input((8, 8, 1)), layers.Dense(4)
    model = keras.Sequential([images, layers.Conv2D(5, 3), layers.Flatten(), head])
    features = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(5, 3)])
    assert [x.output.shape for x in replace_head(model, 3).layers[-2:]] == [
        (None, 180),
        (None, 3),
    ]
    assert replace_head(features, 3).layers[-2].name == "global_pool"


def test_frozen_stages_keep_weights_and_statistics_and_the_rest_learns():
    model = small()
    names = freeze(model, until="stage2")
    assert names == [
        "stem_convolution",
        "stem_normalization",
        "stage1_block1",
        "stage1_block2",
        "stage2_block1",
        "stage2_block2",
    ]
    moved = changed(model)
    assert {path.split("/")[0] for path in moved} == {
        "stage3_block1",
        "stage3_block2",
        "stage4_block1",
        "stage4_block2",
        "classifier",
    }
    assert any("moving_mean" in path for path in moved)


def test_until_is_a_place_a_share_or_a_number():
    layers = ["C1", "C3", "C5", "F6", "Out"]
    assert freeze(lenet5(), "stage1") == layers[:1]
    assert freeze(lenet5(), "S4") == layers[:2]
    assert freeze(lenet5(), 0.6) == layers[:3]
    assert freeze(lenet5(), 4) == layers[:4]
    assert freeze(lenet5(), 0) == []
    assert freeze(lenet5(), 1.0) == layers
    for wrong in (6, 1.5, -1, True, None):
        with pytest.raises(ValueError, match="a number of layers from 0 to 5"):
            freeze(lenet5(), wrong)
    with pytest.raises(ValueError, match=r"until must name a stage \(stage1, stage2"):
        freeze(lenet5(), "stage9")


def test_thawed_layers_learn_and_their_batch_normalisation_only_if_asked():
    model = small()
    freeze(model, until=1.0)
    assert model.trainable_weights == []
    unfreeze(model, since="stage4")
    moved = changed(model)
    assert {p.split("/")[0] for p in moved} == {
        "stage4_block1",
        "stage4_block2",
        "classifier",
    }
    assert not [path for path in moved if "normalization" in path]
    assert "stage4_block1/convolution_1/kernel" in moved
    unfreeze(model, since="stage3", batch_normalization=True)
    moved = changed(model)
    assert "stage3_block1/normalization_1/gamma" in moved
    assert "stage3_block1/normalization_1/moving_mean" in moved
    assert not [path for path in moved if path.startswith(("stem", "stage1", "stage2"))]
    with pytest.raises(ValueError, match="since must name a stage"):
        unfreeze(model, since="stage7")


def test_everything_thawed_is_everything_but_the_normalisations():
    model = small()
    freeze(model, until=1.0)
    unfreeze(model)
    frozen = [w.path for w in model.weights if not w.trainable]
    assert frozen
    assert all("normalization" in path for path in frozen)
    unfreeze(model, batch_normalization=True)
    assert len(model.trainable_weights) == len(small().trainable_weights)


def inception():
    sizes = {name: 2 for name in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5")}
    filters = {f"filters_{name}": size for name, size in sizes.items()}
    options = {**filters, "filters_pool_proj": 2, "normalization": "batch"}
    images = keras.Input((8, 8, 3))
    x = InceptionModule(**options, name="stage1_module")(images)
    x = InceptionModule(**options, name="stage2_module")(x)
    x = InceptionModule(**options, name="stage3_module")(x)
    outputs = AuxiliaryClassifier(
        3, filters=2, units=4, normalization="batch", name="side"
    )(x)
    return keras.Model(images, outputs, name="inception")


@pytest.mark.parametrize("build", [small, inception], ids=["resnet", "inception"])
def test_a_loaded_model_has_the_same_frozen_parts(build, tmp_path):
    model = build()
    unfreeze(model, since="stage3")
    freeze(model, until="stage2")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    trained = [w.path for w in model.trainable_weights]
    assert trained == [w.path for w in loaded.trainable_weights]
    assert trained
    assert not [path for path in trained if "normalization" in path]


def test_a_new_head_stands_on_the_old_features():
    model = small()
    other = replace_head(model, 7, activation=None, dropout=0.1)
    features = keras.Model(model.input, model.get_layer("classifier").input)
    kernel, bias = other.get_layer("classifier").get_weights()
    expected = keras.ops.convert_to_numpy(features(IMAGES)) @ kernel + bias
    assert np.allclose(keras.ops.convert_to_numpy(other(IMAGES)), expected, atol=1e-4)
    assert other.get_layer("stage1_block1") is model.get_layer("stage1_block1")
    with pytest.raises(ValueError, match="num_classes must be at least 1"):
        replace_head(model, 0)


def test_heads_of_all_kinds_are_replaced():
    zeros = {**TINY, "kernel_initializer": "zeros"}
    auxiliary = googlenet((65, 65, 3), 4, auxiliary=True, **zeros)
    plain = replace_head(auxiliary, 3)
    assert plain.output_shape == (None, 3)
    assert not [x for x in plain.layers if x.name.startswith("auxiliary")]
    tower = replace_head(alexnet((67, 67, 3), 4, **zeros), 3, name="new")
    assert [x.name for x in tower.layers][-2:] == ["F9_dropout", "new"]
    assert replace_head(lenet5(version="1998"), 3).layers[-2].name == "F6"
    assert replace_head(resnet20(num_classes=0), 3).layers[-2].name == "global_pool"
    series = keras.Input((9, 5))
    foreign = keras.Model(series, keras.layers.LSTM(3, return_sequences=True)(series))
    with pytest.raises(ValueError, match="must end in a dense layer"):
        replace_head(foreign, 3)


OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "adam": lambda rate: keras.optimizers.Adam(rate),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.1),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate, weight_decay=0.1),
    "lion": lambda rate: keras.optimizers.Lion(rate),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("scheduled", [False, True])
def test_each_stage_moves_as_under_its_own_learning_rate(kind, scheduled):
    def rate(factor):
        if not scheduled:
            return 0.01 * factor
        return keras.optimizers.schedules.ExponentialDecay(0.01 * factor, 2, 0.5)

    model = lenet5()
    optimizer = layerwise_learning_rates(model, OPTIMIZERS[kind](rate(1.0)), 0.5)
    factors = {"C1": 0.125, "C3": 0.25, "C5": 0.5, "F6": 1.0, "Out": 1.0}
    expected, variables, rng = [], model.trainable_variables, np.random.default_rng(0)
    gradients = [
        [rng.normal(size=tuple(v.shape)).astype("float32") for v in variables]
        for _ in range(3)
    ]
    for index, variable in enumerate(variables):
        copy = keras.Variable(keras.ops.convert_to_numpy(variable))
        own = OPTIMIZERS[kind](rate(factors[variable.path.split("/")[0]]))
        for step in gradients:
            own.apply([keras.ops.convert_to_tensor(step[index])], [copy])
        expected.append(keras.ops.convert_to_numpy(copy))
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
    for variable, value in zip(variables, expected, strict=True):
        got = keras.ops.convert_to_numpy(variable)
        assert np.allclose(got, value, rtol=1e-4, atol=1e-6), variable.path


def test_training_goes_on_after_saving_as_if_without(tmp_path):
    model = lenet5((32, 32, 3), num_classes=4)
    adam = keras.optimizers.AdamW(1e-3, weight_decay=0.01)
    loss = "sparse_categorical_crossentropy"
    model.compile(layerwise_learning_rates(model, adam, 0.3), loss)
    model.fit(IMAGES, CLASSES, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer).__name__ == "LayerwiseAdamW"
    assert (
        loaded.optimizer.learning_rate_factors == model.optimizer.learning_rate_factors
    )
    assert loaded.optimizer.learning_rate_factors["C1/kernel"] == 0.3**3
    for network in (model, loaded):
        network.fit(IMAGES, CLASSES, batch_size=8, epochs=2, verbose=0)
    for one, two in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.allclose(one, two, atol=1e-5)


def test_a_stage_thaws_every_second_epoch():
    model = lenet5((32, 32, 3), num_classes=4)
    rng = np.random.default_rng(0)
    sgd = layerwise_learning_rates(model, keras.optimizers.SGD(0.1, momentum=0.9))
    model.compile(sgd, "sparse_categorical_crossentropy")
    moved = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.before = self.model.get_weights()

        def on_epoch_end(self, epoch, logs=None):
            after = self.model.get_weights()
            changes = [
                not np.array_equal(one, two)
                for one, two in zip(self.before, after, strict=True)
            ]
            layers = [x.name for x in self.model.layers if x.weights]
            moved.append([n for n, c in zip(layers, changes[::2], strict=True) if c])

    images = rng.normal(size=(8, 32, 32, 3)).astype("float32")
    model.fit(
        images, CLASSES, epochs=7, verbose=0, callbacks=[GradualUnfreezing(2), Watch()]
    )
    everything = ["C1", "C3", "C5", "F6", "Out"]
    assert moved == [everything[n:] for n in (3, 3, 2, 2, 1, 1, 0)]


def test_gradual_unfreezing_refuses_what_it_cannot_hold():
    model = small()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="optimizer of layerwise_learning_rates"):
        model.fit(IMAGES, CLASSES, verbose=0, callbacks=[GradualUnfreezing()])
    sgd = layerwise_learning_rates(model, keras.optimizers.SGD())
    model.compile(sgd, "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="'stem_normalization' is not frozen"):
        model.fit(IMAGES, CLASSES, verbose=0, callbacks=[GradualUnfreezing()])
    with pytest.raises(ValueError, match="every must be at least 1"):
        GradualUnfreezing(0)


def test_bad_arguments_of_layerwise_learning_rates_are_refused():
    with pytest.raises(ValueError, match="decay must be above 0"):
        layerwise_learning_rates(lenet5(), keras.optimizers.SGD(), 0.0)
    with pytest.raises(ValueError, match="optimizer must be one of SGD"):
        layerwise_learning_rates(lenet5(), keras.optimizers.Nadam())
    features = keras.Input((3,))
    dense = keras.Model(features, keras.layers.Dense(2)(features))
    with pytest.raises(ValueError, match="must have stages"):
        layerwise_learning_rates(dense, keras.optimizers.SGD())
