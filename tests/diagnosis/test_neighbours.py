"""What nearest neighbours know, beside what the network has learned."""

import keras
import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from dlkeras.diagnosis.checks import found
from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.labels_seen import Labels
from dlkeras.diagnosis.report import judge
from dlkeras.diagnosis.rules.labels import neighbours_know

SPARSE = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(3)
CLASS = RNG.integers(0, 4, 200)
CLOUDS = (3 * RNG.normal(size=(4, 6))[CLASS] + RNG.normal(size=(200, 6))).astype("f4")


def facts(labels, x=CLOUDS, units=16, losses=(1.38, 1.35, 1.33, 1.31, 1.3)):
    keras.utils.set_random_seed(0)
    body = [keras.layers.Dense(units, "relu", name="h")]
    model = keras.Sequential(
        [keras.Input((6,)), *body, keras.layers.Dense(4, "softmax")]
    )
    model.compile("adam", SPARSE)
    logs = [{"loss": loss} for loss in losses]
    labels = Labels(labels, sparse=True)
    return Facts(model, [x], labels, logs=logs, rates=[1e-3] * len(logs))


def diagnosis_of(seen):
    return judge(found(seen), learned=seen.learned)


@pytest.mark.parametrize("seed", range(3))
def test_the_vote_leaves_each_example_out_as_scikit_learns_does(seed):
    rng = np.random.default_rng(seed)
    y = np.where(rng.uniform(size=200) < 0.3, rng.permutation(CLASS), CLASS)
    x = (CLOUDS - CLOUDS.mean(0)) / CLOUDS.std(0)
    vote = KNeighborsClassifier(5, algorithm="brute")
    right = np.mean(cross_val_predict(vote, x, y, cv=LeaveOneOut()) == y)
    most = np.bincount(y).max() / len(y)
    assert neighbours_know(facts(y)) == pytest.approx((right - most) / (1 - most))


def test_a_network_that_stays_behind_the_neighbours_is_told_so():
    told = diagnosis_of(facts(CLASS, losses=[1.38, 1.2, *[1.15] * 6])).told
    assert [finding.name for finding in told] == ["less_than_neighbours"]
    assert "neighbours avoid" in " ".join(told[0].evidence)


def test_a_loss_that_still_falls_explains_that_neighbours_know_more():
    told = diagnosis_of(facts(CLASS)).told
    assert [finding.name for finding in told] == ["too_few_steps"]


def test_two_units_on_their_way_are_named_where_neighbours_know_more():
    falling = np.linspace(1.38, 1.2, 12)
    first = diagnosis_of(facts(CLASS, units=2, losses=falling)).told[0]
    assert first.name == "too_few_units" and first.layer == "h"
    assert "nearest neighbours" in " ".join(first.evidence)


def test_labels_that_neighbours_do_not_know_and_learned_ones_are_no_case():
    for seen in (
        facts(RNG.permutation(CLASS), units=2, losses=np.linspace(1.38, 1.2, 12)),
        facts(CLASS, units=2, losses=np.linspace(1.38, 0.2, 12)),
    ):
        names = [finding.name for finding in diagnosis_of(seen)]
        assert not {"less_than_neighbours", "too_few_units"} & {*names}
