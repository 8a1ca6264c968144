"""The command line `segnet`: training, scores and what this machine is; the other commands stand in `*_cli.py`.

Errors are one line and exit code 2; `segnet --debug ...` shows the traceback. Ctrl-C exits with 130.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from segnet.benchmark_cli import benchmark_app
from segnet.console import error_console, out_console
from segnet.crf_cli import crf_app
from segnet.data_cli import data_app
from segnet.errors import ConfigError, SegNetError
from segnet.export_cli import benchmark_export, export
from segnet.options import (
    BackendOption,
    CRFOption,
    DeviceOption,
    PrecisionOption,
    WeightsOption,
    backend_name,
    device_name,
    precision_name,
)
from segnet.predict_cli import predict
from segnet.runtime_cli import benchmark_latency, benchmark_memory, benchmark_profile, quantise, tune
from segnet.serve_cli import benchmark_serve, serve

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="SegNet: every pixel a class."
)


def main() -> None:
    """Runs the program; the entry point `segnet`."""
    try:
        app()
    except SegNetError as error:
        if "--debug" in sys.argv:
            raise
        error_console.print(f"[red]segnet: {type(error).__name__}:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """`main` looks for --debug itself, since errors leave typer before it can."""
    command = context.invoked_subcommand
    if command != "train" and os.environ.get("WORLD_SIZE", "1") != "1":  # as torchrun sets it
        raise ConfigError(f"only `segnet train` runs in several processes; start `segnet {command}` without torchrun")


# ------------------------------------------------------------------------------------------------ train


def train(
    out: Annotated[Path | None, typer.Option(help="Folder of the run, made if missing; none is runs/DATA.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Name of a recipe that ships, or a TOML file.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data set; overrides the recipe's.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, as often as needed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a net; keeps the best weights in OUT/best.safetensors and writes OUT/report.html.

    Without a recipe, net, size, batch and schedule are chosen for the data and this machine, and said.

    In several processes: torchrun --nproc-per-node 2 -m segnet train ...
    """
    from segnet.config import load_config
    from segnet.data import open_dataset
    from segnet.engine.predict import Predictor
    from segnet.engine.processes import join_processes
    from segnet.engine.surroundings import chosen_config, config_of_run
    from segnet.engine.train import fit
    from segnet.models.weights import save_weights
    from segnet.report.evaluation import evaluate_to_folder, score_table

    overrides = ([f"data.path={json.dumps(str(data))}"] if data else []) + (settings or [])
    config, choice = load_config(recipe, overrides), tuple[str, ...]()
    out = out or Path("runs") / Path(config.data.path).resolve().name
    if recipe is None:
        kept = config_of_run(out, overrides) if resume else None
        config, choice = (kept, ()) if kept else chosen_config(overrides)
    with join_processes() as processes:
        if processes.is_first:
            for line in choice:
                out_console.print(escape(line), highlight=False, soft_wrap=True)
            out_console.print()
            out_console.print(escape(config.to_toml()))
        weights = fit(config, out, resume=resume, console=out_console, processes=processes)
    if not processes.is_first:
        return
    predictor = Predictor(weights, device=config.train.device, precision=config.train.precision)
    dataset = open_dataset(config.data.path, config.data.val_split, config.data.format)
    facts = {"Weights": str(weights), "Data": config.data.path, "Split": config.data.val_split}
    scores = evaluate_to_folder(predictor, dataset, out, facts=facts, log=out / "log.jsonl", console=out_console)
    card = replace(predictor.card, scores=scores.summary(), class_iou=scores.class_iou())
    save_weights(weights, predictor.model, card)
    out_console.print(score_table(scores))
    out_console.print(f"[dim]{out}/scores.json, {out}/report.html[/]")


# ------------------------------------------------------------------------------------------------ pretrain


