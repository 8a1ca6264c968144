"""The benchmark of each table: which nets, trained how, in which cells; tables and page grow with every cell.

    OUT/table1.json, table1.md      figures and table, rewritten after every net
    OUT/report.html                 all tables that are there, with plots
    OUT/cells/TABLE/NAME/           one folder per cell (`cells.py`)
    OUT/data-HxW/                   the pictures at the size asked for

"Controlled" means: all nets of a table see the same pictures in the same order with the same augmentation, learning
rate, schedule and number of epochs.

Source:
    SegNet, sections 3.2 and 4: SGD, momentum 0.9, learning rate 0.1 and batch 12 for Table 1 (kept: the highest global
    accuracy on val), 1e-3 and batch 5 or 4 for Tables 3 and 4, no augmentation.

Chosen:
    Weight decay 5e-4, as the authors' solver files have it. Tables 3 and 4 score after a third, two thirds and all of
    the epochs: with 150 these are about the paper's 50, 100 and more than 100.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from segnet.benchmark.cells import TrainingCell, finished_or, train_or_say_why
from segnet.benchmark.cost import Cost, measure_cost, measure_cost_alone
from segnet.benchmark.page import write_page
from segnet.benchmark.prepared_data import prepare_data, require_labels
from segnet.benchmark.storage import count_storage, require_size
from segnet.benchmark.tables import TableText, table_1, table_6, table_stages
from segnet.config import Config, load_config
from segnet.data import open_dataset
from segnet.data.street import Street
from segnet.engine.device import DeviceName, Place, PrecisionName, choose_place
from segnet.engine.machine import machine_facts
from segnet.errors import ConfigError, nearest
from segnet.files import whole_file
from segnet.models import MODELS

TABLE_1_NETS = (
    "bilinear-interpolation",
    "segnet-basic",
    "segnet-basic-encoder-addition",
    "segnet-basic-single-channel-decoder",
    "fcn-basic",
    "fcn-basic-no-addition",
    "fcn-basic-no-dim-reduction",
    "fcn-basic-no-addition-no-dim-reduction",
)
DEEP_NETS = (
    *("segnet", "deeplab-largefov", "fcn-32s", "fcn-16s", "fcn-8s", "fcn-8s-learnt", "deconvnet", "unet", "enet"),
)
VGG_NETS = {*DEEP_NETS, "bayesian-segnet"} - {"unet", "enet"}
CRF_NETS = {"deeplab-largefov"}
NETS = {"table1": TABLE_1_NETS, "table3": DEEP_NETS, "table4": DEEP_NETS, "table6": (*DEEP_NETS, *TABLE_1_NETS)}
WEIGHTINGS = {"median": "median_frequency", "natural": "none"}
EPOCHS = {"table1": 100, "table3": 150, "table4": 150}
_TRAINING = {
    "table1": ("train.lr=0.1", "train.batch_size=12", 'train.keep="global_accuracy"'),
    "table3": ("train.lr=1e-3", "train.batch_size=5", 'train.keep="last"'),
    "table4": ("train.lr=1e-3", "train.batch_size=4", 'train.keep="last"'),
}


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        out: folder of results.
        data: folder of the data set, or `street`.
        data_format: as for `open_dataset`.
        splits: to train on, and to score.
        nets: of `MODELS`; empty for the table's own.
        size_px: (height, width) to which pictures are brought; None keeps theirs (360x480 where no data is needed).
        epochs: of every net; None takes the table's.
        device: `auto` measures Table 6 on the processor and on a GPU where there is one.
        precision: of the arithmetic.
        vgg16: ImageNet weights for the nets on VGG16, as for `model.vgg16`.
        settings: `section.key=value`, for all nets.
        num_stages: after which Tables 3 and 4 are scored.
        keep_weights: of every net, when its cell is finished.
        repeats: of each time that is measured.
        alone: each net is measured in a process of its own.
        command: that made the results, for the page.
        console: where progress is shown.
    """

    out: Path
    data: str = "street"
    data_format: str = "auto"
    splits: tuple[str, str] = ("train", "val")
    nets: tuple[str, ...] = ()
    size_px: tuple[int, int] | None = None
    epochs: int | None = None
    device: DeviceName = "auto"
    precision: PrecisionName = "float32"
    vgg16: str = ""
    settings: tuple[str, ...] = ()
    num_stages: int = 3
    keep_weights: bool = True
    repeats: int = 9
    alone: bool = True
    command: str = ""
    console: Console = field(default_factory=lambda: Console(quiet=True))


