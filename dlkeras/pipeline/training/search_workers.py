"""A search by several processes: this one chooses the trials, workers run them.

It is keras-tuner's distributed mode: the workers ask this process's oracle over gRPC.
A worker that dies is started again under its name and takes its trial up again. On
several machines, start a worker by hand for each name, with the work folder shared:

    export KERASTUNER_ORACLE_IP=10.0.0.1 KERASTUNER_ORACLE_PORT=8000
    export KERASTUNER_TUNER_ID=worker0
    python -m dlkeras.pipeline.training.search_workers TRIALS.json

and the pipeline itself with `DLKERAS_SEARCH_ADDRESS=10.0.0.1:8000`: it then starts no
worker of its own. gRPC is not encrypted here: keep the port inside your network.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

from dlkeras.pipeline.store.errors import PipelineError, last_line
from dlkeras.pipeline.training.trials import TrialObserver, Trials, search_of

ADDRESS = "DLKERAS_SEARCH_ADDRESS"
POLL_SECONDS = 0.2
MAX_RESTARTS = 10


def search_with_workers(
    trials: Trials, oracle: Any, observer: TrialObserver, say: Callable[[str], None]
) -> None:
    """Serve an oracle to the workers until it has no more trials.

    Args:
        trials: what to try; its `tuner.workers` says how many.
        oracle: keras-tuner's, of the search in this process.
        observer: is told of the trials while they run.
        say: shows a line to the user.

    Raises:
        PipelineError: no worker has ended an epoch or a trial within the deadline, or
            the workers die again and again.
    """
    import grpc
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    started: set[str] = set()

    class Servicer(OracleServicer):
        """keras-tuner's, which tells of the trials that come and go."""

        def CreateTrial(self, request: Any, context: Any) -> Any:
            answer = super().CreateTrial(request, context)
            trial = oracle.ongoing_trials.get(request.tuner_id)
            if trial is not None and trial.trial_id not in started:
                started.add(trial.trial_id)
                observer.trial_started(trial.trial_id, trial.hyperparameters.values)
            return answer

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(Servicer(oracle), server)
    given = os.environ.get(ADDRESS)
    port = server.add_insecure_port(given or "127.0.0.1:0")
    request = trials.work / "trials.json"
    trials.write(request)
    for old in trials.work.glob("epochs-*.jsonl"):
        old.unlink()
    server.start()
    if given:
        say(f"workers are awaited on {given}; they read {request}")
        own = 0
    else:
        own, given = trials.tuner.workers, f"127.0.0.1:{port}"
    with _workers(own, given, request, trials.work) as workers:
        try:
            _follow(trials, oracle, observer, workers, say)
        finally:
            server.stop(grace=None)


def _follow(
    trials: Trials,
    oracle: Any,
    observer: TrialObserver,
    workers: "_Workers",
    say: Callable[[str], None],
) -> None:
    """Pass on what the workers do until every trial has ended."""
    ended: set[str] = set()
    read: dict[Path, int] = {}
    last_sign = time.monotonic()
    while True:
        over = workers.finished() if workers.names else _is_over(trials, oracle)
        signs = 0
        for trial, epoch, logs in _new_epochs(trials.work, read):
            observer.trial_epoch(trial, epoch, logs)
            signs += 1
        for name in list(oracle.end_order):
            if name not in ended:
                ended.add(name)
                trial = oracle.trials[name]
                observer.trial_ended(name, trial.status, trial.score, trial.message)
                signs += 1
        if over:
            return
        now = time.monotonic()
        last_sign = now if signs else last_sign
        if now - last_sign > trials.tuner.deadline:
            raise PipelineError(
                f"expected an epoch of some trial within {trials.tuner.deadline:g} s "
                f"(--tuner.deadline); none of the workers {workers.names} gave a sign"
            )
        workers.restart_the_dead(say)
        time.sleep(POLL_SECONDS)


def _is_over(trials: Trials, oracle: Any) -> bool:
    limit = trials.tuner.max_trials
    return len(oracle.end_order) >= limit and not oracle.ongoing_trials


def _new_epochs(
    work: Path, read: dict[Path, int]
) -> Iterator[tuple[str, int, dict[str, float]]]:
    """The epochs that workers have written down since the last look."""
    for file in sorted(work.glob("epochs-*.jsonl")):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        for line in whole[read.get(file, 0) :]:
            yield tuple(json.loads(line))
        read[file] = len(whole)


class _Workers:
    """The processes that run trials."""

    def __init__(self, number: int, address: str, request: Path, work: Path):
        self.names = [f"worker{index}" for index in range(number)]
        self._host, _, self._port = address.rpartition(":")
        self._request, self._work = request, work
        self._restarts = 0
        self.processes = {name: self._start(name) for name in self.names}

    def _start(self, name: str) -> subprocess.Popen:
        environment = os.environ | {
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": self._host,
            "KERASTUNER_ORACLE_PORT": self._port,
        }
        command = [sys.executable, "-m", "dlkeras.pipeline.training.search_workers"]
        with (self._work / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*command, str(self._request)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def finished(self) -> bool:
        """Whether every worker has ended well: the oracle had no more trials."""
        return all(process.poll() == 0 for process in self.processes.values())

    def restart_the_dead(self, say: Callable[[str], None]) -> None:
        """Start workers that have died again; they keep their trials."""
        for name, process in self.processes.items():
            code = process.poll()
            if code in (None, 0):
                continue
            self._restarts += 1
            log = (self._work / f"{name}.log").read_text(errors="replace")
            if self._restarts > MAX_RESTARTS:
                raise PipelineError(
                    f"expected workers that stay alive; {name} ended with exit code "
                    f"{code}, after {MAX_RESTARTS} restarts: {last_line(log)}"
                )
            say(f"{name} ended with exit code {code} and is started again")
            self.processes[name] = self._start(name)

    def stop(self) -> None:
        """End the ones that still run."""
        for process in self.processes.values():
            process.kill()
            process.wait()


@contextlib.contextmanager
def _workers(
    number: int, address: str, request: Path, work: Path
) -> Iterator[_Workers]:
    workers = _Workers(number, address, request, work)
    try:
        yield workers
    finally:
        workers.stop()


class _Diary:
    """A worker's observer: it writes epochs down for the process that serves."""

    def __init__(self, work: Path):
        self._work = work

    def trial_started(self, trial: str, values: Mapping[str, Any]) -> None:
        (self._work / f"epochs-{trial}.jsonl").unlink(missing_ok=True)

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, float]) -> None:
        file = self._work / f"epochs-{trial}.jsonl"
        with file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps([trial, epoch, dict(logs)]) + "\n")

    def trial_ended(
        self, trial: str, status: str, score: float | None, message: str | None
    ) -> None:
        """The other process sees it in its oracle."""


def work(request: Path) -> None:
    """Run trials until there are no more: a worker's whole life."""
    trials = Trials.read(request)
    with contextlib.redirect_stdout(io.StringIO()):
        search = search_of(trials, _Diary(trials.work))
    search.search()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
