"""Plots of a benchmark: accuracy against cost, one labelled point per model."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from segnet.benchmark.paper_tables.tables import live_mb, median_of
from segnet.report.svg import BLUE, ORANGE, drawing, to_svg

_AXES_IN, _MARGIN_IN = 2.7, 0.55
_LEAST_HEIGHT_IN, _NAME_HEIGHT_IN, _CHARACTER_IN = 2.2, 0.165, 0.066


class Mark(NamedTuple):
    """One labelled point of one plot; the colour is a theme colour of `report.svg`."""

    label: str
    colour: str
    x: float
    y: float


class Point(NamedTuple):
    """A model in the plots; what was not measured is NaN.

    Attributes:
        label: the model.
        colour: a theme colour of `report.svg`: orange with median frequency balancing, else blue.
        memory_mb: peak of live tensors in inference, with the weights.
        forward_ms: median.
        parameters_m: millions.
        mean_iou: on the reported split, percent.
        boundary_f1: the same.
    """

    label: str
    colour: str
    memory_mb: float
    forward_ms: float
    parameters_m: float
    mean_iou: float
    boundary_f1: float


_AXES = (
    ("memory_mb", "mean_iou", "inference memory, MB", "mean IoU, %", "Accuracy against memory at batch 1."),
    ("forward_ms", "mean_iou", "forward pass, ms", "mean IoU, %", "Accuracy against time for one image."),
    ("parameters_m", "mean_iou", "parameters, millions", "mean IoU, %", "Accuracy against parameters."),
    (
        "boundary_f1",
        "mean_iou",
        "boundary F1, %",
        "mean IoU, %",
        "Outlines and areas: models of equal mean IoU can differ in how well their outlines fit.",
    ),
)


def points_of(record: Mapping[str, Any]) -> list[Point]:
    """The models of a stored table that have scores."""
    points = []
    for row in record["rows"]:
        stages = row.get("training", {}).get("stages")
        if not stages:
            continue
        scores, median = stages[-1]["val"], row["weighting"] == "median"
        points.append(
            Point(
                row["model"],
                ORANGE if median else BLUE,
                _number(live_mb(row["cost"]["inference"])),
                _number(median_of(row["cost"]["forward"])),
                row["cost"]["parameters"] / 1e6,
                100 * _number(scores["mean_iou"]),
                100 * _number(scores["boundary_f1"]),
            )
        )
    return points


def plots(points: Sequence[Point], name: str) -> list[tuple[str, str]]:
    """Plots each model as a labelled point: accuracy against memory, time and parameters, and against boundary F1.

    Args:
        points: of one table.
        name: of the table; keeps the ids of its plots apart.

    Returns:
        Pairs of SVG element and caption (plain text, not escaped); plots without any point are left out.
    """
    both = {ORANGE, BLUE} <= {point.colour for point in points}
    colours = " Orange: with median frequency balancing; blue: without." if both else ""
    drawn = []
    for x, y, x_label, y_label, caption in _AXES:
        there = [p for p in points if math.isfinite(getattr(p, x)) and math.isfinite(getattr(p, y))]
        if there:
            marks = [Mark(p.label, p.colour, getattr(p, x), getattr(p, y)) for p in there]
            with drawing(f"{name}-{x}"):
                drawn.append((to_svg(scatter(marks, x_label, y_label), caption), caption + colours))
    return drawn


def scatter(marks: Sequence[Mark], x_label: str, y_label: str) -> Figure:
    """Plots labelled points; the names form a column at the right, in the order of the points, so none overlap.

    Call it inside `drawing`.

    Args:
        marks: at least one, finite.
        x_label: with its unit; the axis begins at 0.
        y_label: with its unit.
    """
    names = 0.3 + _CHARACTER_IN * max(len(mark.label) for mark in marks)
    inner = max(_LEAST_HEIGHT_IN, _NAME_HEIGHT_IN * len(marks))
    width, height = _MARGIN_IN + _AXES_IN + names, _MARGIN_IN + inner + 0.1
    figure = Figure((width, height))
    axes = figure.add_axes((_MARGIN_IN / width, _MARGIN_IN / height, _AXES_IN / width, inner / height))
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.tick_params(length=0)
    axes.margins(0.08, 0.1)
    ranked = sorted(marks, key=lambda mark: mark.y)
    for mark in ranked:
        axes.plot(mark.x, mark.y, "o", color=mark.colour, markersize=5)
    axes.set_xlim(0, 1.06 * max(mark.x for mark in marks) or 1)  # no point is cut by the right edge
    for place, mark in enumerate(ranked):
        axes.annotate(
            mark.label,
            (mark.x, mark.y),
            (1.06, (place + 0.5) / len(ranked)),
            textcoords="axes fraction",
            va="center",
            size=8,
            color=mark.colour,
            arrowprops={"arrowstyle": "-", "color": mark.colour, "alpha": 0.45, "linewidth": 0.7, "relpos": (0, 0.5)},
            parse_math=False,
        )
    return figure


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
