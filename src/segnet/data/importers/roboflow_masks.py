"""Roboflow's "Semantic Segmentation Masks": `X_mask.png` beside each image, and `_classes.csv` in each split.

SRC/train/X.jpg    SRC/train/X_mask.png    SRC/train/_classes.csv      the same for valid and test
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.classes import plain_name
from segnet.data.importers.listing import Listing
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.source import is_image, split_word
from segnet.errors import DataError, LabelError
from segnet.io.files import is_file
from segnet.io.text import read_text, whole_number

TABLE = "_classes.csv"
_ENDING = "_mask"


def recognise_roboflow_masks(listing: Listing) -> str:
    """Why a source holds Roboflow's masks; empty where it does not."""
    tables = listing.named(TABLE)
    return f"it holds {TABLE} and files ending in {_ENDING}.png" if tables and listing.ending("_mask.png") else ""


def read_roboflow_masks(src: Path, context: ImportContext) -> Annotations:
    """Reads every folder that holds a `_classes.csv`.

    Args:
        src: the folder of the splits, or of images itself.
        context: gets images without a mask.

    Raises:
        DataError: no `_classes.csv`.
        LabelError: one that cannot be used.
    """
    tables = sorted(src.rglob(TABLE))
    if not tables:
        raise DataError(f"no {TABLE} in {src}; expected an export as 'Semantic Segmentation Masks'")
    images, classes = list[MaskImage](), dict[str, None]()
    for table in tables:
        ids = _read_table(table)
        classes |= dict.fromkeys(ids.values())
        folder = table.parent
        for path in sorted(p for p in folder.iterdir() if is_image(p) and not p.stem.endswith(_ENDING)):
            labels = folder / f"{path.stem}{_ENDING}.png"
            with context.problems.collect():
                if not is_file(labels):
                    raise DataError(f"{path} has no mask; expected {labels}")
                images.append(MaskImage(path, labels, ids, split=split_word(folder.name) if folder != src else ""))
    return Annotations(tuple(images), classes)


def _read_table(path: Path) -> Mapping[int, str]:
    """Pixel value -> class name."""
    found: dict[int, str] = {}
    for number, row in enumerate(csv.reader(read_text(path).splitlines(), skipinitialspace=True), 1):
        fields = [field.strip() for field in row]
        if (number == 1 and len(fields) > 1 and not fields[0].isdecimal()) or not any(fields):
            continue  # the heading: Pixel Value, Class
        value = whole_number(fields[0])
        if len(fields) != 2 or value is None or value > 255 or not fields[1]:
            raise LabelError(
                f"{path}, line {number} is '{','.join(row):.60}'; expected a pixel value and a name: 1, car"
            )
        name = plain_name(fields[1])
        if found.setdefault(value, name) != name:
            raise LabelError(f"{path}, line {number}: the value {value} is '{found[value]}' already")
    if not found:
        raise DataError(f"{path} names no class; expected lines such as 1, car")
    return found
