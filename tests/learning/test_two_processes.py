"""Two real processes learn what one learns, leave one log, stop together and go on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from segnet.config import Config, load_config
from segnet.training.checkpoint import load_checkpoint
from segnet.training.log import read_log
from segnet.training.recipe import train_from_config

pytestmark = pytest.mark.slow

SETTINGS = [
    "model.name=segnet-basic",  # no dropout, which would draw other numbers
    "model.normalisation=mean_std",
    "augment.flip=true",
    "augment.scale=[0.8, 1.2]",
    "augment.crop_px=[16, 16]",
    "loss.class_weights=median_frequency",
    "loss.normalise_by=weights",  # whose sum differs from part to part
    "data.workers=1",
    "train.lr=0.01",
    "train.epochs=5",
    "train.batch_size=2",
    "train.evaluate_every=2",
    "train.checkpoint_every=1",
    "train.precision=float32",
    "train.device=cpu",
]
STOP_AT_ONCE_S = 600  # of a test that hangs: on a busy machine the imports alone take minutes


def train_in_two(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "segnet", "train"]
    recipe = out.parent / "defaults.toml"  # an empty one: nothing is chosen for data and machine
    recipe.touch()
    command += ["--data", str(data), "--out", str(out), "--recipe", str(recipe)]
    command += [word for setting in SETTINGS for word in ("--set", setting)]
    return subprocess.Popen(
        [*command, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a group of its own, which gets the Ctrl-C as from a terminal
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def config(data: Path) -> Config:
    return load_config(None, [*SETTINGS, f"data.path={str(data)!r}"])


@pytest.fixture(scope="module")
def interrupted(tiny_camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, str]:
    """A run of two processes that was stopped by Ctrl-C and resumed: folder, step of the stop, both outputs."""
    out = tmp_path_factory.mktemp("two")
    process = train_in_two(tiny_camvid, out)
    while not (out / "checkpoint.pt").exists() and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    first = process.communicate(timeout=STOP_AT_ONCE_S)[0]
    step = load_checkpoint(out / "checkpoint.pt")["step"]
    second = train_in_two(tiny_camvid, out, "--resume").communicate(timeout=STOP_AT_ONCE_S)[0]
    return out, step, first, second


def test_ctrl_c_saves_the_step_in_hand_and_ends_both(interrupted: tuple[Path, int, str, str]) -> None:
    _, step, output, _ = interrupted
    assert 0 < step < 15, output
    assert re.findall(r"at step (\d+) of 15; the same command with --resume continues", output) == [str(step)]


def test_two_processes_learn_what_one_learns(
    interrupted: tuple[Path, int, str, str], tiny_camvid: Path, tmp_path: Path
) -> None:
    out, _, _, output = interrupted
    train_from_config(config(tiny_camvid), tmp_path)
    one, two = (load_checkpoint(folder / "checkpoint.pt") for folder in (tmp_path, out))
    assert two["step"] == 15, output
    assert two["model"].keys() == one["model"].keys()
    for name, value in one["model"].items():  # parameters and BN statistics; sums in another order round otherwise
        assert torch.allclose(two["model"][name], value, rtol=1e-3, atol=1e-4), name
    assert two["best_score"] == pytest.approx(one["best_score"], abs=0.01)


def test_only_the_first_process_writes(interrupted: tuple[Path, int, str, str]) -> None:
    out, _, _, output = interrupted
    assert [(r["step"], "loss" in r) for r in read_log(out / "log.jsonl")] == [
        (6, False), (10, True), (12, False), (15, False),
    ]  # fmt: skip
    assert output.count("step 15: ") == 1
    assert output.count("[train]") == 1
    assert sorted(p.name for p in out.iterdir()) == [
        "best.safetensors", "checkpoint.pt", "config.toml", "log.jsonl", "report.html", "scores.json",
    ]  # fmt: skip


def test_a_loss_that_is_not_finite_ends_both(tiny_camvid: Path, tmp_path: Path) -> None:
    process = train_in_two(tiny_camvid, tmp_path, "--set", "train.lr=1e30")
    output = process.communicate(timeout=STOP_AT_ONCE_S)[0]
    assert process.returncode != 0
    assert re.search(r"NonFiniteError: diverged at step \d+ on train\d, train\d: the loss is \w+;", output), output