def run_table(table: str, options: Options) -> TableText:
    """Computes what is not there yet of one table, and writes table and page after every net.

    Args:
        table: a key of `NETS`.
        options: what the user asked for.

    Raises:
        ConfigError: unknown table, net or setting (names the nearest), or a folder of other settings.
        DataError: data missing, broken or without labels; or a file cannot be written.
        ShapeError: pictures too small for a net.
    """
    if table not in NETS:
        raise ConfigError(f"unknown table '{table}'; {nearest(table, NETS)}")
    nets = _nets(table, options)
    if table == "table6":
        return _table_6(nets, options)
    return _trained_table(table, nets, options)


def text_of(record: dict[str, Any]) -> TableText:
    """The table of a stored `tableN.json`."""
    name, rows, notes = record["table"], record["rows"], record["notes"]
    if name == "table1":
        return table_1(rows, notes)
    return table_6(rows, notes) if name == "table6" else table_stages(name, rows, notes)


# ------------------------------------------------------------------------------------------------ tables


def _table_6(nets: Sequence[str], options: Options) -> TableText:
    size_px = options.size_px or (360, 480)
    places = [choose_place(options.device, options.precision)]
    if options.device == "auto" and places[0].device.type == "cuda":
        places.insert(0, choose_place("cpu", options.precision))
    for net in nets:
        require_size(net, size_px, 1)
    rows: list[dict[str, Any]] = []
    text = _save("table6", rows, size_px, options)
    for net in nets:
        for place in places:
            options.console.print(f"table6: {net} on {place}, {size_px[0]}x{size_px[1]}")
            rows.append({"net": net, "cost": _cost(net, size_px, place, options, table="table6", num_classes=11)})
            text = _save("table6", rows, size_px, options)
    return text


def _trained_table(table: str, nets: Sequence[str], options: Options) -> TableText:
    splits = {split: open_dataset(options.data, split, options.data_format) for split in options.splits}
    for split, dataset in splits.items():
        require_labels(dataset, f"split '{split}' of {options.data}")
    first = splits[options.splits[0]]
    size_px = options.size_px or _size_of(first[0].target.shape)
    path, data_format = options.data, options.data_format
    if options.size_px is not None:
        name = f"data-{size_px[0]}x{size_px[1]}"
        path, data_format = str(prepare_data(options.out / name, splits, size_px, options.data)), "folder"
    weightings = list(WEIGHTINGS) if table == "table1" else ["natural"]
    cells = {
        (net, weighting): _cell(table, net, weighting, path, data_format, options)
        for net in nets
        for weighting in weightings
    }
    for (net, _), cell in cells.items():
        require_size(net, size_px, cell.config.train.batch_size, first.label_set.num_classes)

    place = choose_place(options.device, options.precision)
    num_classes = first.label_set.num_classes
    rows: list[dict[str, Any]] = []
    text = _save(table, rows, size_px, options)
    for (net, weighting), cell in cells.items():
        options.console.print(f"{table}: {cell.name}")
        rows.append(
            {
                "net": net,
                "weighting": weighting,
                "storage": count_storage(net, size_px, num_classes).to_dict(),
                "cost": _cost(net, size_px, place, options, table=table, num_classes=num_classes),
                "training": train_or_say_why(cell, options.out / "cells" / table / cell.name, options.console),
            }
        )
        text = _save(table, rows, size_px, options)
    return text


