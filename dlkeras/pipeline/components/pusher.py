"""Pusher: the blessed and tried model with its manifest and its card."""

import shutil
from collections.abc import Mapping, Sequence

import numpy as np

from dlkeras.pipeline.artifacts.manifest import write_manifest
from dlkeras.pipeline.artifacts.types import (
    Blessing,
    Evaluation,
    Examples,
    Model,
    PushedModel,
    ServableModel,
    Statistics,
)
from dlkeras.pipeline.batches.shown_images import thumbnail
from dlkeras.pipeline.configuration.config import PusherConfig
from dlkeras.pipeline.configuration.key_fields import key_fields
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.serving.needed_modules import needed_modules
from dlkeras.pipeline.serving.servable import FILES, QUESTIONS
from dlkeras.pipeline.serving.tasks.registry import TASK_FILE, task_of
from dlkeras.pipeline.store.publishing import Draft, canonical_digest, file_digest


@component(packages=())
def pusher(
    config: PusherConfig,
    output: Draft[PushedModel],
    examples: Examples,
    statistics: Statistics,
    model: Model,
    servable: ServableModel,
    evaluation: Evaluation,
    blessing: Blessing,
    *,
    model_name: str,
) -> None:
    """Put everything that serving needs into one folder.

    Args:
        config: the name and the alias in the registry.
        output: gets the forms of the model (`model.keras` and `saved_model/`: raw uint8
            images of any size to class probabilities), `labels.json`, `task.json` where
            the answer is no single class, `example.json` (a body for the model
            server), a model card `README.md` and `MANIFEST.sha256`, which
            `sha256sum -c` reads.
        model_name: its name in the registry.
        examples: for the labels and the card.
        statistics: for the card.
        model: for the card.
        servable: the forms, as a fresh process has tried them.
        evaluation: for the card.
        blessing: for the card.
    """
    for form in servable.forms:
        source, target = servable.path / FILES[form], output.path / FILES[form]
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    output.write_json(PushedModel.LABELS, list(examples.labels))
    threshold = evaluation.metrics.get("threshold")
    if examples.task != "classification" or threshold is not None:
        asked = {"task": examples.task}
        asked |= {} if threshold is None else {"threshold": threshold}
        output.write_json(TASK_FILE, asked)
    with np.load(servable.path / QUESTIONS, allow_pickle=False) as asked:
        image = thumbnail(asked["raw_0"][0])  # a photograph is no body for a server
        output.write_json(PushedModel.EXAMPLE, {"inputs": [image.tolist()]})
    if (model.path / model.SOURCES).is_dir():  # to read, never to run
        shutil.copytree(model.path / model.SOURCES, output.path / model.SOURCES)
    task = task_of(examples.task)
    if task.name != "classification":
        output.properties["score"] = task.score_name
    needed = needed_modules(output.path / PushedModel.MODEL)
    card = model_card(
        model_name, examples, statistics, model, evaluation, blessing, needed
    )
    (output.path / "README.md").write_text(card, encoding="utf-8")
    write_manifest(output.path)
    output.properties.update(
        name=model_name,
        alias=config.alias,
        labels=list(examples.labels),
        channels=examples.channels,
        forms=servable.forms,
        temperature=servable.properties["temperature"],
        sha256=file_digest(output.path / PushedModel.MODEL),
        **{task.score_name: evaluation.metrics[task.score_name]},
    )
    output.digest = canonical_digest(
        [servable.record.digest, card, key_fields(config, PushedModel.__name__)]
    )


def model_card(
    name: str,
    examples: Examples,
    statistics: Statistics,
    model: Model,
    evaluation: Evaluation,
    blessing: Blessing,
    needed: Sequence[str] = (),
) -> str:
    """Describe a model in Markdown, after Mitchell et al., "Model cards", 2019.

    Args:
        name: in the registry.
        examples: what it was trained and tested on.
        statistics: of these.
        model: the trainer's.
        evaluation: of the test split.
        blessing: of the evaluation.
        needed: modules that define layers of the network.
    """
    metrics = evaluation.metrics
    properties = model.properties
    train = statistics.summary["splits"]["train"]
    heights, widths = train["height"], train["width"]
    size = f"{_range(heights)}x{_range(widths)}x{examples.channels}"
    counts = "".join(
        f"| {split} | {count:,} |\n" for split, count in examples.splits.items()
    )
    task = task_of(examples.task)
    versions = ", ".join(f"{k} {v}" for k, v in model.record.versions.items())
    # A paragraph is one line: MLflow's page breaks where the text does.
    use = (
        f"Input `image`: raw pixels, uint8, `(batch, height, width, "
        f"{examples.channels})`, any height and width; resizing and rescaling are part "
        f"of the model. Output: "
        + task.use(examples.labels, PushedModel.LABELS, metrics.get("threshold"))
        + f". `{PushedModel.EXAMPLE}` is a question for the model server, a real "
        "image."
    )
    data = (
        f"Training pixels: mean {train['pixel_mean']:.1f}, standard deviation "
        f"{train['pixel_std']:.1f} (0 to 255). Digest of the examples: "
        f"`{examples.record.digest[:16]}`."
    )
    training = (
        f"{properties['epochs']} epochs, the best is number "
        f"{properties['best_epoch']}; {properties['optimizer']}, initial learning rate "
        f"{properties['learning_rate']:.3g}, augmentation strength "
        f"{properties['augmentation_strength']:.3g}. {versions}."
    )
    result = f"{task.measured(metrics)} Blessed: {blessing.reason}."
    origin = (
        f"{properties['architecture']} with {properties['parameters']:,} parameters, "
        f"trained by the pipeline `{model.record.pipeline}` on "
        f"{examples.properties['source']}."
    )
    return f"""# {name}

{origin}

## Use

{use}

```python
{_snippet(needed, task.output)}
```

{task.limits(size)}

## Data

| split | examples |
|---|---|
{counts}
{data}

## Training

{training}

## Evaluation on the test split

{result}
{_by_class(task.by_class(metrics))}"""


def _snippet(needed: Sequence[str], output: str) -> str:
    """What loads the model and asks it, in the folder that the card lies in."""
    imports = "".join(f"import {name}  # defines its layers\n" for name in needed)
    return f"""import json

import keras
import numpy as np
{imports}
model = keras.saving.load_model("{PushedModel.MODEL}")  # safe_mode stays on
with open("{PushedModel.EXAMPLE}") as file:
    images = np.array(json.load(file)["inputs"], "uint8")
{output} = np.asarray(model(images))"""


def _by_class(columns: Mapping[str, list]) -> str:
    """A table with a row for each class."""
    if not columns:
        return ""
    said = {"f1": "F1", "auc": "AUC", "support": "examples"}
    names = [said.get(name, name.replace("_", " ")) for name in columns]
    head = f"\n| {' | '.join(names)} |\n{'|---' * len(names)}|\n"
    rows = zip(*columns.values(), strict=True)
    return head + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(value: str | int | float | None) -> str:
    return _share(value) if value is None or isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(bounds: Sequence[int]) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low} to {high}"
