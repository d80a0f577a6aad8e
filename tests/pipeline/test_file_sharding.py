"""Sharding by file: each example once an epoch, each file opened by one machine."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from dlkeras.pipeline import (
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TransformConfig,
    TunerConfig,
    run,
)
from dlkeras.pipeline.artifacts.types import Examples, Model, Transform
from dlkeras.pipeline.batches import input_pipeline
from dlkeras.pipeline.batches.file_sharding import FileSharding, assign, files_of_others
from dlkeras.pipeline.batches.input_pipeline import steps_per_epoch, training_batches
from dlkeras.pipeline.components.trainer import trainer
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Store

pytestmark = pytest.mark.job

AUGMENTED = {"brightness": 0.2, "noise": 0.1}


def sizes():
    """Shard files of like and of very unlike sizes, of 20 seeds."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        files = int(random.integers(1, 40))
        yield tuple(random.integers(1, 200, files).tolist())


@pytest.mark.parametrize("machines", [1, 2, 3, 7])
def test_every_file_is_one_machines_and_every_example_of_one_step(machines):
    tried = 0
    for lengths, batch_size in itertools.product(sizes(), (machines, 16, 33)):
        if len(lengths) < machines:
            continue
        try:
            sharding = FileSharding(lengths, machines, batch_size, devices=2)
        except InputError:
            continue
        tried += 1
        assert sorted(itertools.chain(*sharding.files)) == list(range(len(lengths)))
        assert sharding.steps == -(-sum(lengths) // batch_size)
        parts = np.array(
            [
                [sharding.part(machine, step) for step in range(sharding.steps)]
                for machine in range(machines)
            ]
        )
        assert parts.min() >= 1
        assert parts.max() <= sharding.rows
        assert sharding.rows % 2 == 0
        for machine, mine in enumerate(sharding.files):
            number = sum(lengths[file] for file in mine)
            assert parts[machine].sum() == number
            # Counted out one by one, as the steps take them.
            steps = np.repeat(np.arange(sharding.steps), parts[machine])
            given = [sharding.step_of(machine, place) for place in range(number)]
            assert given == steps.tolist()
        average = sum(lengths) / sharding.steps
        assert np.abs(parts.sum(axis=0) - average).max() < machines
    assert tried >= 5


def test_the_files_are_dealt_so_that_machines_have_like_numbers_of_examples():
    # By hand: 9 | 8, then 7 to the one with 8, 6 to the one with 9: 15 and 15.
    assert assign([6, 7, 8, 9], 2) == ((0, 3), (1, 2))
    assert assign([4, 4, 4], 3) == ((0,), (1,), (2,))


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def artifacts(request, tmp_path_factory):
    """The digits, the training split in 10 shard files of unlike lengths."""
    if request.param == "array_record":
        pytest.importorskip("array_record")
    config = PipelineConfig(
        name="sharded",
        mlruns=tmp_path_factory.mktemp(request.param) / "mlruns",
        example_gen=ExampleGenConfig(examples_per_shard=120, file_format=request.param),
        transform=TransformConfig(**AUGMENTED),
        tuner=TunerConfig(enabled=False),
    )
    found = run(config, until="Transform").artifacts
    return found["Examples"], found["Transform"]


@pytest.fixture(params=[True, False], ids=["in memory", "read anew"])
def memory(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(input_pipeline, "CACHE_BYTES", 0)


def batches(artifacts, part, *, sharding="file", batch_size=32, **kwargs):
    arguments = {"seed": 0, "first_epoch": 0, "epochs": 2} | kwargs
    dataset = training_batches(
        *artifacts, batch_size=batch_size, augmentation_strength=1.0, part=part,
        sharding=sharding, **arguments,
    )  # fmt: skip
    return list(dataset.as_numpy_iterator())


def counted(read):
    """The rows that count, and of what each step they are."""
    images = [x[w > 0] for x, _, w in read]
    labels = [y[w > 0] for _, y, w in read]
    return images, labels


def as_rows(images):
    """Images in an order of their own; augmented, they are all different."""
    flat = np.concatenate(images).reshape(-1, 32 * 32)
    return flat[np.lexsort(flat.T)]


@pytest.mark.parametrize(("machines", "batch_size"), [(2, 32), (5, 17)])
def test_machines_together_read_each_example_once_an_epoch(
    artifacts, memory, machines, batch_size
):
    """The same augmented images, to the bit, as one machine that reads everything."""
    steps = steps_per_epoch(artifacts[0], batch_size)
    alone = batches(artifacts, (0, 1), batch_size=batch_size)
    assert len(alone[0]) == 2  # with one machine there is nothing to weight
    read = [
        batches(artifacts, (machine, machines), batch_size=batch_size)
        for machine in range(machines)
    ]
    assert [len(mine) for mine in read] == [2 * steps] * machines
    for epoch in (0, 1):
        part = slice(epoch * steps, (epoch + 1) * steps)
        images, labels = [], []
        for mine in read:
            x, y = counted(mine[part])
            images += x
            labels += y
        expected = as_rows([x for x, _ in alone[part]])
        assert len(expected) == artifacts[0].splits["train"]
        assert np.array_equal(as_rows(images), expected)
        counts = np.bincount(np.concatenate(labels), minlength=10)
        everything = np.concatenate([y for _, y in alone[part]])
        assert counts.tolist() == np.bincount(everything, minlength=10).tolist()


def test_the_weighted_mean_over_machines_is_the_mean_over_the_steps_examples(artifacts):
    machines = 3
    read = [batches(artifacts, (machine, machines)) for machine in range(machines)]
    rows = {len(x) for mine in read for x, _, _ in mine}
    assert len(rows) == 1
    random = np.random.default_rng(0)
    filled = 0
    for step in zip(*read, strict=True):
        weights = [w for _, _, w in step]
        losses = [random.random(len(w)) for w in weights]
        # What Keras and its engines do: weighted sums over numbers of rows, averaged.
        mean = np.mean([np.mean(w * v) for w, v in zip(weights, losses, strict=True)])
        examples = np.concatenate(
            [v[w > 0] for w, v in zip(weights, losses, strict=True)]
        )
        assert mean == pytest.approx(examples.mean(), rel=1e-6)
        filled += sum(int((w == 0).sum()) for w in weights)
    assert filled > 0  # the parts are unlike, and some rows do not count


def same(one, two):
    return len(one) == len(two) and all(
        np.array_equal(a, b)
        for first, second in zip(one, two, strict=True)
        for a, b in zip(first, second, strict=True)
    )


def test_the_order_is_of_seed_and_epoch_alone_wherever_reading_starts(
    artifacts, memory
):
    steps = steps_per_epoch(artifacts[0], 32)
    once = batches(artifacts, (1, 2), epochs=3)
    assert same(once, batches(artifacts, (1, 2), epochs=3))
    assert same(once[steps:], batches(artifacts, (1, 2), first_epoch=1, epochs=3))
    assert not np.array_equal(once[0][0], once[steps][0])
    assert not np.array_equal(once[0][0], batches(artifacts, (1, 2), seed=1)[0][0])


def test_a_machine_reads_where_the_files_of_the_others_do_not_exist(
    artifacts, memory, tmp_path
):
    examples, transform = artifacts
    expected = batches(artifacts, (1, 3))
    copy = tmp_path / "copy"
    shutil.copytree(examples.path, copy)
    others = files_of_others(examples, 3, 1)
    kept = set(examples.shard_files("train")) - others
    assert len(kept) in (3, 4)
    for name in others:
        (copy / name).unlink()
    alone = Examples(copy, examples.record)
    assert same(batches((alone, transform), (1, 3)), expected)
    Store(tmp_path / "store").check_files(copy, examples.record, others)
    name = min(others)
    with pytest.raises(Exception, match=f"{re.escape(Path(name).name)}|contained only"):
        list(alone.dataset("train", decode=False).as_numpy_iterator())


def test_images_are_mixed_within_a_machines_part(artifacts):
    examples, transform = artifacts
    dumped = {"transform": TransformConfig(mixup=0.4).model_dump(mode="json")}
    mixing = Transform(
        transform.path, transform.record.model_copy(update={"config": dumped})
    )
    shared = 0.0
    for machine in (0, 1):
        for _, shares, weights in batches((examples, mixing), (machine, 2), epochs=1):
            assert np.allclose(shares.sum(axis=1), 1)
            shared += shares[weights > 0].sum()
            # Of two images each.
            assert ((shares > 0).sum(axis=1) <= 2).all()
    assert shared == pytest.approx(examples.splits["train"], rel=1e-5)


def test_fewer_shard_files_than_machines_are_refused_with_the_flag_that_helps(
    artifacts,
):
    with pytest.raises(InputError) as refused:
        batches(artifacts, (0, 16))
    assert "at least one shard file of the training split for each of 16 machines" in (
        str(refused.value)
    )
    assert "received 10: lower --example-gen.examples-per-shard" in str(refused.value)


def test_a_machine_without_an_example_for_every_step_is_refused():
    with pytest.raises(InputError, match="machine 1 of 2 have 3: raise --trainer"):
        FileSharding((100, 3), machines=2, batch_size=10)


def test_a_model_of_other_machines_own_files_is_taken_with_a_word(
    tmp_path, monkeypatch
):
    """The number of machines is no part of the key, and decides the batches."""
    store = Store(tmp_path / "store")

    def told(sharding):
        config = TrainerConfig(sharding=sharding, distribution="multi_worker")
        arguments = {
            "key": sharding * 64, "producer": "Trainer", "pipeline": "p", "inputs": {},
            "config": {"trainer": config.model_dump(mode="json")}, "versions": {},
            "run_id": "r",
        }  # fmt: skip
        with store.publish(Model, **arguments) as draft:
            draft.properties["machines"] = 2
        return list(trainer.lines(store.find(Model, sharding * 64)))

    (line,) = told("file")
    assert line.startswith("2 machines trained") and "trains one of 1" in line
    assert told("example") == []
    addresses = ["127.0.0.1:1", "127.0.0.1:2"]
    place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(place))
    assert told("file") == []
