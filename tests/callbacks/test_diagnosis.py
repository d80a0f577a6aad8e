"""diagnose: sick networks get the name of their sickness, healthy ones none."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from held_out_networks import HEALTHY, SICK
from keras import layers
from sick_networks import CASES, LEAKY, clusters, errors, findings_of

from dlkeras.callbacks import (
    ActivationHistory,
    ActivationMonitor,
    Finding,
    GradientHistory,
    GradientNormMonitor,
    diagnose,
)
from dlkeras.diagnosis.finding import summary
from dlkeras.diagnosis.histories.layer_tree import LayerInfo


@pytest.mark.parametrize("name", CASES)
def test_a_sick_network_gets_its_name_and_a_healthy_one_no_error(name):
    names = errors(findings_of(CASES[name], seed=0))
    expected = CASES[name][2]
    assert expected <= names if expected else not names


def test_units_die_at_a_rate_at_which_leaky_ones_do_not():
    names = errors(findings_of(LEAKY, seed=0))
    assert "dead_relu" not in names
    assert "learning_rate_too_large" in names


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [*CASES, "leaky ReLU at that rate"])
def test_over_20_seeds_95_percent_of_the_sick_are_named_and_no_healthy_one_accused(
    name,
):
    """2 % of 60 healthy runs are one: of 20 none may be accused."""
    case, right = CASES.get(name, LEAKY), 0
    for seed in range(20):
        names = errors(findings_of(case, seed))
        right += case[2] <= names if case[2] else not names
        keras.backend.clear_session()
    assert right >= (19 if case[2] else 20)


@pytest.mark.slow
@pytest.mark.parametrize("train", HEALTHY)
def test_a_healthy_network_that_no_bound_was_chosen_on_is_not_accused(train):
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        assert not errors(train(seed))
        keras.backend.clear_session()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # Keras sees it, too
@pytest.mark.parametrize("train", SICK)
def test_a_sick_network_that_no_bound_was_chosen_on_gets_its_name(train):
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        assert SICK[train] in errors(train(seed))
        keras.backend.clear_session()


def gradients(norms, sizes=None, ranks=None, logs=(), **values):
    """A history with the given gradient norms, `(samples, variables)`."""
    norms = np.asarray(norms, float)
    samples, count = norms.shape
    table = np.zeros((samples, 5, count))
    table[:, 0], table[:, 1], table[:, 2] = norms, 1.0, 1e-3
    for row, name in enumerate(("norm", "weight", "update", "zeros", "non_finite")):
        if name in values:
            table[:, row] = values.pop(name)
    return GradientHistory(
        variables=[(f"layer_{i}", "kernel") for i in range(count)],
        sizes=np.ones(count) if sizes is None else np.asarray(sizes, float),
        ranks=np.full(count, 2) if ranks is None else np.asarray(ranks),
        steps=np.arange(1, samples + 1),
        epochs=np.zeros(samples, int),
        loss=np.full(samples, np.nan),
        loss_scale=np.ones(samples),
        values=table,
        epoch_logs=list(logs),
        **values,
    )


def found(history):
    return {(f.name, f.layer, f.since) for f in diagnose(history)}


def test_a_ratio_of_1e_3_over_depth_is_the_bound_of_vanishing():
    for ratio, expected in ((0.9e-3, True), (1.1e-3, False)):
        # the output layer, the last, is left out
        history = gradients([[ratio, ratio, 1.0, 1.0, 1e9]] * 3)
        names = {f.name for f in diagnose(history)}
        assert ("vanishing_gradient" in names) == expected


def test_rms_and_not_the_norm_is_compared():
    # 1e-2 over 100 weights is an RMS of 1e-3, like 1e-3 over 1
    history = gradients([[1e-2, 1e-3, 1.0]] * 3, sizes=[100, 1, 1])
    assert not diagnose(history)


def test_a_gate_with_a_small_gradient_does_not_make_the_others_explode():
    norms = [[1.0, 1.0, 1.0, 1e-4, 0.2]] * 3  # the fourth is a gate's, the last the end
    assert "exploding_gradient" not in {f.name for f in diagnose(gradients(norms))}
    norms = [[1.0, 1.0, 1.0, 1e-4, 0.09]] * 3
    assert "exploding_gradient" in {f.name for f in diagnose(gradients(norms))}


def test_a_gradient_that_explodes_in_the_first_step_only_is_found():
    later = [[1e-9, 1e-9, 1e-9, 1.0]] * 5
    history = gradients([[1e4, 1.0, 1.0, 1.0], *later])
    assert ("exploding_gradient", "layer_0", "step 1") in found(history)


def test_a_norm_that_grows_a_thousandfold_names_the_layer_and_the_step():
    norms = np.ones((12, 3))
    norms[9, 1] = 1e4
    assert found(gradients(norms)) == {("exploding_gradient", "layer_1", "step 10")}


def test_the_first_layer_and_step_that_are_not_finite_are_named():
    bad = np.zeros((5, 3))
    bad[3, 1:], bad[4] = 1, 1
    history = gradients(np.ones((5, 3)), non_finite=bad)
    assert found(history) == {("non_finite", "layer_1", "step 4")}
    history.dynamic_loss_scale = True  # skips such steps as a matter of course
    assert not diagnose(history)


def test_update_ratios_have_a_floor_and_a_ceiling():
    small = gradients(np.ones((4, 3)), update=0.9e-5)
    assert found(small) == {("update_ratio_small", "", "step 1")}
    large = diagnose(gradients(np.ones((4, 3)), update=[1e-3, 0.02, 1e-3]))
    assert [(f.name, f.severity, f.layer, f.value) for f in large] == [
        ("update_ratio_large", "note", "layer_1", 0.02)
    ]
    assert not diagnose(gradients(np.ones((4, 3)), update=1.1e-5))


def test_a_kernel_whose_gradient_is_always_zero_has_none():
    history = gradients([[1.0, 0.0, 1.0]] * 3, zeros=[0, 1, 0])
    assert found(history) == {("no_gradient", "layer_1", "step 1")}


def logs(loss, val_loss=None):
    rows = [{"loss": value} for value in loss]
    for row, value in zip(rows, val_loss or [], strict=False):
        row["val_loss"] = value
    return rows


@pytest.mark.parametrize(
    ("loss", "val_loss", "name"),
    [
        ([1.0, 0.9, 0.8, 0.7], None, None),
        ([1.0, 1.0, 1.0, 0.995], None, "loss_not_decreasing"),
        ([1.0, 0.8, 2.1], None, "learning_rate_too_large"),
        ([1.0, 0.9, float("nan")], None, "non_finite"),
        ([1, 0.8, 0.6, 0.4, 0.2], [1, 0.9, 1.0, 1.1, 1.2], "overfitting"),
        ([1, 0.8, 0.6, 0.4, 0.2], [1, 0.9, 0.95, 0.9, 0.95], None),
    ],
)
def test_loss_curves_have_names(loss, val_loss, name):
    history = gradients(np.ones((3, 3)), update=0.011, logs=logs(loss, val_loss))
    history.values[:, 2, 1:] = 1e-3
    names = {f.name for f in diagnose(history)} - {"update_ratio_large"}
    assert names == ({name} if name else set())


@pytest.mark.parametrize(("last", "severity"), [(0.9, "warning"), (0.985, "note")])
def test_overfitting_that_costs_no_answers_is_a_note(last, severity):
    """Three of 269 answers more or less are chance: 0.996 and 0.985."""
    curve = logs([1, 0.8, 0.6, 0.4, 0.2], [1, 0.9, 1.0, 1.1, 1.2])
    for row, accuracy in zip(curve, [0.9, 0.996, 0.9, last, last], strict=True):
        row["val_accuracy"] = accuracy
    (finding,) = diagnose(gradients(np.ones((3, 3)), logs=curve))
    assert (finding.name, finding.severity) == ("overfitting", severity)


def test_a_doubled_loss_is_blamed_on_the_learning_rate_only_if_weights_have_leapt():
    curve = logs([1.0, 0.8, 2.1])
    assert not diagnose(gradients(np.ones((3, 3)), update=0.9e-2, logs=curve))
    # a first batch of one example, of little error: 0.1, and the epoch's mean is 0.7
    lucky = gradients(np.ones((3, 3)), update=0.09, logs=logs([0.7, 0.7]))
    lucky.loss = np.array([0.1, 0.4, 0.7])
    assert "learning_rate_too_large" not in {f.name for f in diagnose(lucky)}
    lucky.values[:, 2] = 0.11
    assert "learning_rate_too_large" in {f.name for f in diagnose(lucky)}
    # and a loss that may be negative, as of policies, has no ratios
    lucky.loss[1] = -0.4
    assert "learning_rate_too_large" not in {f.name for f in diagnose(lucky)}


def test_the_bias_of_attention_keys_has_no_gradient_and_no_finding():
    """A softmax does not change when all scores move by the same (Vaswani 2017, 1)."""
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 16)(inputs)
    x = x + layers.MultiHeadAttention(2, 8, name="attention")(x, x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 20, (64, 6))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    monitor = GradientNormMonitor(frequency=1, on_finding=None)
    model.fit(tokens, tokens[:, 0] % 2, verbose=0, callbacks=[monitor])
    history = monitor.history
    key = history.variables.index(("attention/key", "bias"))
    assert history.ranks[key] == 2
    assert history.gradient_norm[:, key].max() < 1e-6 * history.global_norm.min()
    assert not errors(diagnose(history))


def test_of_an_embedding_the_rows_that_were_looked_up_count():
    """64 of a million rows: over all of them the RMS would be 125 times too small."""
    norms = np.array([[8.0, 8e3, 1.0]] * 3)
    zeros = np.array([1e6 - 64, 0, 0])
    history = gradients(norms, sizes=[1e6, 64, 1], zeros=zeros)
    history.layers = {
        "layer_0": LayerInfo("layer_0", "Embedding", "", "", False),
        "layer_1": LayerInfo("layer_1", "Dense", "", "", False),
    }
    assert {f.name for f in diagnose(history)} == {"poor_initialization"}
    history.gradient_norm[:, 1] = 8e2  # a ratio of 100
    assert not diagnose(history)


@pytest.mark.parametrize(("ratio", "expected"), [(90.0, set()), (110.0, {"note"})])
def test_a_ratio_of_100_in_the_first_step_is_the_bound_of_poor_initialization(
    ratio, expected
):
    for first in (ratio, 1 / ratio):
        found = diagnose(gradients([[first, 1.0, 1.0, 1.0]] * 3))
        assert {f.severity for f in found} == expected
        assert {f.name for f in found} <= {"poor_initialization"}


def test_a_network_that_has_learned_may_stand_still():
    update = np.full((100, 3), 1e-7)
    update[:20] = 1e-3
    assert not diagnose(gradients(np.ones((100, 3)), update=update))


def test_one_wrong_example_among_right_ones_is_no_explosion():
    norms = np.full((12, 3), 1e-5)
    norms[9] = 0.5  # 50,000 times as large, but less than the weights
    assert not diagnose(gradients(norms))
    norms[9] = 2.0
    assert errors(diagnose(gradients(norms))) == {"exploding_gradient"}


def test_the_first_steps_under_too_large_a_loss_scale_are_no_error():
    """Keras's first scale is 2^15: as many halvings lead to 1."""
    every = np.ones((15, 3))
    history = gradients(np.ones((15, 3)), non_finite=every, update=0.0)
    history.dynamic_loss_scale = True
    history.loss_scale = 2.0 ** np.arange(15, 0, -1)
    assert not diagnose(history)
    history.loss_scale = 2.0 ** np.arange(14, -1, -1)
    assert not diagnose(history)
    history.loss_scale = 2.0 ** np.arange(13, -2, -1)
    assert errors(diagnose(history)) == {"non_finite"}


