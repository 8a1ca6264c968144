"""Converts label images of class ids or colours to targets, and holds the checks of pairs that all readers share."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segnet.data.reading.bands import colours_in, rgb_values
from segnet.data.reading.class_ids import ClassIds, read_class_ids
from segnet.data.reading.images import is_turned, open_image, upright
from segnet.data.sample import Dataset, Image8, Sample
from segnet.errors import DataError, LabelError, ShapeError
from segnet.io.files import is_file
from segnet.labels import VOID, Colour
from segnet.palette import colours_to_ids

_COLOURS_AT_ONCE = 1 << 15  # of a label image: a photograph has millions, times as many distances


def ids_to_target(class_ids: ClassIds, ids: Mapping[int, int], path: Path, *, snap: bool = False) -> Image8:
    """Converts ids of a file to class ids.

    Args:
        class_ids: uint8 or uint16 (H, W), as in the file.
        ids: id in the file -> class id or `VOID`.
        path: of the file, for the message.
        snap: an id that `ids` lacks counts as the nearest one that it has; of two, the smaller.

    Returns:
        Class ids or `VOID`, uint8 (H, W).

    Raises:
        LabelError: an id that `ids` lacks; names the ids, their numbers of pixels and the file.
    """
    if snap and ids:
        known = np.array(sorted(ids))
        middles = (known[:-1] + known[1:]) / 2
        class_ids = known[np.searchsorted(middles, class_ids)]
    counts = np.bincount(class_ids.ravel(), minlength=256)
    strange = [i for i in np.flatnonzero(counts).tolist() if i not in ids]
    if strange:
        words = ", ".join(f"{i} ({counts[i]} pixel{'s' if counts[i] != 1 else ''})" for i in strange[:8])
        more = f" and {len(strange) - 8} more" if len(strange) > 8 else ""
        raise LabelError(f"{path}: unknown class id {words}{more}; known: {_ranges(sorted(ids))}")
    table = np.zeros(len(counts), np.uint8)
    for file_id, class_id in ids.items():
        if file_id < len(counts):
            table[file_id] = class_id
    target: Image8 = table[class_ids]
    return target


def colours_to_target(rgb: Image8, ids: Mapping[Colour, int], path: Path, *, snap: bool = False) -> Image8:
    """Converts colours of a file to class ids.

    Args:
        rgb: uint8 (H, W, 3), as in the file.
        ids: colour -> class id or `VOID`.
        path: of the file, for the message.
        snap: a colour that `ids` lacks counts as the nearest one that it has, by squared distance in RGB.

    Returns:
        Class ids or `VOID`, uint8 (H, W).

    Raises:
        LabelError: a colour that `ids` lacks; names the colours, their numbers of pixels and the file.
    """
    if snap and ids:
        colours = np.array(list(ids), np.int64)  # (number of colours, 3)
        found, places, _ = colours_in(rgb)
        nearest = np.empty(len(found), np.uint8)
        for start in range(0, len(found), _COLOURS_AT_ONCE):
            few = found[start : start + _COLOURS_AT_ONCE, None]  # (few, 1, 3)
            closest = ((few - colours) ** 2).sum(axis=2).argmin(axis=1)
            nearest[start : start + _COLOURS_AT_ONCE] = np.array(list(ids.values()), np.uint8)[closest]
        snapped: Image8 = nearest[places].reshape(rgb.shape[:2])
        return snapped
    try:
        return colours_to_ids(rgb, ids)
    except LabelError as cause:
        raise LabelError(f"{path}: {cause}") from None


def read_ids_target(path: Path, ids: Mapping[int, int], *, snap: bool = False, equal_channels: bool = False) -> Image8:
    """Reads a label image of class ids as a target, uint8 (H, W).

    Raises:
        DataError: missing or broken.
        LabelError: an image of colours, or an id that `ids` does not have.
    """
    return ids_to_target(read_class_ids(path, equal_channels=equal_channels), ids, path, snap=snap)


def read_colours_target(path: Path, ids: Mapping[Colour, int], *, snap: bool = False) -> Image8:
    """Reads a label image of colours as a target, uint8 (H, W).

    Of a palette image the colours are used, not the indices; transparency is ignored.

    Raises:
        DataError: missing or broken.
        LabelError: a colour that `ids` does not have.
    """
    return colours_to_target(rgb_values(upright(open_image(path)), path), ids, path, snap=snap)


def sample_of(image: Image8, target: Image8, name: str, image_path: Path, target_path: Path) -> Sample:
    """Joins image and target to a sample.

    Raises:
        ShapeError: image and labels differ in size; names both files.
    """
    if image.shape[:2] != target.shape:
        if image.shape[1::-1] == target.shape and is_turned(image_path):
            raise ShapeError(
                f"{image_path} is rotated by its EXIF orientation to {image.shape[:2]} (height, width), but its labels "
                f"{target_path} are {target.shape}: they were drawn on the stored pixels. Remove the EXIF orientation "
                "from the images (exiftool -Orientation= DIR), or rotate the labels"
            )
        raise ShapeError(
            f"{target_path} is {target.shape} (height, width) but its image {image_path} is {image.shape[:2]}: "
            "give both the same size"
        )
    return Sample(image, target, name)


def require_files(pairs: Iterable[tuple[Path, Path]], remedy: str) -> None:
    """Refuses pairs of image and labels of which a file is missing.

    Args:
        pairs: what a list or a folder names.
        remedy: ends the message: what names the file, or what to do.

    Raises:
        DataError: names the first missing file.
    """
    for path in (path for pair in pairs for path in pair):
        if not is_file(path):
            raise DataError(f"{path} is missing; {remedy}")


def require_labels(pairs: Sequence[tuple[Path, Path]], remedy: str) -> None:
    """Refuses images without a label image; arguments as in `require_files`.

    Raises:
        DataError: names the first missing file, and says how many there are.
    """
    missing = [target for _, target in pairs if not is_file(target)]
    if missing:
        raise DataError(f"{missing[0]} is missing ({len(missing)} of {len(pairs)} images have no label); {remedy}")


def require_labelled(dataset: Dataset) -> None:
    """Refuses a dataset without a single labelled pixel; reads samples until it finds one.

    Raises:
        LabelError: all pixels are void.
    """
    if not any((dataset[index].target != VOID).any() for index in range(len(dataset))):
        raise LabelError(
            f"no labelled pixel in any of the {len(dataset)} images: all are void; check the labels, and void_ids "
            "and void_colours of labels.toml"
        )


def _ranges(ids: list[int]) -> str:
    """Sorted numbers, abbreviated: `0..11, 255`."""
    parts: list[list[int]] = []
    for number in ids:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}..{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
