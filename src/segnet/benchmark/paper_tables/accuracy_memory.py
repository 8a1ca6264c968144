"""The benchmark in one plot, `accuracy-memory.svg`: accuracy of each model against its memory.

Accuracy comes from Tables 1 and 3, without class balancing, as both tables have it. Memory comes from Table 6, where
all models were measured at one size; without a Table 6, from the other tables' cells if these have one size.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segnet.benchmark.paper_tables.plots import Mark, scatter
from segnet.benchmark.paper_tables.tables import live_mb
from segnet.io.files import whole_file
from segnet.report.svg import BLUE, ORANGE, drawing, to_svg

_COLOURS = {"table1": ORANGE, "table3": BLUE}
_STANDALONE = """<style>
svg { --ink: #1d2127; --soft: #5a636e; --line: #dcdfe3; --blue: #2f6fd0; --orange: #c2601f; background: #ffffff; }
text { font-family: system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif !important; }
</style>"""


def marks_of(stored: Sequence[Mapping[str, Any]]) -> tuple[list[Mark], str]:
    """Returns the models whose accuracy and memory are known, with their plot labels.

    Args:
        stored: records of `tableN.json`.

    Returns:
        A mark per model and table, in MB and percent, and the label of the memory axis. No mark where tables of several
        sizes exist without a Table 6.
    """
    records = {record["table"]: record for record in stored}
    scored = [records[name] for name in _COLOURS if name in records]
    source = [records["table6"]] if "table6" in records else scored
    sizes = {tuple(record["size_px"]) for record in source}
    if len(sizes) != 1:
        return [], ""
    memory: dict[str, float] = {}
    for record in source:
        for row in record["rows"]:
            megabytes = live_mb(row["cost"]["inference"])
            if megabytes is not None:
                memory.setdefault(row["model"], megabytes)
    marks = []
    for record in scored:
        for row in record["rows"]:
            stages = row["training"].get("stages")
            share = stages[-1]["val"]["mean_iou"] if stages else None
            if share is not None and row["weighting"] == "natural" and row["model"] in memory:
                marks.append(Mark(row["model"], _COLOURS[record["table"]], memory[row["model"]], 100 * share))
    height, width = sizes.pop()
    return marks, f"inference memory at {height}x{width}, MB"


def write_accuracy_memory(path: Path, stored: Sequence[Mapping[str, Any]]) -> None:
    """Writes the plot as a standalone SVG file; writes nothing if there is no mark.

    Args:
        path: an existing file is replaced.
        stored: records of `tableN.json`.

    Raises:
        DataError: the file cannot be written.
    """
    marks, x_label = marks_of(stored)
    if not marks:
        return
    with drawing("accuracy-memory"):
        svg = to_svg(scatter(marks, x_label, "mean IoU, %"), "Accuracy against memory, each model a point.")
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = re.sub(r"^<svg(.*?)>", lambda opening: f"{head}{opening[1]}>{_STANDALONE}", svg, count=1)
    with whole_file(path) as temporary:
        temporary.write_text(svg, encoding="utf-8")