def test_frozen_layers_that_move_are_named_with_their_epoch():
    history = gradients(np.ones((3, 3)), frozen_moved=[(1, "base"), (2, "base")])
    assert found(history) == {("frozen_layer_moves", "base", "epoch 2")}


@pytest.mark.parametrize(
    ("shares", "units", "answers", "severity"),
    [
        ([0.6], 64, 512, "note"),  # of the initial weights
        ([0.5, 0.6], 64, 512, "note"),  # half of them from the start
        ([0.1, 0.6], 64, 512, "error"),  # killed
        ([0.8, 0.8], 64, 512, "error"),  # 13 of 16 are hardly chance
        ([0.0, 0.8], 15, 512, "note"),  # of few units most are 0 by chance
        ([0.0, 0.8], 64, 31, "note"),  # on few samples, too
        ([1.0, 1.0], 4, 4, "error"),
    ],
)
def test_half_of_the_units_may_be_0_by_chance(shares, units, answers, severity):
    shape = (len(shares), 1)
    history = ActivationHistory(
        layers={"relu": LayerInfo("relu", "Dense", "relu", "", False)},
        epochs=np.arange(len(shares)),
        mean=np.zeros(shape),
        std=np.ones(shape),
        dead_share=np.array(shares)[:, None],
        saturated_share=np.full(shape, np.nan),
        non_finite_share=np.zeros(shape),
        units=np.full(shape, units),
        answers=np.full(shape, answers),
        loss=np.ones(len(shares)),
    )
    (finding,) = diagnose(history)
    assert (finding.name, finding.severity) == ("dead_relu", severity)
    # What nobody trains was not killed, and no learning rate wakes it.
    frozen = LayerInfo("relu", "Dense", "relu", "", True)
    assert diagnose(replace(history, layers={"relu": frozen})) == []


