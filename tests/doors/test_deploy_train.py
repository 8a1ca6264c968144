"""The recipes for training on several machines: checked against the commands that they start, not run."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml
from torch.distributed.run import get_args_parser

from segnet.cli import app
from segnet.config import load_config

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SLURM = (DEPLOY / "train.slurm").read_text()
SERVICE, JOB = yaml.safe_load_all((DEPLOY / "kubernetes-train.yaml").read_text())
POD = JOB["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def of_slurm() -> list[str]:
    """The words after `srun torchrun`, with the shell's variables as they would be."""
    text = SLURM.split("srun torchrun", 1)[1].replace("\\\n", " ")
    for name, value in {"SLURM_NNODES": "2", "FIRST": "host", "SLURM_JOB_ID": "7", "DATA": "d", "RUNS": "r"}.items():
        text = text.replace(f"${name}", value)
    return shlex.split(text)


@pytest.mark.parametrize("words", [of_slurm(), CONTAINER["args"]], ids=["slurm", "kubernetes"])
def test_torchrun_and_segnet_know_every_option(words: list[str]) -> None:
    launcher = get_args_parser().parse_args(words)
    assert launcher.module
    assert launcher.training_script == "segnet"
    assert int(launcher.nnodes) == 2
    assert launcher.max_restarts == 3
    assert launcher.rdzv_endpoint.endswith(":29400")
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    name, *options = launcher.training_script_args
    assert name == "train"
    given = command.make_context("train", options).params
    assert given["resume"]  # else a restart is refused
    config = load_config(given["recipe"], list(given["settings"]))
    assert config.train.batch_size % (2 * int(launcher.nproc_per_node)) == 0


def test_the_job_finds_its_first_pod_and_keeps_its_runs() -> None:
    assert CONTAINER["command"] == ["torchrun"]
    assert JOB["spec"]["completions"] == JOB["spec"]["parallelism"] == 2
    endpoint = next(word for word in CONTAINER["args"] if word.startswith("--rdzv-endpoint=")).split("=")[1]
    job, service, port = JOB["metadata"]["name"], SERVICE["metadata"]["name"], SERVICE["spec"]["ports"][0]["port"]
    assert endpoint == f"{job}-0.{service}:{port}"
    assert POD["subdomain"] == service
    assert SERVICE["spec"]["selector"] == JOB["spec"]["template"]["metadata"]["labels"]
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_can_read_the_slurm_script() -> None:
    assert subprocess.run(["bash", "-n"], check=False, input=SLURM, text=True, capture_output=True).stderr == ""
    assert re.findall(r"^#SBATCH --nodes=(\d+)$", SLURM, re.M) == ["2"]
