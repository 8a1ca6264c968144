"""Commands `segnet benchmark table1 ... all, quick`: the tables of the paper, measured here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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

benchmark_app = typer.Typer(no_args_is_help=True, help="Measure the paper's tables, latency, memory and training here.")

OutOption = Annotated[
    Path, typer.Option(help="Folder for tables, report and cells; a stopped benchmark resumes from it.")
]
ModelsOption = Annotated[str, typer.Option(help="Comma-separated names; default: the models of the table.")]
SizeOption = Annotated[str, typer.Option(help="HEIGHTxWIDTH to resize the images to; default: their own size.")]
EpochsOption = Annotated[int | None, typer.Option(min=1, help="Epochs of every model; default: those of the table.")]
TrainSplitOption = Annotated[str, typer.Option(help="Split to train on.")]
VggOption = Annotated[
    str, typer.Option("--vgg16", help="ImageNet weights for models based on VGG16: oxford, torchvision or a file.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.key=value for all models; repeatable.")]
RepeatsOption = Annotated[int, typer.Option(min=1, help="Timed calls per measurement.")]
SelectSplitOption = Annotated[
    str, typer.Option(help="Split to select the best weights on; default: none, and the last weights are scored.")
]
ReportSplitOption = Annotated[str, typer.Option(help="Split whose scores the table reports.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Training runs of each model; several give mean and spread.")]
WeightingOption = Annotated[str, typer.Option(help="For table 1: median, natural, or both, separated by commas.")]
StagesOption = Annotated[
    int, typer.Option(min=1, help="For tables 3 and 4: number of equal stages of training to score after.")
]
CRFOption = Annotated[
    Path | None, typer.Option("--crf", help="For the rows + CRF of tables 3 and 4: a file of segnet crf search.")
]


@benchmark_app.command(
    "table4", help="Table 4: deep models on indoor scenes, scored at three stages; DeepLab also with the CRF."
)
@benchmark_app.command(
    "table3", help="Table 3: deep models on road scenes, scored at three stages; DeepLab also with the CRF."
)
@benchmark_app.command(
    "table1", help="Table 1: decoder variants; parameters, storage, time, scores with and without class balancing."
)
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
    """One function for the three tables whose models are trained; the command's name selects the table."""
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
    """Table 6: time of forward and backward pass, memory in training and inference, file size; random images."""
    _show(_run("table6", _options(out, models, size, device, precision, repeats=repeats)), out)


@benchmark_app.command("all")
def all_tables(
    data: DataOption,
    indoor: Annotated[str, typer.Option(help="Dataset of indoor scenes for table 4; default: no table 4.")] = "",
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
    """Table 6, then tables 1 and 3 on DATA, then table 4 on INDOOR; each with the models that it lists."""
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
    smallest: Annotated[bool, typer.Option("--smallest", help="The smallest models and images, for tests.")] = False,
    device: DeviceOption = "cpu",
    precision: PrecisionOption = "float32",
) -> None:
    """Tables 1, 3 and 6 on drawn street scenes with small settings: the whole report within minutes."""
    from segnet.benchmark.paper_tables.quick import run_quick

    _known_models(names_in(models))
    for text in run_quick(_options(out, models, "", device, precision), smallest=smallest):
        _print(text)
    say(f"{out}/report.html", "dim")


def _run(table: str, options: "Options") -> "TableText":
    from segnet.benchmark.paper_tables.runs import run_table

    return run_table(table, options)


def _show(text: "TableText", out: Path) -> None:
    _print(text)
    say(f"{out}/{text.name}.md, {text.name}.json, report.html", "dim")


def _print(text: "TableText") -> None:
    from segnet.benchmark.paper_tables.tables import print_whole

    print_whole(text.to_rich(), out_console)


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
