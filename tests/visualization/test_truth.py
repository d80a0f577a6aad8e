"""Figures of unusual but plain data show what is true of them."""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from dlkeras import visualization as show
from dlkeras.visualization.look.colours import PURPLE

IMAGES = np.random.default_rng(0).random((4, 6, 6, 1)).astype("float32")


def sigmoid_model(bias):
    """One unit, whose z is the sum of the pixels plus a bias."""
    images = keras.Input((6, 6, 1))
    flat = keras.layers.Flatten()(images)
    head = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")
    model = keras.Model(images, head(flat))
    model.layers[-1].bias.assign([bias])
    return model


@pytest.mark.parametrize(("bias", "predicted"), [(30.0, 1), (-60.0, 0)])
def test_a_sure_sigmoid_is_explained_by_its_logit(bias, predicted):
    """dz/dx is 1 for every pixel, however flat the sigmoid is there."""
    found, classes = show.saliency_map(sigmoid_model(bias), IMAGES)
    assert classes.tolist() == [predicted] * 4
    np.testing.assert_allclose(found, 1)
    figure = show.saliency(sigmoid_model(bias), IMAGES[:1], labels=["cat", "dog"])
    assert figure.axes[0].get_ylabel() == f"class {['cat', 'dog'][predicted]}"


def test_grad_cam_of_a_sigmoid_speaks_for_the_predicted_class():
    """With dz/dA = 1 the map is ReLU(A) for class 1 and ReLU(-A) for class 0."""
    picture = IMAGES[:1] - 0.5
    model = sigmoid_model(0.0)
    name = model.inputs[0].name
    for chosen, sign in ((1, 1), (0, -1)):
        cam, _ = show.grad_cam_map(model, picture, name, chosen)
        np.testing.assert_allclose(
            cam, np.maximum(sign * picture[..., 0], 0), atol=1e-6
        )


def test_the_saliency_of_uint8_images_is_that_of_the_same_floats():
    images = (IMAGES * 255).astype("uint8")
    model = sigmoid_model(0.0)
    found, _ = show.saliency_map(model, images)
    np.testing.assert_array_equal(found, show.saliency_map(model, images * 1.0)[0])
    np.testing.assert_allclose(found, 1)


TRUTHS = [
    [1, 0, 1, 1],
    [[1], [0], [1], [1]],
    np.array([[1], [0], [1], [1]], "uint8"),
    [[0, 1], [1, 0], [0, 1], [0, 1]],
    ["dog", "cat", "dog", "dog"],
    pd.Series([1, 0, 1, 1]),
]


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize(
    "answers", [[0.99, 0.2, 0.3, 0.8], [[0.99], [0.2], [0.3], [0.8]]]
)
def test_a_sigmoid_mistakes_what_lies_on_the_wrong_side_of_a_half(truth, answers):
    figure = show.misclassified(IMAGES, truth, answers, ["cat", "dog"])
    assert figure.get_suptitle() == "1 of 4 examples misclassified"
    assert figure.axes[0].get_xlabel() == "cat\nnot dog\np = 0.70"


def written(figure):
    return {t.get_position()[::-1]: t.get_text() for t in figure.axes[0].texts}


def test_a_confusion_matrix_of_rates_writes_the_rates():
    rates = [[0.75, 0.25], [np.nan, np.nan]]
    assert written(show.confusion_matrix(rates, [1, 2])) == {
        (0, 0): "0.75", (0, 1): "0.25", (1, 0): "-", (1, 1): "-",
    }  # fmt: skip
    assert written(show.confusion_matrix(np.eye(2)))[0, 0] == "1.00"
    names = [t.get_text() for t in show.confusion_matrix(rates, [1, 2]).axes[0].texts]
    assert "0" not in names


def test_150_classes_have_names_apart_and_their_mistakes_listed():
    counts = np.diag(np.full(150, 9))
    counts[7, 3], counts[100, 20] = 4, 6
    matrix, pairs, _ = show.confusion_matrix(counts).axes
    assert len(matrix.get_xticks()) <= 40
    assert [t.get_text() for t in pairs.get_yticklabels()] == ["100 → 20", "7 → 3"]
    assert [bar.get_width() for bar in pairs.patches] == [6, 4]


