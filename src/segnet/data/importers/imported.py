"""What the readers found, merged into one dataset: classes meet by name, and every image has a name of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segnet.data.importers.annotations import Annotations, MaskImage, Order, ShapeImage
from segnet.data.importers.classes import BACKGROUND, label_set_of, means_void
from segnet.data.importers.drawing import draw_shapes
from segnet.data.importers.problems import Problems
from segnet.data.importers.source import flat_names
from segnet.data.reading.images import read_image
from segnet.data.reading.targets import read_colours_target, read_ids_target, sample_of
from segnet.data.sample import Sample
from segnet.errors import DataError, ShapeError
from segnet.labels import VOID, LabelSet


@dataclass(frozen=True)
class Entry:
    """One image of an import.

    Attributes:
        name: of the image; unique.
        image: with its labels.
        rest: class of the pixels that no shape covers, or `void`.
        order: in which shapes are drawn.
    """

    name: str
    image: ShapeImage | MaskImage
    rest: str
    order: Order


class Imported:
    """A dataset of what an import found; targets are drawn when they are read.

    Args:
        entries: at least one.
        label_set: holds every class of the entries, but for names that mean void.

    Attributes:
        overlapping: pixels that lie in several shapes of different classes, by the names of the images read so far.
        pixels: of each class, with shapes drawn in the order of each entry, float64 (K,), over those images.
        pixels_other: the same with the other order.
        empty: names of the images read so far, once for each shape that covers no pixel.
    """

    def __init__(self, entries: Sequence[Entry], label_set: LabelSet) -> None:
        self.entries, self.label_set = tuple(entries), label_set
        self.names = tuple(entry.name for entry in entries)
        self.ids = {name: class_id for class_id, name in enumerate(label_set.names)}
        self.overlapping: dict[str, int] = {}
        self.empty: list[str] = []
        self.pixels, self.pixels_other = np.zeros((2, label_set.num_classes))

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample:
        """Reads one image and its labels.

        Raises:
            DataError: a file is missing or broken.
            ShapeError: the image has another size than its labels; names both files.
            LabelError: an id or colour that the source does not define; says how many pixels, and the file.
        """
        entry = self.entries[index]
        image = read_image(entry.image.path)
        if isinstance(entry.image, MaskImage):
            labels = entry.image.labels
            if entry.image.ids is not None:
                target = read_ids_target(labels, {i: self._id(n) for i, n in entry.image.ids.items()})
            else:
                target = read_colours_target(labels, {c: self._id(n) for c, n in entry.image.colours.items()})
            return sample_of(image, target, entry.name, entry.image.path, labels)
        size_px = (image.shape[0], image.shape[1])
        _require_size(entry.image, size_px)
        rest = VOID if means_void(entry.rest) else self.ids[entry.rest]
        target, overlapping, num_empty = draw_shapes(entry.image.shapes, size_px, self.ids, rest, entry.order)
        self.empty += [entry.name] * num_empty
        self.overlapping[entry.name] = int(overlapping.sum())
        counts = other_counts = self._count(target)
        if overlapping.any():
            other: Order = "file" if entry.order == "area" else "area"
            other_counts = self._count(draw_shapes(entry.image.shapes, size_px, self.ids, rest, other)[0])
        self.pixels += counts
        self.pixels_other += other_counts
        return Sample(image, target, entry.name)

    def _id(self, class_name: str) -> int:
        return VOID if means_void(class_name) else self.ids[class_name]

    def _count(self, target: np.ndarray) -> np.ndarray:
        return np.bincount(target.ravel(), minlength=VOID + 1)[: self.label_set.num_classes]


def _require_size(image: ShapeImage, size_px: tuple[int, int]) -> None:
    if image.size_px not in (None, size_px):
        turned = " (it may be turned by its EXIF data)" if image.size_px == size_px[::-1] else ""
        raise ShapeError(
            f"{image.source} says {image.size_px} (height, width) of {image.path}, which is {size_px}"
            f"{turned}: the shapes belong to another image; give the one that was labelled"
        )


def merge(
    parts: Sequence[tuple[str, Annotations]], name: str, rest: str | None, order: Order | None, problems: Problems
) -> Imported:
    """Merges what was read from one or several sources.

    Args:
        parts: name of each source, and what it holds. Where sources have images of one name, the name of the source
            stands before the names of its images.
        name: of the label set, where the source is not a published dataset.
        rest: class of the pixels that no shape covers, where the format does not define it; None is `background`.
        order: in which shapes are drawn; None takes that of each format.
        problems: gets images that would have one name.

    Raises:
        DataError: no image at all.
        LabelError: no class, or too many.
    """
    entries: dict[str, Entry] = {}
    named = [(source, part, _names(part, problems)) for source, part in parts]
    for source, part, names in named:
        elsewhere = {n for other, _, known in named if other != source for n in known.values()}
        before = f"{source}_" if elsewhere & set(names.values()) else ""
        for number, image_name in names.items():
            image, unique = part.images[number], before + image_name
            with problems.collect():
                if unique in entries:
                    first = entries[unique].image
                    raise DataError(
                        f"2 images would be called '{unique}', {first.path} and {image.path}; rename all but one"
                    )
                entries[unique] = Entry(unique, image, part.rest or rest or BACKGROUND, order or part.order)
    if not entries:
        problems.raise_any()
        raise DataError("the source holds no image with labels")
    classes = {n: c for _, part in reversed(parts) for n, c in part.classes.items() if c}  # the first colour counts
    order_of_classes = dict.fromkeys(n for _, part in parts for n in part.classes)
    rests = [e.rest for e in entries.values() if isinstance(e.image, ShapeImage) and not means_void(e.rest)]
    published = parts[0][1].label_set_name if len(parts) == 1 else ""
    every_class = {n: classes.get(n) for n in order_of_classes}
    label_set = label_set_of(published or name, every_class, rests[0] if rests else "void")
    ids = _ids_in_files([entry.image for entry in entries.values()], label_set.names)
    return Imported(tuple(entries.values()), label_set.with_file_ids(ids) if ids else label_set)


def _ids_in_files(images: Sequence[ShapeImage | MaskImage], names: Sequence[str]) -> tuple[int, ...]:
    """The id of each class in the label images, where all of them agree on one of its own; else none."""
    found: dict[str, set[int]] = {}
    seen = list[object]()  # label images of one source share one table
    for image in images:
        if not isinstance(image, MaskImage) or image.ids is None:
            return ()
        if not any(image.ids is table for table in seen):
            seen.append(image.ids)
            for i, class_name in image.ids.items():
                found.setdefault("void" if means_void(class_name) else class_name, set()).add(i)
    ids = [i for class_name in names for i in found.get(class_name, ())]
    is_clear = len(ids) == len(set(ids)) == len(names) and not ("void" in found and VOID in ids)
    return tuple(ids) if is_clear else ()


def _names(part: Annotations, problems: Problems) -> dict[int, str]:
    """Number of the image -> its name; without those that share a name with one before."""
    if part.names:
        return dict(enumerate(part.names))
    numbers: dict[Path, int] = {}
    taken: dict[Path, Path] = {}
    for number, image in enumerate(part.images):
        place = image.place or image.path
        with problems.collect():
            if (first := taken.setdefault(place.with_suffix(""), place)) != place or place in numbers:
                raise DataError(f"{first} and {place} would both be called '{place.stem}'; rename one")
            numbers[place] = number
    return dict(zip(numbers.values(), flat_names(tuple(numbers)), strict=True))


def joined_by_image(images: Sequence[ShapeImage]) -> tuple[ShapeImage, ...]:
    """Shapes of one image that stand in several records, or files, become one record."""
    joined: dict[Path, ShapeImage] = {}
    for image in images:
        first = joined.get(image.path)
        joined[image.path] = image if first is None else replace(first, shapes=(*first.shapes, *image.shapes))
    return tuple(joined.values())
