"""Converts a matplotlib figure to an `<svg>` element that uses the colours and the font of the page.

Plots draw with the theme colours below. In the SVG each becomes a CSS variable, so one plot serves light and dark mode
and print. Class colours stay as they are. Text stays text: it can be searched, copied and read by screen readers.
"""

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

from matplotlib import style
from matplotlib.figure import Figure

from segnet.labels import Colour

INK, SOFT, LINE = "#010203", "#010204", "#010205"
BLUE, ORANGE, GREEN, RED = "#010206", "#010207", "#010208", "#010209"
_VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    RED: "--red",
}
_STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "svg.fonttype": "none",
}


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """The style of all plots, independent of the user's matplotlib settings.

    Args:
        name: of the plot; makes the ids inside its SVG unique on the page.
    """
    with warnings.catch_warnings(), style.context(["default", _STYLE | {"svg.hashsalt": name}]):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's browser has fonts for it
        yield


def to_svg(figure: Figure, description: str) -> str:
    """The figure as an element for HTML; call it inside `drawing`.

    Args:
        figure: drawn in the theme colours; its size is in inches of 96 CSS pixels.
        description: what the plot shows, for readers who do not see it; escaped here.

    Returns:
        `<svg ...>...</svg>` without references to anything outside.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg")
    text = file.getvalue()
    inside = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    inside = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", inside, count=2, flags=re.DOTALL)
    inside = re.sub(r'<g id="[^"]*"', "<g", inside)
    inside = re.sub(r"(?<=: )#01020\d", lambda found: f"var({_VARIABLES[found[0]]})", inside)
    width, height = figure.get_size_inches()
    return (
        f'<svg role="img" aria-label="{escape(description)}" width="{96 * width:.0f}" height="{96 * height:.0f}" '
        f'viewBox="0 0 {72 * width:g} {72 * height:g}">{inside}</svg>'
    )


def fixed(colour: Colour) -> str:
    """An RGB colour that is the same in every theme, for matplotlib and CSS: `#rrggbb`."""
    text = "#" + bytes(colour).hex()
    return text if text not in _VARIABLES else text.replace("#01", "#02")  # an invisible difference


def shortened(name: str, longest: int) -> str:
    """A name in one line of at most `longest` characters; a cut is shown by `…`."""
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 1] + "…"


def percent(value: float, digits: int = 1) -> str:
    """A share 0..1 as percent without the sign; NaN, an undefined score, is `-`."""
    return "-" if math.isnan(value) else f"{100 * value:.{digits}f}"
