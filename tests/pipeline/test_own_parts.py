"""What is the user's own goes in: networks, losses, metrics, optimizers, callbacks."""

import json
import re
import sys
import textwrap
from typing import Any

import keras
import numpy as np
import pytest

from dlkeras.pipeline import PipelineConfig, TrainerConfig, TunerConfig, main
from dlkeras.pipeline.artifacts.types import Model
from dlkeras.pipeline.batches.class_weights import balanced_weights
from dlkeras.pipeline.commands.command_line import parse
from dlkeras.pipeline.configuration.references import refer
from dlkeras.pipeline.examples.sources.own_source import OwnSource
from dlkeras.pipeline.serving.baseline import what_stops_loading
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.training import compiling
from dlkeras.pipeline.training.network import compiled_network
from dlkeras.pipeline.training.own import code as own_code
from dlkeras.pipeline.training.own.digest import code_digests
from dlkeras.pipeline.training.own.network import builder_of, with_typed_arguments
from dlkeras.pipeline.training.search_spaces import Choice, Range, chosen, space_of
from dlkeras.pipeline.training.train_state import TrainState, not_kept

SHAPE = (8, 8, 1)


def small_net(input_shape, num_classes, *, filters=4, rate=0.3, deep=False):
    x = images = keras.Input(input_shape)
    x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(rate)(x)
    outputs = keras.layers.Dense(num_classes, "softmax")(x)
    return keras.Model(images, outputs, name="small_net")


def compiled_net(input_shape, num_classes, *, learning_rate=0.25):
    model = small_net(input_shape, num_classes)
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.5),
        "categorical_crossentropy",
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(2, name="top2")],
    )
    return model


def compiled_fixed_net(input_shape, num_classes):
    return compiled_net(input_shape, num_classes)


def logits_net(input_shape, num_classes):
    images = keras.Input(input_shape)
    outputs = keras.layers.Dense(num_classes)(keras.layers.Flatten()(images))
    return keras.Model(images, outputs + 7.0)


def lambda_net(input_shape, num_classes):
    images = keras.Input(input_shape)
    x = keras.layers.Flatten()(keras.layers.Lambda(lambda x: x * 2)(images))
    return keras.Model(images, keras.layers.Dense(num_classes, "softmax")(x))


def broken_net(input_shape, num_classes):
    raise KeyError("nothing of this name")


def not_a_net(input_shape, num_classes):
    return 3


def undefined(shares, probabilities):
    return nowhere  # pyright: ignore  # noqa: F821


class Needy(keras.callbacks.Callback):
    def __init__(self, frequency):
        super().__init__()


class Bare(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return squared(y_true, y_pred)


@keras.saving.register_keras_serializable("tests")
class Registered(Bare):
    pass


def squared(shares, probabilities):
    return keras.ops.sum((shares - probabilities) ** 2, -1)


def trainer_of(network=small_net, **fields):
    reference = refer(network, "network")
    return TrainerConfig(network=reference, **fields)


def network_of(config, **changed):
    given = {"input_shape": SHAPE, "num_classes": 3, "learning_rate": 0.1, "steps": 10}
    return compiled_network(config, **(given | changed))


def test_the_arguments_of_a_network_are_flags_of_their_kinds():
    base = PipelineConfig(trainer=trainer_of())
    flags = ["--trainer.network-args.filters", "64", "--trainer.network-args.deep=yes"]
    config, _ = parse(base, flags)
    assert config.trainer.architecture == "small_net"
    typed = with_typed_arguments(config.trainer)
    assert typed.network_args == {"filters": 64, "deep": True}
    assert network_of(typed).layers[1].filters == 64
    config, _ = parse(base, ["--trainer.architecture", "lenet5", *flags[:0]])
    assert config.trainer.network is None
    with pytest.raises(InputError, match=r"filter: .*mean --trainer.network-args.filt"):
        parse(base, ["--trainer.network-args.filter", "64"])


def test_the_arguments_of_a_network_are_dimensions_of_the_search():
    space = {"filters": "2,4,8", "rate": "0.1:0.5", "deep": "true,false"}
    found = space_of(trainer_of(), TunerConfig(space=space))
    assert found == {
        "deep": Choice((True, False)),
        "filters": Choice((2, 4, 8)),
        "rate": Range(0.1, 0.5),
    }
    tried = chosen(
        trainer_of(), {"filters": 8, "learning_rate": 0.5, "tuner/epochs": 2}
    )
    assert tried.network_args == {"filters": 8} and tried.learning_rate == 0.5
    for wrong in ({"filter": "2,4"}, {"filters": "on"}, {"filters": "two"},
                  {"width_multiplier": "on"}):  # fmt: skip
        with pytest.raises(InputError, match=r"^--tuner\.space: expected"):
            space_of(trainer_of(), TunerConfig(space=wrong))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (logits_net, r"probabilities, whose sum is 1; .* it is 14"),
        (lambda_net, r"Lambda.* without running your code"),
        (broken_net, r"test_own_parts\.py:\d+: KeyError: 'nothing of this name'"),
        (not_a_net, r"expected a keras.Model .* received int"),
        (lambda input_shape: None, r"expected a function of input_shape and num_cl"),
    ],
)
def test_a_network_that_would_fail_late_is_refused_before_anything_is_made(
    tmp_path, capsys, network, why
):
    mlruns = tmp_path / "mlruns"
    assert main(PipelineConfig(mlruns=mlruns), [], network=network) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(why, line), line
    assert not mlruns.exists()


