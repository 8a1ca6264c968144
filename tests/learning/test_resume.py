"""Stopping anywhere and going on gives, bit for bit, the weights of a run that was not stopped."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from segnet.config import Config, load_config
from segnet.data.datasets.folder import write_folder
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError, NonFiniteError, WeightsError
from segnet.training.checkpoint import load_checkpoint, save_checkpoint
from segnet.training.log import read_log
from segnet.training.recipe import train_from_config

SETTINGS = [
    "model.name=bayesian-segnet-basic",  # its dropout draws by seed and step, so a checkpoint holds no random state
    "model.normalisation=mean_std",
    "model.init=tent",
    "augment.flip=true",
    "augment.scale=[0.8, 1.2]",
    "augment.crop_px=[16, 16]",
    "augment.brightness=0.2",
    "data.workers=0",
    "train.optimiser=adamw",
    "train.lr=0.001",
    "train.epochs=4",
    "train.batch_size=2",
    "train.average=0.9",
    "train.schedule=cosine",
    "train.evaluate_every=2",
    "train.checkpoint_every=5",
    "train.precision=float32",
]


def settings(root: Path, *more: str) -> Config:
    return load_config(None, [*SETTINGS, f"data.path={str(root)!r}", *more])


def same_weights(first: Path, second: Path) -> bool:
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class StopError(Exception):
    pass


@pytest.mark.parametrize(("stopped_at", "checkpoint_at"), [(5, 5), (7, 6)])  # inside an epoch; at the end of one
def test_resume_equals_no_interruption(
    stopped_at: int, checkpoint_at: int, tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tiny_camvid)
    whole = train_from_config(config, tmp_path / "whole")

    from segnet.training.run import Run

    learn = Run.learn

    def learn_until(run: Run, *args: object) -> float:
        if run.step == stopped_at:
            raise StopError
        return learn(run, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "learn", learn_until)
    with pytest.raises(StopError):
        train_from_config(config, tmp_path / "parts")
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt")["step"] == checkpoint_at
    parts = train_from_config(config, tmp_path / "parts", resume=True)

    assert same_weights(whole, parts)
    last = [load_checkpoint(tmp_path / run / "checkpoint.pt")["model"] for run in ("whole", "parts")]
    assert all(torch.equal(last[0][k], last[1][k]) for k in last[0])
    logs = [read_log(tmp_path / run / "log.jsonl") for run in ("whole", "parts")]
    for log in logs:
        for record in log:
            record.pop("images_per_s", None)
    assert logs[0] == logs[1]
    assert [r["step"] for r in logs[0]] == [6, 10, 12]


def test_ctrl_c_saves_the_step_in_hand(tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(tiny_camvid, "data.workers=1")
    whole = train_from_config(config, tmp_path / "whole")

    from segnet.training.run import Run

    learn = Run.learn

    def learn_and_press(run: Run, *args: object) -> float:
        if run.step == 3:
            signal.raise_signal(signal.SIGINT)
        return learn(run, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "learn", learn_and_press)
    console = Console(record=True, file=io.StringIO(), width=200)
    with pytest.raises(KeyboardInterrupt):
        train_from_config(config, tmp_path / "parts", console=console)
    monkeypatch.undo()
    text = console.export_text()
    assert "stopping after this step" in text
    assert f"saved {tmp_path / 'parts' / 'checkpoint.pt'} at step 4 of 12; the same command with --resume" in text
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt")["step"] == 4
    assert same_weights(whole, train_from_config(config, tmp_path / "parts", resume=True))


def test_a_checkpoint_of_before_a_setting_existed_goes_on(tiny_camvid: Path, tmp_path: Path) -> None:
    config = settings(tiny_camvid, "train.epochs=2")
    train_from_config(config, tmp_path)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    state["config"] = state["config"].replace("tensorboard = false\n", "")
    del state["scaler"]
    state |= {"rng": torch.get_rng_state(), "rng_cuda": []}  # as checkpoints had it
    assert "tensorboard" not in state["config"]
    save_checkpoint(tmp_path / "checkpoint.pt", state)
    before = (tmp_path / "best.safetensors").read_bytes()
    assert train_from_config(config, tmp_path, resume=True).read_bytes() == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_other_classes_do_not_go_on(tmp_path: Path) -> None:
    root = tmp_path / "street"
    write_folder(root, Street(10, (16, 16)))
    config = settings(root, "data.format=folder", "train.epochs=2", "train.evaluate_every=1")
    train_from_config(config, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    labels = root / "labels.toml"
    swapped = labels.read_text().replace('"road"', '"_"').replace('"sky"', '"road"').replace('"_"', '"sky"')
    labels.write_text(swapped)
    with pytest.raises(ConfigError, match=r"learns the classes sky, .*; the data has now road, "):
        train_from_config(config, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before


def test_one_value_per_channel_is_nothing_to_normalise(tiny_camvid: Path, tmp_path: Path) -> None:
    config = settings(tiny_camvid, "augment.crop_px=[8, 8]", "train.batch_size=1")
    with pytest.raises(ConfigError, match=r"1 image of 8x8 pixels .*raise train.batch_size"):
        train_from_config(config, tmp_path)


def test_kill_minus_9_and_resume(tiny_camvid: Path, tmp_path: Path) -> None:
    config = settings(tiny_camvid)
    whole = train_from_config(config, tmp_path / "whole")
    out = tmp_path / "killed"
    code = (
        "import time\nfrom pathlib import Path\n"
        "from segnet.training.run import Run\nfrom segnet.training.recipe import train_from_config\n"
        "from segnet.config import load_config\nlearn = Run.learn\n"
        "Run.learn = lambda run, *a: (time.sleep(0.2), learn(run, *a))[1]\n"
        f"train_from_config(load_config({str(tmp_path / 'whole' / 'config.toml')!r}), Path({str(out)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (out / "checkpoint.pt").exists()
    assert load_checkpoint(out / "checkpoint.pt")["step"] < 12
    assert same_weights(whole, train_from_config(config, out, resume=True))


def test_a_finished_run_resumes_to_itself(tiny_camvid: Path, tmp_path: Path) -> None:
    before = train_from_config(settings(tiny_camvid, "train.epochs=2"), tmp_path).read_bytes()
    config = settings(tiny_camvid, "train.epochs=2", "train.tensorboard=true")  # which changes no step
    assert train_from_config(config, tmp_path, resume=True).read_bytes() == before
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_the_statistics_pass_changes_statistics_and_nothing_else(tiny_camvid: Path, tmp_path: Path) -> None:
    more = ("train.epochs=1", "train.keep=last", "train.average=0.0")
    plain = load_file(train_from_config(settings(tiny_camvid, *more), tmp_path / "plain"))
    config = settings(tiny_camvid, *more, "train.statistics_pass=last")
    passed = load_file(
        train_from_config(config, tmp_path / "plain", resume=True)
    )  # acts after the last step, so a run may add it
    changed = {k.rsplit(".", 1)[1] for k in plain if not torch.equal(plain[k], passed[k])}
    assert changed == {"running_mean", "running_var"}  # and the count of batches is three in both


def test_a_run_is_not_overwritten_by_mistake(tiny_camvid: Path, tmp_path: Path) -> None:
    config = settings(tiny_camvid, "train.epochs=2")
    weights = train_from_config(config, tmp_path)
    before = weights.read_bytes()
    with pytest.raises(ConfigError, match="--resume"):
        train_from_config(config, tmp_path)
    with pytest.raises(ConfigError, match=r"train\.lr was 0\.001, now 0\.002"):
        train_from_config(settings(tiny_camvid, "train.epochs=2", "train.lr=0.002"), tmp_path, resume=True)
    assert weights.read_bytes() == before


def test_resume_without_a_run(tiny_camvid: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="without --resume"):
        train_from_config(settings(tiny_camvid), tmp_path, resume=True)


def test_a_loss_that_is_not_finite_stops_the_run(tiny_camvid: Path, tmp_path: Path) -> None:
    config = settings(tiny_camvid, "train.optimiser=sgd", "train.lr=1e30", "train.average=0.0")
    with pytest.raises(NonFiniteError, match=r"at step \d+ on train\d, train\d"):
        train_from_config(config, tmp_path)


def test_the_callers_random_numbers_go_on(tiny_camvid: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawn = []
    for name in "abc":
        drawn.append(torch.rand(()))
        train_from_config(settings(tiny_camvid, "train.epochs=1"), str(tmp_path / name))
    assert torch.equal(torch.stack(drawn), expected)
