"""What accuracy costs: weights of any size, full, lean and int8, by time, multiplications, file and memory.

Every file is run by the same ways, all ways of all files alternate, and the ratio is to the naive port of full SegNet
measured in the same run. The score is that of the card unless a dataset is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from segnet.benchmark.measure.latency import INT8, NAIVE
from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.benchmark.measure.naive import NaiveBackend
from segnet.benchmark.measure.timing import Timing, measure_in_turn
from segnet.benchmark.paper_tables.tables import TableText
from segnet.compression.cost import macs_of
from segnet.data.sample import Dataset
from segnet.errors import ConfigError
from segnet.inference.evaluate_backend import mean_iou_of
from segnet.io.files import whole_file
from segnet.models import create_model
from segnet.runtime.create import choose_backend
from segnet.runtime.openvino import OpenVINOBackend
from segnet.runtime.quantised import is_quantised, read_quantised
from segnet.weights.file import find_weights, load_weights

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class ParetoPoint:
    """Weights, run one way.

    Attributes:
        weights: name or file.
        way: backend and precision.
        macs: multiplications with addition of the convolutions, for one image.
        parameters: how many.
        file_mb: size of the file, 10^6 bytes.
        time: of one image, from RGB uint8 to class ids.
        ratio: speed relative to the naive port of full SegNet.
        peak_live_mb: peak of live activations, 10^6 bytes; None where the runtime does not expose it.
        mean_iou: 0..1; None where it is not known.
    """

    weights: str
    way: str
    macs: int
    parameters: int
    file_mb: float
    time: Timing
    ratio: float
    peak_live_mb: float | None
    mean_iou: float | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Entry:
    """A file that is run one way."""

    weights: str
    way: str
    classes: Callable[[Tensor], Tensor]
    macs: int
    parameters: int
    file_mb: float
    mean_iou: float | None


def measure_pareto(
    weights: Sequence[str],
    ways: Sequence[str],
    size_px: tuple[int, int],
    *,
    scored: Dataset | None = None,
    repeats: int = 9,
) -> tuple[list[ParetoPoint], list[str]]:
    """Measures weights beside each other, on the CPU.

    Args:
        weights: names or files, plain or int8; an int8 file has one way of its own.
        ways: backend and precision, such as `eager float32`, for the plain ones.
        size_px: (height, width) of the image.
        scored: labelled images to score each of them on, each way; None takes the scores of the cards.
        repeats: timed images each, after two that warm up.

    Returns:
        The points in the order of the weights, and a message for each that cannot be run here.

    Raises:
        WeightsError: weights that cannot be read, or whose classes are not those of `scored`.
        ConfigError: a way that does not exist.
    """
    entries, failures = list[_Entry](), list[str]()
    for name in weights:
        path = find_weights(name)
        for way in (INT8,) if is_quantised(path) else tuple(ways):
            try:
                entries.append(_entry(name, path, way, size_px))
            except ConfigError as cause:
                failures.append(f"{name}, {way}: not measured, {cause}")
    image = torch.randint(0, 256, (1, 3, *size_px), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        naive = NaiveBackend(create_model("segnet", 11).eval(), _CPU)
    calls: dict[str, Callable[[], object]] = {NAIVE: lambda: naive.classes(image)}
    for number, entry in enumerate(entries):
        calls[str(number)] = _call(entry, image)
    times = measure_in_turn(calls, repeats=repeats)
    points = []
    for number, entry in enumerate(entries):
        time = times[str(number)]
        is_counted = entry.way.startswith("eager")
        points.append(
            ParetoPoint(
                entry.weights,
                entry.way,
                entry.macs,
                entry.parameters,
                entry.file_mb,
                time,
                times[NAIVE].median_ms / time.median_ms,
                peak_live_bytes(_call(entry, image)) / 1e6 if is_counted else None,
                mean_iou_of(entry.classes, scored) if scored is not None else entry.mean_iou,
            )
        )
    return points, failures


def _entry(name: str, path: Path, way: str, size_px: tuple[int, int]) -> _Entry:
    file_mb = path.stat().st_size / 1e6
    if way == INT8:
        card = read_quantised(path)[1]
        with torch.device("meta"):
            model = create_model(card.weights.model, card.weights.label_set.num_classes, widths=card.weights.widths)
        backend: Any = OpenVINOBackend.from_quantised(path)
        score = card.scores_after.get("mean_iou")
    else:
        model, plain = load_weights(path)
        runtime, _, precision = way.partition(" ")
        backend = choose_backend(model, runtime, _CPU, precision)  # type: ignore[arg-type] # it refuses others
        score = plain.scores.get("mean_iou")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return _Entry(name, way, backend.classes, macs_of(model, size_px), parameters, file_mb, score)


def _call(entry: _Entry, image: Tensor) -> Callable[[], object]:
    return lambda: entry.classes(image)


def pareto_table(points: Sequence[ParetoPoint], size_px: tuple[int, int], failures: Sequence[str] = ()) -> TableText:
    """The points as a table."""
    rows = tuple(
        (
            p.weights,
            p.way,
            f"{p.macs / 1e9:.2f}",
            f"{p.parameters / 1e6:.2f}",
            f"{p.file_mb:.1f}",
            f"{p.time.median_ms:.1f}",
            f"{p.time.min_ms:.1f} to {p.time.max_ms:.1f}",
            f"{p.ratio:.1f}x",
            "-" if p.peak_live_mb is None else f"{p.peak_live_mb:.1f}",
            "-" if p.mean_iou is None else f"{100 * p.mean_iou:.1f}",
        )
        for p in points
    )
    heads = (
        *("weights", "run by", "GMAC", "M parameters", "file MB"),
        *("median ms", "spread", "to naive", "live MB", "mean IoU"),
    )
    title = f"What accuracy costs: one image, {size_px[0]}x{size_px[1]}, {torch.get_num_threads()} threads"
    notes = (
        "From RGB uint8 to class ids; all ways of all weights alternated.",
        "`to naive`: speed relative to the naive port of full SegNet, measured in the same run.",
        "`live MB`: peak of live activations, without weights; not measured inside other runtimes.",
        *failures,
    )
    return TableText("pareto", title, heads, rows, notes)


def plot_pareto(points: Sequence[ParetoPoint], path: Path) -> bool:
    """Plots mean IoU against time, multiplications, file size and memory: one panel each.

    Args:
        points: those without a score are left out.
        path: PNG file to write.

    Returns:
        Whether there was anything to plot; otherwise no file is written.

    Raises:
        DataError: the file cannot be written.
    """
    drawn = [p for p in points if p.mean_iou is not None]
    if not drawn:
        return False
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True)
    measures: list[tuple[str, Callable[[ParetoPoint], float | None]]] = [
        ("median ms of one image", lambda p: p.time.median_ms),
        ("10^9 multiplications", lambda p: p.macs / 1e9),
        ("file, MB", lambda p: p.file_mb),
        ("live activations, MB", lambda p: p.peak_live_mb),
    ]
    for axes, (label, value) in zip(panels.flat, measures, strict=True):
        for weights in dict.fromkeys(p.weights for p in drawn):
            own = [(value(p), 100 * (p.mean_iou or 0.0)) for p in drawn if p.weights == weights]
            known = [(x, y) for x, y in own if x is not None]
            axes.scatter([x for x, _ in known], [y for _, y in known], label=Path(weights).stem)
        axes.set(xscale="log", xlabel=label)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, alpha=0.3)
    for axes in panels[:, 0]:
        axes.set_ylabel("mean IoU %")
    panels[0, 0].legend(fontsize="small")
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
    return True
