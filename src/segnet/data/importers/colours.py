"""Label images painted in colours, with a table that says what the colours mean.

    SRC/images/X.jpg and SRC/labels/X.png       or, for each split: SRC/train/X.jpg and SRC/train_labels/X.png
    SRC/classes.csv                             or another table of `TABLES`; its forms are in `colour_table.py`

A label image has the name of its image, or that and `_L`, `_label` or `_mask`. A colour that the table lacks is an
error, unless it lies within `--colour-tolerance` of one; the colour of ignored pixels is called `void` there.
"""

from pathlib import Path

from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.listing import Listing
from segnet.data.importers.pairs import image_folders, pairs_in
from segnet.data.importers.problems import ImportContext
from segnet.data.reading.colour_table import read_colour_table, with_near_colours
from segnet.errors import DataError

TABLES = ("classes.csv", "class_dict.csv", "label_colors.txt", "labelmap.txt")


def recognise_colours(listing: Listing) -> str:
    """Why a source has label images in colours and a table; empty where it has not."""
    table = _table(listing.root)
    return f"it holds {table.name} and folders of images and labels" if table and image_folders(listing.root) else ""


def read_colours(src: Path, context: ImportContext) -> Annotations:
    """Reads every image that is there.

    Args:
        src: the folder.
        context: gets images without labels; its tolerance applies to the colours.

    Raises:
        DataError: another layout, or no table.
        LabelError: a table that cannot be used.
    """
    path = _table(src)
    if path is None:
        raise DataError(f"no table of colours in {src}; expected {' or '.join(TABLES)}, with a line for each class")
    folders = image_folders(src)
    if not folders:
        raise DataError(f"no label images in {src}; expected images/ with labels/, or train/ with train_labels/")
    table = read_colour_table(path)
    images = []
    for folder in folders:
        for image, labels in pairs_in(folder, context.problems):
            with context.problems.collect():
                colours = with_near_colours(table.colours, labels, context.colour_tolerance)
                images.append(MaskImage(image, labels, colours=colours, split=folder.split))
    if not images and not context.problems.found:
        raise DataError(f"no image in {', '.join(str(folder.images) for folder in folders)}")
    return Annotations(tuple(images), table.classes, (f"colours are those of {path.name}",))


def _table(folder: Path) -> Path | None:
    return next((folder / file for file in TABLES if (folder / file).is_file()), None)
