"""A contact sheet: images of a dataset with their labels as overlays, for a check before training.

As HTML (image, labels and overlay of each, large) or as one PNG (image and overlay, small).
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segnet import palette
from segnet.data.class_weights import ClassFrequencies
from segnet.data.sample import Dataset, Sample
from segnet.errors import ConfigError
from segnet.io.files import whole_file
from segnet.labels import VOID, LabelSet
from segnet.report.images import class_colours, jpeg_uri, png_uri
from segnet.report.page import class_legend, image_row, write_page

_VIEW_PX, _GAP_PX, _NAME_PX, _HEADING_PX, _COLUMNS = 240, 14, 22, 44, 3
_OPACITY = 0.6
_WHITE, _INK = (255, 255, 255), (32, 32, 32)


def spread(length: int, count: int) -> list[int]:
    """`count` indices evenly spread over `length`, or all of them."""
    return [(2 * i + 1) * length // (2 * count) for i in range(count)] if count < length else list(range(length))


def write_contact_sheet(path: Path, dataset: Dataset, indices: Sequence[int], title: str) -> None:
    """Writes a contact sheet, whole or not at all.

    Args:
        path: `.html` or `.png`; an existing one is replaced.
        dataset: only the samples at `indices` are read.
        indices: of the samples, in the order in which they are shown.
        title: heading.

    Raises:
        ConfigError: another suffix.
        DataError: a sample cannot be read, or the file cannot be written. Reading may raise others.
    """
    if path.suffix not in (".html", ".png"):
        raise ConfigError(f"{path}: a contact sheet is .html or .png; give the file one of these suffixes")
    samples = (dataset[index] for index in indices)
    if path.suffix == ".html":
        _write_html(path, samples, dataset.label_set, title)
        return
    sheet = _sheet(samples, dataset.label_set, title)
    with whole_file(path) as temporary:
        sheet.save(temporary)


def _write_html(path: Path, samples: Iterable[Sample], label_set: LabelSet, title: str) -> None:
    rows, frequencies = [], ClassFrequencies.none(label_set)
    for sample in samples:
        overlay = palette.overlay(sample.image, sample.target, label_set)
        views = [
            ("image", jpeg_uri(sample.image)),
            ("labels", png_uri(class_colours(sample.target, label_set))),
            ("overlay", jpeg_uri(overlay)),
        ]
        rows.append(image_row(sample.name, views))
        frequencies = frequencies.add(sample.target)
    total = max(int(frequencies.pixels.sum()), 1)
    shares = [f"{pixels / total:.1%}" for pixels in frequencies.pixels.tolist()]
    heading = (
        f'<h1>{escape(title)}</h1>\n<p class="lead">The legend gives the share of each class in the pixels shown.</p>'
    )
    write_page(path, title, [heading, class_legend(label_set, shares), *rows])


def _sheet(samples: Iterable[Sample], label_set: LabelSet, title: str) -> Image.Image:
    """Image and overlay side by side, name below, in columns; heading on top, legend at the bottom."""
    title = f"{title}; void pixels show the image alone"
    cells, class_ids = [], set[int]()
    for sample in samples:
        cells.append(_cell(sample, label_set))
        class_ids.update(np.unique(sample.target[sample.target != VOID]).tolist())
    width = _COLUMNS * (2 * _VIEW_PX + _GAP_PX) + _GAP_PX
    rows = [cells[i : i + _COLUMNS] for i in range(0, len(cells), _COLUMNS)]
    heights = [max(cell.height for cell in row) + _GAP_PX for row in rows]
    legend = Image.fromarray(palette.legend(label_set, width, text_px=16, class_ids=class_ids))
    sheet = Image.new("RGB", (max(width, legend.width), _HEADING_PX + sum(heights) + legend.height), _WHITE)
    brush = ImageDraw.Draw(sheet)
    brush.text((_GAP_PX, _HEADING_PX / 2), title, fill=_INK, font=ImageFont.load_default(size=20), anchor="lm")
    top = _HEADING_PX
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP_PX + column * (2 * _VIEW_PX + _GAP_PX), top))
        top += height
    sheet.paste(legend, (0, top))
    return sheet


def _cell(sample: Sample, label_set: LabelSet) -> Image.Image:
    overlay = palette.overlay(sample.image, sample.target, label_set, _OPACITY)
    height, width = sample.target.shape
    size = (_VIEW_PX, max(round(_VIEW_PX * height / width), 1))
    cell = Image.new("RGB", (2 * _VIEW_PX, size[1] + _NAME_PX), _WHITE)
    for place, rgb in enumerate((sample.image, overlay)):
        cell.paste(Image.fromarray(rgb).resize(size, Image.Resampling.BOX), (place * _VIEW_PX, 0))
    font = ImageFont.load_default(size=13)
    ImageDraw.Draw(cell).text((0, size[1] + _NAME_PX / 2), sample.name, fill=_INK, font=font, anchor="lm")
    return cell
