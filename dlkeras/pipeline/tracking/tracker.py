"""The tracker: one pipeline run in MLflow, its trials and its model."""

import json
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException

from dlkeras.pipeline.artifacts.types import Artifact, Examples, PushedModel
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.result import Step
from dlkeras.pipeline.store.errors import cause_of
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.tracking.database.connection import every, ui_address
from dlkeras.pipeline.tracking.descriptions import epoch_metrics
from dlkeras.pipeline.tracking.environment import process_tags
from dlkeras.pipeline.tracking.queries import logged_images
from dlkeras.pipeline.tracking.registry.registration import Registration
from dlkeras.pipeline.tracking.shown_artifacts import show

# Where a job's runs are is no part of the job: the folder may be moved.
WHERE = frozenset({"mlruns", "tracking_uri"})
# That MLflow takes in a call.
MOST_METRICS = 1000


class Tracker:
    """One pipeline run in MLflow.

    Attributes:
        run_id: the run.
        resumed: whether the run is one that was interrupted before.
        version: number of the model's version in the registry, once it is pushed.
    """

    def __init__(
        self,
        client: MlflowClient,
        config: PipelineConfig,
        run: Any,
        say: Callable[[str], None] = lambda text: None,
    ):
        self._client, self._say = client, say
        self._config = config
        self._run = run
        self.run_id: str = run.info.run_id
        self.run_name: str = run.info.run_name
        self.experiment_id: str = run.info.experiment_id
        self.resumed = "train/loss" in run.data.metrics
        self._images: set[tuple[str, int]] | None = None
        self._last_epoch = 0
        if self.resumed:
            history = client.get_metric_history(self.run_id, "train/loss")
            self._last_epoch = max(metric.step for metric in history)
        self._trials: dict[str, str] = {}
        self._search = ""
        self.version: int | None = None

    def _inside(self, path: Path) -> str:
        """A path from the folder of the runs, which may be moved."""
        folder = self._config.mlruns
        inside = path.is_relative_to(folder)
        return (path.relative_to(folder) if inside else path.resolve()).as_posix()

    # What it is told ------------------------------------------------------------------

    def begin(self, component: str, output: str, key: str) -> None:
        """Note which search the trials that follow belong to."""
        self._search = key

    def end(self, step: Step) -> None:
        """Show an artifact that was made or reused."""
        show(step.artifact, step, self)

    # What a run says of itself -------------------------------------------------------

    def log_parameters(self) -> None:
        """Log what differs from the defaults, and the whole as a file to replay.

        MLflow lists a run's parameters above each of its pictures: a hundred of them
        would leave no room.
        """
        mine = dict(_flatten(self._config.model_dump(mode="json")))
        usual = dict(_flatten(type(self._config)().model_dump(mode="json")))
        self._log_new_parameters(
            {
                name: str(value)
                for name, value in mine.items()
                if name not in WHERE and (name not in usual or value != usual[name])
            }
        )
        self._client.log_text(
            self.run_id, self._config.model_dump_json(indent=2), "config.json"
        )

    def log_chosen(self, values: Mapping[str, Any]) -> None:
        """Log what the search chose, under the names that its trials have."""
        self._log_new_parameters(
            {name: _parameter(value) for name, value in values.items()}
        )

    def _log_new_parameters(self, values: Mapping[str, str]) -> None:
        """A parameter stays what it is: a run taken up again has some already."""
        known = self._run.data.params
        params = [Param(name, v) for name, v in values.items() if name not in known]
        self._client.log_batch(self.run_id, params=params)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags of the run."""
        self._client.log_batch(
            self.run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()]
        )

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics in one call; a run taken up again has some of them already."""
        now = int(time.time() * 1000)
        self._client.log_batch(
            self.run_id,
            metrics=[
                Metric(name, float(v), now, step)
                for name, v in metrics.items()
                if not self._has_point(name, step)
            ],
        )

    def _has_point(self, name: str, step: int) -> bool:
        """Whether the run had this metric's point before this process took it up."""
        if name not in self._run.data.metrics:
            return False
        points = self._client.get_metric_history(self.run_id, name)
        return any(point.step == step for point in points)

    def log_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Log what Keras measured in an epoch; one that is logged already is left."""
        self.log_epochs({epoch: logs})

    def log_epochs(self, epochs: Mapping[int, Mapping[str, float]]) -> None:
        """Log several epochs in as few calls as MLflow allows: each is a commit."""
        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, epoch + 1)
            for epoch, logs in epochs.items()
            if epoch + 1 > self._last_epoch
            for name, value in epoch_metrics(logs).items()
            if not self._has_point(name, epoch + 1)
        ]
        self._last_epoch = max([self._last_epoch, *(epoch + 1 for epoch in epochs)])
        for start in range(0, len(metrics), MOST_METRICS):
            part = metrics[start : start + MOST_METRICS]
            self._client.log_batch(self.run_id, metrics=part)

    def log_figures(self, artifact: Artifact, step: int = 0) -> None:
        """Show an artifact's figures: charts with a step slider, PNG and SVG files."""
        for epoch, figures in artifact.figures_by_epoch.items():
            self.log_images(figures, epoch)
        self.log_images(artifact.figures, step)
        for path in artifact.figures.values():
            # The chart's caption hides a small picture; the artifacts page shows it.
            for file in (path, path.with_suffix(".svg")):
                if file.is_file():
                    self._client.log_artifact(self.run_id, str(file), "figures")

    def log_images(self, figures: Mapping[str, Path], step: int) -> None:
        """Show PNG files at a step of a chart; what it shows already is left.

        Those of the first epoch are at step 0, too: a chart opens there, and would be
        empty.
        """
        from PIL import Image

        if self._images is None:
            self._images = logged_images(self._client, self.run_id)
        for name, path in figures.items():
            steps = (0, 1) if step == 1 else (step,)
            missing = [each for each in steps if (name, each) not in self._images]
            if not missing:
                continue
            with Image.open(path) as image:
                shown = image.convert("RGB")
            for each in missing:
                self._client.log_image(self.run_id, shown, key=name, step=each)
                self._images.add((name, each))

    def log_json(self, name: str, value: Any) -> None:
        """Log a JSON file."""
        self._client.log_text(self.run_id, json.dumps(value, indent=2), name)

    def log_file(self, path: Path) -> None:
        """Log a file by its name; the artifacts page shows HTML as it is."""
        self._client.log_artifact(self.run_id, str(path))

    def log_table(self, name: str, columns: Mapping[str, list]) -> None:
        """Log a table, a JSON file that the pages show as one."""
        self._client.log_table(self.run_id, dict(columns), name)

    def log_dataset(self, examples: Examples, summary: Mapping[str, Any]) -> None:
        """Log which examples the run reads."""
        properties = examples.properties
        dataset = Dataset(
            name=self._config.example_gen.source_name,
            digest=examples.record.digest[:16],
            # A type of MLflow's own, which `mlflow.data.get_source` reads; its `load`
            # gives the folder of the examples, a prepared data set of TFDS.
            source_type="local",
            source=json.dumps(
                {
                    "uri": str(examples.path.resolve()),
                    "source": properties["source"],
                    "path": self._inside(examples.path),
                }
            ),
            schema=json.dumps(
                {"labels": properties["labels"], "channels": properties["channels"]}
            ),
            profile=json.dumps(
                {
                    name: {key: split[key] for key in ("examples", "pixel_mean")}
                    for name, split in summary["splits"].items()
                }
            ),
        )
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        try:
            self._client.log_inputs(self.run_id, inputs)
        except MlflowException:
            # MLflow looks for the data set and then writes it: where another run has
            # done so in between, its row is now found.
            self._client.log_inputs(self.run_id, inputs)

    def set_note(self, markdown: str) -> None:
        """Set the description that the run's page shows."""
        self._client.set_tag(self.run_id, "mlflow.note.content", markdown)

    # The tuner's trials, child runs --------------------------------------------------

    def trial_started(self, trial: str, values: Mapping[str, Any]) -> None:
        """Open a child run for a trial."""
        run = self._client.create_run(
            self.experiment_id,
            run_name=f"trial {int(trial) + 1}",
            tags={
                "mlflow.parentRunId": self.run_id,
                "mlflow.source.name": "Tuner",
                "mlflow.source.type": "LOCAL",
                "dlkeras.search": self._search,
                **process_tags(),
            },
        )
        self._trials[trial] = run.info.run_id
        params = [Param(name, _parameter(value)) for name, value in values.items()]
        self._client.log_batch(run.info.run_id, params=params)

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, float]) -> None:
        """Log an epoch of a trial."""
        now = int(time.time() * 1000)
        self._client.log_batch(
            self._trials[trial],
            metrics=[
                Metric(name, float(value), now, epoch + 1)
                for name, value in epoch_metrics(logs).items()
            ],
        )

    def trial_ended(
        self, trial: str, status: str, score: float | None, message: str | None = None
    ) -> None:
        """Close a trial's run; `dlkeras.cause` says what made it fail.

        The traceback is in `traceback.txt`.
        """
        run_id = self._trials[trial]
        if message:
            self._client.set_tag(run_id, "dlkeras.cause", cause_of(message))
            self._client.log_text(run_id, message, "traceback.txt")
        if score is not None:
            # The first name in the alphabet: what the comparison page shows at first.
            name = self._config.trainer.objective
            self._client.log_metric(run_id, f"objective/{name}", score)
        self._client.set_tag(run_id, "dlkeras.trial_status", status)
        ended = "FINISHED" if status == "COMPLETED" else "FAILED"
        self._client.set_terminated(run_id, ended)

    def end_open_trials(self, status: str) -> None:
        """Close the runs of trials that were cut short."""
        for run_id in self._trials.values():
            if self._client.get_run(run_id).info.status == "RUNNING":
                self._client.set_terminated(run_id, status)

    # Models --------------------------------------------------------------------------

    def register(self, pushed: PushedModel) -> int:
        """Put a pushed model into the registry under its alias, once.

        Returns:
            The number of the model's version.
        """
        store = Store(self._config.mlruns / "store", make=False)
        with store.named_lock(f"registry-{pushed.properties['name']}", self._say):
            return self._register(pushed)

    def _register(self, pushed: PushedModel) -> int:
        registration = Registration(
            self._client, self.experiment_id, self.run_id, self._inside(pushed.path)
        )
        self.version = registration.register(pushed)
        name = pushed.properties["name"]
        self.set_tags({"dlkeras.model": f"models:/{name}/{self.version}"})
        return self.version

    # Links ---------------------------------------------------------------------------

    @property
    def run_link(self) -> str:
        """The page of this run."""
        return (
            f"{ui_address()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"
            "?workflowType=machine_learning"
        )

    def trials_link(self, search: str) -> str | None:
        """The page that compares a search's completed trials, whichever run made them.

        Returns:
            The link, or None where there are fewer than two to compare.
        """
        finished = every(
            self._client.search_runs,
            [self.experiment_id],
            f"tags.`dlkeras.search` = '{search}' and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time ASC"],
        )
        # A forced search makes its trials again: the last of each number counts.
        children = {run.info.run_name: run for run in finished}.values()
        if len(children) < 2:
            return None
        runs = urllib.parse.quote(json.dumps([c.info.run_id for c in children]))
        experiments = urllib.parse.quote(json.dumps([self.experiment_id]))
        return (
            f"{ui_address()}/#/compare-runs?runs={runs}&experiments={experiments}"
            "&workflowType=machine_learning"
        )

    def page_link(self, artifact: str) -> str:
        """The page of one of the run's artifacts."""
        return self.run_link.replace("?", f"/artifacts/{artifact}?")

    def model_link(self, name: str, version: int) -> str:
        """The page of a registered model's version."""
        return f"{ui_address()}/#/models/{name}/versions/{version}"

    @property
    def experiment_link(self) -> str:
        """The page of all runs of this pipeline, their charts side by side."""
        return (
            f"{ui_address()}/#/experiments/{self.experiment_id}/runs"
            "?workflowType=machine_learning&compareRunsMode=CHART"
        )


def _parameter(value: Any) -> str:
    """A value of the search, alike in a run and in its trials."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
