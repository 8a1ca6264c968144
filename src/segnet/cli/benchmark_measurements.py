"""Commands `segnet benchmark latency, memory, peak, profile, pooling, training, initialisation`."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

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
from segnet.errors import ConfigError

SizeOption = Annotated[str, typer.Option(help="HEIGHTxWIDTH of the input, in pixels.")]
ModelsOption = Annotated[str, typer.Option(help="Comma-separated names; default: those of the table.")]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Images per batch.")]
OutOption = Annotated[Path, typer.Option(help="Folder for the table as Markdown and JSON.")]
JSONOption = Annotated[Path | None, typer.Option("--out", help="JSON file for the results; default: none is written.")]


def benchmark_latency(
    models: ModelsOption = "",
    ways: Annotated[str, typer.Option("--backends", help="Such as naive,eager bfloat16; default: all.")] = "",
    size: SizeOption = "360x480",
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls per way to run a model.")] = 9,
    quantised: Annotated[list[Path] | None, typer.Option(help="int8 file of segnet quantise; repeatable.")] = None,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 1,
    out: OutOption = Path("results"),
) -> None:
    """Measure latency: the naive port, our backends and precisions, and other models."""
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
            f"quantised files run on the CPU, not on {device_spec.type}; leave out --quantised or --device"
        )
    if unmeasured := [f"{path} ({model})" for model, path in int8.items() if model not in chosen_models]:
        raise ConfigError(
            f"quantised files of models that are not measured: {', '.join(unmeasured)}; add these to --models"
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
    precision: Annotated[str, typer.Option(help="float32 or bfloat16; auto measures both.")] = "auto",
    out: OutOption = Path("results"),
) -> None:
    """Measure peak activations of one image: the naive port, whole feature maps, strips."""
    from segnet.benchmark.measure.inference_memory import measure_inference_memory, memory_table
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.models import MODELS

    size_hw = size_px(size)
    chosen = [one_of("model", name, MODELS) for name in names_in(models)] or ["segnet", "segnet-basic"]
    precisions = ["float32", "bfloat16"] if precision_name(precision) == "auto" else [precision]
    results = [measure_inference_memory(model, p, size_hw) for model in chosen for p in precisions]  # type: ignore[arg-type]
    show_and_write(memory_table(results, size_hw), [r.to_dict() for r in results], out, out_console, command_line())


def benchmark_peak(
    models: ModelsOption = "",
    size: SizeOption = "360x480",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16; auto measures both.")] = "auto",
    out: OutOption = Path("results"),
) -> None:
    """List what is alive at the peak of one image's inference: weights, their copies, maps, indices."""
    from segnet.benchmark.measure.peak_table import TABLE_6, measure_peak, peak_table
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.models import MODELS

    size_hw = size_px(size)
    chosen = [one_of("model", name, MODELS) for name in names_in(models)] or TABLE_6
    precisions = ["float32", "bfloat16"] if precision_name(precision) == "auto" else [precision]
    records = [measure_peak(model, p, size_hw) for model in chosen for p in precisions]  # type: ignore[arg-type]
    show_and_write(peak_table(records, size_hw), [r.to_dict() for r in records], out, out_console, command_line())


def benchmark_profile(
    models: ModelsOption = "",
    size: SizeOption = "360x480",
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 1,
    out: OutOption = Path("results"),
) -> None:
    """Profile models by operator: the naive port and our backend, with the device's rate of matrix products."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # read when torch is imported; silences its log lines
    from segnet.benchmark.measure.operator_times import matrix_rates, measure_profile, profile_table
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


def benchmark_pooling(
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls of each.")] = 9,
    out: JSONOption = None,
) -> None:
    """Time and memory of pooling + unpooling, forward and backward, against PyTorch's own pair."""
    from segnet.benchmark.measure import pooling
    from segnet.benchmark.paper_tables.tables import print_whole

    results = pooling.compare_all(repeats)
    text = pooling.pooling_table(results)
    print_whole(text.to_rich(), out_console)
    for note in text.notes:
        say(note)
    _write_results(out, [r.to_dict() for r in results])


