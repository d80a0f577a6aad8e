"""A pushed model as a folder in MLflow's format: ours and Keras's flavour, no pickle.

MLflow's own function would import what it needs to guess what is listed here, and knows
one flavour at a time.
"""

import json
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.models.container import MODEL_PATH
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.engine.versions import package_versions
from dlkeras.pipeline.tracking.registry.model_folder import ANSWER, LOADER
from dlkeras.pipeline.tracking.registry.package_wheel import write_wheel
from dlkeras.pipeline.tracking.registry.registered import WHEELS

# What `served_model` imports beside MLflow, which names itself.
SERVED_BY = (
    "dlkeras", "h5py", "keras", "numpy", "pillow", "pydantic", "tensorflow",
)  # fmt: skip
DATA = "data"
_EXAMPLE, _SERVED_EXAMPLE = "input_example.json", "serving_input_example.json"
# MLflow's containers have the model there; an environment of `mlflow models serve` is
# made beside the folder.
_FIND = [f"--find-links {MODEL_PATH}/{WHEELS}", f"--find-links {WHEELS}"]


def write_folder(folder: Path, pushed: PushedModel, **named: Any) -> None:
    """Write a pushed model in MLflow's format.

    `mlflow.pyfunc` loads it by `served_model`, and `mlflow.keras` as a Keras model.

    Args:
        folder: an empty folder.
        pushed: the model.
        **named: what `MLmodel` says of its place: `artifact_path`, `model_id`,
            `model_uuid` and `run_id`.
    """
    shutil.copytree(pushed.path, folder / DATA)
    labels = pushed.properties["labels"]
    described = Model(
        signature=signature(len(labels), pushed.properties["channels"]),
        metadata={"labels": labels, "sha256": pushed.properties["sha256"]},
        **named,
    )
    mlflow.pyfunc.add_to_model(
        described,
        loader_module=LOADER,
        data=DATA,
        conda_env="conda.yaml",
        python_env="python_env.yaml",
        model_config=ANSWER,
        streamable=False,
    )
    # MLflow appends `model.keras` to the folder's name.
    described.add_flavor(
        "keras",
        data=DATA,
        keras_version=metadata.version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    described.saved_input_example_info = {
        "artifact_path": _EXAMPLE,
        "serving_input_path": _SERVED_EXAMPLE,
        "type": "ndarray",
    }
    question = pushed.question()
    _write(folder / _EXAMPLE, json.dumps(question))
    _write(folder / _SERVED_EXAMPLE, json.dumps({"inputs": question}))
    (folder / WHEELS).mkdir()
    write_wheel(folder / WHEELS)
    _write_environment(folder)
    files = (file for file in folder.rglob("*") if file.is_file())
    described.model_size_bytes = sum(file.stat().st_size for file in files)
    # What comes in is checked by `ServedModel`, which takes more than one type.
    known = described.to_dict() | {"is_signature_from_type_hint": True}
    _write(folder / "MLmodel", yaml.safe_dump(known, allow_unicode=True))


def signature(outputs: int, channels: int) -> ModelSignature:
    """What goes in and comes out, as MLflow's pages show it.

    Args:
        outputs: how many numbers are answered for an image.
        channels: of an image.
    """
    image = TensorSpec(np.dtype("uint8"), (-1, -1, -1, channels), "image")
    answered = TensorSpec(np.dtype("float32"), (-1, outputs))
    (name,) = ANSWER
    # Empty: what the model was loaded to answer, as `model_config` says it.
    return ModelSignature(
        inputs=Schema([image]),
        outputs=Schema([answered]),
        params=ParamSchema([ParamSpec(name, "string", "")]),
    )


def _write_environment(folder: Path) -> None:
    """The packages of a container, of conda, and of a virtual environment."""
    wanted = package_versions("mlflow", *SERVED_BY).items()
    packages = [f"{package}=={version}" for package, version in wanted]
    _write(folder / "requirements.txt", "\n".join(packages) + "\n")
    python = platform.python_version()
    environment = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": [*_FIND, "-r requirements.txt"],
    }
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": [*_FIND, *packages]}],
    }
    for name, content in (("python_env", environment), ("conda", conda)):
        _write(folder / f"{name}.yaml", yaml.safe_dump(content, sort_keys=False))


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
