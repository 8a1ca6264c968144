"""Without labels: the error of rebuilding falls, layer by layer and at once; a run can stop anywhere and go on."""

import io
import shutil
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from segnet.config import PretrainConfig, load_pretrain_config
from segnet.data.datasets.unlabelled import open_images
from segnet.device import DeviceSpec
from segnet.models.autoencoder import Autoencoder
from segnet.training import pretrain as engine
from segnet.training.checkpoint import load_checkpoint
from segnet.training.log import read_log
from segnet.training.pretrain import pretrain
from segnet.training.reconstruction import Span, measure
from segnet.weights.file import load_weights


def settings(root: Path, *more: str) -> PretrainConfig:
    fixed = ["data.workers=0", "train.batch_size=2", "train.precision=float32", "model.normalisation=mean_std"]
    return load_pretrain_config([f"data.path={str(root)!r}", *fixed, *more])


@pytest.mark.slow
@pytest.mark.parametrize("layerwise", ["true", "false"])
def test_the_error_of_rebuilding_two_images_falls(layerwise: str, tiny_camvid: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        target = tmp_path / "images" / f"{number}.png"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(tiny_camvid / "train" / f"train{number}.png", target)
    config = settings(tmp_path / "images", f"train.layerwise={layerwise}", "train.epochs=30")
    weights = pretrain(config, tmp_path / "run")
    torch.manual_seed(config.train.seed)
    fresh, device_spec = Autoencoder(3, normalisation="mean_std"), DeviceSpec(torch.device("cpu"), "float32")
    images = open_images(config.data.path, "train")
    records = read_log(tmp_path / "run" / "log.jsonl")
    spans = sorted({tuple(r["stages"]) for r in records})
    assert spans == ([(1, 1), (2, 2), (3, 3), (4, 4)] if layerwise == "true" else [(1, 4)])
    for span in spans:
        last = [r["lost_share"] for r in records if tuple(r["stages"]) == span and "epoch" in r][-1]
        assert last < 0.5 * measure(fresh, images, device_spec, Span(*span)).lost_share, span
        assert last < 0.6, span  # 1 would be one colour for each image
    kept, card = load_weights(weights)
    assert isinstance(kept, Autoencoder)
    whole = measure(kept, images, device_spec, Span(1, 4)).lost_share
    assert whole < 0.9  # layer by layer, the errors of the stages add up
    assert (card.model, card.normalisation, card.label_set.names) == (
        "autoencoder",
        "mean_std",
        ("red", "green", "blue"),
    )


class StopError(Exception):
    pass


@pytest.mark.parametrize(("stopped_at", "checkpoint_at"), [(7, 6), (11, 10)])  # where a stage ends; inside an epoch
def test_resume_equals_no_interruption(
    stopped_at: int, checkpoint_at: int, tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("train.epochs=2", "train.checkpoint_every=5", "augment.flip=true", "augment.crop_px=[12, 12]")
    config = settings(tiny_camvid, *more)
    whole = load_file(pretrain(config, tmp_path / "whole"))

    learn = engine._Run.learn

    def learn_until(run: engine._Run, *args: object) -> float:
        if run.step == stopped_at:
            raise StopError
        return learn(run, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(engine._Run, "learn", learn_until)
    with pytest.raises(StopError):
        pretrain(config, tmp_path / "parts")
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt")["step"] == checkpoint_at
    parts = load_file(pretrain(config, tmp_path / "parts", resume=True))

    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    logs = [read_log(tmp_path / run / "log.jsonl") for run in ("whole", "parts")]
    for record in (*logs[0], *logs[1]):
        record.pop("images_per_s", None)
    assert logs[0] == logs[1]
    assert [r["step"] for r in logs[0] if "epoch" in r] == list(range(3, 25, 3))


def test_ctrl_c_saves_the_step_in_hand(tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(tiny_camvid, "train.epochs=1", "augment.crop_px=[12, 12]")
    whole = load_file(pretrain(config, tmp_path / "whole"))

    learn = engine._Run.learn

    def learn_and_press(run: engine._Run, *args: object) -> float:
        if run.step == 3:
            signal.raise_signal(signal.SIGINT)
        return learn(run, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(engine._Run, "learn", learn_and_press)
    console = Console(record=True, file=io.StringIO(), width=200)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, tmp_path / "parts", console=console)
    monkeypatch.undo()
    text = console.export_text()
    assert "stopping after this step" in text
    assert f"saved {tmp_path / 'parts' / 'checkpoint.pt'} at step 4 of 12; the same command with --resume" in text
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt")["step"] == 4
    parts = load_file(pretrain(config, tmp_path / "parts", resume=True))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
