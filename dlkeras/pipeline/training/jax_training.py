"""The Trainer by `data_parallel`: a process of its own that trains on the JAX backend.

Keras's backend is chosen once in a process's life, and the pipeline's own is
TensorFlow. So each machine of the training starts a process whose Keras runs on JAX:
it runs the trainer as it stands, and tells this one what happens, a line of JSON each.
Reading and augmenting the images stays with tf.data, so the batches are those of the
other engines.
"""

import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.artifacts.types import ARTIFACT_TYPES, Artifact
from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.machines import distribution
from dlkeras.pipeline.store.errors import InputError, PipelineError
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.pipeline.training.monitoring import FigureObserver
from dlkeras.pipeline.training.own import code as own_code


def train_on_jax(
    train: Callable[..., None],
    config: TrainerConfig,
    output: Draft,
    artifacts: Mapping[str, Artifact | None],
    *,
    seed: int,
    work: Path,
    on_epoch_end: Callable[[int, dict[str, float]], None],
    on_figures: FigureObserver,
    verbose: str,
    say: Callable[[str], None],
) -> None:
    """Do what `trainer` does, in a process whose Keras runs on JAX.

    `train` is that function, of a module that can be imported, `artifacts` are the ones
    it reads, by the names of its parameters; the other arguments are its own.

    Raises:
        PipelineError: the training failed, or another machine's has ended.
        InputError: JAX is not installed, or the devices cannot share the batches.
    """
    if importlib.util.find_spec("jax") is None:
        raise InputError(
            "--trainer.distribution data_parallel: expected JAX "
            "(pip install 'dlkeras[jax]'); it is not installed"
        )
    request = {
        "trainer": [train.__module__, train.__qualname__],
        "config": config.model_dump(mode="json"),
        "output": str(output.path.resolve()),
        "artifacts": {
            name: artifact and [type(artifact).__name__, str(artifact.path.resolve())]
            for name, artifact in artifacts.items()
        },
        "seed": seed,
        "work": str(work.resolve()),
        "own_code": own_code.modules(config),
    }
    distribution.close_chief_port()  # the port is JAX's from here on
    ended = False
    for line in _said(request):
        match line:
            case {"epoch": epoch, "logs": logs}:
                on_epoch_end(epoch, logs)
                if verbose != "0":
                    shown = " - ".join(
                        f"{name}: {logs[name]:.4f}"
                        for name in sorted(logs)
                        if "/" not in name and name != "learning_rate"
                    )
                    say(f"epoch {epoch + 1} of {config.epochs}: {shown}")
            case {"figures": figures, "at": epoch}:
                on_figures({name: Path(file) for name, file in figures.items()}, epoch)
            case {"say": text}:
                say(text)
            case {"problem": text, "code": code}:
                raise InputError(text) if code == 2 else PipelineError(text)
            case {"properties": properties, "digest": digest}:
                output.properties.update(properties)
                output.digest = digest
                ended = True
            case {"died": code, "last": last}:
                if len(distribution.cluster_of("data_parallel").workers) > 1:
                    raise distribution.worker_lost("data_parallel", last)
                raise PipelineError(
                    f"the process that trains on JAX ended with {code}: {last}"
                )
    assert ended


def _said(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Start the process, and give what it says; it ends with this one."""
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.pipeline.training.jax_training"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    # What it complains of is read beside: a full pipe would stop it.
    complaints: list[str] = []
    reader = threading.Thread(target=lambda: complaints.extend(process.stderr))  # type: ignore[arg-type]
    reader.start()
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            yield json.loads(line)
        process.wait()
        reader.join()
        if process.returncode:
            last = (complaints or ["it said nothing"])[-1].strip()
            if process.returncode < 0:  # JAX aborts; what it says then is a stack
                last = signal.Signals(-process.returncode).name
            yield {"died": process.returncode, "last": last[:300]}
    finally:
        process.kill()
        process.wait()
        reader.join()


class _Parent:
    """The process that started this one, as the trainer's observers see it."""

    def __init__(self, stream: Any):
        self._stream = stream

    def tell(self, **line: Any) -> None:
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def epoch(self, epoch: int, logs: dict[str, float]) -> None:
        self.tell(epoch=epoch, logs={name: float(v) for name, v in logs.items()})

    def figures(self, figures: Any, epoch: int) -> None:
        self.tell(figures={name: str(f) for name, f in figures.items()}, at=epoch)


def _end_with_parent() -> None:
    """End at once when the process that started this one has ended."""
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Train: the whole life of the process that is started."""
    # The answers have a stream of their own; what libraries print goes elsewhere.
    parent = _Parent(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        distribution.join_data_parallel()
        own_code.load(request["own_code"])
        module, name = request["trainer"]
        train = getattr(importlib.import_module(module), name)
        output = Draft(Path(request["output"]))
        train(
            TrainerConfig.model_validate(request["config"], strict=False),
            output,
            **{
                name: found and ARTIFACT_TYPES[found[0]].read(Path(found[1]))
                for name, found in request["artifacts"].items()
            },
            seed=request["seed"],
            work=Path(request["work"]),
            on_epoch_end=parent.epoch,
            on_figures=parent.figures,
            verbose="0",
            say=lambda text: parent.tell(say=text),
        )
    except PipelineError as problem:
        parent.tell(problem=str(problem), code=problem.exit_code)
        os._exit(1)  # the other machines are not waited for
    parent.tell(properties=output.properties, digest=output.digest)


if __name__ == "__main__":
    main()
