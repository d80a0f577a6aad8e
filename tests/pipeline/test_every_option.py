"""Every option of the configuration goes through a whole job, many options a job.

The options are read from the configuration. One that no job sets, and that has no test
of its own named below, fails here: an option that is tested alone has met nothing of
what comes after it.
"""

import csv
import itertools
import json
import os
import shutil
import types
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from dlkeras.pipeline import PipelineConfig, run
from dlkeras.pipeline.examples.schema import ImageSchema, to_toml
from dlkeras.pipeline.machines.memory import GROWING
from dlkeras.pipeline.serving.answering import predict
from dlkeras.pipeline.serving.tasks.registry import read_task
from dlkeras.pipeline.tracking.pushed_model import load_pushed_model
from tests.conftest import ROOT

# What a job of one process cannot try, and the file whose tests try it.
ELSEWHERE = {
    "example_gen.beam_python": "test_beam.py",  # Beam has an environment of its own
    "example_gen.beam_options": "test_beam.py",
    "tuner.workers": "test_tuner.py",  # several processes
    "trainer.distribution=multi_worker": "test_distributed_job.py",  # several machines
    "trainer.distribution=data_parallel": "test_distributed_job.py",
    "trainer.sharding": "test_distributed_job.py",
    "trainer.callbacks": "test_own_network_job.py",  # the user's own, from a script
    "trainer.augmentation": "test_own_network_job.py",
    "example_gen.source": "test_own_parts.py",
    "example_gen.task": "test_tasks.py",  # tables of their own
    "evaluator.threshold": "test_tasks.py",
    "evaluator.min_macro_f1": "test_tasks.py",
    "evaluator.max_mean_absolute_error": "test_tasks.py",
    "infra_validator.onnx": "test_serving.py",  # packages of extras
    "infra_validator.litert": "test_serving.py",
    "pusher.destination": "test_deployment.py",
}
NAMES = ("photos", "table", "arrays", "digits", "splits", "prepared")


