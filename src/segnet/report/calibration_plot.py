"""Calibration: whether the model's confidence matches its accuracy, in two plots."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segnet.metrics.calibration import BINS, Calibration
from segnet.report.svg import BLUE, ORANGE, SOFT, drawing, percent, to_svg

_SIZE_IN = (3.7, 2.9)


def calibration_plots(calibration: Calibration) -> list[tuple[str, str]]:
    """Pairs of SVG element and caption (plain text, not escaped): reliability, and accuracy of the surest pixels.

    Empty for a calibration without pixels.
    """
    if not calibration.pixels.sum():
        return []
    plots = []
    for name, draw in (("reliability", _draw_reliability), ("surest", _draw_surest)):
        with drawing(name):
            figure = Figure(_SIZE_IN, layout="constrained")
            axes = figure.add_subplot()
            axes.tick_params(length=0)
            axes.set(xlim=(0, 100))
            caption = draw(axes, calibration)
            plots.append((to_svg(figure, caption), caption))
    return plots


def _draw_reliability(axes: Axes, calibration: Calibration) -> str:
    filled = calibration.pixels > 0
    accuracy = 100 * calibration.right[filled] / calibration.pixels[filled]
    confidence = 100 * calibration.confidence[filled] / calibration.pixels[filled]
    left = np.arange(BINS)[filled] * 100 / BINS
    shares = calibration.pixels[filled] / calibration.pixels.sum()
    axes.bar(left, 100 * shares, 100 / BINS, align="edge", color=SOFT, alpha=0.25, label="share of pixels")
    axes.plot((0, 100), (0, 100), color=SOFT, linewidth=1, linestyle="--")
    axes.plot(confidence, accuracy, color=BLUE, marker="o", markersize=4, label="accuracy")
    axes.set(ylim=(0, 100), xlabel="confidence, percent", ylabel="percent")
    axes.legend(loc="upper left")
    return (
        "How often the model is right at each confidence; on the dashed line accuracy equals confidence. "
        f"Expected calibration error {percent(calibration.expected_error)} %."
    )


def _draw_surest(axes: Axes, calibration: Calibration) -> str:
    shares = np.linspace(0.01, 1, 100)
    accuracy = [100 * calibration.accuracy_of_surest(share) for share in shares]
    axes.plot(100 * shares, accuracy, color=ORANGE)
    axes.set(xlabel="pixels kept, most confident first, percent", ylabel="accuracy, percent")
    axes.margins(y=0.12)
    tenth, half, everything = (percent(calibration.accuracy_of_surest(share)) for share in (0.1, 0.5, 1.0))
    return (
        f"Accuracy of the pixels that the model is most confident of: {tenth} % for the top tenth, {half} % for "
        f"the top half, {everything} % for all."
    )
