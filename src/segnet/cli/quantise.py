"""Command `segnet quantise`: int8 files from trained weights."""

from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import say
from segnet.cli.options import DataOption, FormatOption, WeightsOption


def quantise(
    weights: WeightsOption,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="File to write, .safetensors.")],
    images: Annotated[int, typer.Option(min=1, help="Number of calibration images.")] = 45,
    split: Annotated[str, typer.Option(help="Split with the calibration images.")] = "train",
    score_split: Annotated[str, typer.Option(help="Split to score float32 and int8 on.")] = "val",
    score_images: Annotated[int, typer.Option(min=0, help="Number of images to score on; 0 uses all.")] = 0,
    max_loss: Annotated[
        float, typer.Option(min=0, help="Largest loss of mean IoU allowed, in percentage points.")
    ] = 0.5,
    data_format: FormatOption = "auto",
) -> None:
    """Quantise a model to int8 with calibration images; the file holds its scores before and after."""
    from segnet.compression.quantise import quantise as quantise_weights
    from segnet.data import open_dataset
    from segnet.weights.file import find_weights, read_card

    reading = read_card(find_weights(weights)).reading
    card = quantise_weights(
        weights,
        open_dataset(data, split, data_format, reading=reading),
        open_dataset(data, score_split, data_format, reading=reading),
        out,
        num_images=images,
        num_scored=score_images or None,
        max_loss_points=max_loss,
    )
    for name, before in card.scores_before.items():
        after = card.scores_after[name]
        say(f"{name.replace('_', ' ')}: {before:.4f} in float32, {after:.4f} in int8")
    kept = ", ".join(card.kept_float) or "none"
    say(f"convolutions kept in higher precision: {kept}")
    say(str(out), "dim")
