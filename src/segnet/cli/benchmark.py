"""The command line's `segnet benchmark ...`: the tables of the paper, and measurements of single parts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from segnet.cli.console import out_console, say
from segnet.cli.options import (
    DataOption,
    DeviceOption,
    FormatOption,
    PrecisionOption,
    command_line,
    device_name,
    names_in,
    one_of,
    precision_name,
    size_px,
)

if TYPE_CHECKING:
    from segnet.benchmark.paper_tables.options import Options
    from segnet.benchmark.paper_tables.tables import TableText
    from segnet.crf.dense_crf import CRFParameters

benchmark_app = typer.Typer(no_args_is_help=True, help="The paper's tables, measured here; and single parts.")

OutOption = Annotated[Path, typer.Option(help="Folder for tables, page and cells; a stopped benchmark goes on there.")]
ModelsOption = Annotated[str, typer.Option(help="Names with commas between; empty takes the table's own.")]
SizeOption = Annotated[str, typer.Option(help="HEIGHTxWIDTH to which images are brought; empty keeps theirs.")]
EpochsOption = Annotated[int | None, typer.Option(min=1, help="Of every model; none takes the table's own.")]
TrainSplitOption = Annotated[str, typer.Option(help="To train on.")]
ValSplitOption = Annotated[str, typer.Option(help="To score.")]
VggOption = Annotated[str, typer.Option("--vgg16", help="ImageNet weights for models on VGG16: oxford, a file, ...")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, for all models alike.")]
RepeatsOption = Annotated[int, typer.Option(min=1, help="Of each time that is measured.")]
SelectSplitOption = Annotated[
    str,
    typer.Option(help="Split on which the best weights are selected; empty selects nothing: the last weights count."),
]
ReportSplitOption = Annotated[str, typer.Option(help="Split whose scores the table reports.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Trainings of each model; several give mean and spread.")]
WeightingOption = Annotated[str, typer.Option(help="For table 1: median, natural, or both, separated by commas.")]
StagesOption = Annotated[int, typer.Option(min=1, help="For tables 3 and 4: after how many equal parts to score.")]
CRFOption = Annotated[
    Path | None, typer.Option("--crf", help="Of the rows + CRF in tables 3 and 4: a file of `segnet crf search`.")
]


# ------------------------------------------------------------------------------------------------ tables


@benchmark_app.command(
    "table4", help="Deep models on indoor scenes, scored at three stages, DeepLab also with the CRF."
)
@benchmark_app.command("table3", help="Deep models on road scenes, scored at three stages, DeepLab also with the CRF.")
@benchmark_app.command("table1", help="Decoder variants: parameters, storage, time, scores with and without balancing.")
def trained_table(
    context: typer.Context,
    data: DataOption,
    out: OutOption = Path("results"),
    models: ModelsOption = "",
    size: SizeOption = "",
    epochs: EpochsOption = None,
    data_format: FormatOption = "auto",
    train_split: TrainSplitOption = "train",
    report_split: ReportSplitOption = "val",
    select_split: SelectSplitOption = "",
    seeds: SeedsOption = 1,
    weighting: WeightingOption = "",
    stages: StagesOption = 3,
    vgg16: VggOption = "",
    crf: CRFOption = None,
    settings: SetOption = None,
    repeats: RepeatsOption = 9,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
) -> None:
    """Three commands of one form, one for each table whose models are trained; the name says which."""
    table = str(context.info_name)
    more: dict[str, Any] = {"data_format": data_format, "splits": (train_split, report_split), "vgg16": vgg16}
    more |= {"select_split": select_split, "seeds": seeds, "weightings": names_in(weighting), "num_stages": stages}
    more |= {"crf": _crf(crf), "settings": tuple(settings or ()), "repeats": repeats}
    _show(_run(table, _options(out, models, size, device, precision, data=data, epochs=epochs, **more)), out)


@benchmark_app.command()
def table6(
    out: OutOption = Path("results"),
    models: ModelsOption = "",
    size: SizeOption = "360x480",
    repeats: RepeatsOption = 9,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
) -> None:
    """Time forward and backward, memory in training and inference, size of the file; random images."""
    _show(_run("table6", _options(out, models, size, device, precision, repeats=repeats)), out)


@benchmark_app.command("all")
def all_tables(
    data: DataOption,
    indoor: Annotated[str, typer.Option(help="Folder of indoor scenes for table 4; empty leaves it out.")] = "",
    out: OutOption = Path("results"),
    models: ModelsOption = "",
    size: SizeOption = "",
    epochs: EpochsOption = None,
    vgg16: VggOption = "",
    crf: CRFOption = None,
    settings: SetOption = None,
    repeats: RepeatsOption = 9,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
) -> None:
    """Table 6, then 1 and 3 on DATA, then 4 on indoor scenes; each model where it belongs."""
    from segnet.benchmark.paper_tables.table_models import TABLE_MODELS

    sources = {"table6": data, "table1": data, "table3": data} | ({"table4": indoor} if indoor else {})
    asked = names_in(models)
    _known_models(asked)
    for table, source in sources.items():
        mine = [model for model in asked if model in TABLE_MODELS[table]]
        if mine or not asked:
            more: dict[str, Any] = {"data": source, "epochs": epochs, "vgg16": vgg16, "repeats": repeats}
            more |= {"crf": _crf(crf), "settings": tuple(settings or ())}
            _show(_run(table, _options(out, ",".join(mine), size, device, precision, **more)), out)


@benchmark_app.command()
def quick(
    out: OutOption = Path("results/quick"),
    models: ModelsOption = "",
    smallest: Annotated[bool, typer.Option("--smallest", help="Still smaller, for tests.")] = False,
    device: DeviceOption = "cpu",
    precision: PrecisionOption = "float32",
) -> None:
    """Tables 1, 3 and 6 on drawn street scenes, small: the whole report within minutes."""
    from segnet.benchmark.paper_tables.quick import run_quick

    _known_models(names_in(models))
    for text in run_quick(_options(out, models, "", device, precision), smallest=smallest):
        _print(text.to_rich())
    say(f"{out}/report.html", "dim")


# ------------------------------------------------------------------------------------------------ single parts


@benchmark_app.command("pooling")
def benchmark_pooling(
    repeats: Annotated[int, typer.Option(min=1)] = 9,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Pool + unpool, forward and backward, against PyTorch's own pair: time and bytes held."""
    import torch

    from segnet.benchmark.measure.pooling import SEGNET_MAPS, compare_pooling

    title = "max pooling + unpooling, ours / PyTorch, medians of one run"
    table = Table("map (C, H, W)", "type", "fwd+bwd ms", "ratio", "fwd ms", "ratio", "saved MB", "indices", title=title)
    results = [compare_pooling((1, *m), t, repeats) for t in (torch.float32, torch.bfloat16) for m in SEGNET_MAPS]
    for r in results:
        table.add_row(
            str(r.shape[1:]),
            r.dtype,
            f"{r.ours.median_ms:.2f} / {r.torch.median_ms:.2f}",
            f"{r.ours.median_ms / r.torch.median_ms:.2f}",
            f"{r.ours_forward.median_ms:.2f} / {r.torch_forward.median_ms:.2f}",
            f"{r.ours_forward.median_ms / r.torch_forward.median_ms:.2f}",
            f"{r.saved_bytes / 1e6:.2f} / {r.torch_saved_bytes / 1e6:.2f}",
            f"1/{r.torch_index_bytes / r.index_bytes:.0f}",
        )
    _print(table)
    for dtype in ("float32", "bfloat16"):
        mine = [r for r in results if r.dtype == dtype]
        ratio = sum(r.ours.median_ms for r in mine) / sum(r.torch.median_ms for r in mine)
        bytes_ratio = sum(r.torch_index_bytes for r in mine) / sum(r.index_bytes for r in mine)
        say(f"all five maps, {dtype}: time x{ratio:.2f}, index bytes 1/{bytes_ratio:.1f}")
    _write_results(out, [r.to_dict() for r in results])


