from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from segnet.benchmark.paper_tables.accuracy_memory import marks_of, write_accuracy_memory
from segnet.benchmark.paper_tables.page import write_page
from segnet.benchmark.paper_tables.paper import TABLE_1, TABLE_3, TABLE_4, TABLE_6
from segnet.benchmark.paper_tables.plots import plots, points_of
from segnet.benchmark.paper_tables.tables import TableText, beside, scores_beside, table_1, table_6, table_stages
from segnet.models import MODELS

SCORES = {"global_accuracy": 0.8, "class_average_accuracy": 0.6, "mean_iou": 0.4321, "boundary_f1": None}
MEMORY = {"batch_size": 1, "weights_mib": 10.0, "gradients_mib": 0.0, "activations_mib": 90.0, "process_mib": 300.0}
COST: dict[str, Any] = {
    "parameters": 1_425_000,
    "device_spec": "cpu, float32",
    "file_mb": 5.7,
    "forward": {"median_ms": 50.0, "min_ms": 49.0, "max_ms": 60.0},
    "backward": None,
    "inference": MEMORY,
    "training": None,
    "failures": {"training": "segnet, training at batch 4: out of memory"},
}
STORAGE = {"total_bytes": 918_240, "multiplier": 1.0, "paper_multiplier": 1}


def row(model: str, training: dict[str, Any], weighting: str = "median") -> dict[str, Any]:
    return {"model": model, "weighting": weighting, "cost": COST, "storage": STORAGE, "training": training}


@pytest.mark.parametrize(
    ("ours", "paper", "text"),
    [
        (1.25, None, "1.2"),
        (1.26, 3.0, "1.3 (3.0)"),
        (None, None, "-"),
        (None, 3.0, "- (3.0)"),
        (float("nan"), 3.0, "- (3.0)"),
        (6803.0, None, "6,803.0"),
    ],
)
def test_ours_beside_the_papers(ours: float | None, paper: float | None, text: str) -> None:
    assert beside(ours, paper) == text


def test_scores_in_percent_with_the_ones_that_do_not_exist() -> None:
    assert scores_beside(SCORES, TABLE_1["segnet-basic"].median) == [
        *("80.0 (82.7)", "60.0 (62.0)", "43.2 (47.7)", "- (35.8)")
    ]
    assert scores_beside(None, None) == ["-", "-", "-", "-"]


def test_table_1_with_a_cell_that_is_missing() -> None:
    done = {"stages": [{"epochs": 3, "val": SCORES, "train": SCORES}]}
    text = table_1([row("segnet-basic", done), row("segnet-basic", {"failure": "no"}, "natural")], ["A note."])
    assert text.rows[0] == (
        *("segnet-basic", "median", "1.425 (1.425)", "0.918", "1.00 (1.00)", "50.0 (52.6)"),
        *("80.0 (82.7)", "60.0 (62.0)", "43.2 (47.7)", "- (35.8)", "80.0 (94.7)", "60.0 (96.2)", "43.2 (92.7)"),
    )
    assert text.rows[1][6:] == ("- (84.0)", "- (54.6)", "- (46.3)", "- (36.7)", "- (96.1)", "- (83.9)", "- (73.3)")
    lines = text.to_markdown().splitlines()
    assert lines[2].startswith("| model | weighting | parameters M |")
    assert lines[4].startswith("| segnet-basic | median | 1.425 (1.425) | 0.918 |")
    assert lines[-1] == "- A note."
    assert all(line.count("|") == 14 for line in lines[2:6])


def test_table_3_has_a_row_for_the_crf_and_dashes_for_what_is_missing() -> None:
    stages = [{"epochs": e, "val": SCORES} for e in (50, 100, 150)]
    deeplab = row("deeplab-largefov", {"stages": stages}) | {"crf": {**SCORES, "mean_iou": 0.5}}
    text = table_stages("table3", [row("unet", {}), deeplab], [])
    assert text.columns[:5] == ("model", "G 50 ep.", "C 50 ep.", "mIoU 50 ep.", "BF 50 ep.")
    assert text.rows[0] == ("unet", *["-"] * 12)
    assert text.rows[1][3] == "43.2 (50.2)"
    assert text.rows[2][0] == "deeplab-largefov + CRF"
    assert text.rows[2][1:5] == ("-", "-", "-", "-")
    assert text.rows[2][11] == "50.0 (54.7)"


def test_table_6_with_what_memory_did_not_suffice_for() -> None:
    text = table_6([{"model": "segnet", "cost": COST}], [])
    assert text.rows[0] == (
        *("segnet", "cpu, float32", "1.43", "50.0 (422.5)", "49.0 to 60.0", "- (488.7)", "-"),
        *("- (6,803)", "-", "105 (1,052)", "315", "5.7 (117.0)"),  # 100 MiB and 300 MiB
    )


