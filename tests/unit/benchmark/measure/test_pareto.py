"""Accuracy and its cost, on images that are small: what is measured, not how fast."""

from pathlib import Path

import pytest
from trained_models import trained

from segnet.benchmark.measure.pareto import ParetoPoint, measure_pareto, pareto_table, plot_pareto
from segnet.benchmark.measure.timing import Timing
from segnet.compression.cost import macs_of
from segnet.data import open_dataset
from segnet.inference.evaluate import evaluate
from segnet.labels import CAMVID_11
from segnet.models.widths import set_widths
from segnet.weights.file import WeightsCard, load_weights, save_weights

LEAN = {"encoder.stage4.0.conv": (64, 16), "encoder.stage4.0.norm": (16, 16), "decoder.stage4.0.conv": (16, 64)}


def test_full_and_lean_weights_beside_each_other(tiny_camvid: Path, tmp_path: Path) -> None:
    files = [tmp_path / "full.safetensors", tmp_path / "lean.safetensors"]
    for path in files:
        model = trained("segnet-basic")
        if path.stem == "lean":
            set_widths(model, LEAN)
        save_weights(path, model, WeightsCard("segnet-basic", CAMVID_11, scores={"mean_iou": 0.5}))
    points, failures = measure_pareto([str(path) for path in files], ["eager float32"], (24, 32), repeats=1)
    assert failures == []
    assert [point.mean_iou for point in points] == [0.5, 0.5]
    full, lean = points
    models = [load_weights(path)[0] for path in files]
    assert [full.macs, lean.macs] == [macs_of(model, (24, 32)) for model in models]
    assert full.parameters - lean.parameters == 2 * 48 * 64 * 49 + 2 * 48
    assert lean.file_mb < full.file_mb
    assert full.ratio > 0
    assert full.peak_live_mb is not None
    val = open_dataset(tiny_camvid, "val", "camvid")
    scored, _ = measure_pareto([str(files[0])], ["eager float32"], (24, 32), scored=val, repeats=1)
    assert scored[0].mean_iou == pytest.approx(evaluate(models[0], val, boundaries=False).mean_iou, abs=0.01)


def test_table_and_plot(tmp_path: Path) -> None:
    point = ParetoPoint("lean", "eager float32", 12_800_000_000, 3_510_000, 7.0, Timing(50, 48, 60), 8.4, 20.5, 0.591)
    text = pareto_table([point], (360, 480), ["other: not measured"])
    assert text.rows == (
        ("lean", "eager float32", "12.80", "3.51", "7.0", "50.0", "48.0 to 60.0", "8.4x", "20.5", "59.1"),
    )
    assert text.notes[-1] == "other: not measured"
    assert plot_pareto([point], tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").stat().st_size > 1000
    assert not plot_pareto([], tmp_path / "none.png")
