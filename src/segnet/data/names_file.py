"""Class names that lie beside a dataset: a table of colours, or a list of names with or without ids.

    classes.csv, class_dict.csv, label_colors.txt, labelmap.txt      colours (see `reading/colour_table.py`)
    classes.txt, labels.txt, names.txt, class_names.txt              `NAME`, `ID NAME`, `ID: NAME` or `NAME,ID` a line

A line without an id has that of its position, counted from 0; a first line `__ignore__` has -1, as LabelMe writes it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segnet.data.reading.class_names import means_void
from segnet.data.reading.colour_table import read_colour_table
from segnet.errors import LabelError
from segnet.io.text import read_text
from segnet.labels import Colour

COLOUR_TABLES = ("classes.csv", "class_dict.csv", "label_colors.txt", "labelmap.txt", "label_colors.csv")
NAME_LISTS = ("classes.txt", "labels.txt", "names.txt", "class_names.txt")

_ID_FIRST = re.compile(r"(-?\d{1,18})\s*[:,;\t ]\s*(\S.*)")
_ID_LAST = re.compile(r"(.*\S)\s*[:,;\t]\s*(-?\d{1,18})")


@dataclass(frozen=True)
class Named:
    """A value of the label images that a file names.

    Attributes:
        value: an id, or red << 16 | green << 8 | blue.
        name: of the class.
        is_void: whether the name means ignored pixels.
        source: name of the file.
        colour: of the class, where the file has it.
    """

    value: int
    name: str
    is_void: bool
    source: str
    colour: Colour | None = None


def find_names(root: Path, kind: Literal["ids", "colours"]) -> tuple[Named, ...]:
    """The names that a file in `root` gives to ids or colours, in the order of the file; none where there is no file.

    Raises:
        DataError: the file is not UTF-8.
        LabelError: a table that cannot be used, or a name or an id that is there twice.
    """
    for file in COLOUR_TABLES:
        if kind == "colours" and (root / file).is_file():
            table = read_colour_table(root / file).colours
            return tuple(
                Named(red << 16 | green << 8 | blue, name, means_void(name), file, (red, green, blue))
                for (red, green, blue), name in table.items()
            )
    for file in NAME_LISTS:
        if kind == "ids" and (root / file).is_file():
            return _named_ids(root / file)
    return ()


def _named_ids(path: Path) -> tuple[Named, ...]:
    lines = [line.strip() for line in read_text(path).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    first = -1 if lines[:1] == ["__ignore__"] else 0
    found: dict[int, Named] = {}
    for place, line in enumerate(lines):
        if match := _ID_FIRST.fullmatch(line):
            value, name = int(match[1]), match[2]
        elif match := _ID_LAST.fullmatch(line):
            value, name = int(match[2]), match[1]
        else:
            value, name = place + first, line
        if value in found or name in {named.name for named in found.values()}:
            raise LabelError(f"{path}: '{line}' repeats an id or a name; leave one out")
        if value >= 0:
            found[value] = Named(value, name, means_void(name), path.name)
    return tuple(found.values())
