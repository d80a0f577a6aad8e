"""The registration of a pushed model: logged once, versioned once, under its alias."""

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException

from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.tracking.database.connection import every
from dlkeras.pipeline.tracking.descriptions import MODEL_CARD, described
from dlkeras.pipeline.tracking.registry.registered import (
    FILES_TAG,
    digests_of_mlflow,
)

ALIASED = "dlkeras.aliased"
# The metrics of a run that are of its model.
OF_THE_MODEL = ("test/", "robustness/")


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
        """The model among MLflow's, logged once: an interrupted run takes it up."""
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
        # Half a second, for a model that is not registered yet.
        from dlkeras.pipeline.tracking.registry.written_folder import write_folder

        with tempfile.TemporaryDirectory() as folder:
            write_folder(
                Path(folder),
                pushed,
                artifact_path=begun.artifact_location,
                model_id=begun.model_id,
                model_uuid=begun.model_id,
                run_id=self.run_id,
            )
            self.client.log_model_artifacts(begun.model_id, folder)
        self._log_metrics(begun.model_id)
        ready = LoggedModelStatus.READY
        return self.client.finalize_logged_model(begun.model_id, ready)

    def _log_metrics(self, model_id: str) -> None:
        """Say that the run has made the model, and what it measured of it."""
        measured = self.client.get_run(self.run_id).data.metrics
        points = [
            self.client.get_metric_history(self.run_id, name)[-1]
            for name in measured
            if name.startswith(OF_THE_MODEL)
        ]
        step = max((point.step for point in points), default=0)
        self.client.log_outputs(self.run_id, [LoggedModelOutput(model_id, step)])
        # With the run's own times: a point that the run has already stays one.
        self.client.log_batch(
            self.run_id,
            metrics=[
                Metric(
                    p.key, p.value, p.timestamp, p.step, model_id, run_id=self.run_id
                )
                for p in points
            ],
        )