def test_the_terminal_shows_names_with_brackets_as_they_are() -> None:
    console = Console(width=80)
    with console.capture() as shown:
        console.print(TableText("t", "title", ("model",), (("[red]x[/]",),)).to_rich())
    assert "[red]x[/]" in shown.get()


def test_the_papers_models_are_ours_by_name() -> None:
    for table in (TABLE_1, TABLE_3, TABLE_4, TABLE_6):
        assert {name.removesuffix("+crf") for name in table} <= MODELS.keys()
    assert TABLE_1["fcn-basic-no-dim-reduction"].median == (84.1, 63.4, 50.1, 37.37)
    assert TABLE_3["segnet"][2] == (90.40, 71.20, 60.10, 46.84)


def test_the_page_has_tables_labelled_points_and_escapes(tmp_path: Any) -> None:
    scores = {**SCORES, "boundary_f1": 0.3}
    record = {
        "table": "table3",
        "command": "segnet",
        "rows": [row("segnet", {"stages": [{"epochs": 1, "val": scores}]}, "natural"), row("unet", {"failure": "x"})],
    }
    points = points_of(record)
    assert [(p.label, p.memory_mb, p.forward_ms, p.mean_iou) for p in points] == [
        ("segnet", pytest.approx(104.8576), 50.0, pytest.approx(43.21))
    ]
    drawn = plots(points, "table3")
    assert len(drawn) == 4
    assert all(">segnet<" in svg for svg, _ in drawn)
    write_page(
        tmp_path / "report.html", [(record, table_stages("table3", record["rows"], ["a < b"]))], {"Date": "<now>"}
    )
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "a &lt; b" in page
    assert "&lt;now&gt;" in page
    assert "<td>unet</td>" in page


def test_a_model_without_boundary_scores_is_left_out_of_that_plot_alone() -> None:
    record = {"table": "table3", "rows": [row("segnet", {"stages": [{"epochs": 1, "val": SCORES}]})]}
    assert len(plots(points_of(record), "table3")) == 3


def stored(
    table: str, size_px: tuple[int, int], *models: str, mean_iou: float = 0.4, mib: float = 90.0
) -> dict[str, Any]:
    """A record with rows of both weightings."""
    cost = {**COST, "inference": {**MEMORY, "activations_mib": mib}}
    done = {"stages": [{"epochs": 1, "val": {**SCORES, "mean_iou": mean_iou}}]}
    weightings = ("median", "natural") if table == "table1" else ("natural",)
    rows = [row(model, done, weighting) | {"cost": cost} for model in models for weighting in weightings]
    return {"table": table, "size_px": list(size_px), "rows": rows}


def test_accuracy_and_memory_meet_by_model() -> None:
    table1, table3 = stored("table1", (180, 240), "enet", "unet"), stored("table3", (90, 120), "segnet", mean_iou=0.5)
    table6 = stored("table6", (360, 480), "enet", "segnet", mib=190.0)
    marks, label = marks_of([table1, table3, table6])
    assert label == "inference memory at 360x480, MB"
    assert [(mark.label, mark.x, mark.y) for mark in marks] == [  # unet has no memory; each model once
        ("enet", pytest.approx(200 * 1.048576), pytest.approx(40)),
        ("segnet", pytest.approx(200 * 1.048576), pytest.approx(50)),
    ]
    assert marks[0].colour != marks[1].colour


def test_without_a_table_6_memory_is_the_tables_own_where_sizes_agree() -> None:
    table1, table3 = stored("table1", (180, 240), "enet"), stored("table3", (90, 120), "segnet")
    marks, label = marks_of([table1])
    assert [(mark.label, mark.x) for mark in marks] == [("enet", pytest.approx(104.8576))]
    assert label == "inference memory at 180x240, MB"
    assert marks_of([table1, table3]) == ([], "")
    assert marks_of([stored("table6", (9, 9), "enet")])[0] == []


def test_the_plot_is_a_file_that_shows_without_a_page(tmp_path: Any) -> None:
    write_accuracy_memory(tmp_path / "none.svg", [])
    assert not (tmp_path / "none.svg").exists()
    write_accuracy_memory(tmp_path / "p.svg", [stored("table1", (180, 240), "enet", "unet")])
    root = ElementTree.parse(tmp_path / "p.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = (tmp_path / "p.svg").read_text()
    assert ">enet<" in text
    assert "--ink: #" in text
    assert "inference memory at 180x240, MB" in text