def jobs(data: Path, prepared: Path = Path("prepared")) -> dict[str, dict[str, Any]]:
    """The options of each job, by their dotted names, and what all jobs have.

    Args:
        data: folder of what `write_data` writes.
        prepared: folder of the data set that the job of photos has prepared.
    """
    every = {
        "seed": 3,
        "mlruns": data / "runs",
        "tracking_uri": f"sqlite:///{data / 'tracking.db'}",
        "transform.preview_examples": 2,
        "statistics_gen.histogram_bins": 8,
        "statistics_gen.gallery_size": 2,
        "tuner.max_trials": 1,
        "tuner.epochs": 1,
        "trainer.epochs": 1,
        "trainer.batch_size": 16,
        "evaluator.min_accuracy": 0.0,
        "evaluator.refuse_trivial": False,  # of what a tiny job learns
        "evaluator.max_accuracy_drop": 1.0,
        "evaluator.significance": 0.0,
        "evaluator.bootstrap_samples": 100,
        "evaluator.latency_repetitions": 2,
        "evaluator.robustness_images": 3,
        "infra_validator.images": 2,
    }
    chosen = {
        "photos": {
            "name": "photos",
            "example_gen.image_folder": data / "photos",
            "example_gen.layout": "classes",
            "example_gen.rare_classes": "leave_out",
            "example_gen.validation_fraction": 0.25,
            "example_gen.test_fraction": 0.25,
            "example_gen.on_error": "quarantine",
            "example_gen.max_pixels": 1000,
            "example_gen.examples_per_shard": 20,
            "schema_gen.path": data / "schema.toml",
            "transform.scale": 1 / 127.5,
            "transform.offset": -1.0,
            "transform.antialias": False,
            "transform.shift": 0.2,
            "transform.rotation": 30.0,
            "transform.zoom": 0.3,
            "transform.fill_mode": "reflect",
            "transform.horizontal_flip": True,
            "transform.vertical_flip": True,
            "transform.crop_padding": 2,
            "transform.brightness": 0.1,
            "transform.contrast": 0.1,
            "transform.saturation": 0.1,
            "transform.hue": 0.1,
            "transform.mixup": 0.2,
            "tuner.algorithm": "bayesian",
            "tuner.space": {"dropout": "0:0.3", "optimizer": "adam,adamw"},
            "tuner.patience": 1,
            "tuner.deadline": 600.0,
            "trainer.precision": "mixed_bfloat16",
            "trainer.width_multiplier": 0.5,
            "trainer.save_freq": 1,
            "trainer.keep_checkpoints": 3,
            "trainer.monitor": False,
            "evaluator.top_k": 1,
            "evaluator.calibration_bins": 4,
            "evaluator.gallery_size": 2,
            "evaluator.confidence": 0.9,
        },
        "table": {
            "name": "table",
            "example_gen.manifest": data / "tables" / "table.csv",
            "example_gen.columns": {"path": "photo", "label": "class"},
            "example_gen.image_root": data,
            "transform.aspect": "pad",
            "example_validator.max_named_examples": 2,
            "transform.fill_mode": "nearest",
            "transform.min_crop_area": 0.5,
            "transform.elastic": 1.0,
            "transform.elastic_sigma": 2.0,
            "transform.auto_contrast": 0.5,
            "transform.noise": 0.05,
            "transform.erasing": 0.5,
            "transform.cutout": 0.3,
            "transform.rand_augment": 1,
            "transform.rand_augment_magnitude": 5.0,
            "transform.cutmix": 1.0,
            "tuner.algorithm": "hyperband",
            "tuner.epochs": 3,
            "tuner.factor": 2,
            "tuner.min_learning_rate": 1e-3,
            "tuner.max_learning_rate": 2e-3,
            "tuner.min_augmentation_strength": 0.5,
            "tuner.max_augmentation_strength": 1.0,
            "trainer.precision": "mixed_float16",
            "trainer.optimizer": "rmsprop",
            "trainer.weight_decay": 1e-4,
            "trainer.clipnorm": 1.0,
            "trainer.label_smoothing": 0.1,
            "trainer.dropout": 0.2,
            "trainer.activation": "relu",
            "trainer.kernel_initializer": "he_normal",
            "trainer.frozen_layers": 1,
            "evaluator.slices": ("mean", "age", "group"),
            "evaluator.min_slice_accuracy": 0.0,
            "evaluator.max_latency_ms": 1e6,
            "infra_validator.tolerance": 0.1,
            "infra_validator.timeout": 250.0,
            "pusher.model_name": "tables",
            "pusher.alias": "best",
        },
        "arrays": {
            "trainer.architecture": "resnet20",
            "transform.height": 16,
            "transform.width": 16,
            "name": "arrays",
            "example_gen.npz": data / "arrays.npz",
            "example_gen.rare_classes": "train_only",
            "example_gen.file_format": "array_record",
            "transform.augment": False,
            "tuner.enabled": False,
            "trainer.learning_rate": 0.01,
            "trainer.learning_rate_schedule": "plateau",
            "trainer.plateau_factor": 0.5,
            "trainer.plateau_patience": 1,
            "trainer.mode": "min",
            "trainer.optimizer": "sgd",
            "trainer.distribution": "mirrored",
            "trainer.ema_momentum": 0.9,
            "trainer.width_multiplier": 0.5,
            "trainer.early_stopping_patience": 1,
            "trainer.monitor": False,
        },
        "digits": {
            "name": "digits",
            "example_gen.dataset": "digits:1.0.0",
            "example_gen.data_dir": data / "tensorflow_datasets",
            "example_gen.download": True,
            "example_gen.train_split": "train[:40]",
            "example_gen.validation_split": "train[40:120]",
            "example_gen.test_split": "train[120:200]",
            "tuner.enabled": False,
            "trainer.transfer.source": "lenet5:digits",
            "trainer.transfer.freeze_until": "stage1",
            "trainer.transfer.train_batch_normalization": True,
            "trainer.transfer.learning_rate_decay": 0.7,
            "trainer.transfer.distance_penalty": 0.01,
            "trainer.learning_rate_schedule": "constant",
            "trainer.optimizer": "adamw",
            "trainer.augmentation_strength": 0.5,
            "trainer.gradient_frequency": 2,
            "trainer.gradient_accumulation_steps": 2,
            "trainer.activation_frequency": 2,
            "trainer.on_finding": "stop",
            "evaluator.first_model": "refuse",
        },
        "splits": {
            "name": "splits",
            "example_gen.image_folder": data / "split photos",
            "example_gen.layout": "splits",
            "example_gen.rare_classes": "merge",
            "transform.aspect": "stretch",
            "tuner.enabled": False,
            "trainer.width_multiplier": 0.5,
            "trainer.learning_rate_schedule": "one_cycle",
            "trainer.loss": "focal",
            "trainer.metrics": ("top_k_categorical_accuracy",),
            "trainer.class_weight": "balanced",
            "trainer.objective": "val_macro_f1",
            "trainer.mode": "max",
            "trainer.monitor": False,
            "trainer.keep_best": 2,
            "trainer.epochs": 3,
            "evaluator.calibrate": True,
            "evaluator.unsure_below": 0.9,
            "evaluator.test_time_augmentation": 2,
            "bulk_inferrer.images": data / "split photos" / "test",
            "evaluator.grad_cam_images": 2,
        },
        "prepared": {
            "name": "prepared",
            "example_gen.builder_dir": prepared,
            "tuner.enabled": False,
            "trainer.network": "tests.pipeline.test_own_parts:small_net",
            "trainer.network_args": {"filters": 2},
            "trainer.warmup_epochs": 0.5,
            "trainer.folds": 2,
            "trainer.memory_growth": True,
            "trainer.monitor": False,
            "evaluator.first_model": "refuse",
        },
    }
    return {name: every | options for name, options in chosen.items()}