def pretrain(
    data: Annotated[str, typer.Option(help="Folder of pictures, folder of a data set, or street for drawn scenes.")],
    out: Annotated[Path, typer.Option(help="Folder of the run, made if missing.")],
    layerwise: Annotated[bool, typer.Option("--layerwise/--at-once", help="One stage after the other, or all.")] = True,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, as often as needed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train an encoder without labels, by rebuilding pictures; OUT/best.safetensors starts SegNet-Basic.

    Then: segnet train --set model.start=OUT/best.safetensors ... Pictures rebuilt are in OUT/report.html.
    """
    from segnet.config import load_pretrain_config
    from segnet.engine.pretrain import pretrain as learn_to_rebuild
    from segnet.report.reconstruction import report_run

    overrides = [f"data.path={json.dumps(data)}", f"train.layerwise={json.dumps(layerwise)}"]
    config = load_pretrain_config(overrides + (settings or []))
    out_console.print(escape(config.to_toml()))
    weights = learn_to_rebuild(config, out, resume=resume, console=out_console)
    report_run(config, out)
    out_console.print(f"[dim]{weights}, {out}/report.html[/]")


# ------------------------------------------------------------------------------------------------ evaluate


def evaluate(
    weights: WeightsOption,
    data: Annotated[str, typer.Option(help="Folder of the data set, or street for the drawn scenes.")] = "street",
    split: Annotated[str, typer.Option(help="Which pictures of it.")] = "val",
    data_format: Annotated[str, typer.Option("--format", help="auto, or a name of segnet.data.DATA_FORMATS.")] = "auto",
    out: Annotated[Path, typer.Option(help="Folder for scores.json and report.html.")] = Path("runs/evaluation"),
    save_predictions: Annotated[bool, typer.Option(help="Also write each prediction as an index PNG.")] = False,
    authors_bf: Annotated[bool, typer.Option(help="Also boundary F1 by the authors' script; slow.")] = False,
    uncertainty: Annotated[int, typer.Option(min=0, help="Samples of a Bayesian net; their mean is scored.")] = 0,
    crf_file: CRFOption = None,
    backend: BackendOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Score weights on a labelled split: global accuracy, class average, mean IoU, boundary F1."""
    from segnet.data import open_dataset
    from segnet.engine.crf_file import read_crf
    from segnet.engine.predict import Predictor
    from segnet.report.evaluation import evaluate_to_folder, score_table

    crf = read_crf(crf_file) if crf_file else None
    predictor = Predictor(
        weights,
        backend=backend_name(backend),
        device=device_name(device),
        precision=precision_name(precision),
        crf=crf,
    )
    dataset = open_dataset(data, split, data_format)
    facts = {"Weights": weights, "Data": data, "Split": split} | ({"CRF": str(crf)} if crf else {})
    facts |= {"Samples": str(uncertainty)} if uncertainty else {}
    scores = evaluate_to_folder(
        predictor,
        dataset,
        out,
        facts=facts,
        save_predictions=save_predictions,
        authors_form=authors_bf,
        uncertainty_samples=uncertainty,
        console=out_console,
    )
    out_console.print(score_table(scores))
    out_console.print(f"[dim]{out}/scores.json, {out}/report.html[/]")


# ------------------------------------------------------------------------------------------------ models, doctor


def models() -> None:
    """List the nets, the weights and the recipes."""
    import torch

    from segnet.config import recipe_names
    from segnet.models import MODELS, create_model
    from segnet.models.weights import WEIGHTS, find_weights, read_card

    table = Table("net", "parameters at 11 classes")
    for name in MODELS:
        with torch.device("meta"):  # shapes without numbers: nothing is drawn
            net = create_model(name, 11)
        table.add_row(name, f"{sum(p.numel() for p in net.parameters()):,}")
    out_console.print(table)
    table = Table("weights", "net", "classes", "mean IoU", "file")
    for name in WEIGHTS:
        try:
            path = find_weights(name)
            card = read_card(path)
        except SegNetError as error:
            table.add_row(name, "-", "-", "-", escape(str(error)))
            continue
        table.add_row(name, card.model, card.label_set.name, f"{card.scores.get('mean_iou', 0):.4f}", str(path))
    out_console.print(table)
    out_console.print("recipes: " + ", ".join(recipe_names()))


def doctor() -> None:
    """Say what this machine is and how SegNet would run on it."""
    from segnet.engine.device import choose_place
    from segnet.engine.machine import machine_facts

    for name, value in {**machine_facts(), "Runs on": str(choose_place())}.items():
        out_console.print(f"{name:>12}  {value}", highlight=False)


# ------------------------------------------------------------------------------------------------ the order of --help


for _command in (train, evaluate, predict, serve, export, quantise, tune, pretrain, models, doctor):
    app.command()(_command)
benchmark_app.command("latency")(benchmark_latency)
benchmark_app.command("memory")(benchmark_memory)
benchmark_app.command("profile")(benchmark_profile)
benchmark_app.command("export")(benchmark_export)
benchmark_app.command("serve")(benchmark_serve)
app.add_typer(data_app, name="data")
app.add_typer(crf_app, name="crf")
app.add_typer(benchmark_app, name="benchmark")