def benchmark_training(
    models: Annotated[
        list[str] | None, typer.Option("--model", help="Name; repeatable; default: segnet and segnet-basic.")
    ] = None,
    size: SizeOption = "180x240",
    batch_size: BatchSizeOption = 4,
    steps: Annotated[int, typer.Option(min=1, help="Timed steps, after one warm-up step.")] = 5,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    out: JSONOption = None,
) -> None:
    """Images per second and peak memory of a training step: the naive port, our model, and our model in low memory."""
    from segnet.benchmark.measure.training_step import measure_all_forms, training_table
    from segnet.benchmark.paper_tables.tables import print_whole
    from segnet.device import choose_device

    device_spec = choose_device(device_name(device), precision_name(precision))
    results = measure_all_forms(models or ["segnet", "segnet-basic"], batch_size, size_px(size), device_spec, steps)
    print_whole(training_table(results).to_rich(), out_console)
    _write_results(out, [r.to_dict() for r in results])


def benchmark_initialisation(
    data: DataOption,
    out: OutOption = Path("results"),
    models: Annotated[str, typer.Option(help="Comma-separated names; default: segnet-basic,segnet.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, counted from 1.")] = 3,
    data_format: FormatOption = "auto",
    train_split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    val_split: Annotated[str, typer.Option(help="Split to score on.")] = "val",
    vgg16: Annotated[
        str, typer.Option("--vgg16", help="ImageNet weights for models based on VGG16: oxford, torchvision or a file.")
    ] = "oxford",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Learning curves of random and tent initialisation of the decoder (model.init), over seeds.

    Results of models that were measured before stay in the table and the plot.
    """
    from segnet.benchmark.measure.initialisation import (
        SCHEDULES,
        curves_table,
        learning_curves,
        plot_curves,
        with_stored,
    )
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.data import open_dataset
    from segnet.device import choose_device

    names = names_in(models) or tuple(SCHEDULES)
    for name in names:
        one_of("model", name, SCHEDULES)
    device_spec = choose_device(device_name(device), precision_name(precision))
    splits = (open_dataset(data, train_split, data_format), open_dataset(data, val_split, data_format))
    records: list[dict[str, Any]] = []
    for name in names:
        numbers = range(1, seeds + 1)
        records += learning_curves(name, splits, device_spec, out, seeds=numbers, vgg16=vgg16, console=out_console)
    records = with_stored(records, out / "initialisation.json")
    plot_curves(records, out / "initialisation.png")
    show_and_write(curves_table(records), records, out, out_console, command_line())


def _write_results(path: Path | None, results: list[dict[str, object]]) -> None:
    if path is None:
        return
    from segnet.io.files import whole_file
    from segnet.machine import machine_facts

    with whole_file(path) as temporary:
        temporary.write_text(json.dumps({"machine": machine_facts(), "results": results}, indent=1))
    say(str(path), "dim")


def benchmark_pareto(
    weights: Annotated[
        str, typer.Option(help="Comma-separated names or files, plain or int8; default: all that are installed.")
    ] = "",
    ways: Annotated[str, typer.Option("--backends", help="Backend and precision of the plain ones.")] = "eager float32",
    data: Annotated[str, typer.Option(help="Dataset to score on; empty takes the scores of the cards.")] = "",
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "val",
    data_format: FormatOption = "auto",
    size: SizeOption = "360x480",
    repeats: Annotated[int, typer.Option(min=1, help="Timed images each.")] = 9,
    out: OutOption = Path("results"),
) -> None:
    """Measure what accuracy costs: time, multiplications, file and memory against mean IoU, of weights of any size."""
    from segnet.benchmark.measure.latency import NAIVE, WAYS
    from segnet.benchmark.measure.pareto import measure_pareto, pareto_table, plot_pareto
    from segnet.benchmark.paper_tables.results import show_and_write
    from segnet.data import open_dataset
    from segnet.errors import WeightsError
    from segnet.weights.file import WEIGHTS, find_weights

    def is_installed(name: str) -> bool:
        try:
            return bool(find_weights(name))
        except WeightsError:
            return False

    size_hw = size_px(size)
    chosen = names_in(weights) or tuple(name for name in WEIGHTS if is_installed(name))
    chosen_ways = [one_of("backend and precision", way, [w for w in WAYS if w != NAIVE]) for way in names_in(ways)]
    scored = open_dataset(data, split, data_format) if data else None
    points, failures = measure_pareto(chosen, chosen_ways, size_hw, scored=scored, repeats=repeats)
    text = pareto_table(points, size_hw, failures)
    show_and_write(text, [p.to_dict() for p in points], out, out_console, command_line())
    if plot_pareto(points, out / "pareto.png"):
        say(f"{out}/pareto.png", "dim")
