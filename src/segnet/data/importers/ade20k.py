"""ADE20K as the scene parsing benchmark publishes it: 150 classes, ids 1 to 150; 0 is ignored.

    SRC/images/training/X.jpg      SRC/annotations/training/X.png      SRC/objectInfo150.txt
    SRC/images/validation/X.jpg    SRC/annotations/validation/X.png

The names of the classes come from `objectInfo150.txt`; without it they are `class-1` to `class-150`.
"""

import re
from pathlib import Path

from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.listing import Listing
from segnet.data.importers.pairs import ImageFolder, pairs_in
from segnet.data.importers.problems import ImportContext
from segnet.errors import DataError
from segnet.io.text import read_lines

_NAMES = "objectInfo150.txt"
_SPLITS = {"training": "train", "validation": "val"}
_LINE = re.compile(r"(\d{1,18})\s+[\d.]+\s+\d+\s+\d+\s+\d+\s+(.+)")  # Idx Ratio Train Val Stuff Name


def _folders(root: Path) -> list[ImageFolder]:
    found = [ImageFolder(root / "images" / s, root / "annotations" / s, word) for s, word in _SPLITS.items()]
    return [folder for folder in found if folder.images.is_dir() and folder.labels.is_dir()]


def recognise_ade20k(listing: Listing) -> str:
    """Why a source is ADE20K; empty where it is not."""
    return "it holds images/training/ and annotations/training/" if _folders(listing.root) else ""


def read_ade20k(src: Path, context: ImportContext) -> Annotations:
    """Reads the splits `training` and `validation`, as far as they are there.

    Args:
        src: the folder `ADEChallengeData2016`.
        context: gets images without labels.

    Raises:
        DataError: another layout.
    """
    folders = _folders(src)
    if not folders:
        raise DataError(f"no ADE20K in {src}; expected images/training/ and annotations/training/")
    names = {number: f"class-{number}" for number in range(1, 151)}
    listed = [_LINE.fullmatch(line) for line in read_lines(src / _NAMES)] if (src / _NAMES).is_file() else []
    # Names are lists of synonyms; the first is unique for all classes but a few, which keep the whole list.
    found = {int(match[1]): match[2].strip() for match in listed if match}
    first = [name.split(",")[0].split(";")[0].strip() for name in found.values()]
    names |= {
        i: name if first.count(short) > 1 else short for (i, name), short in zip(found.items(), first, strict=True)
    }
    ids = {0: "void", **names}
    images = [
        MaskImage(image, labels, ids, split=folder.split)
        for folder in folders
        for image, labels in pairs_in(folder, context.problems)
    ]
    note = () if found else (f"no {_NAMES}, so the classes are called class-1 to class-150",)
    return Annotations(tuple(images), dict.fromkeys(names.values()), note)
