"""Images of classes on disk: which number a pixel holds, and its meaning in the file itself.

Inside the package classes are 0..K-1. Where the label files of a dataset number them otherwise (38, 78, 128), a file of
predictions does so too, so that predictions and labels can be compared by any program. The PNG says which number is
which class, in a text chunk `classes`: JSON, id -> name.
"""

import json
from typing import Literal

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segnet import palette
from segnet.data.sample import Image8
from segnet.labels import VOID, VOID_COLOUR, LabelSet

IdsOut = Literal["files", "classes"]
IDS_OUT: tuple[IdsOut, ...] = ("files", "classes")
"""`files`: as in the label files that the model was trained on; `classes`: 0..K-1."""

_SHOWN = 8


def written_ids(label_set: LabelSet, ids: IdsOut = "files") -> tuple[int, ...]:
    """The number that stands for each class in a file."""
    return label_set.file_ids if ids == "files" and label_set.file_ids else tuple(range(label_set.num_classes))


def as_written(classes: np.ndarray, label_set: LabelSet, ids: IdsOut = "files") -> np.ndarray:
    """Class ids or `VOID` (H, W) as the numbers of a file: uint8, or uint16 where one is above 255; `VOID` stays."""
    numbers = written_ids(label_set, ids)
    table = np.full(VOID + 1, VOID, np.uint8 if max(numbers) <= VOID else np.uint16)
    table[: len(numbers)] = numbers
    written: np.ndarray = table[classes]
    return written


def palette_of(label_set: LabelSet, ids: IdsOut = "files") -> bytes | None:
    """The 256 colours of a palette PNG, R G B each; None where an id is above 255."""
    numbers = written_ids(label_set, ids)
    if max(numbers) > VOID:
        return None
    colours = np.full((VOID + 1, 3), VOID_COLOUR, np.uint8)
    colours[list(numbers)] = label_set.colours
    return colours.tobytes()


def class_image(classes: Image8, label_set: LabelSet, ids: IdsOut = "files") -> Image.Image:
    """Classes as an image: mode P, whose palette shows the class colours, or 16-bit grey where an id is above 255.

    Raises:
        LabelError: classes that the label set does not have.
    """
    own = palette.to_palette_image(classes, label_set)
    colours = palette_of(label_set, ids)
    image = Image.fromarray(as_written(np.asarray(own), label_set, ids))
    if colours is not None:
        image.putpalette(colours)
    return image


def class_text(label_set: LabelSet, ids: IdsOut = "files") -> dict[str, str]:
    """The text chunks of a PNG of classes: `classes`, JSON of id -> name, and `label_set`."""
    names = dict(zip(map(str, written_ids(label_set, ids)), label_set.names, strict=True))
    return {"label_set": label_set.name.encode("ascii", "replace").decode(), "classes": json.dumps(names)}


def png_info(label_set: LabelSet, ids: IdsOut = "files") -> PngInfo:
    """`class_text` as Pillow writes it."""
    info = PngInfo()
    for key, text in class_text(label_set, ids).items():
        info.add_text(key, text)
    return info


def ids_note(label_set: LabelSet, ids: IdsOut = "files") -> str:
    """Which number is which class, as a further line of a message; empty where label files have 0..K-1 too."""
    if not label_set.file_ids:
        return ""
    pairs = [f"{i} {name}" for i, name in zip(written_ids(label_set, ids), label_set.names, strict=True)]
    shown = ", ".join(pairs[:_SHOWN]) + (f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else "")
    whose = " as in the label files of its training (--ids classes: 0 to K-1)"
    return f"\nNAME-classes.png holds ids{whose if ids == 'files' else ''}: {shown}"