def test_a_search_over_a_rate_that_an_object_decides_is_refused(tmp_path, capsys):
    flags = ["--mlruns", str(tmp_path / "mlruns")]
    given = {"network": small_net, "optimizer": keras.optimizers.SGD(0.1)}
    assert main(PipelineConfig(), flags, **given) == 2
    assert "--tuner.space learning_rate: expected" in capsys.readouterr().err
    assert main(PipelineConfig(), flags, network=compiled_fixed_net) == 2
    assert "compiled by its function" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "flags", "why"),
    [
        ({}, ["--trainer.metrics", "F1Score"], r"metrics: .* one number \(macro_f1"),
        (
            {},
            ["--trainer.objective", "val_foo"],
            r"objective: .*val_accuracy, val_loss",
        ),
        ({"callbacks": (refer(Needy, "callbacks"),)}, [], r"callbacks: .*'frequency'"),
        ({"callbacks": (refer(squared, "callbacks"),)}, [], r"callbacks: .*arguments"),
        ({"callbacks": (refer(Bare, "callbacks"),)}, [], r"callbacks: .*is Bare"),
    ],
)
def test_a_part_that_would_fail_late_is_refused_before_anything_is_made(
    tmp_path, capsys, fields, flags, why
):
    config = PipelineConfig(mlruns=tmp_path / "mlruns", trainer=trainer_of(**fields))
    assert main(config, ["--no-tuner", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(f"--trainer.{why}", line), line
    assert not (tmp_path / "mlruns").exists()


def test_a_compiled_network_is_refused_at_once_where_the_task_decides(tmp_path, capsys):
    """So is one whose last layer cannot be replaced; any other is found good."""
    table = tmp_path / "table.csv"
    table.write_text("path,label\na.png,1.5\nb.png,2.5\n")
    flags = ["--no-tuner", "--example-gen.manifest", str(table),
             "--example-gen.task", "regression", "--until", "ExampleGen"]  # fmt: skip
    for network, why in (
        (compiled_fixed_net, "expected a network that is not compiled"),
        (logits_net, "expected a dense layer at the end"),  # 7 is added
        (small_net, "a.png"),  # which is no image
    ):
        trainer = trainer_of(network)
        main(PipelineConfig(mlruns=tmp_path / "mlruns", trainer=trainer), flags)
        assert why in capsys.readouterr().err


def test_an_object_that_no_other_process_has_is_refused_before_the_search(
    tmp_path, capsys
):
    config = PipelineConfig(mlruns=tmp_path / "mlruns", trainer=trainer_of())
    trainer = config.trainer.model_copy(
        update={"loss": refer(lambda shares, probabilities: 0, "loss")}
    )
    config = config.model_copy(update={"trainer": trainer})
    assert main(config, ["--tuner.workers", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--trainer.loss" in line and "another process can import" in line
    assert not (tmp_path / "mlruns").exists()


def test_the_code_of_an_objects_class_is_in_the_key_and_goes_to_other_processes():
    text = compiling.written("loss", Registered())
    trainer = TrainerConfig(loss=text)
    (digests,) = own_code.code_of_trainer(trainer).values()
    # A test that names this file by its path from the root has it a second time.
    latest: Any = keras.saving.get_registered_object("tests>Registered")
    assert digests == dict(code_digests(latest))
    assert __file__ in own_code.modules(trainer)["modules"].values()
    with pytest.raises(InputError, match=r"main\(loss=...\): .* above Bare"):
        compiling.written("loss", Bare())


def test_the_accuracy_is_measured_once_whatever_it_is_called():
    """Keras's class of this name asks whether shares and probabilities are equal."""
    model = network_of(trainer_of(metrics=("accuracy", "acc", "auc")))
    x, y = np.zeros((3, *SHAPE)), np.array([0, 1, 2])
    assert model.test_on_batch(x, y, return_dict=True).keys() == {
        "loss", "accuracy", "auc"
    }  # fmt: skip


def test_an_error_in_a_loss_of_ones_own_is_a_line_with_its_place():
    model = network_of(trainer_of(loss=refer(undefined, "loss")))
    with pytest.raises(InputError, match=r"undefined .*test_own_parts.py:\d+: NameErr"):
        model.train_on_batch(np.zeros((3, *SHAPE)), np.array([0, 1, 2]))


@pytest.mark.parametrize(
    "fields", [{"learning_rate": 0.5}, {"learning_rate_schedule": "one_cycle"}]
)
def test_what_a_compiled_network_would_not_follow_is_refused(fields):
    (name,) = fields
    with pytest.raises(InputError, match=f"{name.replace('_', '-')}: expected nothing"):
        network_of(trainer_of(compiled_fixed_net, **fields))
    if name == "learning_rate":  # an argument of the function
        network_of(trainer_of(compiled_net, **fields))


def test_the_better_value_of_an_objective_is_that_of_keras():
    told = 0
    for name, kind in vars(keras.metrics).items():
        if not isinstance(kind, type) or not issubclass(kind, keras.metrics.Metric):
            continue
        try:
            metric = kind()
        except TypeError:
            continue
        if (direction := getattr(metric, "_direction", None)) is None:
            continue
        config = TrainerConfig(objective=f"val_{metric.name}")
        assert config.direction == {"up": "max", "down": "min"}[direction], name
        told += direction == "down"
    assert told >= 10


def test_a_blessed_model_whose_own_layer_is_gone_is_passed_over(tmp_path):
    """A search for the last blessed model would end in Keras's traceback."""

    @keras.saving.register_keras_serializable("tests", "Passing")
    class Passing(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    images = keras.Input(SHAPE)
    outputs = Passing()(images)
    keras.Model(images, outputs).save(tmp_path / Model.NETWORK)
    model = Model(tmp_path, None)  # pyright: ignore  # of which no record is read
    (tmp_path / Model.SOURCES).mkdir()
    assert what_stops_loading(model) is None
    del keras.saving.get_custom_objects()["tests>Passing"]
    problem = what_stops_loading(model)
    assert problem and "'Passing'" in problem and len(problem.splitlines()) == 1


def test_a_compiled_network_keeps_its_optimizer_loss_and_metrics():
    model = network_of(trainer_of(compiled_net), learning_rate=0.125)
    assert model.optimizer.momentum == 0.5
    assert float(model.optimizer.learning_rate) == 0.125
    images = np.random.default_rng(0).uniform(size=(6, *SHAPE)).astype("float32")
    labels = np.array([0, 1, 2, 0, 1, 2])
    found = model.evaluate(images, labels, verbose=0, return_dict=True)
    shares = np.eye(3, dtype="float32")[labels]
    expected = compiled_net(SHAPE, 3)
    expected.set_weights(model.get_weights())
    plain = expected.evaluate(images, shares, verbose=0, return_dict=True)
    assert found == pytest.approx(plain, rel=1e-6)
    with pytest.raises(InputError, match=r"--trainer.loss: expected nothing"):
        network_of(trainer_of(compiled_net, loss="focal"))


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        ({"loss": "focal"}, keras.losses.CategoricalFocalCrossentropy()),
        (
            {"label_smoothing": 0.2},
            keras.losses.CategoricalCrossentropy(label_smoothing=0.2),
        ),
        ({"loss": "kld"}, keras.losses.KLDivergence()),
        ({"loss": compiling.written("loss", keras.losses.Poisson())},
         keras.losses.Poisson()),
        ({"loss": refer(squared, "loss")},
         lambda y, p: float(np.sum((y - p) ** 2, -1).mean())),
    ],
)  # fmt: skip
def test_a_loss_is_that_of_keras_whatever_the_labels_are(fields, theirs):
    model = network_of(TrainerConfig(**fields), input_shape=(32, 32, 1))
    images = np.random.default_rng(0).uniform(size=(3, 32, 32, 1)).astype("float32")
    shares = np.eye(3, dtype="float32")
    expected = float(theirs(shares, model.predict(images, verbose=0)))
    for labels in (np.arange(3), shares):
        loss = model.test_on_batch(images, labels, return_dict=True)["loss"]
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_optimizers_options_are_keras_own():
    fields = {"optimizer": "Lion", "weight_decay": 0.5, "clipnorm": 2.0}
    optimizer = compiling.optimizer_of(TrainerConfig(**fields), 0.1, 100)
    assert type(optimizer) is keras.optimizers.Lion
    assert (optimizer.weight_decay, optimizer.clipnorm) == (0.5, 2.0)
    given = compiling.written("optimizer", keras.optimizers.SGD(0.25, clipnorm=1.0))
    optimizer = compiling.optimizer_of(TrainerConfig(optimizer=given), 0.1, 100)
    assert float(optimizer.learning_rate) == 0.25 and optimizer.clipnorm == 1.0


def test_the_learning_rate_warms_up_and_makes_one_cycle():
    def rates(**fields):
        config = TrainerConfig(epochs=10, **fields)
        schedule = compiling.optimizer_of(config, 0.5, 100)._learning_rate
        return [float(schedule(step)) for step in range(101)]

    warm = rates(warmup_epochs=2)
    assert warm[:3] == pytest.approx([0, 0.025, 0.05])
    assert (np.argmax(warm), warm[20], warm[60]) == (20, 0.5, pytest.approx(0.25))
    cycle = rates(learning_rate_schedule="one_cycle")
    assert cycle[0] == pytest.approx(0.02) and cycle[30] == pytest.approx(0.5)
    assert cycle[100] == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="warmup_epochs needs"):
        TrainerConfig(warmup_epochs=1, learning_rate_schedule="constant")


def test_accumulated_gradients_make_the_step_of_the_whole_batch():
    images = np.random.default_rng(0).uniform(size=(8, *SHAPE)).astype("float32")
    labels = np.arange(8) % 3
    steps = []
    for batch, fields in ((8, {}), (4, {"gradient_accumulation_steps": 2})):
        keras.utils.set_random_seed(0)
        config = trainer_of(optimizer="sgd", network_args={"rate": 0.0}, **fields)
        model = network_of(config, steps=100)
        before = model.get_weights()
        model.fit(images, labels, batch_size=batch, shuffle=False, verbose=0)
        after = model.get_weights()
        steps.append([a - b for a, b in zip(after, before, strict=True)])
    for one, other in zip(*steps, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(one).max())


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 3], [7, 2, 1])
    theirs = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    ours = balanced_weights(np.bincount(labels, minlength=4))
    np.testing.assert_allclose(ours[[0, 1, 3]], theirs)
    assert ours[2] == 0


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses, self._lost = {0.5}, 3

    def on_epoch_end(self, epoch, logs=None):
        self.losses.add(logs["loss"])


