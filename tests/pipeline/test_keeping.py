"""What a training keeps: the average of the weights, the best epoch, several."""

import keras
import numpy as np
import pytest

from dlkeras.pipeline import TrainerConfig
from dlkeras.pipeline.configuration.references import refer
from dlkeras.pipeline.training.keeping import BestEpoch, BestEpochs, averaging
from dlkeras.pipeline.training.network import compiled_network
from dlkeras.pipeline.training.train_state import TrainState
from tests.pipeline.tiny_network import SHAPE, tiny

EPOCHS, STEPS, MOMENTUM = 4, 3, 0.8
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(STEPS * 4, *SHAPE)).astype("float32")
LABELS = np.arange(len(IMAGES)) % 3


def trainer_of(**fields):
    return TrainerConfig(network=refer(tiny, "network"), **fields)


def network_of(config):
    return compiled_network(
        config, input_shape=SHAPE, num_classes=3, learning_rate=0.1, steps=10
    )


class Weights(keras.callbacks.Callback):
    """Writes down the weights after every step."""

    def __init__(self):
        super().__init__()
        self._seen = []

    def get_state(self):
        return {}

    def set_state(self, state):
        pass

    def on_train_batch_end(self, batch, logs=None):
        self._seen.append([np.asarray(w) for w in self.model.trainable_weights])


def trained(folder, until=EPOCHS, momentum: float | None = MOMENTUM):
    """Train up to an epoch as the Trainer does, from the checkpoint if there is one."""
    keras.utils.set_random_seed(1)
    config = trainer_of(
        ema_momentum=momentum,
        learning_rate_schedule="constant",
    )
    model, seen = network_of(config), Weights()
    stopping, best = BestEpoch("val_loss", "min", 9), BestEpochs("val_loss", "min", 2)
    state = TrainState(folder, callbacks=[seen, stopping, best])
    state.load(model)
    model.fit(
        IMAGES, LABELS, batch_size=4, shuffle=False, verbose=0, epochs=until,
        initial_epoch=state.epoch, validation_data=(IMAGES, LABELS[::-1].copy()),
        callbacks=[*averaging(model), *state.callbacks],
    )  # fmt: skip
    return model, seen._seen, best, state.history


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("whole"))


def averages(seen):
    """The published recursion, in NumPy; Keras begins with the first step's weights."""
    found = [seen[0]]
    for weights in seen[1:]:
        found.append(
            [MOMENTUM * a + (1 - MOMENTUM) * w
             for a, w in zip(found[-1], weights, strict=True)]
        )  # fmt: skip
    return found[STEPS - 1 :: STEPS]


def test_the_best_epochs_weights_are_the_average_of_the_steps(whole):
    model, seen, _, history = whole
    scores = [logs["val_loss"] for logs in history]
    expected = averages(seen)[int(np.argmin(scores))]
    for weight, average in zip(model.trainable_weights, expected, strict=True):
        np.testing.assert_allclose(weight, average, rtol=1e-5, atol=1e-7)
    last = seen[STEPS * (int(np.argmin(scores)) + 1) - 1]
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(expected, last, strict=True))
    # Validation measured the average, too.
    assert model.evaluate(IMAGES, LABELS[::-1].copy(), verbose=0)[0] == pytest.approx(
        min(scores), rel=1e-5
    )


def test_the_best_epochs_are_kept_the_best_first(whole):
    model, _, best, history = whole
    scores = [logs["val_loss"] for logs in history]
    assert list(best.kept) == np.argsort(scores, kind="stable")[:2].tolist()
    for epoch, (score, weights) in best.kept.items():
        assert score == scores[epoch]
        before = model.get_weights()
        model.set_weights(weights)
        loss = model.evaluate(IMAGES, LABELS[::-1].copy(), verbose=0)[0]
        model.set_weights(before)
        assert loss == pytest.approx(score, rel=1e-4)


def test_average_and_best_epochs_are_resumed_to_the_bit(whole, tmp_path):
    trained(tmp_path, until=2)
    model, _, best, history = trained(tmp_path)
    expected, _, others, all_history = whole
    assert history == all_history
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(best.kept) == list(others.kept)
    for epoch, (_, weights) in best.kept.items():
        for a, b in zip(weights, others.kept[epoch][1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_without_a_momentum_nothing_is_averaged():
    assert averaging(network_of(trainer_of())) == []
    (swap,) = averaging(network_of(trainer_of(ema_momentum=0.5)))
    assert isinstance(swap, keras.callbacks.SwapEMAWeights)
