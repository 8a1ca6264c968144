"""`segnet train | pretrain`: with labels, and without."""

from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import out_console, say
from segnet.io.text import toml_value


def train(
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/ and the name of DATA.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Name of a recipe that ships, or a TOML file.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the dataset; overrides the recipe's.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Plan the schedule for this time; 0 uses the settings.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
) -> None:
    """Train a model; keeps the best weights in OUT/best.safetensors and writes OUT/report.html.

    Without a recipe, model, size, batch and schedule are chosen for the data and this machine, and printed.

    In several processes: torchrun --nproc-per-node 2 -m segnet train ...; with --max-restarts, add --resume.
    """
    from segnet.data import open_dataset
    from segnet.inference.predictor import Predictor
    from segnet.report.evaluation import evaluate_to_folder, score_table
    from segnet.training.data_look import warnings_before
    from segnet.training.distributed import join_processes
    from segnet.training.planning import plan_run
    from segnet.training.recipe import train_from_config
    from segnet.training.start import reading_of

    overrides = ([f"data.path={toml_value(str(data))}"] if data else []) + (settings or [])
    with join_processes() as processes:
        config, out, lines = processes.from_first(
            lambda: plan_run(recipe, overrides, out, minutes=minutes, resume=resume)
        )
        if processes.is_first:
            for line in warnings_before(config):
                say(f"WARNING: {line}")
            for line in lines:
                say(line)
            say(f"\n{config.to_toml()}")
        weights = train_from_config(config, out, resume=resume, console=out_console, processes=processes)
    if not processes.is_first:
        return
    predictor = Predictor(weights, device=config.train.device, precision=config.train.precision)
    dataset = open_dataset(config.data.path, config.data.val_split, config.data.format, reading=reading_of(config.data))
    facts = {"Weights": str(weights), "Data": config.data.path, "Split": config.data.val_split}
    scores = evaluate_to_folder(predictor, dataset, out, facts=facts, log=out / "log.jsonl", console=out_console)
    out_console.print(score_table(scores))
    say(f"{out}/scores.json, {out}/report.html", "dim")
    say(f"Next: open {out}/report.html, then segnet predict IMAGES --weights {weights} --out {out}/predictions")


def pretrain(
    data: Annotated[str, typer.Option(help="Folder of images, folder of a dataset, or street for drawn scenes.")],
    out: Annotated[Path, typer.Option(help="Folder of the run, made if missing.")],
    layerwise: Annotated[
        bool, typer.Option("--layerwise/--at-once", help="One stage after the other, or all at once.")
    ] = True,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
) -> None:
    """Train an encoder without labels, by reconstructing images; OUT/best.safetensors starts SegNet-Basic.

    Then: segnet train --set model.start=OUT/best.safetensors ... Reconstructed images are in OUT/report.html.
    """
    from segnet.config import load_pretrain_config
    from segnet.report.reconstruction import report_run
    from segnet.training.data_look import with_range_of_values
    from segnet.training.pretrain import pretrain as learn_to_rebuild

    overrides = [f"data.path={toml_value(data)}", f"train.layerwise={toml_value(layerwise)}"]
    config, lines = with_range_of_values(load_pretrain_config(overrides + (settings or [])))
    for line in lines:
        say(line)
    say(config.to_toml())
    weights = learn_to_rebuild(config, out, resume=resume, console=out_console)
    report_run(config, out)
    say(f"{weights}, {out}/report.html", "dim")
