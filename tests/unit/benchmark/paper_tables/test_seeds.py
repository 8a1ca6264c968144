import pytest

from segnet.benchmark.paper_tables.seeds import averaged, order_note
from segnet.benchmark.paper_tables.tables import scores_beside


def result(mean_iou: float) -> dict[str, object]:
    val = {"global_accuracy": 0.9, "class_average_accuracy": 0.5, "mean_iou": mean_iou, "boundary_f1": None}
    return {"stages": [{"epochs": 3, "val": val, "train": {"mean_iou": 2 * mean_iou}}]}


def row(model: str, *scores: float) -> dict[str, object]:
    seeds = [result(score) for score in scores]
    return {"model": model, "weighting": "median", "seeds": seeds, **averaged(seeds)}


def test_one_seed_is_itself_without_a_spread() -> None:
    stage = averaged([result(0.3)])["training"]["stages"][0]
    assert stage["val"]["mean_iou"] == 0.3
    assert "spread" not in stage


def test_mean_and_sample_deviation_of_three() -> None:
    stage = averaged([result(0.3), result(0.4), result(0.5)])["training"]["stages"][0]
    assert stage["val"]["mean_iou"] == pytest.approx(0.4)
    assert stage["train"]["mean_iou"] == pytest.approx(0.8)
    assert stage["spread"]["mean_iou"] == pytest.approx(0.1)
    assert (stage["val"]["boundary_f1"], stage["spread"]["boundary_f1"]) == (None, None)
    assert scores_beside(stage["val"], (1.0, 2.0, 47.7), stage["spread"])[2] == "40.0 ± 10.0 (47.7)"


def test_a_seed_that_failed_is_said() -> None:
    assert averaged([result(0.3), {"failure": "no memory"}]) == {"training": {"failure": "no memory"}}


def test_only_what_differs_by_more_than_chance_is_ordered() -> None:
    rows = [row("c", 0.30, 0.31, 0.32), row("a", 0.5, 0.51, 0.52), row("b", 0.495, 0.505, 0.515)]
    assert order_note(rows).endswith("standard error: b > c; no clear difference: a > b.")


def test_one_seed_claims_no_order() -> None:
    assert "no order" in order_note([row("a", 0.5), row("b", 0.1)])
    assert order_note([row("a", 0.5)]) == ""
