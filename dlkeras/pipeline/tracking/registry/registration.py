"""The registration of a pushed model: logged once, versioned once, under its alias."""

import contextlib
from dataclasses import dataclass

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelStatus
from mlflow.exceptions import MlflowException

from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.engine.versions import package_versions
from dlkeras.pipeline.tracking.database.connection import every
from dlkeras.pipeline.tracking.descriptions import MODEL_CARD, described
from dlkeras.pipeline.tracking.registry.model_folder import LOADER
from dlkeras.pipeline.tracking.registry.registered import (
    FILES_TAG,
    digests_of_mlflow,
)

ALIASED = "dlkeras.aliased"
# What `served_model` imports beside MLflow, which names itself.
SERVED_BY = (
    "dlkeras", "h5py", "keras", "numpy", "pillow", "pydantic", "tensorflow",
)  # fmt: skip


@dataclass(frozen=True)
class Registration:
    """What registers the model that a run pushed.

    Attributes:
        client: MLflow's.
        experiment_id: the run's experiment.
        run_id: the run.
        path: where the model is, from the folder of the runs.
    """

    client: MlflowClient
    experiment_id: str
    run_id: str
    path: str

    def register(self, pushed: PushedModel) -> int:
        """Put a pushed model into the registry under its alias, once.

        Returns:
            The number of the model's version.
        """
        name, alias = pushed.properties["name"], pushed.properties["alias"]
        digest = pushed.record.digest
        existing = every(self.client.search_model_versions, f"name = '{name}'")
        versions = [v for v in existing if v.tags.get("dlkeras.digest") == digest]
        number = versions[0].version if versions else self._new_version(pushed)
        # Once: a model that `dlkeras rollback` has put aside stays aside.
        if not versions or ALIASED not in versions[0].tags:
            self.client.set_registered_model_alias(name, alias, str(number))
            self.client.set_model_version_tag(name, str(number), ALIASED, alias)
        return int(number)

    def _new_version(self, pushed: PushedModel) -> int:
        name = pushed.properties["name"]
        score = pushed.properties.get("score", "accuracy")
        logged = self._logged_model(pushed)
        with contextlib.suppress(MlflowException):  # it exists from the first run on
            self.client.create_registered_model(name)
        self.client.log_text(self.run_id, pushed.card, MODEL_CARD)
        description = described(pushed.card)
        self.client.update_registered_model(name, description=description)
        version = self.client.create_model_version(
            name,
            logged.model_uri,
            self.run_id,
            tags={  # at once: a version without its digest would be made again
                "dlkeras.digest": pushed.record.digest,
                f"dlkeras.{score}": f"{pushed.properties[score] or 0.0:.4f}",
                "dlkeras.path": self.path,
                FILES_TAG: digests_of_mlflow(logged.artifact_location),
            },
            description=description,
            model_id=logged.model_id,
        ).version
        return int(version)

    def _logged_model(self, pushed: PushedModel) -> LoggedModel:
        """The model among MLflow's, logged once: an interrupted run goes on with it."""
        digest = pushed.record.digest
        search = self.client.search_logged_models
        mine = f"tags.`dlkeras.digest` = '{digest}'"
        found = list(every(search, [self.experiment_id], mine))
        ready = [model for model in found if model.status == LoggedModelStatus.READY]
        if ready:
            return ready[0]
        begun = (
            found[0]
            if found
            else self.client.create_logged_model(
                self.experiment_id,
                "model",
                self.run_id,
                tags={"dlkeras.digest": digest},
                params=self.client.get_run(self.run_id).data.params,
            )
        )
        self._log_files(pushed, begun.model_id)
        return self.client.get_logged_model(begun.model_id)

    def _log_files(self, pushed: PushedModel, model_id: str) -> None:
        import mlflow.pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        labels = pushed.properties["labels"]
        # Of the outputs alone: what goes in is an array or a list of image files, and
        # MLflow knows one type; `ServedModel` checks both.
        probabilities = TensorSpec(np.dtype("float32"), (-1, len(labels)))
        mlflow.pyfunc.log_model(
            name="model",
            model_id=model_id,
            signature=ModelSignature(outputs=Schema([probabilities])),
            input_example=np.array(pushed.question(), "uint8"),
            loader_module=LOADER,
            data_path=str(pushed.path),
            pip_requirements=[
                f"{package}=={version}"
                for package, version in package_versions(*SERVED_BY).items()
            ],
            metadata={"labels": labels, "sha256": pushed.properties["sha256"]},
        )