@benchmark_app.command("training")
def benchmark_training(
    models: Annotated[
        list[str] | None, typer.Option("--model", help="As often as needed; both SegNets if none.")
    ] = None,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH in pixels.")] = "180x240",
    batch_size: Annotated[int, typer.Option(min=1)] = 4,
    steps: Annotated[int, typer.Option(min=1, help="That are timed, after one that warms up.")] = 5,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """A training step of the naive port, ours, and ours in low memory: images per second, peak memory."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from segnet.benchmark.measure.training_step import FORMS, measure_training
    from segnet.device import choose_device

    device_spec = choose_device(device_name(device), precision_name(precision))
    columns = ("model", "form", "images/s", "x naive", "tensors MiB", "x naive", "process MiB")
    table = Table(*columns, title=f"training step, {size}, batch {batch_size}, {device_spec}")
    results = []
    for model in models or ["segnet", "segnet-basic"]:
        naive = None
        for form in FORMS:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # its peak is then its own
                r = pool.submit(measure_training, model, form, batch_size, size_px(size), device_spec, steps).result()
            naive = naive or r
            results.append(r.to_dict())
            table.add_row(
                *(model, form, f"{r.images_per_s:.2f}", f"{r.images_per_s / naive.images_per_s:.2f}"),
                *(f"{r.live_memory_mib:.0f}", f"{r.live_memory_mib / naive.live_memory_mib:.2f}"),
                f"{r.process_memory_mib:.0f}",
            )
    _print(table)
    _write_results(out, results)


@benchmark_app.command("initialisation")
def benchmark_initialisation(
    data: DataOption,
    out: OutOption = Path("results"),
    models: Annotated[str, typer.Option(help="Names with commas between; empty is segnet-basic,segnet.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="How many, from 1 on.")] = 3,
    data_format: FormatOption = "auto",
    train_split: TrainSplitOption = "train",
    val_split: ValSplitOption = "val",
    vgg16: VggOption = "oxford",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Learning curves with a decoder drawn at random and one begun as tents (model.init), over seeds.

    A model that was measured before and is not asked for stays in table and plot.
    """
    from segnet.benchmark.measure.initialisation import (
        SCHEDULES,
        curves_table,
        learning_curves,
        plot_curves,
        with_stored,
    )
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.data import open_dataset
    from segnet.device import choose_device

    names = names_in(models) or tuple(SCHEDULES)
    for name in names:
        one_of("model", name, SCHEDULES)
    device_spec = choose_device(device_name(device), precision_name(precision))
    splits = (open_dataset(data, train_split, data_format), open_dataset(data, val_split, data_format))
    records: list[dict[str, Any]] = []
    for name in names:
        numbers = range(1, seeds + 1)
        records += learning_curves(name, splits, device_spec, out, seeds=numbers, vgg16=vgg16, console=out_console)
    records = with_stored(records, out / "initialisation.json")
    plot_curves(records, out / "initialisation.png")
    show_and_write(curves_table(records), records, out, out_console, command_line())


# ------------------------------------------------------------------------------------------------ small things


def _run(table: str, options: "Options") -> "TableText":
    from segnet.benchmark.paper_tables.runs import run_table

    return run_table(table, options)


def _show(text: "TableText", out: Path) -> None:
    _print(text.to_rich())
    say(f"{out}/{text.name}.md, {text.name}.json, report.html", "dim")


def _print(table: Table) -> None:
    from segnet.benchmark.paper_tables.tables import print_whole

    print_whole(table, out_console)


def _options(out: Path, models: str, size: str, device: str, precision: str, **more: Any) -> "Options":
    from segnet.benchmark.paper_tables.options import Options

    return Options(
        out,
        models=names_in(models),
        size_px=size_px(size) if size else None,
        device=device_name(device),
        precision=precision_name(precision),
        command=command_line(),
        console=out_console,
        **more,
    )


def _crf(path: Path | None) -> "CRFParameters":
    from segnet.crf.dense_crf import CRFParameters
    from segnet.crf.file import read_crf

    return read_crf(path) if path else CRFParameters()


def _known_models(names: tuple[str, ...]) -> None:
    from segnet.models import MODELS

    for name in names:
        one_of("model", name, MODELS)


def _write_results(path: Path | None, results: list[dict[str, object]]) -> None:
    if path is None:
        return
    from segnet.io.files import whole_file
    from segnet.machine import machine_facts

    with whole_file(path) as temporary:
        temporary.write_text(json.dumps({"machine": machine_facts(), "results": results}, indent=1))
    say(str(path), "dim")
