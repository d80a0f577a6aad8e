"""Turn the network that a pipeline pushed last into weights that the package ships.

    python pipelines/ship_weights.py lenet5_mnist mnist
    python pipelines/ship_weights.py lenet5_digits digits --mlruns mlruns

Writes `ARCHITECTURE_NAME.weights.h5` (float32, no pickle), `.json` (what the builder is
called with, how the pixels are scaled, metrics, configuration, SHA-256) and `.md`, the
card. `ARCHITECTURE(weights=NAME)` then loads them.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from dlkeras.pipeline.artifacts.types import (
    Artifact,
    Evaluation,
    Examples,
    Model,
    PushedModel,
    Transform,
)
from dlkeras.pipeline.store.publishing import Store, file_digest, write_atomically

LARGEST = 2_000_000
PRETRAINED = Path(__file__).parents[1] / "dlkeras" / "architectures" / "pretrained"

CARD = """# {architecture}, weights "{name}"

{parameters:,} parameters, trained by the pipeline `{pipeline}` on {source}.

```python
from dlkeras.architectures import {architecture}

model = {architecture}(weights="{name}")
```

Input: images of {height}x{width}x{channels}, pixels of 0 to 255 times {scale:.6g} plus
{offset:.6g}. Output: a probability for each of {classes}.

| split | examples |
|---|---|
{counts}
Test accuracy {accuracy:.4f}, cross-entropy {loss:.4f}, expected calibration error
{ece:.4f}, on images that neither the training nor the choice of the epoch saw.
Best of {epochs} epochs: number {best_epoch}. {versions}.

SHA-256 of the weights: `{sha256}`
"""


def ship(store: Store, pipeline: str, name: str, folder: Path) -> Path:
    """Write the weights, their description and their card.

    Args:
        store: Where the pipeline's artifacts are.
        pipeline: Name of the pipeline.
        name: Name of the weights.
        folder: Where the three files go.

    Returns:
        The file of the weights.

    Raises:
        SystemExit: The pipeline has pushed no model, or the file is too large.
    """
    pushed = [a for a in store.artifacts(PushedModel) if a.record.pipeline == pipeline]
    if not pushed:
        raise SystemExit(
            f"pipeline: expected one that has pushed a model to {store.root}; "
            f"received {pipeline}"
        )

    def read(kind: type[Artifact], name: str, reader: Artifact) -> Any:
        return store.find(kind, reader.record.inputs[name].key)

    model: Model = read(Model, "model", pushed[-1])
    examples: Examples = read(Examples, "examples", pushed[-1])
    evaluation: Evaluation = read(Evaluation, "evaluation", pushed[-1])
    transform: Transform = read(Transform, "transform", evaluation)
    metrics = evaluation.metrics
    network, architecture = model.network(), model.properties["architecture"]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "network.weights.h5"
        network.save_weights(file)
        data, sha256 = file.read_bytes(), file_digest(file)
    if len(data) > LARGEST:
        raise SystemExit(
            f"{pipeline}: expected weights of at most {LARGEST:,} bytes; received "
            f"{len(data):,}"
        )
    height, width, channels = transform.input_shape
    rules = transform.record.config["transform"]
    # A folder's name says which data it was; its path belongs to one machine.
    kind, _, place = examples.properties["source"].rpartition(" ")
    source = f"{kind} {Path(place).name}" if place.startswith(("/", ".")) else None
    source = source or examples.properties["source"]
    versions = {k: v for k, v in model.record.versions.items() if v[0].isdigit()}
    known = {
        "architecture": architecture,
        "weights": name,
        "arguments": {
            "input_shape": [height, width, channels],
            "num_classes": len(examples.labels),
        },
        "labels": list(examples.labels),
        "pixels": {k: rules[k] for k in ("height", "width", "scale", "offset")},
        "metrics": {k: metrics[k] for k in ("accuracy", "loss", "ece")},
        "training": {**model.record.config, "transform": rules},
        "examples": {
            "source": source,
            "splits": examples.splits,
            "digest": examples.record.digest,
        },
        "versions": versions,
        "sha256": sha256,
    }
    told: dict[str, Any] = known | known["pixels"] | known["metrics"]
    told["versions"] = ", ".join(f"{k} {v}" for k, v in versions.items())
    card = CARD.format(
        **told,
        name=name,
        pipeline=pipeline,
        parameters=sum(math.prod(w.shape) for w in network.trainable_weights),
        source=source,
        channels=channels,
        classes=", ".join(examples.labels),
        counts="".join(f"| {k} | {v:,} |\n" for k, v in examples.splits.items()),
        epochs=model.properties["epochs"],
        best_epoch=model.properties["best_epoch"],
    )
    stem = f"{architecture}_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{stem}.weights.h5", data)
    text = json.dumps(known, indent=2) + "\n"
    write_atomically(folder / f"{stem}.json", text.encode())
    write_atomically(folder / f"{stem}.md", card.encode())
    return folder / f"{stem}.weights.h5"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pipeline", help="name of the pipeline")
    parser.add_argument("name", help="name of the weights")
    parser.add_argument("--mlruns", type=Path, default=Path("mlruns"))
    parser.add_argument("--to", type=Path, default=PRETRAINED, help="folder")
    given = parser.parse_args()
    file = ship(Store(given.mlruns / "store"), given.pipeline, given.name, given.to)
    print(f"{file} ({file.stat().st_size:,} bytes)")