class SeenAndKept(Seen):
    def get_state(self):
        return {"losses": sorted(self.losses)}

    def set_state(self, state):
        self.losses = set(state["losses"])


def test_a_callbacks_own_state_comes_back_or_is_said_to_be_lost(tmp_path):
    assert not_kept(Seen()) == ["losses", "_lost"]
    assert not_kept(SeenAndKept()) == not_kept(keras.callbacks.EarlyStopping()) == []
    images, labels = np.ones((4, *SHAPE), "float32"), np.arange(4) % 3
    kept = []
    for epochs in (2, 3):
        callback = SeenAndKept()
        model = network_of(trainer_of())
        state = TrainState(tmp_path, callbacks=[callback])
        state.load(model, (images, labels))
        first = state.epoch
        model.fit(images, labels, initial_epoch=first, epochs=epochs, verbose=0,
                  callbacks=state.callbacks)  # fmt: skip
        kept.append(callback.losses)
    assert len(kept[1]) == 4 and kept[1] > kept[0]


PACKAGE = {
    "nets/__init__.py": "",
    "nets/parts/__init__.py": "",
    "nets/parts/heads.py": """
        import keras
        from ..widths import WIDTH
        def head(x, classes):
            return keras.layers.Dense(classes, "softmax", name=f"head_{WIDTH}")(x)
        """,
    "nets/widths.py": "WIDTH = 3",
    "nets/small.py": """
        import keras
        from .parts.heads import head
        def small(input_shape, num_classes, width=2):
            images = keras.Input(input_shape)
            flat = keras.layers.Flatten()(images)
            return keras.Model(images, head(flat, num_classes))
        """,
}


