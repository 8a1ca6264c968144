"""The plots hold the numbers they are drawn from."""

import math
import re

import matplotlib as mpl
import pytest
import torch

from segnet.labels import LabelSet, distinct_colours
from segnet.report.classes import class_bars, confusion_matrix, largest_confusions
from segnet.report.curves import training_curves
from segnet.report.svg import fixed, percent, shortened

THREE = LabelSet("three", ("road", "car", "tree"), distinct_colours(3))
COUNTS = torch.tensor([[90, 10, 0], [30, 30, 0], [0, 0, 0]])


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_bars_show_iou_accuracy_and_share_and_absent_classes_as_a_dash() -> None:
    shown = texts(class_bars(COUNTS, THREE))
    rows = {name: shown[shown.index(name) + 1 : shown.index(name) + 4] for name in THREE.names}
    assert rows == {
        "road": ["69.2", "90.0", "62.5"],  # 90 / 130, 90 / 100, 100 / 160
        "car": ["42.9", "50.0", "37.5"],  # 30 / 70, 30 / 60, 60 / 160
        "tree": ["-", "-", "0.0"],
    }


def test_bars_are_as_long_as_the_scores() -> None:
    svg = class_bars(COUNTS, THREE)
    lengths = []
    for path in re.findall(rf'<path d="([^"]*)"[^>]*style="fill: {fixed(THREE.colours[0])}', svg):
        x = [float(v) for v in re.findall(r"[ML] (\S+) ", path)]
        lengths.append(max(x) - min(x))
    swatch, iou, accuracy = lengths
    full = 1.75 * 72  # of the axis, in points
    assert swatch == pytest.approx(0.13 * 72, abs=0.01)
    assert iou == pytest.approx(full * 90 / 130, abs=0.01)
    assert accuracy == pytest.approx(full * 0.9, abs=0.01)


def test_matrix_rows_are_normalised() -> None:
    shown = texts(confusion_matrix(COUNTS, THREE))
    assert [text for text in shown if not text.isalpha()] == [
        "90",
        "10",
        "50",
        "50",
        "-",
        "predicted as",
        "labelled as",
    ]
    assert all(shown.count(name) == 2 for name in THREE.names)


def test_matrix_leaves_out_what_rounds_to_nothing_except_on_the_diagonal() -> None:
    counts = torch.tensor([[996, 4, 0], [995, 0, 5], [0, 0, 7]])
    numbers = [text for text in texts(confusion_matrix(counts, THREE)) if text.isdecimal()]
    assert numbers == ["100", "100", "0", "0", "100"]  # 99.6; 99.5, 0, 0.5; 100


def test_largest_confusions() -> None:
    counts = torch.tensor([[90, 10, 0], [30, 30, 0], [1, 0, 199]])
    assert largest_confusions(counts) == [(1, 0, 0.5), (0, 1, 0.1)]  # 0.5 % is left out
    assert largest_confusions(counts, 1) == [(1, 0, 0.5)]
    assert largest_confusions(torch.zeros(3, 3, dtype=torch.int64)) == []


def test_curves_count_epochs_when_an_evaluation_tells_them() -> None:
    training = [{"step": s, "loss": 3.0 - s / 100, "lr": 0.01, "images_per_s": 2.0} for s in range(0, 200, 10)]
    plots = training_curves(training)
    assert len(plots) == 2
    assert all("step" in texts(svg) and "epoch" not in texts(svg) for svg, _ in plots)
    evaluated = [*training, {"step": 200, "epoch": 4.0, "global_accuracy": 0.9, "mean_iou": 0.5}]
    plots = training_curves(evaluated)
    assert len(plots) == 3
    assert all("epoch" in texts(svg) and "200" not in texts(svg) for svg, _ in plots)
    assert {"0", "1", "2", "3"} <= set(texts(plots[0][0])) and "4" in texts(plots[2][0])
    assert {"global accuracy", "mean IoU"} <= set(texts(plots[2][0]))
    assert "boundary F1" not in texts(plots[2][0])


def test_curves_of_nothing_of_one_point_and_of_values_that_are_not_finite() -> None:
    assert training_curves([]) == []
    assert training_curves([{"step": 0, "loss": math.nan, "lr": None}]) == []
    ((svg, _),) = training_curves([{"step": 0, "loss": 2.0}])
    assert "<use" in svg  # a marker, since a line of one point shows nothing
    assert training_curves([{"step": 5, "epoch": 0, "mean_iou": 0.5}])[0][0].count("<svg") == 1


def test_a_long_log_makes_a_light_plot() -> None:
    log = [{"step": s, "loss": 1.0 + (s * 7919 % 97) / 100} for s in range(20_000)]
    assert len(training_curves(log)[0][0]) < 60_000


def test_plots_are_the_same_each_time_and_leave_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    assert class_bars(COUNTS, THREE) == class_bars(COUNTS, THREE)
    assert dict(mpl.rcParams) == before


def test_the_users_own_style_changes_nothing() -> None:
    plain = class_bars(COUNTS, THREE)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "yellow", "patch.linewidth": 9}):
        assert class_bars(COUNTS, THREE) == plain


def test_words_and_numbers() -> None:
    assert [percent(0.1234), percent(1.0, 0), percent(math.nan)] == ["12.3", "100", "-"]
    assert shortened("a  long\nname", 20) == "a long name"
    assert shortened("abcdef", 4) == "abc…"
