"""Transfer learning with the models and optimizers that a stranger brings."""

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.stages import stages
from dlkeras.transfer import (
    GradualUnfreezing,
    cached_features,
    freeze,
    layerwise_learning_rates,
    penalize_distance,
    probe_then_fine_tune,
    replace_head,
    split_frozen,
    unfreeze,
)
from tests.strangers.models import MODELS

IMAGES = np.random.default_rng(0).random((4, 32, 32, 3)).astype("float32") * 255
CLASSES = np.arange(4) % 2


def values(weights):
    return {w.path: keras.ops.convert_to_numpy(w).copy() for w in weights}


def moved(model, before):
    after = values(model.weights)
    changed = {p for p in before if not np.array_equal(before[p], after[p])}
    return {path for path in changed if "seed_generator" not in path}


def test_the_model_of_keras_guide_is_frozen_thawed_and_trained():
    """https://keras.io/guides/transfer_learning: base(x, training=False) and a head."""
    model = MODELS["transfer_guide"]()
    base = model.get_layer("base")
    frozen = freeze(model, "base")
    assert len(frozen) == sum(bool(layer.weights) for layer in base.layers)
    assert [v.path for v in model.trainable_variables] == ["head/kernel", "head/bias"]
    thawed = unfreeze(model, "stage3")  # the guide froze the base itself
    assert base.trainable
    assert not base.get_layer("Conv1").trainable
    assert thawed[-2:] == ["base/block_3_project", "head"]
    optimizer = layerwise_learning_rates(model, keras.optimizers.SGD(0.1), 0.5)
    assert optimizer.learning_rate_factors["block_3_project/kernel"] == 0.5
    assert optimizer.learning_rate_factors["Conv1/kernel"] == 0.5**3
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    for layer in base.layers:  # so that signals of random weights do not fade
        if isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(keras.ops.full(layer.gamma.shape, 4.0))
    before = values(model.weights)
    model.fit(IMAGES, np.array([0, 1, 1, 1]), batch_size=4, verbose=0)
    learnt, norm = moved(model, before), "block_3_project_BN"
    assert {"head/kernel", "block_3_project/kernel"} <= learnt
    assert not learnt & {"Conv1/kernel", f"{norm}/gamma", f"{norm}/moving_mean"}
    assert unfreeze(model, "base", batch_normalization=True)[0] == "base/Conv1"
    assert replace_head(model, 7).output_shape == (None, 7)
    assert penalize_distance(model, 0.1, 0.2)["Conv1/kernel"] == 0.1


@pytest.mark.parametrize(
    ("name", "until", "expected"),
    [
        ("sequential", "stage1", ["first"]),
        ("sequential_of_sequentials", "features", ["features/a", "features/b"]),
        ("sequential_built_by_data", 1, ["conv2d"]),
        ("two_levels_deep", "inner", ["middle/inner/deep", "middle/inner/deeper"]),
        ("shared_layer", "shared", ["shared"]),
        ("siamese", "branch#2", ["branch/eye", "branch/embedding"]),
        ("subclassed", "stage1", ["conv", "norm"]),
        ("base_inside_subclassed", "base", ["base/conv1", "base/conv2"]),
        ("custom_blocks", "stage2", ["block_1", "block_2"]),
    ],
)
def test_any_model_is_frozen_up_to_a_place(name, until, expected):
    model = MODELS[name]()
    names = freeze(model, until)
    assert [n.rstrip("_0123456789") for n in names] == [
        n.rstrip("_0123456789") for n in expected
    ]
    held = {id(w) for layer in model._flatten_layers() for w in layer.trainable_weights}
    assert len(held) == len(model.trainable_weights) < len(model.weights)


