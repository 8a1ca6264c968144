"""Tables that say which class a colour means, in the forms that datasets and tools write them."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segnet.data.reading.bands import colours_in, rgb_values
from segnet.data.reading.class_names import means_void, plain_name
from segnet.data.reading.images import open_image
from segnet.errors import DataError, LabelError
from segnet.io.text import read_text, whole_number
from segnet.labels import Colour

_NAME_HEADINGS = ("name", "class", "label", "classname", "labelname", "category")
_COLOUR_HEADINGS = (("r", "red"), ("g", "green"), ("b", "blue"))
_ONE_COLOUR_HEADINGS = ("color", "colour", "rgb", "hex", "rgbcolor", "rgbcolour", "hexcolor", "hexcolour")
_COMMENT = re.compile(r"#(?![0-9a-fA-F]{6}\b)")  # `#ff8000` is a colour
_EXAMPLE = "expected a name and a colour such as road,128,64,128 (each 0..255)"


@dataclass(frozen=True)
class ColourTable:
    """Classes and their colours.

    Attributes:
        classes: class name -> its colour, in order; names that mean void are not among them.
        colours: colour -> class name, or a name that means void.
    """

    classes: Mapping[str, Colour]
    colours: Mapping[Colour, str]


def read_colour_table(path: Path) -> ColourTable:
    """Class names and colours from a text file, one class a line.

    Five forms are known: `name,red,green,blue`, with commas, semicolons or tabs; the same columns in any order below a
    heading that names them, among others that are left aside; a heading that names one column of colours, such as
    `#ff8000` or `"255, 128, 0"`; `red green blue name` (spaces; CamVid's
    `label_colors.txt`); and `name:red,green,blue:...` (CVAT's `labelmap.txt`; lines with # are comments). Several
    lines may mean void.

    Raises:
        DataError: missing, empty, or not in UTF-8.
        LabelError: a line of another form, a name or a colour that is there twice, or a value outside 0..255.
    """
    classes: dict[str, Colour] = {}
    colours: dict[Colour, str] = {}
    columns: Sequence[int] | None = None
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = _COMMENT.split(line)[0].strip()
        if not text:
            continue
        where = f"{path}, line {number}"
        found = _entry(text, columns)
        if found is None and not colours and columns is None:
            columns = _columns(text)
            if columns is not None:
                continue
        if found is None:
            raise LabelError(f"{where} is '{text:.60}'; {_EXAMPLE}")
        name, colour = found
        if name in classes:
            raise LabelError(f"{where}: the class '{name}' is there twice; leave one out")
        if colours.setdefault(colour, name) != name:
            raise LabelError(f"{where}: '{name}' has the colour {colour} of '{colours[colour]}'; give each its own")
        if not means_void(name):
            classes[name] = colour
    if not colours:
        raise DataError(f"{path} names no class; expected a line such as road,128,64,128 for each")
    return ColourTable(classes, colours)


def _entry(text: str, columns: Sequence[int] | None) -> tuple[str, Colour] | None:
    """Name and colour of one line; None for a line of another form.

    Args:
        text: the line.
        columns: of name, red, green and blue, or of name and colour, as the heading says.
    """
    fields = _fields(text)
    if columns is not None:
        if len(fields) <= max(columns):
            return None
        name, *numbers = (fields[column] for column in columns)
        if len(numbers) == 1:
            numbers = _numbers_in(numbers[0])
    elif re.fullmatch(r"[^:]+:[^:]*(:.*)?", text):
        name, _, rest = text.partition(":")
        numbers = rest.split(":")[0].split(",")
    elif len(fields) >= 4:
        name, *numbers = fields
    else:
        *numbers, name = text.split(maxsplit=3)
    numbers = [number.strip().removesuffix(".0") for number in numbers]
    values = [n for n in map(whole_number, numbers) if n is not None and n <= 255]
    if not name.strip() or len(values) != 3 or len(numbers) != 3:
        return None
    return plain_name(name), (values[0], values[1], values[2])


def _fields(text: str) -> list[str]:
    separator = next((s for s in ("\t", ";", ",") if s in text), "\n")
    row = next(csv.reader([text], delimiter=separator, skipinitialspace=True)) if separator != "\n" else [text]
    return [field.strip().strip('"') for field in row]


def _numbers_in(text: str) -> list[str]:
    """Red, green and blue of one field: `#ff8000`, `(255, 128, 0)` or `255 128 0`."""
    if match := re.fullmatch(r"#?([0-9a-fA-F]{6})", text):
        return [str(number) for number in bytes.fromhex(match[1])]
    return re.findall(r"[^\s,;()\[\]]+", text)


def _columns(text: str) -> Sequence[int] | None:
    """The columns of name, red, green and blue, or name and colour, by a heading; None where it is no heading."""
    words = [re.sub(r"[^a-z]", "", field.lower()) for field in _fields(text)]
    names = [number for number, word in enumerate(words) if word in _NAME_HEADINGS]
    colours = [[number for number, word in enumerate(words) if word in known] for known in _COLOUR_HEADINGS]
    if all(len(found) == 1 for found in colours):
        others = [number for number in range(len(words)) if [number] not in colours]
        return [(names or others)[0], *(found[0] for found in colours)] if others else None
    single = [number for number, word in enumerate(words) if word in _ONE_COLOUR_HEADINGS]
    if len(single) == 1 and names:
        return [names[0], single[0]]
    # A heading in words that are not known here stands above the usual four columns.
    return (0, 1, 2, 3) if len(words) >= 4 and not any(f.isdecimal() for f in _fields(text)) else None


def with_near_colours(colours: Mapping[Colour, str], path: Path, tolerance: int) -> Mapping[Colour, str]:
    """A table with the colours of one label image that lie near to one of its colours.

    Args:
        colours: colour -> class name.
        path: of the label image.
        tolerance: largest difference in each of red, green and blue. A colour that is as near to two classes stays
            unknown.

    Raises:
        DataError: the label image is missing or broken.
    """
    if not tolerance:
        return colours
    present, _, _ = colours_in(rgb_values(open_image(path), path))
    known = np.array(list(colours), np.int64)
    names = list(colours.values())
    near = dict(colours)
    for red, green, blue in present.tolist():
        distances = np.abs(known - (red, green, blue)).max(axis=1)
        closest = {names[i] for i in np.flatnonzero(distances == distances.min())}
        if distances.min() <= tolerance and len(closest) == 1:
            near.setdefault((red, green, blue), closest.pop())
    return near
