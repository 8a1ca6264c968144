import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.benchmark.measure import initialisation
from segnet.benchmark.measure.initialisation import (
    SCHEDULES,
    Kept,
    curves_table,
    learning_curve,
    learning_curves,
    plot_curves,
    with_stored,
)
from segnet.data.street.scenes import Street
from segnet.device import DeviceSpec
from segnet.errors import ConfigError, DataError

CPU = DeviceSpec(torch.device("cpu"), "float32")
SMALL = replace(SCHEDULES["segnet-basic"], size_px=(24, 32), crop_px=(16, 16), steps=3, scored_after=(1, 3))


@pytest.fixture
def splits() -> tuple[Street, Street]:
    return Street(5, (24, 32), seed=0), Street(4, (24, 32), seed=1)


def record(model: str, init: str, seed: int, *ious: float) -> dict[str, object]:
    scores = [{"step": 10 * n, "mean_iou": iou, "global_accuracy": 2 * iou} for n, iou in enumerate(ious, 1)]
    return {"model": model, "init": init, "seed": seed, "scores": scores}


def test_a_data_set_is_kept_every_third_sample(splits: tuple[Street, Street]) -> None:
    kept = Kept(splits[1], step=3)
    assert kept.names == (splits[1].names[0], splits[1].names[3])
    assert np.array_equal(kept[1].image, splits[1][3].image)
    assert len(kept) == 2


def test_a_curve_depends_on_seed_and_initialisation_alone(splits: tuple[Street, Street]) -> None:
    def curve(init: str, seed: int) -> list[dict[str, float]]:
        return learning_curve("segnet-basic", init, seed, SMALL, *splits, CPU)  # type: ignore[arg-type]

    before = torch.get_rng_state()
    first = curve("tent", 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert [point["step"] for point in first] == [1, 3]
    assert all(0 <= point["mean_iou"] <= 1 and 0 <= point["global_accuracy"] <= 1 for point in first)
    assert curve("tent", 1) == first
    assert curve("he", 1) != first
    assert curve("tent", 2) != first


def test_curves_that_are_there_are_read_and_others_computed(
    splits: tuple[Street, Street], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEDULES, "segnet-basic", SMALL)
    asked = []

    def told(model: str, init: str, seed: int, *more: object) -> list[dict[str, float]]:
        asked.append((init, seed))
        return [{"step": 1, "mean_iou": 0.5, "global_accuracy": 0.5}]

    monkeypatch.setattr(initialisation, "learning_curve", told)
    first = learning_curves("segnet-basic", splits, CPU, tmp_path, seeds=(1,))
    assert [(r["init"], r["seed"]) for r in first] == [("he", 1), ("tent", 1)]
    both = learning_curves("segnet-basic", splits, CPU, tmp_path, seeds=(1, 2))
    assert asked == [("he", 1), ("tent", 1), ("he", 2), ("tent", 2)]
    assert both[:2] == first
    monkeypatch.setitem(SCHEDULES, "segnet-basic", replace(SMALL, lr=1.0))
    with pytest.raises(ConfigError, match="lr was"):
        learning_curves("segnet-basic", splits, CPU, tmp_path, seeds=(1,))


def test_another_model_is_refused(splits: tuple[Street, Street], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown model 'segnet-basik'; did you mean 'segnet-basic'"):
        learning_curves("segnet-basik", splits, CPU, tmp_path)


def test_the_table_has_mean_and_range_over_seeds() -> None:
    text = curves_table(
        [record("segnet", init, seed, 0.1 * seed, 0.2 * seed) for seed in (1, 2) for init in ("he", "tent")]
    )
    assert text.rows[1] == ("segnet", "20", "30.0 (20.0 to 40.0)", "60.0", "30.0 (20.0 to 40.0)", "60.0")
    assert "seeds 1, 2; 160 steps of 4 crops of 90x120 px" in text.notes[0]
    assert curves_table([record("segnet", init, 1, 0.1) for init in ("he", "tent")]).rows[0][2] == "10.0"
    assert "encoder from VGG16" in text.notes[0] and "the square root of median frequency" in text.notes[0]


def test_the_plot_is_an_image_with_a_panel_for_each_model(tmp_path: Path) -> None:
    both = [record(model, init, 1, 0.1, 0.2) for model in ("segnet-basic", "segnet") for init in ("he", "tent")]
    plot_curves(both, tmp_path / "two.png")
    plot_curves(both[:2], tmp_path / "one.png")
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.width == 2 * one.width > 500
        colours = {colour for _, colour in two.convert("RGB").getcolors(1 << 20)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # the curves of both


def test_other_models_that_were_measured_before_stay(tmp_path: Path) -> None:
    path = tmp_path / "initialisation.json"
    old, new = record("segnet", "he", 1, 0.1), record("segnet", "he", 1, 0.2)
    other = record("segnet-basic", "he", 1, 0.3)
    assert with_stored([new], path) == [new]
    path.write_text(json.dumps({"results": [old, other]}))
    assert with_stored([new], path) == [other, new]
    path.write_text('{"results": 3}')
    with pytest.raises(DataError, match=r"initialisation\.json is broken; delete it"):
        with_stored([new], path)


def test_the_command_writes_figures_table_and_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_camvid: Path
) -> None:
    from typer.testing import CliRunner

    from segnet.cli import benchmark_app

    monkeypatch.setitem(SCHEDULES, "segnet-basic", SMALL)
    arguments = ["initialisation", "--data", str(tiny_camvid), "--models", "segnet-basic", "--seeds", "1"]
    result = CliRunner().invoke(benchmark_app, [*arguments, "--precision", "float32", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    stored = json.loads((tmp_path / "initialisation.json").read_text())
    assert [(r["model"], r["init"], r["seed"]) for r in stored["results"]] == [
        ("segnet-basic", "he", 1),
        ("segnet-basic", "tent", 1),
    ]
    assert "| segnet-basic | 3 |" in (tmp_path / "initialisation.md").read_text()
    assert (tmp_path / "initialisation.png").stat().st_size > 1000
