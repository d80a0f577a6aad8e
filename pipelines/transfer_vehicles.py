"""What transfer is worth: from animals to vehicles, or from digits 0-4 to 5-9.

    python pipelines/transfer_vehicles.py                       # the digits
    python pipelines/transfer_vehicles.py --photos cifar10_small
    python pipelines/transfer_vehicles.py --sizes 10 --seeds 2
    python pipelines/transfer_vehicles.py --photos cifar10_small --validate --rate 2e-3

`--photos` names a folder of CIFAR-10's classes, `train/CLASS/*.jpg` and `test/...`.
A pipeline trains the source network on the six animals (the digits 0 to 4). Then 10, 30
and 100 labelled images a class of the four vehicles (the digits 5 to 9) are learnt
twice, from scratch and by transfer (a new head on cached features, then all layers, the
deeper the slower), on the same images with the same augmentation and steps; five seeds
draw images and initial weights. Both are tested on all test images. Results are kept in
`mlruns/transfer/`, and a second call computes only what is missing.

`--validate` judges by training images that were not drawn, in other draws, and never
sees the test: so the learning rates were chosen, and whether batch normalisations are
thawed (`--frozen-normalizations` leaves them as `unfreeze` does).
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlkeras.pipeline import (
    EvaluatorConfig,
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TransformConfig,
    TunerConfig,
    run,
)
from dlkeras.pipeline.store.publishing import write_atomically

ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")
VEHICLES = ("airplane", "automobile", "ship", "truck")
SCRATCH, TRANSFER = "from scratch", "transfer"
STEPS = 300  # of 32 images, for both ways
PROBE_EPOCHS = 20  # of the new head alone, on cached features
VALIDATED = 200  # training images of a class, at most, that `--validate` judges by


class Recipe(NamedTuple):
    """What the two ways do not share."""

    scratch_rate: float
    rate: float
    decay: float
    thaw_normalizations: bool

    def of(self, way: str) -> str:
        """Name a way and all that its accuracy depends on."""
        if way == SCRATCH:
            return f"{way} {self.scratch_rate:g}"
        thawed = " thawed" if self.thaw_normalizations else ""
        return f"{way} {self.rate:g} {self.decay:g}{thawed}"


# Chosen with `--validate`; LeNet-5 has no normalisations.
PHOTOS = Recipe(4e-3, 2e-3, 0.8, thaw_normalizations=True)
DIGITS = Recipe(2e-3, 2e-3, 0.8, thaw_normalizations=True)


def source_job(folder: Path, photos: bool, mlruns: Path) -> PipelineConfig:
    """Return the pipeline that trains the source network."""
    examples = ExampleGenConfig(image_folder=folder)
    if not photos:
        return PipelineConfig(
            name="transfer_digits_source",
            mlruns=mlruns,
            example_gen=examples,
            tuner=TunerConfig(enabled=False),
            trainer=TrainerConfig(architecture="lenet5", epochs=40),
            evaluator=EvaluatorConfig(min_accuracy=0.95),
        )
    return PipelineConfig(
        name="transfer_animals",
        mlruns=mlruns,
        example_gen=examples,
        transform=TransformConfig(
            scale=1 / 127.5,
            offset=-1.0,
            shift=0.125,
            rotation=0.0,
            zoom=0.1,
            fill_mode="reflect",
        ),
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(
            architecture="resnet20", epochs=12, batch_size=64, learning_rate=3e-3
        ),
        evaluator=EvaluatorConfig(min_accuracy=0.5),
    )


def class_folders(photos: Path | None, folder: Path) -> tuple[Path, Path]:
    """Write the images of the source and of the target into folders of their own."""
    source, target = folder / "source", folder / "target"
    for place, classes in ((source, ANIMALS), (target, VEHICLES)):
        if place.is_dir():
            continue
        incomplete = place.with_suffix(".incomplete")
        shutil.rmtree(incomplete, ignore_errors=True)
        if photos is None:
            _write_digits(incomplete, range(5) if place == source else range(5, 10))
        else:
            for split in ("train", "test"):
                for name in classes:
                    shutil.copytree(photos / split / name, incomplete / split / name)
        incomplete.rename(place)
    return source, target


def _write_digits(folder: Path, classes: range) -> None:
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype("uint8")
    for index, (image, label) in enumerate(zip(images, digits.target, strict=True)):
        if label in classes:
            # Every third image of the data set is for the test.
            split = "test" if index % 3 == 0 else "train"
            place = folder / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{index:04d}.png")


def images_of(folder: Path, preprocessing: Any) -> tuple[np.ndarray, np.ndarray]:
    """Read a folder of classes as the source's pipeline would."""
    from dlkeras.pipeline.examples.decoding import image_pixels

    channels = preprocessing.input_shape[-1]
    classes = sorted(place for place in folder.iterdir() if place.is_dir())
    parts, labels = [], []
    for label, place in enumerate(classes):
        files = sorted(place.iterdir())
        images = np.stack([image_pixels(f.read_bytes(), channels) for f in files])
        parts.append(np.asarray(preprocessing(images)))
        labels += [label] * len(files)
    return np.concatenate(parts), np.array(labels)