@pytest.mark.parametrize(
    "name",
    ["sequential", "sequential_of_sequentials", "two_levels_deep", "subclassed",
     "base_inside_subclassed", "plain_operations", "subclassed_inside_functional"],
)  # fmt: skip
def test_the_two_parts_of_a_cut_model_are_the_model(name):
    model = MODELS[name]()
    freeze(model, list(stages(model))[-1])
    frozen, rest = split_frozen(model)
    shape = (3, *frozen.inputs[0].shape[1:])
    images = np.random.default_rng(0).random(shape).astype("float32")
    np.testing.assert_allclose(
        rest.predict(cached_features(frozen, images), verbose=0),
        model.predict(images, verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


class Branching(keras.Model):
    def __init__(self):
        super().__init__(name="branching")
        self.conv, self.head = layers.Conv2D(2, 3), layers.Dense(2)

    def call(self, inputs, training=False):
        x = self.conv(inputs)
        x = keras.ops.mean(x * 2 if training else x, axis=(1, 2))
        return self.head(x)


def test_a_call_that_branches_on_training_is_not_cut():
    model = Branching()
    model(IMAGES)
    freeze(model, 1)
    with pytest.raises(ValueError, match="'branching' does something else in training"):
        split_frozen(model)
    with pytest.raises(ValueError, match="'branching' does something else in training"):
        replace_head(model, 3)


def test_blocks_that_halve_the_image_learn_at_rates_of_their_own():
    factors = layerwise_learning_rates(
        MODELS["custom_blocks"](), keras.optimizers.Adam(), 0.5
    ).learning_rate_factors
    by_layer = {path.split("/")[0]: factor for path, factor in factors.items()}
    assert by_layer.pop("head") == 1.0
    assert by_layer == {"block_1": 0.125, "block_2": 0.25, "block_3": 0.5}


# --- Augmentation -------------------------------------------------------------------

SETTINGS = {
    "RandomCrop": {"height": 8, "width": 8},
    "RandomFlip": {},
    "RandomErasing": {},
    "RandomGrayscale": {},
    "RandomElasticTransform": {},
    "RandomPerspective": {},
    "RandomSharpness": {"factor": 0.5},
    "RandomColorJitter": {"brightness_factor": 0.5},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomShear": {"x_factor": 0.1},
    "RandomZoom": {"height_factor": 0.1},
    "RandomGaussianBlur": {},
    "RandomInvert": {},
    "RandomPosterization": {"factor": 4},
    "RandAugment": {},
    "AugMix": {},
    "MixUp": {},
    "CutMix": {},
    "GaussianNoise": {"stddev": 0.1},
    "GaussianDropout": {"rate": 0.1},
    "AlphaDropout": {"rate": 0.1},
    "Dropout": {"rate": 0.1},
    "SpatialDropout2D": {"rate": 0.1},
}
RANDOM = sorted(
    {name for name in dir(layers) if name.startswith("Random")} | set(SETTINGS)
)


def augmenting(name):
    settings = SETTINGS.get(name, {"factor": 0.1})
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            getattr(layers, name)(**settings),
            layers.Conv2D(2, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax", name="head"),
        ]
    )


@pytest.mark.parametrize("name", RANDOM)
def test_no_feature_behind_a_random_layer_is_kept(name):
    if not hasattr(layers, name):
        pytest.skip(f"Keras {keras.__version__} has no {name}")
    model = augmenting(name)
    freeze(model, "conv")
    with pytest.raises(ValueError, match=r"draws random numbers"):
        split_frozen(model)


@pytest.mark.parametrize("name", ["RandomFlip", "GaussianNoise"])
def test_a_head_is_probed_on_augmented_images(name):
    """Each epoch draws: the generator's state is another afterwards."""
    model = augmenting(name)
    generator = next(v for v in model.non_trainable_variables if "seed" in v.path)
    before = values([generator, model.get_layer("conv").kernel])
    images = IMAGES[:, :8, :8]
    history = probe_then_fine_tune(
        model, images, CLASSES, probe_epochs=2, fine_tune_epochs=0
    )
    assert len(history["loss"]) == 2
    after = values([generator, model.get_layer("conv").kernel])
    (drawn,) = [p for p in before if not np.array_equal(before[p], after[p])]
    assert drawn == generator.path


def test_the_same_network_built_again_finds_its_features(tmp_path):
    for _ in range(2):  # the second one's layers are named conv2d_1, ...
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.Flatten(),
             layers.Dense(2)]
        )  # fmt: skip
        freeze(model, 1)
        cached_features(split_frozen(model)[0], IMAGES[:, :8, :8], tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


# --- Optimizers ---------------------------------------------------------------------


def test_stages_thaw_under_a_loss_scale():
    model = MODELS["sequential"]()
    scaled = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=8.0
    )
    optimizer = layerwise_learning_rates(model, scaled)
    assert optimizer.initial_scale == 8.0
    model.compile(optimizer, "sparse_categorical_crossentropy")
    before = values(model.weights)
    images = IMAGES[:, :16, :16] / 255
    model.fit(images, CLASSES, verbose=0, callbacks=[GradualUnfreezing(every=1)])
    assert {path.split("/")[1] for path in moved(model, before)} == {"classes"}