def test_long_names_leave_the_matrix_its_size():
    figure = show.confusion_matrix(np.eye(3, dtype=int), ["n" * 60] * 3)
    figure.draw_without_rendering()
    assert figure.axes[0].get_window_extent().width / figure.dpi > 2


def test_the_power_of_complex_errors_is_that_of_both_parts():
    """Circular noise of power J: E|e|^2 = J, of which each part has half."""
    draw = np.random.default_rng(0).normal(size=(2, 400, 50)) * np.sqrt(3.0 / 2)
    errors = draw[0] + 1j * draw[1]
    drawn = show.lms_learning_curve(errors).axes[0].lines[0].get_ydata()
    assert drawn.mean() == pytest.approx(3.0, rel=0.02)
    assert show.lms_learning_curve([[3 + 4j]]).axes[0].lines[0].get_ydata() == 25


def curves(history, **options):
    return show.learning_curves(history, **options)


def line(axis, label):
    (found,) = [x for x in axis.lines if x.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


def test_a_loss_has_no_unit_that_nobody_knows():
    assert curves({"loss": [1.0]}).axes[0].get_ylabel() == "loss"
    for loss, label in (
        ("mse", "mean squared error"),
        (keras.losses.SparseCategoricalCrossentropy(), "cross-entropy loss (nats)"),
        ("huber", "huber"),
    ):
        model = SimpleNamespace(loss=loss)
        history = SimpleNamespace(history={"loss": [1.0]}, model=model)
        assert curves(history).axes[0].get_ylabel() == label


def test_what_fit_returns_is_drawn_with_all_its_metrics():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.ones((8, 2))
    history = model.fit(x, x[:, :1], epochs=5, verbose=0, validation_data=(x, x[:, :1]),
                        validation_freq=2)  # fmt: skip
    figure = curves(history)
    labels = [axis.get_ylabel() for axis in figure.axes]
    assert labels == ["mean squared error", "mae"]
    assert line(figure.axes[0], "training")[0] == [1, 2, 3, 4, 5]
    values = history.history["val_loss"]
    assert line(figure.axes[0], "validation") == ([2, 4], values)
    frame = pd.DataFrame({"epoch": [0, 1], "loss": [2.0, 1.0], "val_loss": [np.nan, 3]})
    assert line(curves(frame).axes[0], "training") == ([1, 2], [2.0, 1.0])


def test_epochs_of_a_validation_are_not_guessed():
    history = {"loss": [3.0, 2.0, 1.0], "val_loss": [2.5]}  # after epoch 2, or 3?
    with pytest.raises(
        ValueError, match=r"validation_freq= must say.*Received: 1 value"
    ):
        curves(history)
    assert line(curves(history, validation_freq=3).axes[0], "validation") == (
        [3],
        [2.5],
    )
    assert line(curves(history, validation_freq=[2]).axes[0], "validation")[0] == [2]


def test_an_epoch_of_nan_is_marked_and_never_the_best():
    nan = float("nan")
    axis = curves({"loss": [nan, 2.0, 1.0], "val_loss": [nan, 3.0, 4.0]}).axes[0]
    assert line(axis, "NaN or infinity")[0] == [1]
    assert [text.get_text() for text in axis.texts] == ["best epoch 2"]
    lost = curves({"loss": [nan, nan], "val_loss": [nan, nan]}).axes[0]
    assert not lost.texts


def test_a_single_epoch_is_a_point_and_a_loss_below_0_has_a_linear_scale():
    axis = curves({"loss": [0.5]}).axes[0]
    assert axis.lines[0].get_marker() == "o"
    below = curves({"loss": [0.5, -1.5]}).axes[0]
    assert below.get_yscale() == "linear"
    assert below.get_ylim()[0] < -1.5


def shown(images, **options):
    drawn = show.image_grid(images, **options)
    return [np.ma.filled(axis.images[0].get_array(), np.nan) for axis in drawn.axes]


@pytest.mark.parametrize(
    "white", [np.uint8(255), 1.0, np.float16(1), True, np.uint16(65535)]
)
def test_a_white_image_is_white(white):
    for channels in (1, 3):
        (one,) = shown(np.full((1, 4, 4, channels), white))
        assert (one == 1).all()


def test_images_of_a_gallery_are_drawn_on_one_scale():
    """Over-exposed, normal and dark: 255, 128 and 0 of 255."""
    images = [np.full((4, 4), value, "uint8") for value in (255, 128, 0)]
    assert [one.mean() for one in shown(images)] == pytest.approx([1, 128 / 255, 0])
    table = show.augmentation_grid(images[1:2], [[images[0]]])
    values = [axis.images[0].get_array().mean() for axis in table.axes]
    assert values == pytest.approx([128 / 255, 1])


def test_nan_is_marked_and_leaves_the_rest_of_the_image():
    image = np.linspace(0, 1, 48).reshape(1, 4, 4, 3)
    broken = image.copy()
    broken[0, 1, 2, 0] = np.nan
    (good,), (bad,) = shown(image), shown(broken)
    np.testing.assert_allclose(bad[1, 2], to_rgb(PURPLE), atol=1e-6)
    bad[1, 2] = good[1, 2]
    np.testing.assert_array_equal(bad, good)
    assert "NaN" in show.image_grid(broken).get_supxlabel()
    maps = {"C1": np.ones((4, 4, 2))}
    assert "(1/3)" in show.feature_maps(broken[0], maps).get_supxlabel()
    assert not show.feature_maps(image[0], maps).get_supxlabel()


def test_a_fourth_channel_is_opacity():
    image = np.full((1, 4, 4, 4), 255, "uint8")
    image[..., 3] = 51
    (one,) = shown(image)
    np.testing.assert_allclose(one[0, 0], [1, 1, 1, 0.2])


def test_outputs_of_1e300_have_a_bar():
    axis = show.activation_distributions({"layer": np.full(9, 1e300)}).axes[0]
    (bars,) = axis.patches
    counts, edges, _ = bars.get_data()
    assert counts.max() == 1 and np.diff(edges).min() > 0


def test_vanished_outputs_are_not_called_0():
    outputs = {"a": [1e-9, 3e-9], "b": [-1.0, 1.0], "c": [0.0, 0.0]}
    texts = [
        axis.texts[0].get_text() for axis in show.activation_distributions(outputs).axes
    ]
    assert texts == [
        "mean 2.0e-09\nstd 1.0e-09", "mean 0.00\nstd 1.00", "mean 0.00\nstd 0.00",
    ]  # fmt: skip


def test_a_landscape_names_the_loss_that_was_measured():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = np.ones((4, 2), "float32")
    found = show.loss_along(model, x, x[:, :1], loss="mse", points=3)
    assert show.loss_landscape(found).axes[1].get_ylabel() == "mean squared error"
    with pytest.raises(ValueError, match=r"one loss.*Received: dict of 1"):
        show.loss_along(model, x, x, loss={"a": "mse"})


def test_softmax_is_no_curve():
    with pytest.raises(ValueError, match="'softmax', whose values depend"):
        show.activation_functions("softmax")


def test_a_learning_curve_in_decibels_is_ten_logarithms_of_the_power():
    """A tenth of the error is 20 dB less; of none there is no level."""
    drawn = show.lms_learning_curve([1.0, 0.1, 0.0], decibels=True).axes[0].lines[0]
    np.testing.assert_allclose(drawn.get_ydata()[:2], [0, -20], atol=1e-9)
    assert np.isnan(drawn.get_ydata()[2])


def test_a_tone_stands_at_its_frequency_and_its_half_six_decibels_lower():
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    before, after, _ = show.spectrogram(tone, 0.5 * tone, rate=8000).axes
    levels = [axis.images[0].get_array() for axis in (before, after)]
    low, high = before.images[0].get_extent()[2:]
    bins = np.linspace(low, high, levels[0].shape[0])
    assert bins[levels[0].mean(axis=1).argmax()] == pytest.approx(1000, abs=30)
    assert levels[0].max() == pytest.approx(0)
    assert levels[1].max() == pytest.approx(20 * np.log10(0.5), abs=0.01)


def test_points_of_a_constellation_are_the_symbols_in_the_plane():
    points = np.array([1 + 2j, -3 + 0.5j])
    axis = show.constellation(points, symbols=[1, -1]).axes[0]
    received, sent = axis.lines
    np.testing.assert_array_equal(received.get_xydata(), [[1, 2], [-3, 0.5]])
    np.testing.assert_array_equal(sent.get_xydata(), [[1, 0], [-1, 0]])
    low, high = axis.get_xlim()
    assert low < -3 and high > 3 and axis.get_aspect() == 1


def test_every_weight_has_its_path_and_its_optimum():
    table = np.arange(6.0).reshape(3, 2)
    lines = show.weights_over_time(table, [4, 5]).axes[0].lines
    for drawn, path in zip(lines[:2], table.T, strict=True):
        np.testing.assert_array_equal(drawn.get_ydata(), path)
    assert [drawn.get_ydata()[0] for drawn in lines[2:]] == [4, 5]
    of_complex = show.weights_over_time([[3 + 4j]]).axes[0].lines[0]
    assert of_complex.get_ydata() == 5
    with pytest.raises(ValueError, match="optimum must be of shape"):
        show.weights_over_time(table, [1, 2, 3])


def test_a_signal_flow_graph_has_the_terms_of_its_equation():
    """The sum v of w_k x_k, e = d - y; delta_j = phi'(v_j) sum delta_k w_kj."""
    figure = show.signal_flow_graph("adaptive_model", nodes=3)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {f"$x_{{{k}}}(i)$" for k in "12m"} < texts
    assert {f"$w_{{{k}}}(i)$" for k in "12m"} < texts
    assert {"$v(i)$", "$y(i)$", "$d(i)$", "$e(i)$", "$-1$"} < texts
    assert len(figure.axes[0].patches) == 3 + 3  # weights; 1, -1 and 1
    figure = show.signal_flow_graph("back_propagated_error", nodes=4)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {f"$w_{{{k}j}}(n)$" for k in "123m"} < texts
    assert r"$\delta_j(n)$" in texts and r"$\varphi_j'(v_j(n))$" in texts
    assert len(figure.axes[0].patches) == 4 + 4 + 1
    with pytest.raises(ValueError, match="graph must be one of"):
        show.signal_flow_graph("adaptive")
    with pytest.raises(ValueError, match="nodes must be 2 to 6"):
        show.signal_flow_graph(nodes=1)


def test_many_classes_are_rows_with_the_first_on_top_and_no_wider_than_a_page():
    counts = {f"species {n}": n + 1 for n in range(40)}
    figure = show.class_balance({"train": counts, "test": {"species 7": 3}})
    (axis,) = figure.axes
    bars = axis.patches[:40]
    assert [bar.get_width() for bar in bars] == list(range(1, 41))
    assert [label.get_text() for label in axis.get_yticklabels()] == [*counts]
    top, bottom = (axis.transData.transform((0, y))[1] for y in (0, 39))
    assert top > bottom
    assert figure.get_figwidth() <= 6


def test_noise_on_a_variant_leaves_the_black_of_its_original_black():
    draw = np.random.default_rng(1)
    digit = np.full((1, 16, 16, 1), -0.1)
    digit[0, 4:12, 6:10] = 1.175  # the range that LeCun gives his images
    noise = draw.uniform(-0.8, 0.8, digit.shape)
    figure = show.augmentation_grid(digit, np.stack([digit, digit + noise], 1))
    for axis in figure.axes[:2]:
        seen = np.asarray(axis.images[0].get_array())
        assert (seen[0, 0], seen[6, 8]) == (0, 1)
    far = show.augmentation_grid(digit / 2 + 0.1, 255 * np.stack([abs(digit)], 1))
    for axis in far.axes[:2]:  # each on its own scale, which is said
        assert np.asarray(axis.images[0].get_array()).max() > 0.6
    note = far.get_supxlabel().replace("\n", " ")
    assert note == "originals from 0 to 1, variants from 25.5 to 300"


def test_errors_too_large_to_square_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"finite in every run\. Received: .*1e\+300"):
        show.lms_learning_curve(np.full((2, 3), 1e300))
