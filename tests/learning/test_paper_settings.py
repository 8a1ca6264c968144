"""Settings that exist for the paper's tables: statistics before each evaluation, roles of splits, the loss at 1/8."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from segnet.benchmark.paper_tables.options import Options
from segnet.benchmark.paper_tables.runs import run_table
from segnet.config import load_config
from segnet.errors import ConfigError
from segnet.training import train
from segnet.training.objective import Objective
from segnet.training.optimiser import create_optimiser
from segnet.training.recipe import train_from_config
from segnet.weights.file import read_card


def settings(data: Path, *more: str) -> Any:
    base = [f'data.path="{data}"', "data.workers=0", "model.name=bilinear-interpolation", "train.batch_size=2"]
    return load_config(None, [*base, "train.lr=0.01", "train.epochs=2", "train.device=cpu", "train.keep=last", *more])


def test_a_pass_before_every_evaluation(tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = train.recompute_statistics
    monkeypatch.setattr(train, "recompute_statistics", lambda *args: (calls.append(1), real(*args)))
    every = load_file(train_from_config(settings(tiny_camvid, "train.statistics_pass=every"), tmp_path / "every"))
    assert len(calls) == 2
    last = load_file(train_from_config(settings(tiny_camvid, "train.statistics_pass=last"), tmp_path / "last"))
    assert len(calls) == 3
    for name, value in every.items():  # statistics are for evaluation: training took the same steps
        torch.testing.assert_close(value, last[name], msg=name)


@pytest.mark.parametrize(("stored", "now"), [("true", "last"), ("false", "never")])
def test_settings_of_before_are_read(tiny_camvid: Path, stored: str, now: str) -> None:
    assert settings(tiny_camvid, f"train.statistics_pass={stored}").train.statistics_pass == now


def test_the_loss_at_a_stride_sees_every_so_many_pixels_only() -> None:
    logits = torch.randn(1, 3, 17, 9)
    target = torch.full((1, 17, 9), 255)
    target[:, ::8, ::8] = 1
    other = target.clone()
    other[:, 1:8] = 2
    objective = Objective(settings(Path(), "loss.stride_px=8").loss)
    losses = [objective(logits, t) for t in (target, other)]
    assert torch.equal(*losses)
    expected = torch.nn.functional.cross_entropy(logits[:, :, ::8, ::8], target[:, ::8, ::8])
    torch.testing.assert_close(losses[0], expected)


def options(data: Path, out: Path, **more: Any) -> Options:
    return Options(
        out, str(data), models=("bilinear-interpolation",), epochs=1, device="cpu", weightings=("median",),
        settings=("data.workers=0", "train.batch_size=2", "train.lr=0.01"), repeats=1, alone=False, **more,
    )  # fmt: skip


def test_without_a_third_split_the_last_weights_count_and_the_table_says_so(tiny_camvid: Path, tmp_path: Path) -> None:
    text = run_table("table1", options(tiny_camvid, tmp_path))
    assert any("after the last epoch" in note for note in text.notes)
    assert any("no order" in note for note in text.notes) or len(text.rows) < 2
    recipe = read_card(next(tmp_path.glob("cells/table1/*/stage1/best.safetensors"))).recipe
    assert 'keep = "last"' in recipe
    assert 'statistics_pass = "every"' in recipe


def test_a_select_split_chooses_and_another_is_reported(tiny_camvid: Path, tmp_path: Path) -> None:
    text = run_table("table1", options(tiny_camvid, tmp_path, splits=("train", "train"), select_split="val", seeds=2))
    assert any("highest global accuracy on val" in note for note in text.notes)
    assert "±" in text.rows[0][6]
    assert text.rows[0][6].split()[0] == text.rows[0][10].split()[0]  # reported on train: as the column G train
    names = sorted(path.name for path in (tmp_path / "cells/table1").iterdir())
    assert [n for n in names if "median" in n] == [
        "bilinear-interpolation-median", "bilinear-interpolation-median-seed1",
    ]  # fmt: skip
    recipe = read_card(next(tmp_path.glob("cells/table1/*median/stage1/best.safetensors"))).recipe
    assert 'keep = "global_accuracy"' in recipe
    assert 'val_split = "val"' in recipe


def test_stages_are_not_selected_from(tiny_camvid: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--stages 1"):
        run_table("table3", options(tiny_camvid, tmp_path, select_split="val"))
    assert not list(tmp_path.glob("table*"))


def test_an_unknown_weighting_names_the_nearest(tiny_camvid: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="median"):
        run_table("table1", Options(tmp_path, str(tiny_camvid), weightings=("meadian",)))


def test_biases_and_bn_in_groups_of_their_own() -> None:
    from segnet.models import create_model
    from segnet.models.released_form import set_released_form

    model = create_model("segnet-basic", 11)
    set_released_form(model, conv_bias=True)
    given = settings(
        Path(), "train.bias_lr_factor=2", "train.encoder_lr_factor=0.1", "train.weight_decay=0.01",
        "train.decay_on=filters_and_bn_scale",
    ).train  # fmt: skip
    groups = create_optimiser(model, given).param_groups
    of = {id(p): (g["lr_factor"], g["weight_decay"]) for g in groups for p in g["params"]}
    unit = model.encoder.stage1[0]  # type: ignore[union-attr,operator,index]
    assert of[id(unit.conv.weight)] == (0.1, 0.01)
    assert of[id(unit.conv.bias)] == (0.2, 0.0)
    assert of[id(unit.norm.weight)] == (0.1, 0.01)
    assert of[id(unit.norm.bias)] == (0.1, 0.0)
    assert of[id(model.classifier.bias)] == (2.0, 0.0)  # type: ignore[union-attr]
    assert len(of) == len(list(model.parameters()))
