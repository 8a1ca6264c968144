"""Plot of latency against accuracy: one point per way to run a model whose weights have known scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from segnet.benchmark.measure.latency import INT8, Latency
from segnet.errors import WeightsError
from segnet.io.files import whole_file
from segnet.weights.file import WEIGHTS, find_weights, read_card

_LABEL_HEIGHTS = 4  # heights at which neighbouring labels alternate


def known_mean_iou() -> dict[str, float]:
    """Returns the best mean IoU, 0..1, of each model whose weights are installed and have a score."""
    best: dict[str, float] = {}
    for name in WEIGHTS:
        try:
            card = read_card(find_weights(name))
        except WeightsError:
            continue  # known by name, but not installed, or int8
        if not card.widths and "mean_iou" in card.scores:
            best[card.model] = max(best.get(card.model, 0.0), card.scores["mean_iou"])
    return best


def plot_latency(results: Sequence[Latency], path: Path, int8_mean_iou: Mapping[str, float] | None = None) -> bool:
    """Plots the records whose model has a known score.

    Args:
        results: records in table order.
        path: PNG file to write.
        int8_mean_iou: mean IoU of quantised files, 0..1, by model; the float32 score where it is missing.

    Returns:
        Whether there was anything to plot; otherwise no file is written.

    Raises:
        DataError: the file cannot be written.
    """
    scores = known_mean_iou()
    drawn = [r for r in results if r.model_name in scores]
    if not drawn:
        return False
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for model in dict.fromkeys(r.model_name for r in drawn):
        ways = sorted((r for r in drawn if r.model_name == model), key=lambda r: r.time.median_ms)
        after = (int8_mean_iou or {}).get(model, scores[model])
        heights = [100 * (after if r.way == INT8 else scores[model]) for r in ways]
        axes.scatter([r.time.median_ms for r in ways], heights, label=model)
        for number, r in enumerate(ways):
            axes.annotate(
                r.way,
                (r.time.median_ms, heights[number]),
                (0, 14 + 15 * (number % _LABEL_HEIGHTS)),
                textcoords="offset points",
                ha="center",
                fontsize="x-small",
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
                arrowprops={"arrowstyle": "-", "linewidth": 0.4, "shrinkB": 3},
            )
    axes.set(xscale="log", xlabel="median ms of one image", ylabel="mean IoU %; of float32, of int8 its own")
    axes.margins(x=0.12, y=0.45)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize="small")
    axes.legend(fontsize="small", loc="center right")
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    return True
