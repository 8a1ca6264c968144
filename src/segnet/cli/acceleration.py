"""The command line's `segnet tune | quantise`, `segnet benchmark latency | memory | profile`: fast answers."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from segnet.cli.console import out_console, say
from segnet.cli.options import (
    DataOption,
    DeviceOption,
    FormatOption,
    WeightsOption,
    command_line,
    device_name,
    names_in,
    one_of,
    precision_name,
    size_px,
)
from segnet.errors import ConfigError

SizeOption = Annotated[str, typer.Option(help="HEIGHTxWIDTH in pixels.")]
ModelsOption = Annotated[str, typer.Option(help="Names with commas between; empty takes the table's own.")]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Images at once.")]
OutOption = Annotated[Path, typer.Option(help="Folder for the table as Markdown and JSON.")]


def tune(
    weights: WeightsOption,
    size: SizeOption = "360x480",
    image_path: Annotated[
        Path | None, typer.Option(help="To try on, at its own size; none draws a street scene.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of each way to run the model.")] = 5,
) -> None:
    """Try every backend there is for these weights, and remember the fastest that is correct: auto then takes it."""
    import torch

    from segnet.data.reading.images import read_image
    from segnet.data.street.scenes import Street
    from segnet.device import choose_device
    from segnet.inference.tune import LEAST_SAME, fastest, remember, try_ways

    pixels = read_image(image_path) if image_path else Street(1, size_px(size))[0].image
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous()
    device_spec = choose_device()
    trials, refused = try_ways(weights, image, device_spec, repeats)
    table = Table("backend", "precision", "median ms", "start-up ms", "classes as in float32")
    for t in trials:
        table.add_row(t.backend, t.precision, f"{t.median_ms:.1f}", f"{t.start_up_ms:.0f}", f"{t.same:.2%}")
    out_console.print(table)
    for line in refused:
        say(f"not tried: {line}", "dim")
    best = fastest(trials)
    kept = remember(weights, best, device_spec.device)
    say(f"auto takes {best.backend} in {best.precision}: the fastest with at least {LEAST_SAME:.0%} of the classes")
    say(str(kept), "dim")


def quantise(
    weights: WeightsOption,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="The file to write, .safetensors.")],
    images: Annotated[int, typer.Option(min=1, help="To calibrate on, from the training split.")] = 45,
    split: Annotated[str, typer.Option(help="To calibrate on.")] = "train",
    score_split: Annotated[str, typer.Option(help="To score before and after on.")] = "val",
    score_images: Annotated[int, typer.Option(min=0, help="Of that split; 0 takes all.")] = 0,
    max_loss: Annotated[float, typer.Option(min=0, help="Points of mean IoU that int8 may cost.")] = 0.5,
    data_format: FormatOption = "auto",
) -> None:
    """Bring a model to int8 with a few images; keeps it as one file, with its scores before and after inside."""
    from segnet.compression.quantise import quantise as quantise_weights
    from segnet.data import open_dataset

    card = quantise_weights(
        weights,
        open_dataset(data, split, data_format),
        open_dataset(data, score_split, data_format),
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


def benchmark_latency(
    models: ModelsOption = "",
    ways: Annotated[str, typer.Option("--backends", help="Such as naive,eager bfloat16; empty takes all.")] = "",
    size: SizeOption = "360x480",
    repeats: Annotated[int, typer.Option(min=1, help="Of each way to run a model; they take turns.")] = 9,
    quantised: Annotated[list[Path] | None, typer.Option(help="File of segnet quantise, as often as needed.")] = None,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 1,
    out: OutOption = Path("results"),
) -> None:
    """Images to class ids: the naive port, our backends and precisions, other models under the same."""
    from segnet.benchmark.measure.latency import TABLE_MODELS, latency_table, measure_latency, ways_on
    from segnet.benchmark.measure.latency_plot import plot_latency
    from segnet.benchmark.measure.peers import SMP_UNET
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.device import choose_device
    from segnet.models import MODELS
    from segnet.runtime.quantised import read_quantised

    size_hw = size_px(size)
    device_spec = choose_device(device_name(device)).device
    known_ways = ways_on(device_spec)
    chosen_models = [one_of("model", name, (*MODELS, SMP_UNET)) for name in names_in(models)] or TABLE_MODELS
    chosen_ways = [one_of("backend and precision", way, known_ways) for way in names_in(ways)] or known_ways
    cards = {path: read_quantised(path)[1] for path in quantised or []}
    int8 = {card.weights.model: path for path, card in cards.items()}
    if int8 and device_spec.type != "cpu":
        raise ConfigError(
            f"quantised files run on the processor, not on {device_spec.type}; leave --quantised or --device"
        )
    if strangers := [f"{path} ({model})" for model, path in int8.items() if model not in chosen_models]:
        raise ConfigError(
            f"quantised files of models that are not measured: {', '.join(strangers)}; name them in --models"
        )
    results, failures = [], []
    for model in chosen_models:
        measured, failed = measure_latency(
            model, chosen_ways, size_hw, repeats, int8.get(model), device=device_spec, batch_size=batch_size
        )
        results += measured
        failures += failed
    text = latency_table(results, size_hw, failures, device=device_spec)
    show_and_write(text, [r.to_dict() for r in results], out, out_console, command_line())
    int8_mean_iou = {card.weights.model: card.scores_after["mean_iou"] for card in cards.values()}
    if plot_latency(results, out / "latency.png", int8_mean_iou):
        say(f"{out}/latency.png", "dim")


def benchmark_memory(
    models: ModelsOption = "",
    size: SizeOption = "360x480",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16; auto takes both.")] = "auto",
    out: OutOption = Path("results"),
) -> None:
    """Peak live activations of one image: the naive port, ours with whole maps, ours in strips."""
    from segnet.benchmark.measure.inference_memory import measure_inference_memory, memory_table
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.models import MODELS

    size_hw = size_px(size)
    chosen = [one_of("model", name, MODELS) for name in names_in(models)] or ["segnet", "segnet-basic"]
    precisions = ["float32", "bfloat16"] if precision_name(precision) == "auto" else [precision]
    results = [measure_inference_memory(model, p, size_hw) for model in chosen for p in precisions]  # type: ignore[arg-type]
    show_and_write(memory_table(results, size_hw), [r.to_dict() for r in results], out, out_console, command_line())


def benchmark_profile(
    models: ModelsOption = "",
    size: SizeOption = "360x480",
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 1,
    out: OutOption = Path("results"),
) -> None:
    """Where the time goes: the naive port and ours; and what this processor or GPU can multiply at all."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # read when torch is imported: no line for each start and stop
    from segnet.benchmark.measure.profile import matrix_rates, measure_profile, profile_table
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.device import choose_device
    from segnet.models import MODELS

    size_hw = size_px(size)
    chosen = [one_of("model", name, MODELS) for name in names_in(models)] or ["segnet", "segnet-basic"]
    device_spec = choose_device(device_name(device)).device
    ways: tuple[Any, ...] = (
        (None, "float32", "bfloat16") if device_spec.type == "cpu" else (None, "float16", "bfloat16")
    )
    results = [
        measure_profile(model, precision, size_hw, device=device_spec, batch_size=batch_size)
        for model in chosen
        for precision in ways
    ]
    rates = matrix_rates(device_spec)
    text = profile_table(results, rates, size_hw, device=device_spec)
    show_and_write(
        text, [{"matrix_gflop_per_s": rates}, *(r.to_dict() for r in results)], out, out_console, command_line()
    )