def test_a_network_of_a_package_with_relative_imports_is_known_elsewhere(
    tmp_path, monkeypatch
):
    """Its key follows them, and another process imports it by its own name."""
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    trainer = TrainerConfig(network="nets.small:small")
    before = own_code.code_of_trainer(trainer)
    known = json.loads(json.dumps(own_code.modules(trainer)))
    assert known["modules"]["nets.small"] == str(tmp_path / "nets" / "small.py")
    for name in [n for n in sys.modules if n.partition(".")[0] == "nets"]:
        del sys.modules[name]
    monkeypatch.undo()
    own_code.load(known)
    assert network_of(trainer).layers[-1].name == "head_3"
    (tmp_path / "nets" / "widths.py").write_text("WIDTH = 4")
    code_digests.cache_clear()
    assert own_code.code_of_trainer(trainer) != before


def test_files_of_the_same_name_lie_beside_each_other_under_two_names(tmp_path):
    files = [tmp_path / f / "part.py" for f in ("a", "b")] + [tmp_path / "other.py"]
    named = own_code.named_apart([*files, files[0]])
    assert named == dict(
        zip(["a.part.py", "b.part.py", "other.py"], files, strict=True)
    )
    deep = [tmp_path / f / "c" / "part.py" for f in ("a", "b")]
    assert list(own_code.named_apart(deep)) == ["a.c.part.py", "b.c.part.py"]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("no_such_module:net", "cannot import no_such_module: there is no such file"),
        ("json:lods", "json has no 'lods'; did you mean loads?"),
        ("tests.pipeline.test_own_parts:smal_net", "did you mean small_net?"),
    ],
)
def test_a_name_that_is_not_there_is_refused(reference, why):
    with pytest.raises(InputError, match=f"--trainer.network: .*{re.escape(why)}"):
        builder_of(TrainerConfig(network=reference))


