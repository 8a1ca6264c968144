"""The command line's `segnet crf ...`: parameters of the fully connected CRF."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from segnet.cli.console import out_console, say
from segnet.cli.options import (
    DataOption,
    DeviceOption,
    FormatOption,
    PrecisionOption,
    WeightsOption,
    command_line,
    device_name,
    one_of,
    precision_name,
)

if TYPE_CHECKING:
    from segnet.crf.search import SearchResult

crf_app = typer.Typer(no_args_is_help=True, help="Parameters of the fully connected CRF.")

SHOWN = 5


@crf_app.callback()
def _group() -> None:
    """A callback keeps `search` a subcommand while it is the only one."""


@crf_app.command()
def search(
    weights: WeightsOption,
    data: DataOption,
    split: Annotated[
        str, typer.Option(help="Split of the dataset; use the training split, so that the others remain for scoring.")
    ] = ("train"),
    data_format: FormatOption = "auto",
    images: Annotated[int, typer.Option(min=1, help="Number of images, evenly spread over the split.")] = 20,
    measure: Annotated[str, typer.Option(help="Score to maximise: boundary_f1 or mean_iou.")] = "boundary_f1",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds: the coarse grid, then finer steps.")] = 3,
    iterations: Annotated[int, typer.Option(min=1, help="Iterations of mean field.")] = 5,
    workers: Annotated[int, typer.Option(min=1, help="Images processed in parallel.")] = os.cpu_count() or 1,
    out: Annotated[Path, typer.Option(help="File for the best parameters, for --crf.")] = Path("crf.toml"),
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Search CRF weights and widths on labelled images, coarse to fine, and write them to a file."""
    expected = one_of("measure", measure, ("boundary_f1", "mean_iou"))
    from segnet.crf.file import write_crf
    from segnet.crf.search import model_outputs, search_crf
    from segnet.data import open_dataset
    from segnet.inference.predictor import Predictor
    from segnet.report.evaluation import require_same_classes

    predictor = Predictor(weights, device=device_name(device), precision=precision_name(precision))
    dataset = open_dataset(data, split, data_format, reading=predictor.reading)
    require_same_classes(predictor.label_set, dataset)
    outputs = model_outputs(predictor.model, dataset, images, predictor.device_spec)
    result = search_crf(
        outputs,
        dataset.label_set,
        expected,
        rounds=rounds,
        iterations=iterations,
        workers=workers,
        console=out_console,
    )
    found = (
        f"{measure} {100 * result.gain:+.2f} points over the model alone on {len(outputs)} images of {split} of {data}"
    )
    write_crf(out, result.best, [found, command_line()])
    out_console.print(_table(result))
    say(found)
    if result.gain <= 0:
        say(f"None of the parameters tried raises {measure}: this model is better without a CRF.", "yellow")
    say(str(out), "dim")


def _table(result: "SearchResult") -> Table:
    columns = ("smoothness weight", "appearance weight", "px", "rgb", "BF %", "mIoU %", "G %")
    table = Table(*columns, title=f"best of {len(result.ranked)}, by {result.measure}")
    table.add_row("no CRF", "", "", "", *_percents(result.alone.summary()))
    table.add_section()
    for p, scores in result.ranked[:SHOWN]:
        texts = (p.smoothness_weight, p.appearance_weight, p.appearance_px, p.appearance_rgb)
        table.add_row(*(f"{value:g}" for value in texts), *_percents(scores.summary()))
    return table


def _percents(scores: dict[str, float]) -> list[str]:
    return [f"{100 * scores[name]:.2f}" for name in ("boundary_f1", "mean_iou", "global_accuracy")]
