"""The manifests name each component once, and only flags that there are."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from dlkeras.pipeline import PipelineConfig
from dlkeras.pipeline.command_line import parse
from dlkeras.pipeline.config import COMPONENTS
from dlkeras.pipeline.distribution import cluster

MANIFESTS = Path(__file__).parent.parent.parent / "docs/pipeline/manifests"
SCRIPT = "pipelines/lenet5_digits.py"


def flags(command):
    """The flags of a command of the pipeline; an unknown one raises."""
    assert command[:2] == ["python", SCRIPT]
    return parse(PipelineConfig(), command[2:])


def test_the_workflow_of_argo_runs_each_component_once():
    workflow = yaml.safe_load((MANIFESTS / "argo.yaml").read_text())
    spec = workflow["spec"]
    pipeline, component = spec["templates"]
    assert spec["entrypoint"] == pipeline["name"]
    values = []
    for (step,) in pipeline["steps"]:
        assert step["template"] == component["name"]
        (parameter,) = step["arguments"]["parameters"]
        assert [parameter["name"]] == [
            declared["name"] for declared in component["inputs"]["parameters"]
        ]
        container = component["container"]
        given = "{{inputs.parameters.until}}"
        command = [
            part.replace(given, parameter["value"])
            for part in (*container["command"], *container["args"])
        ]
        values.append(flags(command)[1].until)
    assert values == list(COMPONENTS)


def stub(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def commands(folder, shell, **environment):
    """What a shell runs with a `python` that says what it is asked for."""
    stub(folder, "python", 'printf "%s\\n" "$TF_CONFIG" "python $*" >> "$SAID"')
    said = folder / "said"
    subprocess.run(
        shell,
        env=os.environ
        | {"PATH": f"{folder}:{os.environ['PATH']}", "SAID": str(said)}
        | environment,
        check=True,
    )
    return said.read_text()


@pytest.mark.parametrize("index", [0, 1])
def test_each_pod_of_kubernetes_knows_its_place(tmp_path, monkeypatch, index):
    service, job = yaml.safe_load_all((MANIFESTS / "kubernetes.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    said = commands(
        tmp_path,
        [*container["command"], *container["args"]],
        JOB_COMPLETION_INDEX=str(index),
    )
    config, command = said.strip().splitlines()
    assert flags(command.split())[0].trainer.distribution == "multi_worker"
    monkeypatch.setenv("TF_CONFIG", config)
    place = cluster()
    assert place.index == index
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert pod["subdomain"] == name
    job_name = job["metadata"]["name"]
    assert place.workers == tuple(
        f"{job_name}-{i}.{name}:{port}" for i in range(job["spec"]["completions"])
    )


def test_slurm_runs_each_component_once_and_the_trainer_on_every_machine(
    tmp_path, monkeypatch
):
    # An srun that runs a task after the other, and names them as Slurm does.
    stub(
        tmp_path,
        "srun",
        'tasks=1; while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && tasks="${1#*=}";'
        ' shift; done; for ((i = 0; i < tasks; i++)); do SLURM_PROCID=$i "$@"; done',
    )
    stub(tmp_path, "scontrol", 'printf "node1\\nnode2\\n"')
    said = commands(
        tmp_path,
        ["bash", str(MANIFESTS / "slurm.sh")],
        SLURM_NNODES="2",
        SLURM_JOB_NODELIST="node[1-2]",
        MLRUNS=str(tmp_path / "ml runs"),
        TF_CONFIG="",
    )
    decoder, ran, workers = json.JSONDecoder(), [], []
    while said := said.strip():
        if said.startswith("{"):
            found, end = decoder.raw_decode(said)
            workers.append(found)
            said = said[end:]
            continue
        command, _, said = said.partition("\n")
        until = command.rsplit("--until ", 1)[1]
        ran.append(until)
        flags(["python", SCRIPT, "--trainer.distribution", "multi_worker"])
        assert command.startswith(f"python {SCRIPT} --mlruns {tmp_path}/ml runs ")
        assert "--trainer.distribution multi_worker" in command
    assert list(dict.fromkeys(ran)) == list(COMPONENTS)
    assert ran.count("Trainer") == 2 and len(ran) == len(COMPONENTS) + 1
    assert [w["task"]["index"] for w in workers] == [0, 1]
    for worker in workers:
        monkeypatch.setenv("TF_CONFIG", json.dumps(worker))
        assert cluster().workers == ("node1:2222", "node2:2222")