def test_an_augmentation_of_ones_own_is_the_same_for_a_seed_epoch_and_example(
    prepared,
):
    import tensorflow as tf

    from dlkeras.pipeline.batches.input_pipeline import training_batches

    def noisy(image, seed):
        return image * 0 + tf.random.stateless_uniform([], seed)

    def first(seed, first_epoch):
        batches = training_batches(
            prepared["Examples"], prepared["Transform"], batch_size=16, seed=seed,
            augmentation_strength=1.0, first_epoch=first_epoch, epochs=2,
            augmentation=noisy,
        )  # fmt: skip
        return next(iter(batches))[0].numpy()[
            :, 16, 16, 0
        ]  # far from what a shift brings in

    assert (first(1, 0) == first(1, 0)).all()
    assert len(np.unique(first(1, 0))) == 16
    assert not np.isin(first(1, 1), first(1, 0)).any()
    assert not np.isin(first(2, 0), first(1, 0)).any()


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_macro_f1_and_balanced_accuracy_are_those_of_scikit_learn():
    from sklearn.metrics import balanced_accuracy_score, f1_score

    random = np.random.default_rng(0)
    labels, shares = random.integers(0, 3, 60), random.dirichlet(np.ones(4), 60)
    answers = shares.argmax(1)
    theirs = {
        "macro_f1": f1_score(labels, answers, labels=range(4), average="macro"),
        "balanced_accuracy": balanced_accuracy_score(labels, answers),
    }
    for name, expected in theirs.items():
        config = TrainerConfig(objective=f"val_{name}")
        assert compiling.metrics_of(config) == [name] and config.direction == "max"
        metric = compiling.adapted(compiling.kept("metric", name))
        for part in (slice(0, 25), slice(25, 60)):
            metric.update_state(labels[part], shares[part].astype("float32"))
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    assert TrainerConfig().direction == "min"


