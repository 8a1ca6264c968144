"""What a reader returns: images, each with shapes or with a label image, and the classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from segnet.data.importers.polygons import Region
from segnet.labels import Colour

Order = Literal["file", "area"]
ORDERS: tuple[Order, ...] = ("file", "area")


class Outline(Protocol):
    """Polygons, run lengths or a mask."""

    def region(self, size_px: tuple[int, int]) -> Region:
        """The pixels of an image of (height, width)."""


@dataclass(frozen=True)
class Shape:
    """One object in an image.

    Attributes:
        class_name: as the annotation names it.
        outline: its pixels.
    """

    class_name: str
    outline: Outline


@dataclass(frozen=True)
class ShapeImage:
    """An image and its shapes.

    Attributes:
        path: of the image.
        shapes: in the order of the annotation.
        source: the annotation file, for messages.
        size_px: (height, width) as the annotation says; None where it does not.
        split: `train`, `val` or `test`; empty where the annotation does not say.
        place: path that the image is named by; None takes `path`.
    """

    path: Path
    shapes: tuple[Shape, ...]
    source: Path
    size_px: tuple[int, int] | None
    split: str = ""
    place: Path | None = None


@dataclass(frozen=True)
class MaskImage:
    """An image and its label image.

    Attributes:
        path: of the image.
        labels: path of the label image.
        ids: id in the label image -> class name, or a name that means void; None where it holds colours.
        colours: colour -> class name, in the same way, for a label image that holds colours.
        split: `train`, `val` or `test`; empty where the source does not say.
        place: path that the image is named by; None takes `path`.
    """

    path: Path
    labels: Path
    ids: Mapping[int, str] | None = None
    colours: Mapping[Colour, str] = field(default_factory=dict)
    split: str = ""
    place: Path | None = None


@dataclass(frozen=True)
class Annotations:
    """What a reader found.

    Attributes:
        images: with their labels.
        classes: class name -> its colour where the source has one, in order.
        notes: what the user should know of how it was read, a line each.
        order: in which shapes are drawn: `file`, where the format defines that order, or `area`, large ones first.
        rest: class of the pixels that no shape covers, where the format defines it.
        names: of the images, where the format defines them; empty takes them from the paths.
        label_set_name: of a published dataset; empty for others.
    """

    images: tuple[ShapeImage | MaskImage, ...]
    classes: Mapping[str, Colour | None]
    notes: tuple[str, ...] = ()
    order: Order = "area"
    rest: str | None = None
    names: tuple[str, ...] = ()
    label_set_name: str = ""
