"""Command `segnet tune`: finds the fastest backend for weights on this machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from segnet.cli.console import out_console, say
from segnet.cli.options import WeightsOption, size_px


def tune(
    weights: WeightsOption,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the input, in pixels.")] = "360x480",
    image_path: Annotated[
        Path | None, typer.Option(help="Image to measure on, at its own size; default: a drawn street.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls per backend and precision.")] = 5,
) -> None:
    """Measure every installed backend with these weights and store the fastest accurate one, which auto then uses."""
    import torch

    from segnet.data.reading.images import read_image
    from segnet.data.street.scenes import Street
    from segnet.device import choose_device
    from segnet.inference.tune import LEAST_SAME, fastest, remember, try_ways

    pixels = read_image(image_path) if image_path else Street(1, size_px(size))[0].image
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous()
    device_spec = choose_device()
    trials, refused = try_ways(weights, image, device_spec, repeats)
    table = Table("backend", "precision", "median ms", "start-up ms", "classes equal to float32")
    for t in trials:
        table.add_row(t.backend, t.precision, f"{t.median_ms:.1f}", f"{t.start_up_ms:.0f}", f"{t.same:.2%}")
    out_console.print(table)
    for line in refused:
        say(f"not measured: {line}", "dim")
    best = fastest(trials)
    kept = remember(weights, best, device_spec.device)
    say(f"auto now uses {best.backend} in {best.precision}: the fastest with at least {LEAST_SAME:.0%} equal classes")
    say(str(kept), "dim")
