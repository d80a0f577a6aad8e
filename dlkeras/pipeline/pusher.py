"""Pusher: the blessed model in the form that is served, its manifest and its card."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkeras.pipeline.artifacts import (
    Blessing,
    Evaluation,
    Examples,
    Model,
    PushedModel,
    Statistics,
    Transform,
)
from dlkeras.pipeline.config import PusherConfig
from dlkeras.pipeline.errors import PipelineError
from dlkeras.pipeline.store import Draft, canonical_digest, file_digest

if TYPE_CHECKING:
    import keras

LABELS_FILE = "labels.json"
CHECKED_IMAGES = 20


def pusher(
    config: PusherConfig,
    output: Draft,
    *,
    name: str,
    examples: Examples,
    statistics: Statistics,
    transform: Transform,
    model: Model,
    evaluation: Evaluation,
    blessing: Blessing,
) -> None:
    """Join preprocessing and network, and check the file that was written.

    Args:
        config: the name and the alias in the registry.
        output: gets `model.keras` (raw uint8 images of any size to class
            probabilities), `labels.json`, a model card `README.md` and
            `MANIFEST.sha256`, which `sha256sum -c` reads.
        name: the model's name.
        examples: images to check the written file with.
        statistics: for the card.
        transform: the preprocessing.
        model: the network.
        evaluation: for the card.
        blessing: for the card.

    Raises:
        PipelineError: the model read back from its file answers differently.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    network = model.network()
    served = serving_model(transform.preprocessing(), network, name)
    path = output.path / PushedModel.MODEL
    served.save(path)
    _check(keras.saving.load_model(path), transform, network, examples)
    output.write_json(LABELS_FILE, list(examples.labels))
    card = model_card(name, examples, statistics, model, evaluation, blessing)
    (output.path / "README.md").write_text(card, encoding="utf-8")
    manifest = "".join(
        f"{file_digest(file)}  {file.name}\n" for file in sorted(output.path.iterdir())
    )
    (output.path / PushedModel.MANIFEST).write_text(manifest, encoding="utf-8")
    output.properties.update(
        name=name,
        alias=config.alias,
        labels=list(examples.labels),
        channels=examples.channels,
        sha256=file_digest(path),
        accuracy=evaluation.metrics["accuracy"],
    )
    output.digest = canonical_digest(
        [served.to_json(), model.record.digest, config.model_dump(mode="json")]
    )


def serving_model(
    preprocessing: "keras.Model", network: "keras.Model", name: str
) -> "keras.Model":
    """Join two models: raw uint8 image in, class probabilities out.

    Args:
        preprocessing: `(batch, height, width, channels)` uint8 to the network's input.
        network: to `(batch, classes)` probabilities.
        name: name of the joined model; characters that Keras does not take are `_`.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    image = preprocessing.inputs[0]
    allowed = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    # Keras's resizing takes itself to be in training unless told otherwise, and the
    # batch normalisations behind it would follow: `model(image)` would train them.
    inputs = preprocessing(image, training=False)
    return keras.Model(image, network(inputs, training=False), name=allowed)


def _check(
    served: "keras.Model",
    transform: Transform,
    network: "keras.Model",
    examples: Examples,
) -> None:
    """Compare the written file with the network it was made of, on real images."""
    preprocessing = transform.preprocessing()
    for example in examples.dataset("test").take(CHECKED_IMAGES).as_numpy_iterator():
        image = example["image"][None]
        expected = np.asarray(network(preprocessing(image)))
        received = np.asarray(served(image))
        if not np.allclose(expected, received, atol=1e-5):
            raise PipelineError(
                f"{PushedModel.MODEL}: expected the network's probabilities within "
                f"1e-5 for {example['id'].decode()}; they differ by "
                f"{np.abs(expected - received).max():.2g}"
            )


def model_card(
    name: str,
    examples: Examples,
    statistics: Statistics,
    model: Model,
    evaluation: Evaluation,
    blessing: Blessing,
) -> str:
    """Describe a model in Markdown, after Mitchell et al., "Model cards", 2019."""
    metrics = evaluation.metrics
    properties = model.properties
    train = statistics.summary["splits"]["train"]
    heights, widths = train["height"], train["width"]
    size = f"{_range(heights)}x{_range(widths)}x{examples.channels}"
    counts = "".join(
        f"| {split} | {count:,} |\n" for split, count in examples.splits.items()
    )
    rows = "".join(
        f"| {label} | {m['precision']:.3f} | {m['recall']:.3f} | {m['f1']:.3f} "
        f"| {m['support']} |\n"
        for label, m in metrics["classes"].items()
    )
    versions = ", ".join(f"{k} {v}" for k, v in model.record.versions.items())
    # A paragraph is one line: MLflow's page breaks where the text does.
    use = (
        f"Input `image`: raw pixels, uint8, `(batch, height, width, "
        f"{examples.channels})`, any height and width; resizing and rescaling are part "
        f"of the model. Output: a probability for each of {len(examples.labels)} "
        f"classes, in the order of `{LABELS_FILE}`."
    )
    limits = (
        f"Meant for images like those it was trained on ({size} pixels). It gives a "
        "class to any image, also to one that shows none of the classes."
    )
    data = (
        f"Training pixels: mean {train['pixel_mean']:.1f}, standard deviation "
        f"{train['pixel_std']:.1f} (0 to 255). Digest of the examples: "
        f"`{examples.record.digest[:16]}`."
    )
    training = (
        f"{properties['epochs']} epochs, the best is number "
        f"{properties['best_epoch']}; Adam, initial learning rate "
        f"{properties['learning_rate']:.3g}, augmentation strength "
        f"{properties['augmentation_strength']:.3g}. {versions}."
    )
    result = (
        f"Accuracy {metrics['accuracy']:.4f}, top-{metrics['top_k']} accuracy "
        f"{metrics['top_k_accuracy']:.4f}, cross-entropy {metrics['loss']:.4f}, "
        f"expected calibration error {metrics['ece']:.4f}. Blessed: {blessing.reason}."
    )
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
import keras

model = keras.saving.load_model("{PushedModel.MODEL}")  # safe_mode stays on
probabilities = model(images)
```

{limits}

## Data

| split | examples |
|---|---|
{counts}
{data}

## Training

{training}

## Evaluation on the test split

{result}

| class | precision | recall | F1 | examples |
|---|---|---|---|---|
{rows}"""


def _range(bounds: Sequence[int]) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low} to {high}"


def read_labels(path: Any) -> list[str] | None:
    """Read the names of the classes that stand beside a pushed model's file."""
    file = path.parent / LABELS_FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
