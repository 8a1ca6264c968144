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
NetsOption = Annotated[str, typer.Option(help="Names with commas between; empty takes the table's own.")]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Pictures at once.")]
OutOption = Annotated[Path, typer.Option(help="Folder for the table as Markdown and JSON.")]


def tune(
    weights: WeightsOption,
    size: SizeOption = "360x480",
    picture: Annotated[Path | None, typer.Option(help="To try on, at its own size; none draws a street scene.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of each way to run the net.")] = 5,
) -> None:
    """Try every backend there is for these weights, and remember the fastest that is correct: auto then takes it."""
    import torch

    from segnet.data.pictures import read_picture
    from segnet.data.street import Street
    from segnet.engine.device import choose_place
    from segnet.engine.fastest import LEAST_SAME, fastest, remember, try_ways

    pixels = read_picture(picture) if picture else Street(1, size_px(size))[0].image
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous()
    place = choose_place()
    trials, refused = try_ways(weights, image, place, repeats)
    table = Table("backend", "precision", "median ms", "start-up ms", "classes as in float32")
    for t in trials:
        table.add_row(t.backend, t.precision, f"{t.median_ms:.1f}", f"{t.start_up_ms:.0f}", f"{t.same:.2%}")
    out_console.print(table)
    for line in refused:
        say(f"not tried: {line}", "dim")
    best = fastest(trials)
    kept = remember(weights, best, place.device)
    say(f"auto takes {best.backend} in {best.precision}: the fastest with at least {LEAST_SAME:.0%} of the classes")
    say(str(kept), "dim")


def quantise(
    weights: WeightsOption,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="The file to write, .safetensors.")],
    pictures: Annotated[int, typer.Option(min=1, help="To calibrate on, from the training split.")] = 45,
    split: Annotated[str, typer.Option(help="To calibrate on.")] = "train",
    score_split: Annotated[str, typer.Option(help="To score before and after on.")] = "val",
    score_pictures: Annotated[int, typer.Option(min=0, help="Of that split; 0 takes all.")] = 0,
    max_loss: Annotated[float, typer.Option(min=0, help="Points of mean IoU that int8 may cost.")] = 0.5,
    data_format: FormatOption = "auto",
) -> None:
    """Bring a net to int8 with a few pictures; keeps it as one file, with its scores before and after inside."""
    from segnet.data import open_dataset
    from segnet.runtime.quantise import quantise as quantise_weights

    card = quantise_weights(
        weights,
        open_dataset(data, split, data_format),
        open_dataset(data, score_split, data_format),
        out,
        num_pictures=pictures,
        num_scored=score_pictures or None,
        max_loss_points=max_loss,
    )
    for name, before in card.scores_before.items():
        after = card.scores_after[name]
        say(f"{name.replace('_', ' ')}: {before:.4f} in float32, {after:.4f} in int8")
    kept = ", ".join(card.kept_float) or "none"
    say(f"convolutions kept in higher precision: {kept}")
    say(str(out), "dim")


def benchmark_latency(
    nets: NetsOption = "",
    ways: Annotated[str, typer.Option("--backends", help="Such as naive,eager bfloat16; empty takes all.")] = "",
    size: SizeOption = "360x480",
    repeats: Annotated[int, typer.Option(min=1, help="Of each way to run a net; they take turns.")] = 9,
    quantised: Annotated[list[Path] | None, typer.Option(help="File of segnet quantise, as often as needed.")] = None,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 1,
    out: OutOption = Path("results"),
) -> None:
    """Pictures to class ids: the naive port, our backends and precisions, other nets under the same."""
    from segnet.benchmark.latency import NETS, latency_table, measure_latency, ways_on
    from segnet.benchmark.latency_plot import plot_latency
    from segnet.benchmark.peers import SMP_UNET
    from segnet.benchmark.results import show_and_write
    from segnet.engine.device import choose_place
    from segnet.models import MODELS
    from segnet.runtime.quantised import read_quantised

    size_hw = size_px(size)
    place = choose_place(device_name(device)).device
    known_ways = ways_on(place)
    chosen_nets = [one_of("net", name, (*MODELS, SMP_UNET)) for name in names_in(nets)] or NETS
    chosen_ways = [one_of("backend and precision", way, known_ways) for way in names_in(ways)] or known_ways
    cards = {path: read_quantised(path)[1] for path in quantised or []}
    int8 = {card.weights.model: path for path, card in cards.items()}
    if int8 and place.type != "cpu":
        raise ConfigError(f"quantised files run on the processor, not on {place.type}; leave --quantised or --device")
    if strangers := [f"{path} ({net})" for net, path in int8.items() if net not in chosen_nets]:
        raise ConfigError(f"quantised files of nets that are not measured: {', '.join(strangers)}; name them in --nets")
    results, failures = [], []
    for net in chosen_nets:
        measured, failed = measure_latency(
            net, chosen_ways, size_hw, repeats, int8.get(net), device=place, batch_size=batch_size
        )
        results += measured
        failures += failed
    text = latency_table(results, size_hw, failures, device=place)
    show_and_write(text, [r.to_dict() for r in results], out, out_console, command_line())
    int8_mean_iou = {card.weights.model: card.scores_after["mean_iou"] for card in cards.values()}
    if plot_latency(results, out / "latency.png", int8_mean_iou):
        say(f"{out}/latency.png", "dim")


def benchmark_memory(
    nets: NetsOption = "",
    size: SizeOption = "360x480",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16; auto takes both.")] = "auto",
    out: OutOption = Path("results"),
) -> None:
    """Peak live activations of one picture: the naive port, ours with whole maps, ours in strips."""
    from segnet.benchmark.inference_memory import measure_inference_memory, memory_table
    from segnet.benchmark.results import show_and_write
    from segnet.models import MODELS

    size_hw = size_px(size)
    chosen = [one_of("net", name, MODELS) for name in names_in(nets)] or ["segnet", "segnet-basic"]
    precisions = ["float32", "bfloat16"] if precision_name(precision) == "auto" else [precision]
    results = [measure_inference_memory(net, p, size_hw) for net in chosen for p in precisions]  # type: ignore[arg-type]
    show_and_write(memory_table(results, size_hw), [r.to_dict() for r in results], out, out_console, command_line())


def benchmark_profile(
    nets: NetsOption = "",
    size: SizeOption = "360x480",
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 1,
    out: OutOption = Path("results"),
) -> None:
    """Where the time goes: the naive port and ours; and what this processor or GPU can multiply at all."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # read when torch is imported: no line for each start and stop
    from segnet.benchmark.profile import matrix_rates, measure_profile, profile_table
    from segnet.benchmark.results import show_and_write
    from segnet.engine.device import choose_place
    from segnet.models import MODELS

    size_hw = size_px(size)
    chosen = [one_of("net", name, MODELS) for name in names_in(nets)] or ["segnet", "segnet-basic"]
    place = choose_place(device_name(device)).device
    ways: tuple[Any, ...] = (None, "float32", "bfloat16") if place.type == "cpu" else (None, "float16", "bfloat16")
    results = [
        measure_profile(net, precision, size_hw, device=place, batch_size=batch_size)
        for net in chosen
        for precision in ways
    ]
    rates = matrix_rates(place)
    text = profile_table(results, rates, size_hw, device=place)
    show_and_write(
        text, [{"matrix_gflop_per_s": rates}, *(r.to_dict() for r in results)], out, out_console, command_line()
    )
