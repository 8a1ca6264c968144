"""`segnet blend`: blends two weights of one model."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import out_console, say
from segnet.cli.options import FormatOption
from segnet.errors import WeightsError


def blend(
    first: Annotated[str, typer.Argument(help="Name of weights, or a .safetensors file.")],
    second: Annotated[str, typer.Argument(help="Weights of a run that started from the first, for the same classes.")],
    out: Annotated[Path, typer.Option(help="File to write, .safetensors.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the second; a small one is often enough.")] = 0.2,
    data: Annotated[
        str, typer.Option(help="Dataset to score on; the scores are stored in the file; default: none.")
    ] = "",
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "val",
    data_format: FormatOption = "auto",
) -> None:
    """Blend two weights of one model: adds what fine-tuning learnt, without losing what the first had learnt."""
    from segnet.data import open_dataset
    from segnet.device import choose_device
    from segnet.inference.evaluate import evaluate
    from segnet.io.files import require_apart
    from segnet.report.evaluation import require_same_classes, score_table
    from segnet.weights.blend import blend_weights
    from segnet.weights.file import find_weights, save_weights

    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: weights are saved as .safetensors; give the file that suffix")
    require_apart([out], [find_weights(first), find_weights(second)])
    model, card = blend_weights(first, second, share)
    if data:
        dataset = open_dataset(data, split, data_format, reading=card.reading)
        require_same_classes(card.label_set, dataset)
        device_spec = choose_device()
        device_spec.ready(model)
        scores = evaluate(model, dataset, device_spec)
        card = replace(card, scores=scores.summary(), class_iou=scores.class_iou())
        out_console.print(score_table(scores))
    save_weights(out, model, card)
    say(str(out), "dim")
