"""Scores of each class and confusion between classes: plots of the confusion counts."""

import math

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from segnet.labels import LabelSet
from segnet.metrics import confusion
from segnet.report.svg import BLUE, INK, LINE, RED, SOFT, drawing, fixed, percent, shortened, to_svg

_CHARACTER_IN = 0.078
_LONGEST_NAME = 22


def class_bars(counts: Tensor, label_set: LabelSet) -> str:
    """Draws bars of IoU (thick) and accuracy (thin) in each class's colour, with both numbers and the share of pixels.

    Args:
        counts: int64 (K, K), rows are targets.
        label_set: names and colours.

    Returns:
        An SVG element. A score that does not exist is `-`; the share is of the labelled pixels.
    """
    num_classes = label_set.num_classes
    names = [shortened(name, _LONGEST_NAME) for name in label_set.names]
    ious, accuracies = confusion.iou(counts).tolist(), confusion.class_accuracy(counts).tolist()
    shares = (counts.sum(1).double() / counts.sum()).tolist()
    left, bars, columns, row, head = 0.32 + _name_width_in(names), 1.75, 1.65, 0.28, 0.42
    width, height = left + bars + columns, row * num_classes + head + 0.28
    with drawing("bars"):
        figure = Figure((width, height))
        axes = figure.add_axes((left / width, 0.28 / height, bars / width, row * num_classes / height))
        axes.set(xlim=(0, 100), ylim=(num_classes - 0.5, -0.5), xticks=(0, 50, 100), yticks=())
        axes.grid(axis="y", visible=False)
        axes.tick_params(length=0)
        beside = axes.get_yaxis_transform()  # x in shares of the bars' width, y in rows
        for place, heading in zip((0.5, 1.02, 1.56), ("IoU", "accu-\nracy", "share of\npixels"), strict=True):
            axes.text(1 + place / bars, -0.7, heading, transform=beside, ha="right", va="bottom", color=SOFT, size=8)
        for i, name in enumerate(names):
            colour = fixed(label_set.colours[i])
            swatch = Rectangle((-0.22 / bars, i - 0.24), 0.13 / bars, 0.48, transform=beside, clip_on=False)
            swatch.set(facecolor=colour, edgecolor=SOFT, linewidth=0.5)
            axes.add_artist(swatch)
            axes.text(-0.3 / bars, i, name, transform=beside, ha="right", va="center", parse_math=False)
            axes.barh(i - 0.1, _bar(ious[i]), 0.42, color=colour, edgecolor=SOFT, linewidth=0.5)
            axes.barh(i + 0.25, _bar(accuracies[i]), 0.14, color=colour, alpha=0.6, edgecolor=SOFT, linewidth=0.5)
            for place, value, ink in ((0.5, ious[i], INK), (1.02, accuracies[i], SOFT), (1.56, shares[i], SOFT)):
                axes.text(1 + place / bars, i, percent(value), transform=beside, ha="right", va="center", color=ink)
        return to_svg(figure, "Intersection over union and accuracy of each class, in percent")


def confusion_matrix(counts: Tensor, label_set: LabelSet) -> str:
    """Draws the confusion matrix: of the pixels labelled as a class (row), the percentage predicted as each (column).

    Args:
        counts: int64 (K, K), rows are targets.
        label_set: names.

    Returns:
        An SVG element. Right is blue, wrong is red; cells below half a percent are empty, except on the diagonal; a
        class without pixels has `-`.
    """
    num_classes = label_set.num_classes
    names = [shortened(name, _LONGEST_NAME) for name in label_set.names]
    shares = _row_shares(counts).tolist()
    cell, size = (0.4, 9) if num_classes <= 14 else (0.27, 6.5)
    labels, side, edge = _name_width_in(names) + 0.12, cell * num_classes, 0.25
    width, height = max(edge + labels + side + 0.1, 2.4), edge + labels + side + 0.1
    with drawing("matrix"):
        figure = Figure((width, height))
        axes = figure.add_axes(((edge + labels) / width, 0.1 / height, side / width, side / height))
        axes.set(xlim=(-0.5, num_classes - 0.5), ylim=(num_classes - 0.5, -0.5), xticks=(), yticks=())
        for spine in axes.spines.values():
            spine.set(visible=True, color=LINE)
        for t, row in enumerate(shares):
            axes.text(-0.5 - 0.1 / cell, t, names[t], ha="right", va="center", parse_math=False)
            axes.text(t, -0.5 - 0.1 / cell, names[t], ha="center", va="bottom", rotation=90, parse_math=False)
            for p, share in enumerate(row):
                if share >= 0.005:
                    colour, alpha = (BLUE, 0.6 * share) if t == p else (RED, 0.75 * share)
                    axes.add_artist(
                        Rectangle((p - 0.5, t - 0.5), 1, 1, facecolor=colour, alpha=alpha, edgecolor="none")
                    )
                if share >= 0.005 or t == p:
                    ink = INK if share >= 0.1 or t == p else SOFT
                    axes.text(p, t, percent(share, 0), ha="center", va="center", size=size, color=ink)
        figure.text((edge + labels + side / 2) / width, 1, "predicted as", ha="center", va="top", color=SOFT)
        middle = max(0.1 + side / 2, 0.42) / height
        figure.text(0, middle, "labelled as", ha="left", va="center", rotation=90, color=SOFT)
        return to_svg(figure, "Confusion matrix in percent: rows are labels, columns are predictions")


def largest_confusions(counts: Tensor, count: int = 3) -> list[tuple[int, int, float]]:
    """The classes most often confused with another.

    Args:
        counts: int64 (K, K), rows are targets.
        count: at most this many pairs.

    Returns:
        Target class, predicted class, share of the target class's pixels (0..1), largest first; none below 1 %.
    """
    rows = enumerate(_row_shares(counts).tolist())
    wrong = [(t, p, share) for t, row in rows for p, share in enumerate(row) if t != p and share >= 0.01]
    return sorted(wrong, key=lambda entry: -entry[2])[:count]


def _row_shares(counts: Tensor) -> Tensor:
    """Each row divided by its sum, float64 (K, K); NaN in the row of a class without pixels."""
    return counts.double() / counts.sum(1, keepdim=True)


def _name_width_in(names: list[str]) -> float:
    return _CHARACTER_IN * max(6, *(len(name) for name in names))


def _bar(value: float) -> float:
    return 0.0 if math.isnan(value) else 100 * value
