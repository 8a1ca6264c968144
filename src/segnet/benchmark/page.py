"""One page with all tables of a benchmark and plots of accuracy against what it costs; it needs no network."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from segnet.benchmark.tables import TableText, live_mb, median_of
from segnet.files import whole_file
from segnet.report.svg import BLUE, LINE, ORANGE, SOFT, drawing, to_svg

_PLOT_IN = (2.9, 0.55)  # width of the axes, margins left and below
_LEAST_HEIGHT_IN, _NAME_HEIGHT_IN, _CHARACTER_IN = 2.2, 0.165, 0.07
_TABLE_STYLE = """
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
.notes { margin: 14px 0 0; padding-left: 20px; font-size: 14px; color: var(--soft); overflow-wrap: anywhere; }
"""


class Point(NamedTuple):
    """A net in the plots; what was not measured is NaN.

    Attributes:
        label: net, and weighting where a table has two.
        colour: a theme colour of `report.svg`.
        memory_mb: peak of live tensors in inference, with the weights.
        forward_ms: median.
        parameters_m: millions.
        mean_iou: on the scored split, percent.
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
    ("forward_ms", "mean_iou", "forward pass, ms", "mean IoU, %", "Accuracy against time for one picture."),
    ("parameters_m", "mean_iou", "parameters, millions", "mean IoU, %", "Accuracy against parameters."),
    (
        "boundary_f1",
        "mean_iou",
        "boundary F1, %",
        "mean IoU, %",
        "Outlines and areas: nets of one mean IoU can differ in how well their outlines sit.",
    ),
)


def write_page(path: Path, tables: Sequence[tuple[Mapping[str, Any], TableText]], facts: Mapping[str, str]) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the HTML file; an existing one is replaced.
        tables: stored records (`rows`, `command`) and the text made of each.
        facts: what else to know, such as `machine_facts()`.

    Raises:
        DataError: the file cannot be written.
    """
    sections = ['<h1>Benchmark</h1>\n<p class="lead">Measured here; in brackets what the paper prints.</p>']
    sections += [_section(record, text) for record, text in tables]
    rows = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    sections.append(f'<h2>Made with</h2>\n<dl class="facts">\n{rows}\n</dl>')
    page = Template(_resource("page.html")).substitute(
        title="Benchmark", style=_resource("style.css") + _TABLE_STYLE, body="\n".join(sections)
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def points_of(record: Mapping[str, Any]) -> list[Point]:
    """The nets of a stored table that have scores."""
    points = []
    for row in record["rows"]:
        stages = row.get("training", {}).get("stages")
        if not stages:
            continue
        scores, median = stages[-1]["val"], row["weighting"] == "median"
        points.append(
            Point(
                f"{row['net']}, {row['weighting']}" if record["table"] == "table1" else row["net"],
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
    """Each net a labelled point: accuracy against memory, time and parameters, and against boundary F1.

    Args:
        points: of one table.
        name: of the table; keeps the ids of its plots apart.

    Returns:
        Pairs of SVG element and caption (plain text, not escaped); plots without any point are left out.
    """
    drawn = []
    for x, y, x_label, y_label, caption in _AXES:
        there = [p for p in points if math.isfinite(getattr(p, x)) and math.isfinite(getattr(p, y))]
        if there:
            with drawing(f"{name}-{x}"):
                figure = _draw(there, x, y, x_label, y_label)
                drawn.append((to_svg(figure, caption), caption))
    return drawn


def _draw(points: Sequence[Point], x: str, y: str, x_label: str, y_label: str) -> Figure:
    side, margin = _PLOT_IN
    names = 0.3 + _CHARACTER_IN * max(len(point.label) for point in points)
    inner = max(_LEAST_HEIGHT_IN, _NAME_HEIGHT_IN * len(points))
    width, height = margin + side + names, margin + inner + 0.1
    figure = Figure((width, height))
    axes = figure.add_axes((margin / width, margin / height, side / width, inner / height))
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.tick_params(length=0)
    axes.margins(0.08, 0.1)
    ranked = sorted(points, key=lambda p: getattr(p, y))
    for point in ranked:
        axes.plot(getattr(point, x), getattr(point, y), "o", color=point.colour, markersize=5)
    axes.set_xlim(left=0)
    for place, point in enumerate(ranked):
        level = (place + 0.5) / len(ranked)  # names stand in a column, in the order of their points
        axes.annotate(
            point.label,
            (getattr(point, x), getattr(point, y)),
            (1.06, level),
            textcoords="axes fraction",
            va="center",
            size=8,
            color=point.colour,
            arrowprops={"arrowstyle": "-", "color": LINE, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1},
            parse_math=False,
        )
    axes.xaxis.label.set_color(SOFT)
    return figure


def _section(record: Mapping[str, Any], text: TableText) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in text.columns)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in text.rows)
    table = f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    notes = "\n".join(f"<li>{escape(note)}</li>" for note in text.notes)
    figures = "\n".join(
        f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        for svg, caption in plots(points_of(record), text.name)
    )
    curves = f'<div class="classes">\n{figures}\n</div>\n' if figures else ""
    return f'<h2>{escape(text.title)}</h2>\n{curves}{table}\n<ul class="notes">\n{notes}\n</ul>'


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _resource(name: str) -> str:
    return (resources.files("segnet.report") / name).read_text(encoding="utf-8")
