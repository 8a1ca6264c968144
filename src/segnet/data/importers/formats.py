"""The formats that can be imported, and which of them a source has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segnet.data.importers.annotations import Annotations
from segnet.data.importers.cityscapes import read_cityscapes, recognise_cityscapes
from segnet.data.importers.coco import read_coco, recognise_coco
from segnet.data.importers.colours import read_colours, recognise_colours
from segnet.data.importers.cvat import read_cvat, recognise_cvat
from segnet.data.importers.labelme import read_labelme, recognise_labelme
from segnet.data.importers.listing import Listing
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.voc import read_voc, recognise_voc


@dataclass(frozen=True)
class ImportFormat:
    """One format.

    Attributes:
        title: its name in words, for messages and the documentation.
        recognise: why a source has this format; empty where it has not.
        read: the source as annotations.
    """

    title: str
    recognise: Callable[[Listing], str]
    read: Callable[[Path, ImportContext], Annotations]


# In the order in which they are tried: layouts that are like no other come first.
FORMATS = {
    "cityscapes": ImportFormat("Cityscapes", recognise_cityscapes, read_cityscapes),
    "voc": ImportFormat("PASCAL VOC", recognise_voc, read_voc),
    "coco": ImportFormat("COCO", recognise_coco, read_coco),
    "labelme": ImportFormat("LabelMe", recognise_labelme, read_labelme),
    "cvat": ImportFormat("CVAT XML", recognise_cvat, read_cvat),
    "colours": ImportFormat("label images in colours with a table", recognise_colours, read_colours),
}
IMPORT_FORMATS = tuple(FORMATS)


@dataclass(frozen=True)
class Recognised:
    """A format that fits a source.

    Attributes:
        name: a key of `FORMATS`.
        reason: why it fits.
        others: further formats that fit as well.
    """

    name: str
    reason: str
    others: tuple[str, ...]


def recognise(listing: Listing) -> Recognised | None:
    """The first format that fits a source; None where none does."""
    reasons = {name: reason for name, entry in FORMATS.items() if (reason := entry.recognise(listing))}
    if not reasons:
        return None
    first, *others = reasons
    return Recognised(first, reasons[first], tuple(others))
