"""Tables of our figures with the paper's in brackets, for the terminal, Markdown and the HTML report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from segnet.benchmark.paper_tables.paper import TABLE_1, TABLE_3, TABLE_4, TABLE_6, Four

Result = Mapping[str, Any]
SCORES = ("global_accuracy", "class_average_accuracy", "mean_iou", "boundary_f1")
SHORT = ("G", "C", "mIoU", "BF")


@dataclass(frozen=True)
class TableText:
    """A table as text.

    Attributes:
        name: such as `table1`.
        title: one line.
        columns: headings.
        rows: as many strings as columns each; the first is the model.
        notes: sentences below it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_rich(self) -> Table:
        """For the terminal."""
        table = Table(*self.columns, title=self.title)
        for row in self.rows:
            table.add_row(*map(escape, row))
        return table

    def to_markdown(self) -> str:
        """A heading, the table, and the notes as a list."""
        lines = [f"## {self.title}", "", _markdown_row(self.columns)]
        lines.append("|---|" + "---:|" * (len(self.columns) - 1))
        lines += [_markdown_row(row) for row in self.rows]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes), ""])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def print_whole(table: Table, console: Console) -> None:
    """Prints a table at full width: a narrow terminal wraps its lines, but nothing is cut off."""
    width = console.measure(table, options=console.options.update(width=1000)).maximum
    Console(file=console.file, width=max(console.width, width)).print(table)


def beside(ours: float | None, paper: float | None, digits: int = 1, spread: float | None = None) -> str:
    """`ours (paper)`, or `ours ± spread (paper)` for several runs; a missing value is `-` or left out."""
    text = "-" if ours is None or math.isnan(ours) else f"{ours:,.{digits}f}"
    if spread is not None and text != "-":
        text += f" ± {spread:,.{digits}f}"
    return text if paper is None else f"{text} ({paper:,.{digits}f})"


def scores_beside(ours: Result | None, paper: Sequence[float] | None, spread: Result | None = None) -> list[str]:
    """G, C, mIoU, BF in percent, the paper's in brackets.

    Args:
        ours: by name, 0..1, None for a missing score; None if the cell has no result.
        paper: in percent; it prints three or four.
        spread: standard deviation over several runs, by name, 0..1; None for one run.
    """
    texts = []
    for i, name in enumerate(SCORES):
        value = (ours or {}).get(name)
        printed = paper[i] if paper is not None and i < len(paper) else None
        deviation = (spread or {}).get(name)
        scaled = None if deviation is None else 100 * deviation
        texts.append(beside(None if value is None else 100 * value, printed, spread=scaled))
    return texts


# ------------------------------------------------------------------------------------------------ the four tables


def table_1(rows: Sequence[Result], notes: Sequence[str]) -> TableText:
    """Table 1: decoder variants.

    Args:
        rows: `model`, `weighting` (`median` or `natural`), `cost`, `storage`, and `training`, the cell's result.
        notes: lines below the table.
    """
    texts = []
    for row in rows:
        paper = TABLE_1.get(row["model"])
        cost, storage = row["cost"], row["storage"]
        stages = row["training"].get("stages") or [{}]
        median = row["weighting"] == "median"
        printed = (paper.median if median else paper.natural) if paper else None
        printed_train = (paper.median_train if median else paper.natural_train) if paper else None
        texts.append(
            (
                row["model"],
                row["weighting"],
                beside(cost["parameters"] / 1e6, paper.parameters_m if paper else None, 3),
                beside(storage["total_bytes"] / 1e6, None, 3),
                beside(storage["multiplier"], storage["paper_multiplier"], 2),
                beside(median_of(cost["forward"]), paper.infer_ms if paper else None),
                *scores_beside(stages[-1].get("val"), printed, stages[-1].get("spread")),
                *scores_beside(stages[-1].get("train"), printed_train)[:3],
            )
        )
    columns = (
        *("model", "weighting", "parameters M", "storage MB", "storage x", "forward ms"),
        *SHORT,
        *(f"{name} train" for name in SHORT[:3]),
    )
    unit = (
        "Storage is what passes from encoder to decoder for one image, 2 bits per index, float32 per map value; "
        "`storage x` compares the first layer's with 64 channels of indices. The paper's multiplier counts in units of "
        "one float32 map, which it equates with the size of those indices; they are four times as large."
    )
    counts = (
        "The paper's parameter counts are sums of rounded parts: it has 0.625 million for the encoder, "
        "whose convolutions have 0.612, and 0.8 for the decoder of SegNet-Basic, which has 0.803; "
        "so ours differ by 0.009 to 0.012."
    )
    title = "Table 1: decoder variants, ours (the paper's)"
    return TableText("table1", title, columns, tuple(texts), (unit, counts, *notes))


