"""GoogLeNet against table 1 of its paper, and its auxiliary classifiers in training."""

import keras
import numpy as np
import pytest
from published import TABLES, built, operations

from dlkeras.architectures import googlenet

ROWS = TABLES["googlenet_table_1"]["rows"]
TINY = {"width_multiplier": 0.0625, "dropout": 0.0, "auxiliary_dropout": 0.0}
# Operations that table 1 prints for a layer other than the one whose sizes it prints.
ELSEWHERE = {"conv1", "inception_5a"}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_table_1_is_a_layer(row):
    name, patch, stride, size, channels, filters, millions = row
    model = built("googlenet")
    layer = model.get_layer(name)
    if size is None:
        assert layer.output.shape == (None, channels)
    else:
        assert layer.output.shape == (None, size, size, channels)
    if patch:
        window = getattr(layer, "kernel_size", None) or layer.pool_size
        assert tuple(window) == (patch, patch)
        assert tuple(layer.strides) == (stride, stride)
        assert layer.padding == "same"
    names = [name]
    if name == "conv2":
        names = ["conv2_reduce", "conv2"]
        assert [model.get_layer(n).filters for n in names] == filters
    elif filters:
        built_filters = [
            layer.filters_1x1,
            layer.filters_3x3_reduce,
            layer.filters_3x3,
            layer.filters_5x5_reduce,
            layer.filters_5x5,
            layer.filters_pool_proj,
        ]
        assert built_filters == filters
    if millions and name not in ELSEWHERE:
        assert abs(operations(model, *names) / 1e6 - millions) <= 1


def test_the_printed_operations_of_5a_are_those_of_48_reduction_filters():
    assert round(operations(built("googlenet"), "inception_5a") / 1e6) == 51
    other = built("googlenet", filters_5x5_reduce_5a=48)
    assert round(operations(other, "inception_5a") / 1e6) == 54


def test_the_printed_2_7k_and_34m_of_the_stem_are_those_of_a_separable_convolution():
    assert built("googlenet").get_layer("conv1").count_params() == 9408 + 64
    other = built("googlenet", stem="separable", num_classes=3)
    weights = other.get_layer("conv1").count_params() - 64
    assert weights == 7 * 7 * 3 * 8 + 24 * 64
    assert round(weights / 1000, 1) == 2.7
    assert round(operations(other, "conv1") / 1e6) == 34


@pytest.fixture(scope="module")
def trained():
    """A small GoogLeNet with auxiliary classifiers, compiled with one loss."""
    keras.utils.set_random_seed(3)
    model = googlenet((65, 65, 1), 4, auxiliary=True, **TINY)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


IMAGES = np.random.default_rng(0).normal(size=(6, 65, 65, 1)).astype("float32")
CLASSES = np.array([0, 1, 2, 3, 0, 1])


def test_the_training_loss_adds_the_auxiliary_losses_with_weight_0_3(trained):
    def cross_entropy(probabilities):
        array = keras.ops.convert_to_numpy(probabilities)
        return -np.log(array[np.arange(6), CLASSES]).mean()

    main, first, second = (cross_entropy(p) for p in trained(IMAGES, training=True))
    assert len({round(float(x), 6) for x in (main, first, second)}) == 3
    before = [np.array(weight) for weight in trained.get_weights()]
    history = trained.fit(IMAGES, CLASSES, batch_size=6, verbose=0)
    assert history.history["loss"][0] == pytest.approx(
        main + 0.3 * (first + second), rel=1e-4
    )
    moved = [
        weight.path
        for weight, old in zip(trained.weights, before, strict=True)
        if not np.array_equal(keras.ops.convert_to_numpy(weight), old)
    ]
    assert any("auxiliary_4a" in path for path in moved)
    assert any("auxiliary_4d" in path for path in moved)


def test_evaluation_and_prediction_use_the_main_classifier_alone(trained):
    main = trained.predict(IMAGES, verbose=0)
    assert main.shape == (6, 4)
    loss, accuracy = trained.evaluate(IMAGES, CLASSES, verbose=0)
    own = -np.log(main[np.arange(6), CLASSES]).mean()
    assert loss == pytest.approx(own, rel=1e-4)
    assert accuracy == pytest.approx((main.argmax(axis=1) == CLASSES).mean())


def test_weight_decay_is_counted_once_beside_the_auxiliary_losses():
    keras.utils.set_random_seed(3)
    model = googlenet((65, 65, 1), 4, auxiliary=True, weight_decay=0.1, **TINY)
    # One eager step is quicker than tracing one.
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    outputs = [keras.ops.convert_to_numpy(p) for p in model(IMAGES, training=True)]
    losses = [-np.log(p[np.arange(6), CLASSES]).mean() for p in outputs]
    kernels = [w for w in model.get_weights() if w.ndim > 1]
    penalty = 0.1 / 2 * sum(float((kernel**2).sum()) for kernel in kernels)
    expected = losses[0] + 0.3 * (losses[1] + losses[2]) + penalty
    history = model.fit(IMAGES, CLASSES, batch_size=6, verbose=0)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_a_saved_model_still_trains_its_auxiliary_classifiers(trained, tmp_path):
    file = tmp_path / "googlenet.keras"
    trained.save(file)
    for other in (keras.saving.load_model(file), keras.models.clone_model(trained)):
        other.set_weights(trained.get_weights())
        assert other.loss_weight == 0.3
        assert len(other(IMAGES, training=True)) == 3
        assert np.allclose(
            other.predict(IMAGES, verbose=0), trained.predict(IMAGES, verbose=0)
        )


def test_breadth_of_the_options():
    tiny = {"width_multiplier": 0.0625}
    assert googlenet((32, 48, 1), 0, **tiny).output_shape == (None, 1, 2, 64)
    assert googlenet((None, None, 3), 0, pooling="max", **tiny).output_shape == (
        None,
        64,
    )
    for normalization in ("batch", "group", "layer"):
        model = googlenet((32, 32, 3), 2, normalization=normalization, **tiny)
        assert not model.get_layer("conv1").use_bias
        assert not [x for x in model.layers if x.name == "conv2_local"]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 32x32"):
        googlenet((31, 224, 3))
    with pytest.raises(ValueError, match=r"at least 65x65.*auxiliary"):
        googlenet((64, 64, 3), auxiliary=True)
    with pytest.raises(ValueError, match="known image size and at least one class"):
        googlenet((None, None, 3), auxiliary=True)
    with pytest.raises(ValueError, match="stem must be 'table' or 'separable'"):
        googlenet(stem="figure")
    with pytest.raises(ValueError, match="height, width and a number of channels"):
        googlenet((224, 224))