def _cell(table: str, net: str, weighting: str, path: str, data_format: str, options: Options) -> TrainingCell:
    epochs = options.epochs or EPOCHS[table]
    base = [
        f"data.path={json.dumps(path)}",
        f"data.format={json.dumps(data_format)}",
        f"data.train_split={json.dumps(options.splits[0])}",
        f"data.val_split={json.dumps(options.splits[1])}",
        f"model.name={json.dumps(net)}",
        f"loss.class_weights={json.dumps(WEIGHTINGS[weighting])}",
        f"train.epochs={epochs}",
        f"train.device={json.dumps(options.device)}",
        f"train.precision={json.dumps(options.precision)}",
        f"train.evaluate_every={max(epochs // 10, 1) if table == 'table1' else epochs}",
    ]
    if options.vgg16 and net in VGG_NETS:
        base.append(f"model.vgg16={json.dumps(options.vgg16)}")
    config: Config = load_config(None, [*base, *_TRAINING[table], *options.settings])
    stages: tuple[int, ...] = (epochs,)
    if table != "table1":
        count = options.num_stages
        stages = tuple(sorted({max(epochs * part // count, 1) for part in range(1, count + 1)}))
    return TrainingCell(
        f"{net}-{weighting}",
        config,
        stages,
        score_training=table == "table1",
        crf=table != "table1" and net in CRF_NETS,
        keep_weights=options.keep_weights,
    )


def _cost(
    net: str, size_px: tuple[int, int], place: Place, options: Options, *, table: str, num_classes: int
) -> dict[str, Any]:
    """The cost cell of a net: all of it for Table 6, the forward pass for the others."""
    training = table == "table6"
    settings = {
        "net": net,
        "size_px": list(size_px),
        "place": str(place),
        "num_classes": num_classes,
        "training": training,
        "repeats": options.repeats,
        "alone": options.alone,
    }
    measure: Callable[..., Cost] = measure_cost_alone if options.alone else measure_cost
    name = f"{net}-{place.device.type}" if training else f"{net}-forward"

    def compute() -> dict[str, Any]:
        cost = measure(
            net, size_px, place, num_classes=num_classes, training=training, repeats=options.repeats
        ).to_dict()
        return {**cost, "machine": machine_facts()}

    return finished_or(options.out / "cells" / table / name, settings, compute)


# ------------------------------------------------------------------------------------------------ quick


def run_quick(options: Options, *, smallest: bool = False) -> list[TableText]:
    """Tables 1, 3 and 6 on drawn street scenes: small, so that the whole report is there within minutes.

    Nets with 134 million parameters write gigabytes of checkpoints, so Table 3 has one stage and no weights are kept.

    Args:
        options: `out`, `nets`, `device`, `precision`, `command` and `console` count.
        smallest: still smaller pictures, fewer of them, and one epoch: for tests.

    Returns:
        The three tables.
    """
    size_px, counts, epochs = ((32, 32), (4, 2), 1) if smallest else ((48, 64), (24, 8), 2)
    splits = {split: Street(n, size_px, seed) for split, n, seed in zip(("train", "val"), counts, (0, 1), strict=True)}
    data = prepare_data(options.out / f"data-{size_px[0]}x{size_px[1]}", splits, size_px, "drawn street scenes")
    texts = []
    for table in ("table1", "table3", "table6"):
        nets = tuple(net for net in options.nets if net in NETS[table]) if options.nets else ()
        if options.nets and not nets:
            continue
        mine = Options(
            options.out,
            str(data),
            "folder",
            nets=nets,
            size_px=None if table != "table6" else size_px,
            epochs=epochs,
            device=options.device,
            precision=options.precision,
            settings=("train.batch_size=4", "train.lr=0.02", "data.workers=0", *options.settings),
            num_stages=1,
            keep_weights=False,
            repeats=1 if smallest else 3,
            alone=False,
            command=options.command,
            console=options.console,
        )
        texts.append(run_table(table, mine))
    return texts


# ------------------------------------------------------------------------------------------------ results


def _save(table: str, rows: Sequence[dict[str, Any]], size_px: tuple[int, int], options: Options) -> TableText:
    """Writes `tableN.json`, `tableN.md` and the page with all tables that are there."""
    notes = _notes(table, rows, size_px, options)
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
        temporary.write_text(text.to_markdown())
    stored = [json.loads(path.read_text()) for path in sorted(options.out.glob("table[1346].json"))]
    write_page(options.out / "report.html", [(r, text_of(r)) for r in stored], facts=machine_facts())
    return text


def _notes(table: str, rows: Sequence[dict[str, Any]], size_px: tuple[int, int], options: Options) -> list[str]:
    notes = [f"Pictures of {size_px[0]}x{size_px[1]}."]
    if table != "table6":
        epochs = options.epochs or EPOCHS[table]
        notes.append(
            f"Data: {options.data}, trained on {options.splits[0]}, scored on {options.splits[1]}; {epochs} epochs. "
            "The paper trained on more or other pictures for longer, so its figures show the order, not a target."
        )
    notes.append("Machine: " + "; ".join(f"{name} {value}" for name, value in machine_facts().items()) + ".")
    if options.command:
        notes.append(f"Made, and finished where cells are missing, by `{options.command}`.")
    for row in rows:
        failures = [*row["cost"].get("failures", {}).values()]
        failures += [row["training"]["failure"]] if "failure" in row.get("training", {}) else []
        notes += [f"Not measured: {failure}." for failure in failures]
    return notes


def _nets(table: str, options: Options) -> tuple[str, ...]:
    for net in options.nets:
        if net not in MODELS:
            raise ConfigError(f"unknown net '{net}'; {nearest(net, MODELS)}")
    return options.nets or tuple(net for net in NETS[table] if net in MODELS)


def _size_of(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], shape[1]
