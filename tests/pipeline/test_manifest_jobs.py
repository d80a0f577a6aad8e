"""The manifests' own commands are given: real processes, and what the store then holds.

The commands are those of the files; each gets flags that make the job small.
"""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys

import pytest
import yaml

from dlkeras.pipeline.artifacts.types import (
    Blessing,
    Evaluation,
    Model,
    PushedModel,
    ServableModel,
)
from dlkeras.pipeline.commands.command_line import main
from dlkeras.pipeline.configuration.config import COMPONENTS
from dlkeras.pipeline.store.publishing import Store
from tests.conftest import ROOT
from tests.ports import free_ports

pytestmark = pytest.mark.job

MANIFESTS = ROOT / "docs/pipeline/manifests"
SCRIPT = "pipelines/lenet5_digits.py"
# 1,168 examples in batches of 32: two workers can halve the last one, of 16, too.
SMALL = [
    "--no-tuner", "--trainer.epochs", "1", "--evaluator.min-accuracy", "0",
    "--evaluator.robustness-images", "0", "--evaluator.bootstrap-samples", "100",
    "--infra-validator.images", "2",
]  # fmt: skip
DEADLINE = 240
STUB = """#!/bin/bash
printf '%s\\0' "$TF_CONFIG" "$@" >> "$SAID"
printf '\\n\\0' >> "$SAID"
"""


def commands(folder, shell, **environment):
    """What a shell asks of `python`: the value of TF_CONFIG, and the arguments."""
    python = folder / "python"
    python.write_text(STUB)
    python.chmod(0o755)
    said = folder / "said"
    said.write_bytes(b"")
    subprocess.run(
        shell,
        env=os.environ
        | {"PATH": f"{folder}:{os.environ['PATH']}", "SAID": str(said), "TF_CONFIG": ""}
        | environment,
        check=True,
    )
    records = [record.split("\0")[:-1] for record in said.read_text().split("\n\0")]
    return [(place, arguments) for place, *arguments in records[:-1]]


