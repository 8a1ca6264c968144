"""Images whose labels are shapes: polygons and masks, each of a class, drawn one over the other."""

from collections.abc import Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from segnet.data.importers.polygons import Region
from segnet.data.importers.source import BACKGROUND, means_void
from segnet.data.reading.images import read_image
from segnet.data.sample import Image8, Sample
from segnet.errors import ShapeError
from segnet.labels import CAMVID_11, VOID, Colour, LabelSet


class Outline(Protocol):
    """Polygons, run lengths or a mask."""

    def region(self, size_px: tuple[int, int]) -> Region:
        """The pixels of an image of (height, width)."""


@dataclass(frozen=True)
class Shape:
    """One thing in an image.

    Attributes:
        class_name: as the annotation names it.
        outline: which pixels.
    """

    class_name: str
    outline: Outline


@dataclass(frozen=True)
class ShapeImage:
    """An image and its shapes.

    Attributes:
        path: of the image.
        shapes: in drawing order; a later one covers those before it.
        source: the annotation file, for messages.
        size_px: (height, width) as the annotation says; None where it does not.
        split: that the annotation puts it in; empty for none.
    """

    path: Path
    shapes: tuple[Shape, ...]
    source: Path
    size_px: tuple[int, int] | None
    split: str = ""


class ShapeImages:
    """A dataset of images with shapes, whose targets are drawn when asked for.

    Args:
        images: at least one.
        names: of the images, all different.
        label_set: holds every class of the shapes, but for names that mean void.
        rest: the class of pixels that no shape covers, or `void`.

    Attributes:
        overlapping: pixels that lie in several shapes of different classes, by name of the images drawn so far.
    """

    def __init__(self, images: Sequence[ShapeImage], names: tuple[str, ...], label_set: LabelSet, rest: str) -> None:
        self.images, self.names, self.label_set = tuple(images), names, label_set
        self.paths = tuple(entry.path for entry in images)
        self.ids = {name: class_id for class_id, name in enumerate(label_set.names)}
        self.rest = VOID if means_void(rest) else self.ids[rest]
        self.overlapping: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        """Reads one image and draws its shapes.

        Raises:
            DataError: the image is missing or broken.
            ShapeError: it has another size than the annotation says; names both files.
        """
        entry, name = self.images[index], self.names[index]
        image = read_image(entry.path)
        size_px = (image.shape[0], image.shape[1])
        if entry.size_px not in (None, size_px):
            turned = " (it may be turned by its EXIF data)" if entry.size_px == size_px[::-1] else ""
            raise ShapeError(
                f"{entry.source} says {entry.size_px} (height, width) of {entry.path}, which is {size_px}"
                f"{turned}: the shapes belong to another image; give the one that was labelled"
            )
        target, self.overlapping[name] = draw_shapes(entry.shapes, size_px, self.ids, self.rest)
        return Sample(image, target, name)


def draw_shapes(
    shapes: Sequence[Shape], size_px: tuple[int, int], ids: Mapping[str, int], rest: int
) -> tuple[Image8, int]:
    """Draws shapes, one over the other.

    Args:
        shapes: in drawing order.
        size_px: (height, width) of the image.
        ids: of each class name; of those that it lacks, which mean void, it is `VOID`.
        rest: id of the pixels that no shape covers.

    Returns:
        target: uint8 (H, W).
        overlapping: how many pixels lie in several shapes of different classes.
    """
    target = np.full(size_px, rest, np.uint8)
    covered, overlapping = np.zeros(size_px, np.bool_), np.zeros(size_px, np.bool_)
    for shape in shapes:
        region, class_id = shape.outline.region(size_px), ids.get(shape.class_name, VOID)
        rows = slice(region.top, region.top + region.mask.shape[0])
        box = (rows, slice(region.left, region.left + region.mask.shape[1]))
        overlapping[box] |= region.mask & covered[box] & (target[box] != class_id)
        covered[box] |= region.mask
        target[box][region.mask] = class_id
    return target, int(overlapping.sum())


def label_set_of(name: str, class_names: Sequence[str], colours: Mapping[str, Colour], rest: str) -> LabelSet:
    """The classes of shapes, with the class of the rest before them.

    Args:
        name: of the label set.
        class_names: in order; those that mean void are left out.
        colours: of the classes that have one. The others get those that road scenes are known by, or bright ones.
        rest: the class of pixels that no shape covers, or `void`.

    Raises:
        LabelError: no class, or too many.
    """
    named = [n for n in dict.fromkeys(class_names) if not means_void(n)]
    if not means_void(rest) and rest not in named:
        named.insert(0, rest)
    known = dict(zip(CAMVID_11.names, CAMVID_11.colours, strict=True))
    expected = {BACKGROUND: (0, 0, 0), **known, **colours}  # background as in PASCAL VOC
    chosen: list[Colour] = []
    for class_name in named:
        colour = expected.get(class_name)
        taken = {*chosen, *(expected[n] for n in named if n in expected)}
        free = next(c for c in map(_bright, range(3 * VOID)) if c not in taken)
        chosen.append(free if colour is None or colour in chosen else colour)
    return LabelSet(name, tuple(named), tuple(chosen))


def _bright(number: int) -> Colour:
    """Colours that differ from their neighbours in hue, by the golden ratio, and in brightness."""
    red, green, blue = hsv_to_rgb(number * 0.618034 % 1, 0.85 - 0.3 * (number % 3 == 2), 1 - 0.25 * (number % 2))
    return round(255 * red), round(255 * green), round(255 * blue)
