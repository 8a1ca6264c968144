"""Draws docs/images/pooling-indices.svg: pooling and unpooling of a small map, step by step, with computed numbers.

python -P tools/draw_pooling_figure.py --out docs/images/pooling-indices.svg
"""

import argparse
from html import escape
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from segnet.io.files import whole_file
from segnet.pooling import max_pool, max_unpool

# Channel 0 of four; the others are its mirror images, so that every number can be checked by eye.
MAP = torch.tensor([[1.0, 3, 2, 4], [5, 2, 1, 0], [0, 1, 6, 2], [2, 8, 3, 1]])
DEEPER = torch.tensor([[7.0, 1], [2, 9]])  # what the decoder has at this level
TENT = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])

CELL = 40
WINDOW_FILLS = ("#cfe3ff", "#ffe2bf", "#d6f2d0", "#eed6f7")
WINDOW_INKS = ("#1f5fbf", "#b3610a", "#2c7a1f", "#7b2d9b")
INK, FAINT, LINE = "#1c1e26", "#b4b8c2", "#8a8f9c"


def four_channels() -> Tensor:
    """The map and three mirror images of it, (1, 4, 4, 4)."""
    return torch.stack([MAP, MAP.flip(1), MAP.flip(0), MAP.T])[None]


def steps() -> dict[str, Tensor]:
    """All that the figure shows, computed by the package itself."""
    pooled, indices = max_pool(four_channels())
    deeper = DEEPER.expand(1, 4, 2, 2)
    unpooled = max_unpool(deeper, indices)
    return {
        "map": MAP,
        "pooled": pooled[0, 0],
        "positions": indices.positions()[0, 0],
        "window": indices.positions()[0, :, 0, 0],  # of four channels
        "byte": indices.packed[0, 0, 0, 0],
        "deeper": DEEPER,
        "unpooled": unpooled[0, 0],
        "convolved": F.conv2d(unpooled[:, :1], TENT[None, None], padding=1)[0, 0],
    }


def text(x: float, y: float, content: str, *, size: int = 15, colour: str = INK, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" {more}>{escape(content)}</text>'


def grid(left: float, top: float, values: Tensor, *, coloured: bool, strong: Tensor, size: int = 15) -> list[str]:
    """Cells with their values.

    Args:
        left: of the grid, in px, like `top`.
        top: of the grid.
        values: (rows, columns).
        coloured: fill cells by the pooling window that they belong to.
        strong: bool (rows, columns), cells written in bold.
        size: of the letters, px.
    """
    rows, columns = values.shape
    parts = []
    for row in range(rows):
        for column in range(columns):
            window = (row * 2 // rows) * 2 + column * 2 // columns
            bold = bool(strong[row, column])
            fill = WINDOW_FILLS[window] if coloured and bold else "white"
            colour = WINDOW_INKS[window] if coloured and bold else INK if bold else FAINT
            x, y = left + column * CELL, top + row * CELL
            parts.append(f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" fill="{fill}" stroke="{LINE}"/>')
            weight = 'text-anchor="middle"' + (' font-weight="bold"' if bold else "")
            content = f"{values[row, column].item():g}"
            parts.append(text(x + CELL / 2, y + CELL / 2 + 5, content, size=size, colour=colour, more=weight))
    if rows == 4:  # the borders of the windows
        for x, y in ((0, 0), (2, 0), (0, 2), (2, 2)):
            side = 2 * CELL
            parts.append(
                f'<rect x="{left + x * CELL:g}" y="{top + y * CELL:g}" width="{side}" height="{side}" '
                f'fill="none" stroke="{INK}" stroke-width="2"/>'
            )
    return parts


def arrow(x1: float, y1: float, x2: float, y2: float, label: str = "") -> list[str]:
    parts = [f'<path d="M {x1:g} {y1:g} L {x2:g} {y2:g}" stroke="{INK}" stroke-width="1.6" marker-end="url(#tip)"/>']
    if label:
        parts.append(text((x1 + x2) / 2, y1 - 10, label, size=13, more='text-anchor="middle" font-family="monospace"'))
    return parts


def draw() -> str:
    """The figure as SVG."""
    found = steps()
    all2, all4 = torch.ones(2, 2, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    maxima = max_unpool(torch.ones(1, 1, 2, 2), max_pool(MAP[None, None])[1])[0, 0] != 0
    bits = [f"{int(position):02b}" for position in found["window"]]
    top, low = 70, 360
    parts = [
        text(24, 32, "Encoder", size=19, more='font-weight="bold"'),
        text(24, top - 10, "1  a map, in windows of 2x2", size=14),
        *grid(24, top, found["map"], coloured=True, strong=maxima),
        *arrow(196, top + 80, 282, top + 80, "max_pool"),
        text(296, top + 22, "2  the maxima go on", size=14),
        *grid(296, top + 40, found["pooled"], coloured=True, strong=all2),
        text(476, top + 22, "3  their positions stay", size=14),
        *grid(476, top + 40, found["positions"], coloured=True, strong=all2),
        text(572, top + 72, "0 1", size=13, colour=LINE, more='font-family="monospace"'),
        text(572, top + 90, "2 3", size=13, colour=LINE, more='font-family="monospace"'),
        text(572, top + 112, "in a window", size=12, colour=LINE),
        text(680, top + 22, "4  2 bits each: a byte for 4 channels", size=14),
    ]
    for number, (bit, position) in enumerate(zip(reversed(bits), reversed(found["window"].tolist()), strict=True)):
        x, channel = 680 + number * 62, 3 - number
        colour = WINDOW_INKS[0] if channel == 0 else LINE
        fill = WINDOW_FILLS[0] if channel == 0 else "white"
        parts += [
            f'<rect x="{x}" y="{top + 40}" width="62" height="{CELL}" fill="{fill}" stroke="{LINE}"/>',
            text(x + 31, top + 66, bit, size=17, colour=colour, more='text-anchor="middle" font-family="monospace"'),
            text(x + 31, top + 98, f"channel {channel}", size=12, colour=LINE, more='text-anchor="middle"'),
            text(x + 31, top + 114, f"position {position}", size=12, colour=LINE, more='text-anchor="middle"'),
        ]
    parts += [
        text(680, top + 150, f"= {int(found['byte'])}, where PyTorch keeps 4 x 8 bytes", size=13, colour=INK),
        text(24, low - 38, "Decoder", size=19, more='font-weight="bold"'),
        text(24, low + 22, "5  a map from deeper layers", size=14),
        *grid(24, low + 40, found["deeper"], coloured=True, strong=all2),
        *arrow(124, low + 80, 282, low + 80, "max_unpool"),
        text(296, low - 10, "6  each value at its position", size=14),
        *grid(296, low, found["unpooled"], coloured=True, strong=found["unpooled"] != 0),
        f'<path d="M 516 {top + 172} L 516 {low - 60} L 376 {low - 60} L 376 {low - 32}" fill="none" stroke="{INK}" '
        'stroke-width="1.6" stroke-dasharray="5 4" marker-end="url(#tip)"/>',
        *arrow(470, low + 80, 640, low + 80, "convolution"),
        text(680, low - 10, "7  zeros are filled (here by a tent filter)", size=14),
        *grid(680, low, found["convolved"], coloured=False, strong=all4, size=13),
    ]
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 550" role="img" '
        'font-family="Helvetica, Arial, sans-serif">'
        "<title>Pooling and unpooling with indices, step by step</title>"
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" fill="{INK}"/></marker></defs>'
        '<rect width="980" height="550" fill="white"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/pooling-indices.svg"))
    out: Path = parser.parse_args().out
    with whole_file(out) as temporary:
        temporary.write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
