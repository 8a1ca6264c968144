"""Command `segnet prune`: lean models from trained weights."""

from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import out_console, say
from segnet.cli.options import DataOption, WeightsOption, amount, size_px
from segnet.errors import ConfigError, nearest
from segnet.io.text import toml_value


def prune(
    weights: WeightsOption,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="File to write, .safetensors.")],
    keep: Annotated[float, typer.Option(help="Share of all channels that stays, such as 0.25.")] = 0.0,
    macs: Annotated[float, typer.Option(help="Share of the multiplications that stays, such as 0.1.")] = 0.0,
    parameters: Annotated[float, typer.Option(help="Share of the parameters that stays.")] = 0.0,
    latency_ms: Annotated[float, typer.Option(help="Time that one image of --size may take on this machine.")] = 0.0,
    by: Annotated[
        str, typer.Option(help="channels: remove them; rank: put convolutions in two factors, k x 1 and 1 x k.")
    ] = "channels",
    rounds: Annotated[
        int | None, typer.Option(help="Removals, each followed by training; default: 4 of channels, 1 by rank.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps after each removal; 0 does not train.")] = 100,
    images: Annotated[int, typer.Option(help="Training images that channels are judged on, in each round.")] = 64,
    multiple: Annotated[int, typer.Option(help="Widths stay multiples of this.")] = 8,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH that multiplications and time are counted for.")] = "360x480",
    recipe: Annotated[
        str, typer.Option(help="Settings of the training: a recipe that ships, or a TOML file.")
    ] = "lean",
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; none is OUT with -run.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in that folder.")] = False,
) -> None:
    """Remove the channels that do least, or lower the rank of filters, and train what stays with the model as teacher.

    One of --keep, --macs, --parameters and --latency-ms says how lean. Then train the file on: docs/lean.md.
    """
    from segnet.compression.allocate import Budget
    from segnet.compression.latency import latency_of, share_for_latency
    from segnet.compression.prune_run import PruneSettings, prune_weights
    from segnet.config import load_config
    from segnet.weights.file import load_weights

    given = {"channels": keep, "macs": macs, "parameters": parameters, "latency": latency_ms}
    asked = [kind for kind, value in given.items() if value]
    if len(asked) != 1:
        raise ConfigError("how lean? give one of --keep, --macs, --parameters and --latency-ms, for example --macs 0.1")
    if by not in (ways := ("channels", "rank")):
        raise ConfigError(f"--by {by}; {nearest(by, ways)}")
    kind, size_of_image = asked[0], size_px(size)
    if by == "rank" and kind not in ("macs", "parameters"):
        raise ConfigError("--by rank counts multiplications or parameters; give --macs or --parameters")
    share = given[kind]
    if kind == "latency":
        model, card = load_weights(weights)
        allowed = amount("--latency-ms", latency_ms)
        share = share_for_latency(model, card, allowed, latency_of(size_of_image), size_of_image, multiple=multiple)
        say(f"{allowed:g} ms on this machine: {share:.4f} of the multiplications may stay")
        kind = "macs"
    config = load_config(recipe, [f"data.path={toml_value(data)}", *(settings or [])])
    made = prune_weights(
        weights,
        config,
        out,
        PruneSettings(
            Budget(kind, share),  # type: ignore[arg-type] # one of its kinds
            (4 if by == "channels" else 1) if rounds is None else rounds,
            steps,
            images,
            multiple,
            size_of_image,
            by,  # type: ignore[arg-type] # one of the two
        ),
        run=run,
        resume=resume,
        console=out_console,
    )
    before, after = made.before, made.after
    say(f"multiplications: {before.macs / 1e9:.2f} -> {after.macs / 1e9:.2f} G ({before.macs / after.macs:.1f}x fewer)")
    say(f"parameters: {before.parameters / 1e6:.2f} -> {after.parameters / 1e6:.2f} M")
    if "mean_iou" in made.card.scores:
        say(f"mean IoU: {made.card.scores['mean_iou']:.4f}")
    say(str(made.path), "dim")
