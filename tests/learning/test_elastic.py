"""Two machines, as two addresses of this one: a process killed by `kill -9` comes back and changes nothing."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import in_processes
from safetensors.torch import load_file

from segnet.config import load_config
from segnet.training.checkpoint import load_checkpoint
from segnet.training.log import read_log
from segnet.training.recipe import train_from_config

pytestmark = [
    # Not among the long tests: on a busy machine PyTorch 2.13 was seen to wait where gloo forms its group again after a
    # restart. It then starts once more after `MEETING`, five minutes.
    pytest.mark.load,
    pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2 and a safe fork"),
]

SETTINGS = [
    "model.name=bayesian-segnet-basic",  # its dropout draws by seed, step and process
    "model.normalisation=mean_std",
    "augment.flip=true",
    "augment.crop_px=[16, 16]",
    "data.workers=0",
    "train.optimiser=adamw",
    "train.lr=0.001",
    "train.epochs=3",
    "train.batch_size=2",
    "train.checkpoint_every=2",
    "train.precision=float32",
    "train.device=cpu",
    "train.threads=1",
]
# `segnet train`, whose second process is killed before its sixth step, once
PROGRAM = """
import os, pathlib, signal, sys
from segnet.cli import main
from segnet.training.run import Run

learn, killed = Run.learn, pathlib.Path(sys.argv.pop(1))

def learn_or_die(run, *args):
    if run.step == 5 and run.processes.rank == 1 and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return learn(run, *args)

Run.learn = learn_or_die
sys.exit(main())
"""
AT_MOST_S = 900  # of a test that hangs; on a busy machine the imports alone take minutes


def machine(address: str, endpoint: str, *command: str) -> subprocess.Popen[str]:
    """`torchrun` with one process, as each of two machines would start it."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    launcher += ["--max-restarts", "2", "--monitor-interval", "0.1", "--local-addr", address]
    launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--rdzv-id", "elastic"]
    return subprocess.Popen(
        [*launcher, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_killed_process_comes_back_and_changes_nothing(tiny_camvid: Path, tmp_path: Path) -> None:
    config = load_config(None, [*SETTINGS, f"data.path={str(tiny_camvid)!r}"])
    in_processes(2, lambda processes: str(train_from_config(config, tmp_path / "unbroken", processes=processes)))

    program, recipe, killed, out = (tmp_path / n for n in ("train.py", "defaults.toml", "killed", "broken"))
    program.write_text(PROGRAM)
    recipe.touch()  # an empty one: nothing is chosen for data and machine
    command = [str(program), str(killed), "train", "--recipe", str(recipe), "--data", str(tiny_camvid)]
    command += ["--out", str(out), "--resume"]  # the first start finds nothing to resume, and begins
    command += [word for setting in SETTINGS for word in ("--set", setting)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    machines = [machine(address, endpoint, *command) for address in ("127.0.0.1", "127.0.0.2")]
    try:
        output = "".join(m.communicate(timeout=AT_MOST_S)[0] for m in machines)
    finally:
        for one in machines:
            one.kill()
    assert killed.exists(), output
    assert [m.returncode for m in machines] == [0, 0], output
    unbroken, broken = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("unbroken", "broken"))
    assert broken["step"] == unbroken["step"] == 9
    assert all(torch.equal(broken["model"][name], value) for name, value in unbroken["model"].items())
    kept = [load_file(tmp_path / name / "best.safetensors") for name in ("unbroken", "broken")]
    assert all(torch.equal(kept[1][name], value) for name, value in kept[0].items())
    logs = [read_log(tmp_path / name / "log.jsonl") for name in ("unbroken", "broken")]
    assert [r["step"] for r in logs[1]] == [r["step"] for r in logs[0]] == [3, 6, 9]
    assert output.count("another of the 2 processes ended") <= 1, output
