"""Training curves: loss, learning rate and validation scores from the log of a run."""

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from segnet.report.svg import BLUE, GREEN, ORANGE, RED, drawing, to_svg
from segnet.training.log import Record

_SIZE_IN = (3.7, 2.5)
_MOST_POINTS = 400
_SCORES = (
    ("global_accuracy", "global accuracy", GREEN, "s"),
    ("class_average_accuracy", "class average", ORANGE, "^"),
    ("mean_iou", "mean IoU", BLUE, "o"),
    ("boundary_f1", "boundary F1", RED, "D"),
)

Floats = NDArray[np.float64]


def training_curves(log: Sequence[Record]) -> list[tuple[str, str]]:
    """Draws the plots that a log has data for.

    Args:
        log: records of training, `{"step", "loss", "lr", "images_per_s"}`, and of evaluation, `{"step", "epoch",
            "global_accuracy", "class_average_accuracy", "mean_iou"}` with or without `boundary_f1`. Values that are
            not finite are left out.

    Returns:
        Pairs of SVG element and caption (plain text, not escaped): loss, learning rate, validation scores. The
        horizontal axis counts epochs if an evaluation states how many steps an epoch has, else steps.
    """
    steps_per_epoch = next((r["step"] / r["epoch"] for r in log if r.get("epoch")), None)
    unit = "epoch" if steps_per_epoch else "step"
    plots = []
    for key, draw in (("loss", _draw_loss), ("lr", _draw_lr)):
        steps, values = _series(log, key)
        if values.size:
            with drawing(key):
                figure, axes = _figure(unit)
                caption = draw(axes, steps / (steps_per_epoch or 1), values)
                plots.append((to_svg(figure, caption), caption + (_speed(log) if key == "loss" else "")))
    if any(key in record for record in log for key, *_ in _SCORES):
        with drawing("validation"):
            figure, axes = _figure(unit)
            caption = _draw_validation(axes, log, steps_per_epoch or 1)
            plots.append((to_svg(figure, caption), caption))
    return plots


def _draw_loss(axes: Axes, when: Floats, loss: Floats) -> str:
    when, loss = _thinned(when), _thinned(loss)
    window = max(loss.size // 25, 1) | 1
    weights = np.convolve(np.ones(loss.size), np.ones(window), "same")  # fewer neighbours at both ends
    axes.plot(when, loss, color=BLUE, alpha=0.4, linewidth=1)
    axes.plot(when, np.convolve(loss, np.ones(window), "same") / weights, color=BLUE, marker=_dot(loss))
    axes.set_ylim(bottom=min(0.0, float(loss.min())))
    axes.set_ylabel("training loss")
    return "Loss on the training images (pale) and its running mean. Training minimises it."


def _draw_lr(axes: Axes, when: Floats, lr: Floats) -> str:
    axes.plot(when, lr, color=ORANGE, marker=_dot(lr))
    axes.set_ylim(0, 1.08 * float(lr.max()) or 1)
    axes.set_ylabel("learning rate")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return "Learning rate: the size of the optimiser's steps."


def _draw_validation(axes: Axes, log: Sequence[Record], steps_per_epoch: float) -> str:
    for key, label, colour, marker in _SCORES:
        steps, values = _series(log, key)
        if values.size:
            axes.plot(steps / steps_per_epoch, 100 * values, color=colour, marker=marker, markersize=4, label=label)
    axes.set_ylabel("percent")
    axes.margins(y=0.12)
    axes.figure.legend(loc="outside upper left", ncols=2, handlelength=1.6, columnspacing=1.2)
    return "Scores on the validation images, which are not used for training."


def _speed(log: Sequence[Record]) -> str:
    _, speeds = _series(log, "images_per_s")
    return f" Median speed: {median(speeds.tolist()):.3g} images/s." if speeds.size else ""


def _series(log: Sequence[Record], key: str) -> tuple[Floats, Floats]:
    """Steps and finite values of one key: two float64 arrays (P,)."""
    pairs = [(r["step"], r[key]) for r in log if r.get(key) is not None and math.isfinite(r[key])]
    columns = np.array(pairs, np.float64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _thinned(values: Floats) -> Floats:
    """Averages neighbours until at most `_MOST_POINTS` remain, so that a long run does not make a large file."""
    group = -(-values.size // _MOST_POINTS)
    return np.array([values[i : i + group].mean() for i in range(0, values.size, group)])


def _dot(values: Floats) -> str:
    """A marker where a line of one point would be invisible."""
    return "o" if values.size == 1 else ""


def _figure(unit: str) -> tuple[Figure, Axes]:
    figure = Figure(_SIZE_IN, layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(length=0)
    axes.set_xlabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    return figure, axes