def configured(options: dict[str, Any]) -> PipelineConfig:
    """Make a configuration of dotted names and values."""
    nested: dict[str, Any] = {}
    for name, value in options.items():
        *parts, last = name.split(".")
        place = nested
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return PipelineConfig.model_validate(nested)


def options_of(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every field of a configuration and of its parts, by its dotted name."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= options_of(kind, f"{prefix}{name}.")
        else:
            found[prefix + name] = field
    return found


def choices(annotation: Any) -> set[Any]:
    """The values of a Literal, within a union too."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    parts = get_args(annotation) if get_origin(annotation) is types.UnionType else ()
    return {value for part in parts for value in choices(part)}


def test_every_option_is_set_by_a_job_or_is_tried_elsewhere():
    options = options_of(PipelineConfig)
    tried = {
        (name, str(value))
        for job in jobs(Path("data")).values()
        for name, value in job.items()
        if value != options[name].default
    }
    elsewhere = {name for name in ELSEWHERE if "=" not in name}
    assert sorted(set(options) - elsewhere - {name for name, _ in tried}) == []
    missing = {
        f"{name}={value}"
        for name, field in options.items()
        for value in choices(field.annotation)
        if value != field.default
        and (name, value) not in tried
        and name not in elsewhere
    }
    assert missing == {name for name in ELSEWHERE if "=" in name}
    for file in ELSEWHERE.values():
        assert (ROOT / "tests" / "pipeline" / file).is_file()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Bright and dark images in each form, a few dozen of them."""
    folder = tmp_path_factory.mktemp("every option")
    random = np.random.default_rng(0)
    rows = ["photo,class,split,group,age"]
    arrays: dict[str, list] = {"x_train": [], "y_train": [], "x_test": [], "y_test": []}
    for index in range(64):
        label = index % 2
        pixels = random.integers(120 * label, 120 * label + 120, (12, 12, 3), "uint8")
        photo = folder / "photos" / "ab"[label] / f"{index}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(photo)
        split = ("train", "train", "validation", "test")[index // 2 % 4]
        age = "" if index == 6 else index
        path = photo.relative_to(folder).as_posix()
        rows.append(f"{path},{'ab'[label]},{split},{split}{index % 3},{age}")
        part = "test" if split == "test" else "train"
        arrays[f"x_{part}"].append(pixels)
        arrays[f"y_{part}"].append(label)
    (folder / "photos" / "a" / "broken.png").write_bytes(b"no image")
    # A class of one photo, and a folder beside those of the splits.
    for name in ("photos/rare/0.png", "split photos/train/c/0.png",
                 "split photos/train/d/0.png", "split photos/test/c/0.png",
                 "split photos/others/0.png"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 120, (12, 12, 3), "uint8")
        Image.fromarray(pixels).save(folder / name)
    for split, label in itertools.product(("train", "test"), "ab"):
        for photo in (folder / "photos" / label).glob(
            "*[0-4].png" if split == "test" else "*[5-9].png"
        ):
            place = folder / "split photos" / split / label
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, place)
    (folder / "tables").mkdir()
    (folder / "tables" / "table.csv").write_text("\n".join(rows) + "\n")
    np.savez(folder / "arrays.npz", **{k: np.array(v) for k, v in arrays.items()})
    schema = ImageSchema(
        labels=("a", "b"), channels=3, min_height=12, max_height=12, min_width=12,
        max_width=12, min_examples_per_class=1, max_quarantined_share=0.1,
    )  # fmt: skip
    (folder / "schema.toml").write_text(to_toml(schema))
    return folder


@pytest.fixture(scope="module")
def finished(data):
    """The function that gives a job's result, and runs it once."""
    results: dict[str, Any] = {}

    def result_of(name: str) -> Any:
        if name not in results:
            prepared = Path("prepared")
            if name == "prepared":
                examples = result_of("photos").artifacts["Examples"]
                prepared = examples.path / examples.properties["builder"]
            results[name] = run(configured(jobs(data, prepared)[name]))
        return results[name]

    return result_of


@pytest.mark.job
@pytest.mark.parametrize("name", NAMES)
def test_a_job_of_many_options_ends_as_it_should(name, finished, data):
    result = finished(name)
    artifacts = result.artifacts
    metrics = artifacts["Evaluation"].metrics
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    shares = artifacts["Evaluation"].predictions.filter(like="p(").to_numpy()
    assert shares.dtype == "float32"
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert "augmented_batch" in artifacts["Model"].figures
    if name == "prepared":
        folds = artifacts["CrossValidation"].read_json("folds.json")["accuracy"]
        assert len(folds["folds"]) == 2
        assert folds["low"] <= folds["mean"] <= folds["high"]
        for variable in GROWING:
            assert os.environ.pop(variable)
    if name in ("digits", "prepared"):
        assert result.reason.endswith("a first model is not blessed")
        return
    assert result.exit_code == 0, result.reason
    assert result.model_version is not None
    photo = data / "photos" / "a" / "0.png"
    file, labels = load_pushed_model(str(artifacts["PushedModel"].path), None, data)
    (answer,) = predict(file, labels, [photo], task=read_task(file.parent))
    assert answer["top"][0]["label"] in artifacts["Examples"].labels
    if name == "splits":
        assert_served_as_asked(artifacts, answer, photo)


def assert_served_as_asked(artifacts, answer, photo):
    """The best two epochs, calibrated probabilities, and which answers are unsure."""
    best = artifacts["Model"].properties["best_epochs"]
    files = sorted((artifacts["Model"].path / "best").iterdir())
    assert [f.name for f in files] == [f"epoch-{n:04d}.keras" for n in sorted(best)]
    temperature = artifacts["PushedModel"].properties["temperature"]
    scaling = artifacts["Evaluation"].metrics["temperature_scaling"]
    assert temperature == scaling["applied"] == scaling["temperature"] != 1
    assert artifacts["ServableModel"].properties["temperature"] == temperature
    network = artifacts["Model"].network()
    pixels = np.asarray(Image.open(photo))[None]
    prepared = artifacts["Transform"].preprocessing()(pixels)
    powers = np.asarray(network(prepared), "float64")[0] ** (1 / temperature)
    shares = sorted(powers / powers.sum(), reverse=True)
    served = [given["probability"] for given in answer["top"]]
    np.testing.assert_allclose(served, shares[: len(served)], atol=1e-5)
    assert answer["unsure"] == (served[0] < 0.9)
    copies = artifacts["Evaluation"].metrics["test_time_augmentation"]
    assert copies["copies"] == 2 and 0 <= copies["score"] <= 1
    assert copies["score_without"] == artifacts["Evaluation"].metrics["accuracy"]
    wrong = artifacts["Evaluation"].properties["misclassified"]
    assert ("grad_cam" in artifacts["Evaluation"].figures) == bool(wrong)
    with (artifacts["Inferences"].path / "answers.csv").open() as table:
        rows = {row["image"]: row for row in csv.DictReader(table)}
    assert len(rows) == artifacts["Inferences"].properties["images"] > 20
    row = rows["a/0.png"]
    assert row["label"] == answer["top"][0]["label"]
    assert float(row["probability"]) == pytest.approx(served[0], abs=1e-5)
    card = artifacts["PushedModel"].card
    assert f"divided by {temperature:.3f}" in card and "Below 0.9" in card
