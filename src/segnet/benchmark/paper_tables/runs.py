"""Runs the benchmark of each table: its models, their training, their cells. Tables and report grow with every cell.

    OUT/table1.json, table1.md      figures and table, rewritten after every model
    OUT/report.html                 all tables in the folder, with plots
    OUT/accuracy-memory.svg         one plot of Tables 1, 3 and 6
    OUT/cells/TABLE/NAME/           one folder per cell (`cells.py`)
    OUT/data-HxW/                   the images at the requested size

"Controlled" means: all models of a table see the same images in the same order with the same augmentation, learning
rate, schedule and number of epochs.

Source:
    SegNet, sections 3.2 and 4: SGD, momentum 0.9, learning rate 0.1 and batch 12 for Table 1, 1e-3 and batch 5 or 4 for
    Tables 3 and 4, no augmentation; BN statistics by a pass over the training images before every evaluation; dropout
    in the deeper layers of all models of Tables 3 and 4. Table 1 selects the weights with the highest global accuracy
    on val and reports test: three splits for three purposes: train, select and report.

Deviates:
    Without a third split the weights after the last epoch are scored, since the best of many scores on the reported
    split would be too high. BN's epsilon is PyTorch's 1e-5, not the 1e-9 of the authors' Caffe.

Chosen:
    Weight decay 5e-4, as the authors' solver files have it. Tables 3 and 4 score after a third, two thirds and all of
    the epochs: with 150 these are about the paper's 50, 100 and more than 100.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from segnet.benchmark.paper_tables.cells import (
    Result,
    TrainingCell,
    crf_cell,
    finished,
    finished_or,
    score_with_crf,
    train_or_say_why,
)
from segnet.benchmark.paper_tables.cost import Cost, measure_cost, measure_cost_alone
from segnet.benchmark.paper_tables.options import Options
from segnet.benchmark.paper_tables.prepared_data import prepare_data, require_labels
from segnet.benchmark.paper_tables.results import save_table
from segnet.benchmark.paper_tables.seeds import averaged
from segnet.benchmark.paper_tables.storage import count_storage, require_size
from segnet.benchmark.paper_tables.table_models import CRF_MODELS, TABLE_MODELS, VGG_MODELS
from segnet.benchmark.paper_tables.tables import TableText
from segnet.config import Config, load_config
from segnet.data import open_dataset
from segnet.device import DeviceSpec, choose_device
from segnet.errors import ConfigError, nearest
from segnet.machine import machine_facts
from segnet.models import MODELS

# In the benchmark of deep models SegNet has dropout as all do: Bayesian SegNet, evaluated without dropout.
TRAINED_AS = {"segnet": "bayesian-segnet"}
WEIGHTINGS = {"median": "median_frequency", "natural": "none"}
EPOCHS = {"table1": 100, "table3": 150, "table4": 150}
_TRAINING = {
    "table1": ("train.lr=0.1", "train.batch_size=12"),
    "table3": ("train.lr=1e-3", "train.batch_size=5"),
    "table4": ("train.lr=1e-3", "train.batch_size=4"),
}
_OF_A_MODEL = {"deeplab-largefov": ("loss.stride_px=8",)}  # its loss is taken at the resolution of its scores


def run_table(table: str, options: Options) -> TableText:
    """Computes the missing cells of one table, and writes table and report after every model.

    A cell of other settings is refused before table and report are changed.

    Args:
        table: a key of `TABLE_MODELS`.
        options: of the benchmark.

    Raises:
        ConfigError: unknown table, model or setting (names the nearest), or a folder of other settings.
        DataError: data missing, broken or without labels; or a file cannot be written.
        ShapeError: images too small for a model.
    """
    if table not in TABLE_MODELS:
        raise ConfigError(f"unknown table '{table}'; {nearest(table, TABLE_MODELS)}")
    models = _models(table, options)
    if table == "table6":
        return _table_6(models, options)
    return _trained_table(table, models, options)


# ------------------------------------------------------------------------------------------------ tables


def _table_6(models: Sequence[str], options: Options) -> TableText:
    size_px = options.size_px or (360, 480)
    places = [choose_device(options.device, options.precision)]
    if options.device == "auto" and places[0].device.type == "cuda":
        places.insert(0, choose_device("cpu", options.precision))
    for model in models:
        require_size(model, size_px, 1)
        for device_spec in places:
            finished(*_cost_cell(model, size_px, device_spec, options, table="table6", num_classes=11))
    rows: list[dict[str, Any]] = []
    for model in models:
        for device_spec in places:
            options.console.print(f"table6: {model} on {device_spec}, {size_px[0]}x{size_px[1]}")
            rows.append(
                {"model": model, "cost": _cost(model, size_px, device_spec, options, table="table6", num_classes=11)}
            )
            text = save_table("table6", rows, size_px, None, options)
    return text


def _trained_table(table: str, models: Sequence[str], options: Options) -> TableText:
    named = dict.fromkeys((*options.splits, *filter(None, (options.select_split,))))
    splits = {split: open_dataset(options.data, split, options.data_format) for split in named}
    for split, dataset in splits.items():
        require_labels(dataset, f"split '{split}' of {options.data}")
    first = splits[options.splits[0]]
    size_px = options.size_px or _size_of(first[0].target.shape)
    path, data_format = options.data, options.data_format
    if options.size_px is not None:
        name = f"data-{size_px[0]}x{size_px[1]}"
        path, data_format = str(prepare_data(options.out / name, splits, size_px, options.data)), "folder"
    weightings = _weightings(table, options)
    cells = {
        (model, weighting, seed): _cell(table, model, weighting, seed, path, data_format, options)
        for seed in range(options.seeds)  # all models once, before any twice
        for model in models
        for weighting in weightings
    }
    for (model, *_), cell in cells.items():
        require_size(model, size_px, cell.config.train.batch_size, first.label_set.num_classes)

    device_spec = choose_device(options.device, options.precision)
    num_classes, epochs = first.label_set.num_classes, options.epochs or EPOCHS[table]
    folders = {cell.name: options.out / "cells" / table / cell.name for cell in cells.values()}
    for (model, *_), cell in cells.items():
        finished(folders[cell.name], cell.settings())
        finished(*crf_cell(cell, folders[cell.name], options.crf))
        finished(*_cost_cell(model, size_px, device_spec, options, table=table, num_classes=num_classes))
    images = len(first)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for (model, weighting, _), cell in cells.items():
        options.console.print(f"{table}: {cell.name}")
        folder = folders[cell.name]
        result = train_or_say_why(cell, folder, options.console)
        if table != "table1" and model in CRF_MODELS and "failure" not in result:
            result = {**result, "crf": score_with_crf(cell, folder, options.crf)}
        row = rows.setdefault(
            (model, weighting),
            {
                "model": model,
                "weighting": weighting,
                "storage": count_storage(model, size_px, num_classes).to_dict(),
                "cost": _cost(model, size_px, device_spec, options, table=table, num_classes=num_classes),
                "images_seen": epochs * images,
                "seeds": [],
            },
        )
        row["seeds"].append(result)
        row |= averaged(row["seeds"])
        text = save_table(table, list(rows.values()), size_px, epochs, options)
    return text


def _weightings(table: str, options: Options) -> tuple[str, ...]:
    for weighting in options.weightings:
        if weighting not in WEIGHTINGS:
            raise ConfigError(f"unknown weighting '{weighting}'; {nearest(weighting, WEIGHTINGS)}")
    if table != "table1":
        return ("natural",)
    return options.weightings or tuple(WEIGHTINGS)


def _cell(
    table: str, model: str, weighting: str, seed: int, path: str, data_format: str, options: Options
) -> TrainingCell:
    epochs = options.epochs or EPOCHS[table]
    num_stages = 1 if table == "table1" else options.num_stages
    if options.select_split and num_stages > 1:
        raise ConfigError(
            f"{table} scores {num_stages} stages of one training, each as it is, so no weights are selected; "
            "leave out --select-split, or score the end only, with --stages 1"
        )
    trained = TRAINED_AS.get(model, model) if table != "table1" else model
    base = [
        f"data.path={json.dumps(path)}",
        f"data.format={json.dumps(data_format)}",
        f"data.train_split={json.dumps(options.splits[0])}",
        f"data.val_split={json.dumps(options.select_split or options.splits[1])}",
        f"model.name={json.dumps(trained)}",
        f"loss.class_weights={json.dumps(WEIGHTINGS[weighting])}",
        f"train.epochs={epochs}",
        f"train.device={json.dumps(options.device)}",
        f"train.precision={json.dumps(options.precision)}",
        f"train.evaluate_every={max(epochs // 10, 1) if options.select_split else epochs}",
        f"train.keep={'global_accuracy' if options.select_split else 'last'}",
        "train.statistics_pass=every",
        f"train.seed={seed}",
    ]
    if options.vgg16 and model in VGG_MODELS:
        base.append(f"model.vgg16={json.dumps(options.vgg16)}")
    config: Config = load_config(None, [*base, *_TRAINING[table], *_OF_A_MODEL.get(model, ()), *options.settings])
    stages = tuple(sorted({max(epochs * part // num_stages, 1) for part in range(1, num_stages + 1)}))
    return TrainingCell(
        f"{model}-{weighting}" + (f"-seed{seed}" if seed else ""),
        config,
        stages,
        score_training=table == "table1",
        report_split=options.splits[1] if options.select_split else "",
        keep_weights=options.keep_weights or model in CRF_MODELS,  # the CRF's cell reads them
    )


def _cost_cell(
    model: str, size_px: tuple[int, int], device_spec: DeviceSpec, options: Options, *, table: str, num_classes: int
) -> tuple[Path, Result]:
    """Folder and settings of the cost cell of a model: all of it for Table 6, the forward pass for the others."""
    training = table == "table6"
    settings = {
        "model": model,
        "size_px": list(size_px),
        "device_spec": str(device_spec),
        "num_classes": num_classes,
        "training": training,
        "repeats": options.repeats,
        "alone": options.alone,
    }
    name = f"{model}-{device_spec.device.type}" if training else f"{model}-forward"
    return options.out / "cells" / table / name, settings


def _cost(
    model: str, size_px: tuple[int, int], device_spec: DeviceSpec, options: Options, *, table: str, num_classes: int
) -> dict[str, Any]:
    measure: Callable[..., Cost] = measure_cost_alone if options.alone else measure_cost
    training = table == "table6"

    def compute() -> dict[str, Any]:
        cost = measure(
            model, size_px, device_spec, num_classes=num_classes, training=training, repeats=options.repeats
        ).to_dict()
        return {**cost, "machine": machine_facts()}

    return finished_or(*_cost_cell(model, size_px, device_spec, options, table=table, num_classes=num_classes), compute)


def _models(table: str, options: Options) -> tuple[str, ...]:
    for model in options.models:
        if model not in MODELS:
            raise ConfigError(f"unknown model '{model}'; {nearest(model, MODELS)}")
    return options.models or tuple(model for model in TABLE_MODELS[table] if model in MODELS)


def _size_of(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], shape[1]
