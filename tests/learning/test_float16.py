"""SegNet-Basic learns in float16, leaves out steps whose gradients overflow, and goes on as if it had not stopped."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from segnet.config import load_config
from segnet.training import run as train
from segnet.training.checkpoint import load_checkpoint
from segnet.training.log import read_log
from segnet.training.recipe import train_from_config

SETTINGS = [
    "model.name=segnet-basic",
    "model.normalisation=mean_std",
    "augment.crop_px=[16, 16]",
    "data.workers=0",
    "train.optimiser=adamw",
    "train.lr=0.002",
    "train.epochs=10",
    "train.batch_size=2",
    "train.average=0.5",
    "train.evaluate_every=10",
    "train.checkpoint_every=12",
    "train.device=cpu",
    "train.precision=float16",
]
FIRST_SCALE = 2.0**21  # too large for these gradients, so the first steps are left out


class StopError(Exception):
    pass


@pytest.mark.slow
def test_float16_learns_and_goes_on_where_it_stopped(
    tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "loss_scaler", lambda _: torch.amp.GradScaler("cpu", init_scale=FIRST_SCALE))
    config = load_config(None, [*SETTINGS, f"data.path={str(tiny_camvid)!r}"])
    learn, losses, unchanged = train.Run.learn, [], []

    def learn_and_watch(run: train.Run, *args: object) -> float:
        if len(losses) == 15 and run.average is not None and not stopped:
            stopped.append(True)
            raise StopError
        before = [p.detach().clone() for p in (*run.model.parameters(), *run.kept_model.parameters())]
        losses.append(learn(run, *args))  # type: ignore[arg-type]
        after = (*run.model.parameters(), *run.kept_model.parameters())
        unchanged.append(all(torch.equal(a, b) for a, b in zip(before, after, strict=True)))
        return losses[-1]

    stopped: list[bool] = [True]
    monkeypatch.setattr(train.Run, "learn", learn_and_watch)
    whole = load_file(train_from_config(config, tmp_path / "whole"))
    left_out = sum(unchanged)
    scaler = load_checkpoint(tmp_path / "whole" / "checkpoint.pt")["scaler"]
    assert 2 <= left_out < 12
    assert unchanged == [True] * left_out + [False] * (30 - left_out)
    assert scaler["scale"] == FIRST_SCALE / 2**left_out
    assert scaler["_growth_tracker"] == 30 - left_out
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])
    assert read_log(tmp_path / "whole" / "log.jsonl")[-1]["mean_iou"] > 0.3  # one class everywhere: below 0.15

    losses.clear()
    stopped.clear()
    with pytest.raises(StopError):
        train_from_config(config, tmp_path / "parts")
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt")["step"] == 12
    parts = load_file(train_from_config(config, tmp_path / "parts", resume=True))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt")["scaler"] == scaler
