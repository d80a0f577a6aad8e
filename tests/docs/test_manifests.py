"""The pods of the manifest for Kubernetes know their places."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from dlkeras.pipeline import PipelineConfig
from dlkeras.pipeline.commands.command_line import parse
from dlkeras.pipeline.machines.distribution import cluster

MANIFESTS = Path(__file__).parent.parent.parent / "docs/pipeline/manifests"
SCRIPT = "pipelines/lenet5_digits.py"


def flags(command):
    """The flags of a command of the pipeline; an unknown one raises."""
    assert command[:2] == ["python", SCRIPT]
    return parse(PipelineConfig(), command[2:])


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