def test_stages_thaw_in_half_precision():
    """`compile` wraps the optimizer of a model of mixed_float16 itself."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = MODELS["sequential"]()
    finally:
        keras.config.set_dtype_policy("float32")
    rate = layerwise_learning_rates(model, keras.optimizers.SGD(0.1))
    model.compile(rate, "sparse_categorical_crossentropy")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = values(model.weights)
    images = IMAGES[:, :16, :16] / 255
    thaw = GradualUnfreezing(every=1)
    model.fit(images, CLASSES, epochs=2, verbose=0, callbacks=[thaw])
    layers_moved = {path.split("/")[1] for path in moved(model, before)}
    assert layers_moved == {"second", "classes"}


class Adam(keras.optimizers.Adam):
    """Another rule of the same name."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(-gradient, variable, learning_rate)


def test_an_optimizer_is_known_by_its_type_and_not_by_its_name():
    model = MODELS["sequential"]()
    with pytest.raises(ValueError, match=r"and no subclass.*strangers\.Adam"):
        layerwise_learning_rates(model, Adam())
    several = keras.optimizers.MultiOptimizer(lambda variable: keras.optimizers.SGD())
    with pytest.raises(ValueError, match=r"Received: .*MultiOptimizer"):
        layerwise_learning_rates(model, several)


def test_what_cannot_be_fine_tuned_is_refused_before_the_probing():
    for wrong in ({"fine_tune_optimizer": Adam()}, {"since": "stage9"}, {"decay": 2}):
        model = MODELS["sequential"]()
        before = values(model.weights)
        with pytest.raises(ValueError, match="must"):
            probe_then_fine_tune(model, IMAGES[:, :16, :16], CLASSES, **wrong)
        assert not moved(model, before)


def twins():
    """Two images go through one Sequential, whose layers lie below its name."""
    tower = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(3, 3, strides=2, name="first"),
            layers.Conv2D(4, 3, strides=2, name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, name="embedding"),
        ],
        name="tower",
    )
    left, right = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    apart = layers.Subtract()([tower(left), tower(right)])
    outputs = layers.Dense(2, activation="softmax", name="same")(apart)
    return keras.Model([left, right], outputs)


@pytest.mark.filterwarnings("ignore:Skipping variable loading")  # Keras's, untrained
@pytest.mark.parametrize("trained", [False, True])
def test_the_rates_of_a_sequential_inside_of_a_model_outlive_a_file(trained, tmp_path):
    """Loaded, `tower/first/kernel` is called `first/kernel`: keras 3.15.1."""
    keras.utils.set_random_seed(0)
    model = twins()
    optimizer = layerwise_learning_rates(model, keras.optimizers.SGD(0.1), 0.5)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    images = IMAGES[:, :16, :16] / 255
    images = [images, images[::-1].copy()]
    options = {"batch_size": 4, "verbose": 0, "callbacks": [GradualUnfreezing()]}
    if trained:
        model.fit(images, CLASSES, **options)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    stages_of_two = [("first", 0.25), ("second", 0.5), ("embedding", 1.0)]
    for network in (model, loaded):
        network.fit(images, CLASSES, epochs=2, initial_epoch=1, **options)
        factors = keras.ops.convert_to_numpy(network.optimizer.factors)
        for variable, factor in zip(network.trainable_variables, factors, strict=True):
            (by_hand,) = [x for n, x in stages_of_two if n in variable.path] or [1.0]
            # The last stage alone has thawed in the second epoch.
            assert factor == (0.0 if by_hand == 0.25 else by_hand), variable.path
    network.fit(images, CLASSES, epochs=3, initial_epoch=2, **options)
    factors = keras.ops.convert_to_numpy(network.optimizer.factors)
    assert factors.tolist() == [0.25, 0.25, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0]