def some(
    x: Any, y: Any, size: int, seed: int, others: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Draw so many images of each class, or as many `others` as judge a recipe."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y == k)) for k in np.unique(y)]
    part = slice(size, size + VALIDATED) if others else slice(size)
    chosen = np.concatenate([order[part] for order in rows])
    return x[chosen], y[chosen]


def batches(x: Any, y: Any, photos: bool, seed: int) -> Any:
    """Return endless batches, shifted, and mirrored where that makes sense."""
    from dlkeras.pipeline.tensorflow_import import keras, tf

    layers = [keras.layers.RandomTranslation(0.1, 0.1, "nearest", seed=seed)]
    if photos:
        layers.append(keras.layers.RandomFlip("horizontal", seed=seed + 1))
    augment = keras.Sequential(layers)
    data = tf.data.Dataset.from_tensor_slices((x, y))
    data = data.repeat().shuffle(len(x), seed=seed).batch(32)
    return data.map(lambda images, labels: (augment(images, training=True), labels))


def accuracy(
    way: str,
    source: Any,
    x: Any,
    y: Any,
    test: Any,
    photos: bool,
    seed: int,
    recipe: Recipe,
) -> float:
    """Train in one of the two ways and return the accuracy on the test images."""
    from dlkeras.architectures import create
    from dlkeras.pipeline.tensorflow_import import keras
    from dlkeras.transfer import (
        layerwise_learning_rates,
        probe_then_fine_tune,
        replace_head,
        unfreeze,
    )

    keras.utils.set_random_seed(seed)
    classes, data = len(np.unique(y)), batches(x, y, photos, seed)
    loss = "sparse_categorical_crossentropy"
    model: Any
    if way == SCRATCH:
        name = "resnet20" if photos else "lenet5"
        model = create(name, input_shape=x.shape[1:], num_classes=classes)
        schedule = keras.optimizers.schedules.CosineDecay(recipe.scratch_rate, STEPS)
        adam = keras.optimizers.Adam(schedule)
    else:
        model = replace_head(keras.saving.load_model(source), classes)
        probe_then_fine_tune(model, x, y, probe_epochs=PROBE_EPOCHS, fine_tune_epochs=0)
        unfreeze(model, batch_normalization=recipe.thaw_normalizations)
        schedule = keras.optimizers.schedules.CosineDecay(recipe.rate, STEPS)
        adam = keras.optimizers.Adam(schedule)
        adam = layerwise_learning_rates(model, adam, recipe.decay)
    model.compile(adam, loss, metrics=["accuracy"])
    model.fit(data, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    return model.evaluate(*test, batch_size=200, verbose=0)[1]


Accuracies = dict[str, dict[int, list[float]]]


def compared(
    photos: Path | None,
    mlruns: Path,
    sizes: list[int],
    seeds: int,
    recipe: Recipe | None = None,
    validate: bool = False,
) -> tuple[Accuracies, Path]:
    """Train the source and measure both ways, as far as that was not done before.

    Args:
        photos: Folder of CIFAR-10's photos, None for the digits.
        mlruns: Folder of the pipeline's runs.
        sizes: Labelled images a class.
        seeds: How often images and initial weights are drawn.
        recipe: Learning rates and what is thawed; None for the chosen ones.
        validate: Whether training images that were not drawn are asked, not the test.

    Returns:
        The accuracies of each way, by images a class and seed; and the folder that
        keeps them.
    """
    recipe = recipe or (DIGITS if photos is None else PHOTOS)
    work = mlruns / "transfer" / ("digits" if photos is None else "photos")
    work.mkdir(parents=True, exist_ok=True)
    source_folder, target_folder = class_folders(photos, work)
    result = run(source_job(source_folder, photos is not None, mlruns))
    model = result.artifacts["Model"]
    path = model.path / model.NETWORK
    preprocessing = result.artifacts["Transform"].preprocessing()
    train = images_of(target_folder / "train", preprocessing)
    test = images_of(target_folder / "test", preprocessing)

    kind = "validation" if validate else "accuracies"
    file = work / f"{kind}-{model.record.digest[:12]}.json"
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    found: Accuracies = {}
    for seed in range(seeds):
        for size in sizes:
            draw = seed + 10_000 * validate
            x, y = some(*train, size, draw)
            judge = some(*train, size, draw, others=True) if validate else test
            for way in (SCRATCH, TRANSFER):
                key = f"{recipe.of(way)}/{size}/{seed}"
                if key not in known:
                    known[key] = accuracy(
                        way, path, x, y, judge, photos is not None, seed, recipe
                    )
                    write_atomically(file, json.dumps(known, indent=1).encode())
                    print(f"{key}: {known[key]:.4f}", flush=True)
                found.setdefault(way, {}).setdefault(size, []).append(known[key])
    return found, work


def table(found: Accuracies, sizes: list[int]) -> tuple[str, bool]:
    """Return means and standard deviations, and whether transfer wins everywhere."""
    lines = [
        f"| images a class | {SCRATCH} | {TRANSFER} | difference |",
        "|---|---|---|---|",
    ]
    wins = True
    for size in sizes:
        scratch, transfer = (np.array(found[way][size]) for way in (SCRATCH, TRANSFER))
        columns = (scratch, transfer, transfer - scratch)
        deviations = [v.std(ddof=1) if len(v) > 1 else 0.0 for v in columns]
        cells = [
            f"{100 * values.mean():{sign}.1f} ± {100 * deviation:.1f} %"
            for values, deviation, sign in zip(
                columns, deviations, ("", "", "+"), strict=True
            )
        ]
        lines.append(f"| {size} | {' | '.join(cells)} |")
        wins &= transfer.mean() > scratch.mean()
    return "\n".join(lines), bool(wins)


def main() -> int:
    """Compare the two ways, draw the figure, and say whether transfer wins."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of CIFAR-10's photos")
    parser.add_argument("--mlruns", type=Path, default=Path("mlruns"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scratch-rate", type=float, help="learning rate from scratch")
    parser.add_argument("--rate", type=float, help="learning rate of transfer")
    parser.add_argument("--decay", type=float, help="of that rate, by stage")
    parser.add_argument("--frozen-normalizations", action="store_true")
    parser.add_argument("--validate", action="store_true", help="leave the test alone")
    given = parser.parse_args()
    photos = given.photos is not None
    if photos and not (given.photos / "train" / VEHICLES[0]).is_dir():
        parser.error(
            f"--photos: expected a folder with train/{VEHICLES[0]}; received "
            f"{given.photos}"
        )
    chosen = PHOTOS if photos else DIGITS
    recipe = Recipe(
        given.scratch_rate or chosen.scratch_rate,
        given.rate or chosen.rate,
        given.decay or chosen.decay,
        chosen.thaw_normalizations and not given.frozen_normalizations,
    )
    found, work = compared(
        given.photos, given.mlruns, given.sizes, given.seeds, recipe, given.validate
    )
    lines, wins = table(found, given.sizes)
    print(f"\n{lines}\n")
    if given.validate:
        return 0

    from dlkeras.visualization import accuracy_by_examples

    names = "animals to vehicles" if photos else "digits 0-4 to 5-9"
    figure = accuracy_by_examples(
        found, title=f"Transfer from {names}: {given.seeds} seeds, and their mean"
    )
    figure.savefig(work / "transfer.png")
    print(work / "transfer.png")
    return 0 if wins else 1


if __name__ == "__main__":
    raise SystemExit(main())
