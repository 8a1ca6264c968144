"""The files a benchmark writes: figures, tables, report and plot, rewritten after every model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from segnet.benchmark.paper_tables.accuracy_memory import write_accuracy_memory
from segnet.benchmark.paper_tables.options import Options
from segnet.benchmark.paper_tables.page import write_page
from segnet.benchmark.paper_tables.seeds import order_note
from segnet.benchmark.paper_tables.tables import TableText, print_whole, table_1, table_6, table_stages
from segnet.io.files import whole_file
from segnet.machine import machine_facts


def text_of(record: dict[str, Any]) -> TableText:
    """The table of a stored `tableN.json`."""
    name, rows, notes = record["table"], record["rows"], record["notes"]
    if name == "table1":
        return table_1(rows, notes)
    return table_6(rows, notes) if name == "table6" else table_stages(name, rows, notes)


_PAPER_TRAINED_ON = {
    "table1": "CamVid's 367 training images at 360x480 until the loss converged, evaluated every 1,000 iterations "
    "(12,000 images), scored on the 233 for testing",
    "table3": "3,433 road scenes at 360x480, 40,000, 80,000 and up to 260,000 iterations of 5 images, scored on "
    "CamVid's 233 for testing",
    "table4": "SUN RGB-D's 5,285 training images, 80,000, 140,000 and up to 380,000 iterations of 4 images, scored on "
    "its 5,050 for testing",
}


def save_table(
    table: str, rows: Sequence[dict[str, Any]], size_px: tuple[int, int], epochs: int | None, options: Options
) -> TableText:
    """Writes `tableN.json`, `tableN.md`, and the report and plot of all tables in the folder.

    Args:
        table: a key of `MODELS`.
        rows: as the functions of `tables.py` expect them.
        size_px: (height, width) of the images.
        epochs: of every model; None where nothing was trained.
        options: of the benchmark.

    Raises:
        DataError: a file cannot be written.
    """
    notes = _notes(table, rows, size_px, epochs, options)
    record = {
        "table": table,
        "command": options.command,
        "size_px": list(size_px),
        "machine": machine_facts(),
        "notes": notes,
        "rows": list(rows),
    }
    text = text_of(record)
    with whole_file(options.out / f"{table}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1))
    with whole_file(options.out / f"{table}.md") as temporary:
        temporary.write_text(text.to_markdown(), encoding="utf-8")
    stored = [json.loads(path.read_text()) for path in sorted(options.out.glob("table[1346].json"))]
    write_page(options.out / "report.html", [(r, text_of(r)) for r in stored], facts=machine_facts())
    write_accuracy_memory(options.out / "accuracy-memory.svg", stored)
    return text


def show_and_write(
    text: TableText, results: Sequence[dict[str, Any]], out: Path, console: Console, command: str
) -> None:
    """Prints a table at full width, and writes it as `NAME.md` and its figures as `NAME.json`.

    Args:
        text: the table.
        results: the figures, for JSON.
        out: folder, made if missing.
        console: to print on.
        command: the command line that produced it.

    Raises:
        DataError: a file cannot be written.
    """
    print_whole(text.to_rich(), console)
    for note in text.notes:
        console.print(Text(note, "dim"))
    facts = machine_facts()
    machine = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    with whole_file(out / f"{text.name}.md") as temporary:
        temporary.write_text(f"{text.to_markdown()}\n- Made by: `{command}`\n{machine}", encoding="utf-8")
    with whole_file(out / f"{text.name}.json") as temporary:
        temporary.write_text(
            json.dumps({"command": command, "machine": facts, "results": list(results)}, indent=1), encoding="utf-8"
        )
    console.print(Text(f"{out}/{text.name}.md, {text.name}.json", "dim"), soft_wrap=True)


def _notes(
    table: str, rows: Sequence[dict[str, Any]], size_px: tuple[int, int], epochs: int | None, options: Options
) -> list[str]:
    notes = [f"Images of {size_px[0]}x{size_px[1]}."]
    if epochs is not None:
        notes.append(
            f"Data: {options.data}, trained on {options.splits[0]}, reported on {options.splits[1]}; {epochs} epochs, "
            f"{rows[0].get('images_seen', 0):,} images seen. The paper: {_PAPER_TRAINED_ON[table]}."
        )
        notes.append(
            f"Weights: of the highest global accuracy on {options.select_split}, neither trained on nor reported."
            if options.select_split
            else "Weights: after the last epoch, since selecting the best needs a third split. The paper's Table 1 "
            "selects on val and reports test."
        )
        notes.append("Batch normalisation: statistics by a pass over the training images before each evaluation.")
        if table != "table1":
            notes.append(
                "SegNet is trained with dropout in its six deepest stages, DeepLab by its loss at 1/8 of the size."
            )
        for weighting in dict.fromkeys(row.get("weighting") for row in rows):
            same = [row for row in rows if row.get("weighting") == weighting]
            notes += [note for note in (order_note(same),) if note]
    if any("crf" in row for row in rows):
        notes.append(f"CRF: {options.crf}.")
    notes.append("Machine: " + "; ".join(f"{name} {value}" for name, value in machine_facts().items()) + ".")
    if options.command:
        notes.append(f"Made, and finished where cells are missing, by `{options.command}`.")
    for row in rows:
        failures = [*row["cost"].get("failures", {}).values()]
        failures += [row["training"]["failure"]] if "failure" in row.get("training", {}) else []
        notes += [f"Not measured: {failure}." for failure in failures]
    return notes