@pytest.mark.parametrize(
    ("shares", "loss", "severity"),
    [
        ([0.6, 0.6, 0.6], [np.nan, 1.0, 0.3], "error"),  # from the initial weights on
        ([0.1, 0.4, 0.6], [np.nan, 1.0, 0.3], "note"),  # as the network learns
        ([0.1, 0.6, 0.6], [np.nan, 1.0, 0.95], "error"),  # and it does not learn
    ],
)
def test_saturation_that_comes_with_learning_is_no_error(shares, loss, severity):
    history = ActivationHistory(
        layers={"tanh": LayerInfo("tanh", "Dense", "tanh", "", False)},
        epochs=np.arange(3),
        mean=np.zeros((3, 1)),
        std=np.ones((3, 1)),
        dead_share=np.full((3, 1), np.nan),
        saturated_share=np.array(shares)[:, None],
        non_finite_share=np.zeros((3, 1)),
        loss=np.array(loss),
    )
    (finding,) = diagnose(history)
    assert (finding.name, finding.severity) == ("saturation", severity)


def test_the_first_layer_that_makes_nan_is_found_by_the_probe():
    model = keras.Sequential(
        [
            keras.Input((32,)),
            layers.Dense(8, name="fine"),
            layers.Dense(8, "relu", name="broken"),
            layers.Dense(10, name="out"),
        ]
    )
    kernel, bias = model.get_layer("broken").get_weights()
    kernel[0, 0] = np.nan
    model.get_layer("broken").set_weights([kernel, bias])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = clusters(0)
    monitor = ActivationMonitor(x[:64], on_finding=None)
    model.fit(x, y, verbose=0, callbacks=[monitor])
    finding = monitor.findings[0]
    # ReLU turns NaN into 0 on TensorFlow's CPU: then only training spreads it
    if monitor.history.non_finite_share[0].any():
        assert (finding.name, finding.layer) == ("non_finite", "broken")
        assert finding.since == "the initial weights"
    else:
        assert keras.backend.backend() == "tensorflow"