def table_stages(name: str, rows: Sequence[Result], notes: Sequence[str]) -> TableText:
    """Table 3 or 4: deep models at three stages.

    Args:
        name: `table3` or `table4`.
        rows: `model`, `training`, the cell's result, and `crf`, its scores with the CRF, for models that have it.
        notes: lines below the table.
    """
    paper: Mapping[str, tuple[Four | None, Four | None, Four]] = TABLE_3 if name == "table3" else TABLE_4
    count = max((len(row["training"].get("stages", ())) for row in rows), default=0) or 3
    texts = []
    for row in rows:
        stages = list(row["training"].get("stages", ()))
        stages += [{}] * (count - len(stages))
        printed = paper.get(row["model"], (None,) * 3)[-count:]
        spreads = [s.get("spread") for s in stages]
        texts.append((row["model"], *_stage_texts([s.get("val") for s in stages], printed, spreads)))
        if "crf" in row:
            printed = paper.get(f"{row['model']}+crf", (None,) * 3)[-count:]
            values = [None] * (count - 1) + [row["crf"]]
            texts.append((f"{row['model']} + CRF", *_stage_texts(values, printed)))
    trained: list[Result] = next((row["training"]["stages"] for row in rows if row["training"].get("stages")), [])
    heads = [f"{stage['epochs']} ep." for stage in trained] or [f"stage {i + 1}" for i in range(count)]
    columns = ("model", *(f"{short} {head}" for head in heads for short in SHORT))
    where = "CamVid" if name == "table3" else "SUN RGB-D"
    title = f"Table {name[-1]}: deep models, ours (the paper's on {where})"
    return TableText(name, title, columns, tuple(texts), tuple(notes))


def table_6(rows: Sequence[Result], notes: Sequence[str]) -> TableText:
    """Table 6: time and memory.

    Args:
        rows: `model` and `cost`, a `Cost` as a dictionary.
        notes: lines below the table.
    """
    texts = []
    for row in rows:
        cost, paper = row["cost"], TABLE_6.get(row["model"])
        texts.append(
            (
                row["model"],
                cost["device_spec"],
                beside(cost["parameters"] / 1e6, None, 2),
                beside(median_of(cost["forward"]), paper and paper.forward_ms),
                spread_of(cost["forward"]),
                beside(median_of(cost["backward"]), paper and paper.backward_ms),
                spread_of(cost["backward"]),
                beside(live_mb(cost["training"]), paper and paper.training_mb, 0),
                beside(_process_mb(cost["training"]), None, 0),
                beside(live_mb(cost["inference"]), paper and paper.inference_mb, 0),
                beside(_process_mb(cost["inference"]), None, 0),
                beside(cost["file_mb"], paper and paper.model_mb),
            )
        )
    columns = (
        *("model", "on", "parameters M", "forward ms", "range", "backward ms", "range"),
        *("training MB", "process MB", "inference MB", "process MB", "model MB"),
    )
    memory = (
        "Memory is the peak of live tensors with the weights, batch 4 in training and 1 in inference; `process` is the "
        "peak of the whole process on a CPU, of PyTorch's allocator on a GPU. The paper's figures are from nvidia-smi."
    )
    return TableText("table6", "Table 6: time and memory, ours (the paper's)", columns, tuple(texts), (memory, *notes))


def median_of(timing: Result | None) -> float | None:
    """Median of a `Timing` as a dictionary; None if it was not measured."""
    return None if timing is None else float(timing["median_ms"])


def spread_of(timing: Result | None) -> str:
    """Range of a timing, fastest to slowest."""
    return "-" if timing is None else f"{timing['min_ms']:.1f} to {timing['max_ms']:.1f}"


def live_mb(memory: Result | None) -> float | None:
    """Peak of live tensors with weights in 10^6 bytes, from a `PassMemory` as a dictionary."""
    if memory is None:
        return None
    parts = (memory[f"{part}_mib"] for part in ("weights", "gradients", "activations"))
    return float(sum(parts)) * 2**20 / 1e6


def _process_mb(memory: Result | None) -> float | None:
    return None if memory is None or memory["process_mib"] is None else float(memory["process_mib"]) * 2**20 / 1e6


def _stage_texts(
    ours: Sequence[Result | None], paper: Sequence[Four | None], spreads: Sequence[Result | None] | None = None
) -> list[str]:
    triples = zip(ours, paper, spreads or [None] * len(ours), strict=True)
    return [text for scores, printed, spread in triples for text in scores_beside(scores, printed, spread)]


def _markdown_row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
