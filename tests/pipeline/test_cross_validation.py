"""k-fold cross-validation: who is in which fold, what is trained on, its interval."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from dlkeras.pipeline import PipelineConfig, TrainerConfig, run
from dlkeras.pipeline.artifacts.types import Examples, Transform
from dlkeras.pipeline.batches.input_pipeline import (
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from dlkeras.pipeline.components import cross_validator
from dlkeras.pipeline.components.cross_validator import _folds, fold_interval
from dlkeras.pipeline.configuration.config import (
    EvaluatorConfig,
    ExampleGenConfig,
    TransformConfig,
    TunerConfig,
)
from dlkeras.pipeline.configuration.description import ConfigurationError
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft


def stored(labels, images=None):
    """Examples as `_folds` sees them."""
    images = range(len(labels)) if images is None else images
    rows = [SimpleNamespace(label=y, image=bytes([i])) for y, i in zip(labels, images)]  # noqa: B905
    names = ("a", "b", "c")
    return SimpleNamespace(
        encoded=lambda split: iter(rows), task="classification", labels=names
    )


def test_folds_have_as_many_of_each_class_as_they_can():
    labels = [0] * 23 + [1] * 10 + [2] * 5
    folds = _folds(stored(labels), 5, seed=1)  # pyright: ignore[reportArgumentType]
    for label in range(3):
        counts = np.bincount(folds[np.array(labels) == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert (folds == _folds(stored(labels), 5, 1)).all()  # pyright: ignore
    assert (folds != _folds(stored(labels), 5, 2)).any()  # pyright: ignore


def test_copies_of_an_image_are_in_one_fold():
    images = [i // 4 for i in range(40)]
    folds = _folds(stored([0] * 40, images), 5, seed=0)  # pyright: ignore
    assert all(len(set(folds[i : i + 4])) == 1 for i in range(0, 40, 4))


def test_more_folds_than_examples_of_a_class_are_refused():
    with pytest.raises(InputError, match=r"--trainer\.folds: .* at most 2 .*'b'"):
        _folds(stored([0] * 9 + [1] * 2), 3, seed=0)  # pyright: ignore


def test_folds_of_several_machines_are_refused():
    with pytest.raises(ConfigurationError, match="folds are trained by one machine"):
        TrainerConfig(folds=2, distribution="multi_worker")


def test_the_interval_is_that_of_nadeau_and_bengio():
    # By hand: s = 0.0570088, sqrt(1/5 + 1/4) = 0.6708204, t(0.975, 4) = 2.7764451.
    scores = [0.8, 0.9, 0.85, 0.95, 0.9]
    low, high = fold_interval(scores)
    assert (low + high) / 2 == pytest.approx(0.88)
    half = 2.7764451 * 0.0570088 * 0.6708204
    assert (high - low) / 2 == pytest.approx(half, rel=1e-5)
    assert fold_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Bright and dark images in the store, as far as the Transform."""
    folder = tmp_path_factory.mktemp("folds")
    random = np.random.default_rng(0)
    labels = np.arange(90) % 2
    pixels = random.integers(0, 100, (90, 8, 8, 1)) + 120 * labels[:, None, None, None]
    np.savez(folder / "x.npz", x=pixels.astype("uint8"), y=labels)
    config = PipelineConfig(
        mlruns=folder / "runs",
        example_gen=ExampleGenConfig(npz=folder / "x.npz"),
        transform=TransformConfig(height=8, width=8, preview_examples=1, shift=0.1),
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(network="tests.pipeline.tiny_network:tiny"),
    )
    return run(config, until="Transform").artifacts


def test_a_fold_is_not_trained_on_and_all_else_is(made):
    examples, transform = made["Examples"], made["Transform"]
    assert isinstance(examples, Examples) and isinstance(transform, Transform)
    number = examples.splits["train"]
    only = np.arange(number) % 3 != 1
    given = {"batch_size": 8, "seed": 1, "augmentation_strength": 0.0}
    batches = training_batches(
        examples, transform, first_epoch=0, epochs=2, only=only, **given
    )
    seen = np.concatenate([x for x, *_ in batches.as_numpy_iterator()])
    every = np.concatenate(
        [
            x
            for x, _ in evaluation_batches(
                examples, transform, "train", 8
            ).as_numpy_iterator()
        ]
    )
    expected = sorted(x.tobytes() for x in every[only])
    assert sorted(x.tobytes() for x in seen) == sorted(expected * 2)
    assert len(list(batches)) == 2 * -(-only.sum() // 8)
    assert steps_per_epoch(examples, 8) > -(-only.sum() // 8)
    held = evaluation_batches(examples, transform, "train", 8, only=~only)
    held = np.concatenate([x for x, _ in held.as_numpy_iterator()])
    assert (held == every[~only]).all()


def test_every_fold_is_measured_once_and_a_fold_that_is_done_is_not_trained_again(
    made, tmp_path, monkeypatch
):
    config = TrainerConfig(
        folds=3, epochs=15, batch_size=16, learning_rate=0.03,
        augmentation_strength=0.0, network="tests.pipeline.tiny_network:tiny",
    )  # fmt: skip
    said: list[str] = []
    given = {
        "examples": made["Examples"], "transform": made["Transform"],
        "hyperparameters": None, "judging": EvaluatorConfig(confidence=0.9),
        "seed": 1, "work": tmp_path, "say": said.append,
    }  # fmt: skip
    draft = Draft(tmp_path / "out")
    draft.path.mkdir()
    cross_validator.cross_validator(config, draft, **given)
    folds = json.loads((draft.path / "folds.json").read_text())
    scores = folds["accuracy"]["folds"]
    assert len(scores) == 3 and draft.properties["mean"] == pytest.approx(
        np.mean(scores)
    )
    assert draft.properties["mean"] > 0.7  # bright and dark
    low, high = fold_interval(scores, 0.9)
    assert draft.properties["low"] == max(low, 0)
    assert draft.properties["high"] == min(high, 1)
    assert [line[:11] for line in said] == [f"fold {i} of 3" for i in (1, 2, 3)]
    monkeypatch.setattr(cross_validator, "_trained", None)  # nothing is left to train
    again = Draft(tmp_path / "again")
    again.path.mkdir()
    cross_validator.cross_validator(config, again, **given)
    assert json.loads((again.path / "folds.json").read_text()) == folds