def stopping_run(**options):
    model, (x, y) = CASES["sigmoid with Glorot"][0](), clusters(0)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    monitor = GradientNormMonitor(frequency=1, **options)
    logs = model.fit(x, y, batch_size=64, epochs=3, verbose=0, callbacks=[monitor])
    return monitor, len(logs.history["loss"])


def test_a_finding_is_printed_once_with_its_remedy(capsys):
    monitor, epochs = stopping_run()
    printed = capsys.readouterr().out
    assert epochs == 3
    assert printed.count("vanishing gradient") == 1
    assert "Remedy: use a nonsaturating activation (ReLU" in printed
    assert monitor.findings[0].since == "step 1"


def test_the_same_finding_in_many_layers_is_one_line():
    rows = diagnose(gradients(np.zeros((4, 3))))
    assert len(rows) == 3
    (line,) = summary(rows)
    assert line.endswith("The same in 2 more layers.")


def test_an_error_stops_the_training_when_asked():
    _, epochs = stopping_run(on_finding="stop")
    assert epochs == 1


def test_a_function_gets_every_finding():
    told = []
    monitor, _ = stopping_run(on_finding=told.append)
    assert told == monitor.findings
    assert all(isinstance(finding, Finding) for finding in told)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r'"stop", a function or None.*Received: on_f'):
        GradientNormMonitor(on_finding="shout")
    with pytest.raises(TypeError, match="Received: 3"):
        diagnose(3)
    assert diagnose(GradientHistory(), ActivationHistory()) == []