def started(place, arguments):
    """One command of a manifest, in a process of its own."""
    assert arguments[0] == SCRIPT
    return subprocess.Popen(
        [sys.executable, ROOT / SCRIPT, *arguments[1:], *SMALL],
        env=os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "",
                          "TF_CONFIG": place},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(*processes):
    """What they printed, after all have ended well."""
    try:
        said = [process.communicate(timeout=DEADLINE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    codes = [process.returncode for process in processes]
    assert codes == [0] * len(codes), [errors[-2000:] for _, errors in said]
    return [output for output, _ in said]


def given_here(monkeypatch, arguments):
    """One command, in this process; 0 is what it must end with."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    config = runpy.run_path(str(ROOT / arguments[0]))["CONFIG"]
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(config, [*arguments[1:], *SMALL]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)


def holds_one_model_of(machines, mlruns):
    """One model was trained, by so many machines, and it was judged and pushed."""
    store = Store(mlruns / "store")
    (model,) = store.artifacts(Model)
    assert model.properties["machines"] == machines
    (evaluation,) = store.artifacts(Evaluation)
    (blessing,), (pushed,) = store.artifacts(Blessing), store.artifacts(PushedModel)
    for artifact in (evaluation, pushed):
        assert artifact.record.inputs["model"].digest == model.record.digest
    judged = blessing.record.inputs["evaluation"]
    assert judged.digest == evaluation.record.digest


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The commands of slurm.sh, in their order, as two machines of one job get them."""
    folder = tmp_path_factory.mktemp("slurm")
    # An srun that names each task as Slurm does.
    (folder / "srun").write_text(
        "#!/bin/bash\ntasks=1; while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && "
        'tasks="${1#*=}"; shift; done; for ((i = 0; i < tasks; i++)); do '
        'SLURM_PROCID=$i "$@"; done\n'
    )
    (folder / "scontrol").write_text('#!/bin/bash\nprintf "node1\\nnode2\\n"\n')
    for name in ("srun", "scontrol"):
        (folder / name).chmod(0o755)
    mlruns = folder / "ml runs"
    found = commands(
        folder,
        ["bash", str(MANIFESTS / "slurm.sh")],
        SLURM_NNODES="2",
        SLURM_JOB_NODELIST="node[1-2]",
        MLRUNS=str(mlruns),
    )
    return mlruns, on_this_machine(found)


def on_this_machine(found):
    """Give each machine of the commands a port of this one."""
    ports = dict(zip((0, 1), free_ports(2), strict=True))
    here = []
    for place, arguments in found:
        if place:
            config = json.loads(place)
            assert len(config["cluster"]["worker"]) == 2
            config["cluster"]["worker"] = [f"127.0.0.1:{p}" for p in ports.values()]
            place = json.dumps(config)
        here.append((place, arguments))
    return here


def test_slurm_trains_once_on_both_machines_and_pushes_that_model(
    slurm, monkeypatch, capsys
):
    mlruns, found = slurm
    asked = [arguments[arguments.index("--until") + 1] for _, arguments in found]
    assert list(dict.fromkeys(asked)) == list(COMPONENTS)
    together = [command for command in found if command[0]]
    assert [asked[found.index(command)] for command in together] == ["Trainer"] * 2
    _, arguments = found[found.index(together[0]) - 1]  # makes what those before it do
    given_here(monkeypatch, arguments)
    assert "Trainer" not in capsys.readouterr().out
    shutil.copytree(mlruns, mlruns.with_name("before training"))
    chief, worker = ended(*(started(*command) for command in together))
    assert "Trainer done in" in chief
    assert "worker 1 has done its part; the chief goes on" in worker
    for _, arguments in found[found.index(together[-1]) + 1 :]:
        given_here(monkeypatch, arguments)
    assert "Trainer reused" in capsys.readouterr().out
    holds_one_model_of(2, mlruns)
    assert not list((mlruns / "store" / "incomplete").iterdir())


def test_a_chief_of_kubernetes_that_is_started_again_needs_no_worker(slurm, tmp_path):
    """The worker has ended with 0; the chief is killed in InfraValidator.

    An Indexed Job starts the failed index again, and no other.
    """
    _, job = yaml.safe_load_all((MANIFESTS / "kubernetes.yaml").read_text())
    assert job["spec"]["completionMode"] == "Indexed"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    shell = [*container["command"], *container["args"]]
    found = [
        commands(tmp_path, shell, JOB_COMPLETION_INDEX=str(index))[0]
        for index in range(job["spec"]["completions"])
    ]
    mlruns = tmp_path / "mlruns"
    shutil.copytree(slurm[0].with_name("before training"), mlruns)
    chief_s, worker_s = [
        (place, [str(mlruns) if a == "/mlruns" else a for a in arguments])
        for place, arguments in on_this_machine(found)
    ]
    chief, worker = started(*chief_s), started(*worker_s)
    try:
        for line in chief.stdout:
            if line.startswith("InfraValidator ..."):
                break
        ended(worker)
        assert chief.poll() is None
        chief.kill()
        chief.communicate()
    finally:
        chief.kill()
    assert chief.returncode == -signal.SIGKILL
    store = Store(mlruns / "store")
    assert store.artifacts(Evaluation) and not store.artifacts(ServableModel)
    (said,) = ended(started(*chief_s))
    for line in ("Trainer reused", "Evaluator reused", "InfraValidator done"):
        assert line in said
    holds_one_model_of(2, mlruns)


def test_argo_goes_through_the_components_and_finds_what_slurm_has_made(
    slurm, monkeypatch, capsys
):
    """Its commands are one machine's; told of Slurm's engine, they mean Slurm's job."""
    workflow = yaml.safe_load((MANIFESTS / "argo.yaml").read_text())
    pipeline, component = workflow["spec"]["templates"]
    ended_at = []
    for (step,) in pipeline["steps"]:
        (parameter,) = step["arguments"]["parameters"]
        container = component["container"]
        python, *arguments = [
            part.replace("{{inputs.parameters.until}}", parameter["value"])
            for part in (*container["command"], *container["args"])
        ]
        assert python == "python"
        arguments = [str(slurm[0]) if a == "/mlruns" else a for a in arguments]
        engine = ["--trainer.distribution", "multi_worker"]
        given_here(monkeypatch, [*arguments, *engine])
        said = capsys.readouterr().out
        assert "done in" not in said
        reused = [name for name in COMPONENTS if f"{name} reused" in said]
        ended_at.append(reused[-1] if parameter["value"] != "Tuner" else "Tuner")
    assert ended_at == list(COMPONENTS)
    holds_one_model_of(2, slurm[0])
