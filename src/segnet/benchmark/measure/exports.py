"""Benchmark of all export targets: runtime, operators, difference from PyTorch, latency and file size."""

import json
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from segnet.benchmark.measure.timing import measure
from segnet.errors import ConfigError, DataError
from segnet.export import TARGETS, export_weights
from segnet.export.comparison import example_images
from segnet.io.files import whole_file
from segnet.machine import machine_facts
from segnet.weights.file import load_weights

REFERENCE = "pytorch"  # PyTorch's own model, which the others are compared with
BEGIN, END = "<!-- made by segnet benchmark export -->", "<!-- end of segnet benchmark export -->"

Row = dict[str, Any]


def measure_exports(
    weights: str,
    targets: Sequence[str],
    size_px: tuple[int, int],
    *,
    image_path: Path | None,
    repeats: int,
    console: Console,
) -> list[Row]:
    """Exports to every target, each in its own process, and times the file in its runtime.

    Args:
        weights: name of weights that ship, or a `.safetensors` file.
        targets: keys of `TARGETS`.
        size_px: (height, width) of the images.
        image_path: image to compare on, in addition to noise; None draws a street scene.
        repeats: timed calls.
        console: prints one line per target.

    Returns:
        The reference, then one row per target: the fields of `Exported.to_dict` and the times; or `refused`, why the
        target is not available here.

    Raises:
        WeightsError: the weights cannot be read.
        ExportError: an export differs from PyTorch.
    """
    rows = []
    for target in (REFERENCE, *targets):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows.append(pool.submit(_measure, target, weights, size_px, image_path, repeats).result())
        result = rows[-1].get("refused") or _times(rows[-1])
        console.print(f"{target:>12}  {escape(result)}", highlight=False, soft_wrap=True)
    return rows


def _measure(target: str, weights: str, size_px: tuple[int, int], image_path: Path | None, repeats: int) -> Row:
    image = list(example_images(size_px, image_path).values())[-1]
    if target == REFERENCE:
        model, _ = load_weights(weights)
        batch = torch.from_numpy(image)
        with torch.inference_mode():
            timing = measure(lambda: model(batch), repeats=repeats)
        row: Row = {"target": target, "runtime": "PyTorch, as trained", "version": torch.__version__}
        return row | {"size_px": size_px, "latency": asdict(timing)}
    with TemporaryDirectory() as folder:
        try:
            path = Path(folder, f"model{TARGETS[target].suffix}")
            exported = export_weights(weights, target, path, size_px=size_px, image=image_path)
        except ConfigError as cause:
            return {"target": target, "refused": str(cause)}
        latency = asdict(measure(partial(exported.run, image), repeats=repeats)) if exported.run else None
        return exported.to_dict() | {"size_px": size_px, "latency": latency}


def write_results(path: Path, rows: list[Row], command: str) -> Row:
    """Writes rows as JSON and keeps rows of other targets already in the file, since some tools need separate
    environments.

    Returns:
        The record: `machine`, `commands`, `rows`.

    Raises:
        DataError: the existing file is not such a record, or cannot be written.
    """
    kept: Row = {"commands": [], "rows": []}
    if path.is_file():
        try:
            kept = json.loads(path.read_text())
            kept = {"commands": kept["commands"], "rows": kept["rows"]}
        except (json.JSONDecodeError, KeyError, TypeError):
            raise DataError(f"{path} does not hold export results; choose another file") from None
    order = [REFERENCE, *TARGETS]
    by_target = {row["target"]: row for row in kept["rows"]} | {row["target"]: row for row in rows}
    record: Row = {
        "machine": machine_facts(),
        "commands": list(dict.fromkeys([*kept["commands"], command])),
        "rows": [by_target[target] for target in order if target in by_target],
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1))
    return record


def read_page(path: Path) -> tuple[str, str]:
    """Returns the text before and after the table of a page.

    Raises:
        DataError: the page is missing, or lacks the two markers.
    """
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"{path}: expected a page with the lines '{BEGIN}' and '{END}'; the table goes between them")
    return before, after


def write_page(path: Path, record: Row) -> None:
    """Replaces the table of a page; raises as `read_page` does."""
    before, after = read_page(path)
    with whole_file(path) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n\n{page_text(record)}\n{END}{after}", encoding="utf-8")


def page_text(record: Row) -> str:
    """Returns the table as Markdown, with the machine and the commands below it."""
    lines = [
        "| target | ran in | logits: max, mean difference | pixels of another class | median ms (min-max) | MiB |",
        "|---|---|---|---|---|---|",
    ]
    operators = ["| target | operators |", "|---|---|"]
    for row in record["rows"]:
        name = f"`{row['target']}`"
        if "refused" in row:
            lines.append(f"| {name} | {row['refused']} | - | - | - | - |")
            continue
        logits = changed = size = "-"
        if found := row.get("differences"):
            logits = f"{max(d['max_logit'] for d in found):.1e}, {max(d['mean_logit'] for d in found):.1e}"
            changed = f"{max(d['classes_changed'] for d in found):.4%}"
        if "operators" in row:
            size = f"{row['num_bytes'] / 2**20:.2f}"
            operators.append(f"| {name} | {', '.join(f'{k} {n}' for k, n in sorted(row['operators'].items()))} |")
        ran_in = f"{row['runtime']} {row['version']}"
        lines.append(f"| {name} | {ran_in} | {logits} | {changed} | {_times(row)} | {size} |")
    facts = "; ".join(f"{key} {value}" for key, value in record["machine"].items())
    sizes = {"x".join(map(str, row["size_px"])) for row in record["rows"] if "size_px" in row}
    commands = [re.sub(r"^segnet ", "    segnet ", command) for command in record["commands"]]
    return "\n".join(
        [*lines, "", *operators, "", f"Images of {', '.join(sorted(sizes))}. {facts}. By:", "", *commands, ""]
    )


def _times(row: Row) -> str:
    latency = row["latency"]
    if latency is None:
        return "does not run on this platform"
    return f"{latency['median_ms']:.0f} ({latency['min_ms']:.0f}-{latency['max_ms']:.0f})"