def named_twice():
    """A network loaded from a file has a `conv2d`, and so has a new one around it."""
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, name="conv2d")(images)
    base = keras.Model(images, x, name="base")
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, name="conv2d")(base(images))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(2, activation="softmax", name="head")(x))


def test_two_layers_of_one_name_have_no_rates_but_each_its_penalty():
    model = named_twice()
    with pytest.raises(ValueError, match=r"are called 'conv2d/kernel' and lie in diff"):
        layerwise_learning_rates(model, keras.optimizers.SGD())
    # With one rate for all stages nothing has to be told apart.
    layerwise_learning_rates(model, keras.optimizers.SGD(), 1.0)
    images = keras.Input((16, 16, 3))
    head = layers.Dense(2, name="conv2d")  # has the name of a layer of the base
    inner = named_twice().get_layer("base")
    x = layers.Dense(3, name="flat")(layers.GlobalAveragePooling2D()(inner(images)))
    model = keras.Model(images, head(x))
    penalize_distance(model, alpha=0.0, beta=0.5)
    expected = sum(
        0.25 * np.sum(np.square(v))
        for layer in (model.get_layer("flat"), head)
        for v in layer.get_weights()
    )
    total = sum(float(keras.ops.convert_to_numpy(x)) for x in model.losses)
    assert total == pytest.approx(expected, rel=1e-5)


def test_probing_an_augmenting_model_is_what_keras_guide_writes_by_hand():
    """Freeze the base, compile, fit: the same draws, losses and weights."""
    model, by_hand = MODELS["transfer_guide"](), MODELS["transfer_guide"]()
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    options = {"batch_size": 2, "verbose": 0}
    keras.utils.set_random_seed(3)
    got = probe_then_fine_tune(
        model, IMAGES, CLASSES, probe_epochs=2, fine_tune_epochs=0, loss=loss, **options
    )
    by_hand.get_layer("base").trainable = False
    by_hand.compile(keras.optimizers.Adam(0.01), loss)
    keras.utils.set_random_seed(3)
    expected = by_hand.fit(IMAGES, CLASSES, epochs=2, **options)
    np.testing.assert_allclose(got["loss"], expected.history["loss"], rtol=1e-6)
    for mine, theirs in zip(model.weights, by_hand.weights, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(mine),
            keras.ops.convert_to_numpy(theirs),
            rtol=1e-5,
            atol=1e-7,
        )


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_the_penalty_of_narrow_weights_is_a_loss_like_the_others(policy):
    """A loss is float32: TensorFlow adds no other to it, and float16 ends at 65504."""
    keras.config.set_dtype_policy(policy)
    try:
        model = MODELS["sequential"]()
    finally:
        keras.config.set_dtype_policy("float32")
    penalize_distance(model, 1.0, 2.0)
    kernel = model.get_layer("classes").kernel
    kernel.assign(keras.ops.full(kernel.shape, 300.0, kernel.dtype))
    expected = 300.0**2 * np.prod(kernel.shape)  # others lie at their start or at 0
    total = sum(float(keras.ops.convert_to_numpy(x)) for x in model.losses)
    assert total == pytest.approx(expected, rel=1e-3)
    model.compile(keras.optimizers.SGD(1e-4), "sparse_categorical_crossentropy")
    images = IMAGES[:, :16, :16] / 255
    assert len(model.fit(images, CLASSES, verbose=0).history["loss"]) == 1