IMAGES = np.random.default_rng(0).integers(0, 255, (6, 4, 5, 3), "uint8")
LABELS = np.array([0, 1, 2, 0, 1, 2])


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(2 * index, 2 * index + 2)
        return IMAGES[part], np.eye(3)[LABELS[part]]


def yields():
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        yield image, label, f"photo {number}"


def tensors(batch=None):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    return data.batch(batch) if batch else data


def of_hugging_face():
    datasets = pytest.importorskip("datasets")  # no dependency of the project
    from PIL import Image

    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names="abc")}
    rows = {"image": [Image.fromarray(i) for i in IMAGES], "label": LABELS.tolist()}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


@pytest.mark.parametrize(
    "make",
    [
        lambda: yields,
        lambda: (IMAGES, LABELS[:, None]),
        lambda: Pairs(),
        lambda: tensors(),
        lambda: tensors(4),
        lambda: lambda: tensors(4),
        of_hugging_face,
    ],
)
def test_a_source_of_ones_own_gives_its_images_and_labels(tmp_path, make):
    source = OwnSource(make(), tmp_path, "script:source")
    assert len(source) == 6 and len(source.labels) == 3 and not source.splits
    for start in (0, 4):
        found = list(source.examples(start, start + 4))
        for number, example in enumerate(found, start):
            assert (example.read() == IMAGES[number]).all()
            assert example.label == LABELS[number]
    assert len({example.id for example in source.examples()}) == 6


def test_the_content_of_a_source_decides_its_key_and_splits_have_names(tmp_path):
    def digest(images, labels=LABELS):
        return OwnSource((images, labels), tmp_path, "script:source").digest

    other = IMAGES.copy()
    other[3, 0, 0, 0] += 1
    assert digest(IMAGES) == digest(IMAGES.copy()) != digest(other)
    assert digest(IMAGES) != digest(IMAGES, LABELS[::-1])
    parts = {"train": (IMAGES[:4], LABELS[:4]), "val": yields}
    source = OwnSource(parts, tmp_path, "script:source")
    assert source.splits == {"train", "validation"}
    assert [e.split for e in source.examples(3, 5)] == ["train", "validation"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((IMAGES / 255, LABELS), r"uint8 \(height, .* \[0\] is \(4, 5, 3\) float64"),
        ((IMAGES, LABELS[:2]), "as many labels as images"),
        ((IMAGES, LABELS / 2), "a whole number or a text; .* has 0.0"),
        (3, "expected a function that yields .* received int"),
        (list, "gives none"),
        ({"tren": yields}, "expected the splits .* received 'tren'"),
        (lambda: iter([IMAGES[0]]), r"\[0\] is ndarray"),
    ],
)
def test_what_is_no_source_is_refused_in_a_line(tmp_path, given, why):
    with pytest.raises(InputError, match=rf"^--example-gen.source: .*{why}"):
        OwnSource(given, tmp_path, "script:source")


def test_predict_writes_a_table_with_a_row_for_every_image(tmp_path, capsys):
    import pandas as pd
    from PIL import Image

    from dlkeras.cli import main as command

    images = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(images, keras.layers.Softmax()(x)).save(tmp_path / "red.keras")
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        Image.new("RGB", (4, 4), colour).save(folder / f"{name}.png")
    (tmp_path / "cut.png").write_bytes((folder / "red.png").read_bytes()[:40])
    files = [str(tmp_path / n) for n in ("red.keras", "photos", "cut.png")]
    assert command(["predict", *files, "--csv", str(tmp_path / "a.csv")]) == 1
    printed = capsys.readouterr()
    assert "cut.png" in printed.err and printed.out.startswith("2 of 3 images")
    table = pd.read_csv(tmp_path / "a.csv")
    names = [name[-8:] for name in table["image"]]
    assert names == ["blue.png", "/red.png", "/cut.png"]
    assert table["label"].tolist()[:2] == [2, 0]
    largest = np.exp(1) / (np.exp(1) + 2)
    assert table["probability"][0] == pytest.approx(largest, abs=1e-6)
    assert table["error"].notna().tolist() == [False, False, True]
    assert command(["predict", *files, "--csv", str(tmp_path / "no" / "a.csv")]) == 2
