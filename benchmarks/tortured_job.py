"""The jobs that are tortured, how one is run, and what it must end with."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "pipelines" / "lenet5_digits.py"
# What takes long and writes nothing is left out: images changed, resamples, timings.
ALWAYS = [
    "--evaluator.min-accuracy", "0", "--evaluator.max-accuracy-drop", "1",
    "--no-evaluator.refuse-trivial",
    "--evaluator.robustness-images", "0", "--evaluator.bootstrap-samples", "100",
    "--evaluator.latency-repetitions", "2", "--infra-validator.timeout", "3000",
]  # fmt: skip
JOBS = {
    "LeNet-5": [
        "--tuner.max-trials", "2", "--tuner.epochs", "1", "--trainer.epochs", "3",
        "--trainer.save-freq", "15", "--trainer.learning-rate-schedule", "plateau",
    ],
    # For ten points in some minutes.
    "quick": [
        "--tuner.max-trials", "1", "--tuner.epochs", "1", "--trainer.epochs", "2",
        "--trainer.save-freq", "15", "--trainer.learning-rate-schedule", "plateau",
    ],
    "ResNet-20": [
        "--trainer.architecture", "resnet20", "--no-tuner", "--trainer.epochs", "2",
        "--trainer.batch-size", "128", "--transform.height", "16",
        "--transform.width", "16", "--trainer.save-freq", "4",
    ],
}  # fmt: skip
TIMEOUT = 3600


@dataclass
class Outcome:
    """What became of the points of one attack."""

    attack: str
    tried: int = 0
    resumed: int = 0
    identical: int = 0
    losses: list[str] = field(default_factory=list)

    def add(
        self, problem: str | None, resumed: bool, where: str, quiet: bool = False
    ) -> None:
        self.tried += 1
        self.resumed += resumed
        self.identical += problem is None
        if problem is not None:
            self.losses.append(f"{self.attack}, {where}: {problem}")
            if not quiet:
                say(f"LOST {self.losses[-1]}")

    def take(self, other: "Outcome") -> None:
        """Count another's points as this one's."""
        self.tried += other.tried
        self.resumed += other.resumed
        self.identical += other.identical
        self.losses += other.losses

    def row(self) -> str:
        lost = self.tried - self.identical
        return (
            f"{self.attack:52} {self.tried:6} {self.resumed:8} {self.identical:14} "
            f"{lost:5}"
        )


def command(mlruns: Path, job: str) -> list[str]:
    return [sys.executable, str(SCRIPT), "--mlruns", str(mlruns), *JOBS[job], *ALWAYS]


def environment(fault: str | None = None, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    kept.pop("DLKERAS_FAULT", None)
    kept["PYTHONPATH"] = str(ROOT)
    return kept | ({"DLKERAS_FAULT": fault} if fault else {}) | more


def start(mlruns: Path, job: str, fault: str | None = None, **more: str):
    return subprocess.Popen(
        command(mlruns, job),
        cwd=ROOT,
        env=environment(fault, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, output, errors


def content(mlruns: Path) -> dict[str, str]:
    """Digests of what a job made, by artifact type."""
    from dlkeras.pipeline.artifacts.types import (
        Evaluation,
        Examples,
        Hyperparameters,
        Model,
    )
    from dlkeras.pipeline.store.publishing import Store, canonical_digest, file_digest

    store = Store(mlruns / "store")
    found = {}
    for kind in (Examples, Hyperparameters, Model):
        for artifact in store.artifacts(kind):
            checked = store.find(kind, artifact.record.key)
            assert checked is not None
            found[kind.__name__] = checked.record.digest
    for model in store.artifacts(Model):
        found["history"] = file_digest(model.path / "history.json")
        found["findings"] = file_digest(model.path / "findings.json")
        with np.load(model.path / "gradients.npz", allow_pickle=False) as measured:
            found["measurements"] = canonical_digest(
                {name: measured[name].tolist() for name in measured.files}
            )
    for searched in store.artifacts(Hyperparameters):
        found["values"] = str(searched.values)
        # Its digest covers the messages of the trials.
        found.pop("Hyperparameters", None)
    for evaluation in store.artifacts(Evaluation):
        found["accuracy"] = str(evaluation.properties["accuracy"])
    return found


def problems_in_mlflow(mlruns: Path, runs: int | None = 1) -> str | None:
    """What is wrong with what MLflow shows of the job, if anything."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits").experiment_id
    found = client.search_runs([experiment])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    if runs is not None and len(parents) != runs:
        return f"{len(parents)} runs in MLflow where {runs} were started"
    running = [run.info.run_name for run in found if run.info.status == "RUNNING"]
    if running:
        return f"still RUNNING: {running}"
    newest = max(parents, key=lambda run: run.info.start_time)
    if newest.info.status != "FINISHED":
        return f"the run is {newest.info.status}"
    for run in parents:
        if run.info.status not in ("FINISHED", "FAILED"):
            return f"a run is {run.info.status}"
        for name in run.data.metrics:
            if name.startswith("system/"):
                continue
            steps = [p.step for p in client.get_metric_history(run.info.run_id, name)]
            if len(steps) != len(set(steps)):
                return f"{name} has a point twice: steps {steps}"
    versions = client.search_model_versions("name = 'lenet5_digits'")
    return None if len(versions) == 1 else f"{len(versions)} versions of the model"


def runs_in(mlruns: Path) -> list:
    from mlflow import MlflowClient

    if not (mlruns / "mlflow.db").exists():
        return []
    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits")
    if experiment is None:
        return []
    found = client.search_runs([experiment.experiment_id])
    return [run for run in found if "mlflow.parentRunId" not in run.data.tags]


def has_finished(mlruns: Path) -> bool:
    return any(run.info.status == "FINISHED" for run in runs_in(mlruns))


def has_run(mlruns: Path) -> bool:
    return bool(runs_in(mlruns))


def say(text: str) -> None:
    print(text, flush=True)
