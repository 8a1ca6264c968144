"""What the label images of a dataset hold: values, how often, where, and which of them come from smoothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segnet.data.reading.bands import rgb_values
from segnet.data.reading.class_ids import HIGHEST_ID, class_ids_of, no_data_value
from segnet.data.reading.images import open_image
from segnet.errors import LabelError
from segnet.labels import VOID, Colour

Kind = Literal["ids", "colours"]

_SMALL_PX = 8  # below this side a label image is too small to tell regions from boundaries
_MOST_VALUES = 20_000  # different values in a whole dataset, above which it cannot be one of labels
_LOSSY = ("JPEG", "MPO")
_PERHAPS_LOSSY = ("JPEG2000", "AVIF")  # both ways are in use, and the file does not say simply which
_WEBP_HEAD = 4096  # bytes, in which WebP names its coding
_BETWEEN_SHARE = 0.8  # of its pixels, for a value to count as one that smoothing made
_FEWEST_SMOOTHED = 3  # different values: one or two may be thin classes that lie between two others at random


@dataclass
class ValueFound:
    """One value of the label images.

    Attributes:
        pixels: that have it, in all files.
        num_files: that hold it.
        example: the file that has most of them.
        most_in_one: pixels in that file.
        has_region: whether a region of 3x3 pixels has it anywhere; smoothed boundaries have none.
        between: pixels whose neighbours have smaller and larger values, counted where there is no region.
    """

    pixels: int = 0
    num_files: int = 0
    example: Path = Path()
    most_in_one: int = 0
    has_region: bool = False
    between: int = 0


@dataclass
class LabelSurvey:
    """What all label images hold.

    Attributes:
        kind: `ids`, or `colours`, whose values are red << 16 | green << 8 | blue.
        values: by value.
        palette: id -> colour, of palette images.
        one_palette: whether all palettes agree.
        num_files: that were read.
        lossy: files in a format that changes values, such as JPEG.
        perhaps_lossy: files in a format that may do so.
        no_data: value -> a file whose tag says that such pixels hold no data.
        transparent: files with pixels that are more or less transparent, which is not read.
    """

    kind: Kind = "ids"
    values: dict[int, ValueFound] = field(default_factory=dict)
    palette: dict[int, Colour] = field(default_factory=dict)
    one_palette: bool = True
    num_files: int = 0
    lossy: list[Path] = field(default_factory=list)
    perhaps_lossy: list[Path] = field(default_factory=list)
    no_data: dict[int, Path] = field(default_factory=dict)
    transparent: list[Path] = field(default_factory=list)
    of_kind: dict[str, Path] = field(default_factory=dict)

    @property
    def num_pixels(self) -> int:
        """In all files."""
        return sum(found.pixels for found in self.values.values())

    def smoothed_values(self, least: int = _FEWEST_SMOOTHED) -> list[int]:
        """Values that lie between those of their neighbours, only along boundaries.

        Args:
            least: empty where they are fewer: one or two may be thin classes.
        """
        found = [
            value
            for value, of in self.values.items()
            if not of.has_region and (self.lossy or of.between >= _BETWEEN_SHARE * of.pixels)
        ]
        return sorted(found) if len(found) >= least else []


def survey_labels(paths: Iterable[Path], *, as_colours: bool = False) -> LabelSurvey:
    """Reads every label image.

    Args:
        paths: of the label images.
        as_colours: take palette images by their colours, not by their indices.

    Raises:
        DataError: one cannot be read.
        LabelError: images of ids and of colours are mixed, or more different values than labels can have.
    """
    survey = LabelSurvey()
    paths = tuple(paths)
    suspicious: list[Path] = []
    for path in paths:
        if _add(survey, path, as_colours):
            suspicious.append(path)
        if len(survey.values) > _MOST_VALUES:
            raise LabelError(f"{path}: more than {_MOST_VALUES} different colours up to here. {NOT_A_LABEL}")
    if "colours" in survey.of_kind:
        if "ids" in survey.of_kind:
            raise LabelError(
                f"{survey.of_kind['ids']} holds class ids but {survey.of_kind['colours']} holds colours; "
                "expected one kind in all label images"
            )
        survey.kind = "colours"
    elif "equal" in survey.of_kind:
        _as_ids(survey)  # RGB with R = G = B in every file: what looks like colours are ids
    for path in suspicious:
        _count_between(survey, path)
    return survey


NOT_A_LABEL = "Is it no label, or one saved as JPEG or resized with smoothing?"
_GREY_CODES = 65535  # ids of grey files are below; codes of RGB grey (v, v, v) are above, but for black


def colour_of(code: int) -> Colour:
    """Red, green and blue of a value of labels that are colours."""
    return (code >> 16, code >> 8 & 255, code & 255)


def distance_between(a: int, b: int, survey: LabelSurvey) -> int:
    """How far two values are apart: ids by their difference, colours by that of their most different channel."""
    if survey.kind == "ids":
        return abs(a - b)
    return max(abs(x - y) for x, y in zip(colour_of(a), colour_of(b), strict=True))


def value_text(value: int, survey: LabelSurvey) -> str:
    """A value as users write it: `38`, or `220,20,60`."""
    return str(value) if survey.kind == "ids" else ",".join(map(str, colour_of(value)))


def _as_ids(survey: LabelSurvey) -> None:
    codes, survey.values = survey.values, {}
    for code, of in codes.items():
        value = code & 255 if code > _GREY_CODES else code
        if (found := survey.values.setdefault(value, of)) is not of:  # from a grey file as well
            found.pixels += of.pixels
            found.num_files += of.num_files
            found.has_region |= of.has_region
            if of.most_in_one > found.most_in_one:
                found.most_in_one, found.example = of.most_in_one, of.example


def _add(survey: LabelSurvey, path: Path, as_colours: bool) -> bool:
    """Adds a file; whether it has values without a region, so that a second look is worth while."""
    image = open_image(path)
    _look_at_file(survey, image, path)
    mode = "RGB" if as_colours else image.mode
    if mode in ("RGB", "RGBA"):
        codes = _codes(rgb_values(image, path) if as_colours else np.asarray(image)[..., :3])
        equal = bool((codes % 0x10101 == 0).all())
        survey.of_kind.setdefault("equal" if equal and not as_colours else "colours", path)
    else:
        codes = class_ids_of(image, path).astype(np.uint32)
        survey.of_kind.setdefault("ids", path)
    values, counts = np.unique(codes, return_counts=True)
    with_region = _with_region(codes)
    if mode == "P":
        for i, colour in _palette_colours(image.getpalette("RGB") or [], values.tolist()).items():
            survey.one_palette &= survey.palette.setdefault(i, colour) == colour
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        found = survey.values.setdefault(value, ValueFound())
        found.pixels += count
        found.num_files += 1
        found.has_region |= value in with_region
        if count > found.most_in_one:
            found.most_in_one, found.example = count, path
    survey.num_files += 1
    return len(with_region) < len(values)


def _is_lossless_webp(path: Path) -> bool:
    with path.open("rb") as file:
        return b"VP8L" in file.read(_WEBP_HEAD)


def _look_at_file(survey: LabelSurvey, image: Image.Image, path: Path) -> None:
    """Notes what the file says besides its values."""
    if image.format in _LOSSY or (image.format == "WEBP" and not _is_lossless_webp(path)):
        survey.lossy.append(path)
    elif image.format in _PERHAPS_LOSSY:
        survey.perhaps_lossy.append(path)
    no_data = no_data_value(image)
    if no_data is not None:
        is_id = 0 <= no_data <= HIGHEST_ID and no_data == int(no_data)
        survey.no_data.setdefault(int(no_data) if is_id else HIGHEST_ID, path)
    if image.mode in ("LA", "PA", "RGBA") and len(np.unique(np.asarray(image)[..., -1])) > 1:
        survey.transparent.append(path)


def _codes(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    red, green, blue = np.moveaxis(rgb.astype(np.uint32), -1, 0)
    codes: NDArray[np.uint32] = red << 16 | green << 8 | blue
    return codes


def _with_region(codes: NDArray[np.uint32]) -> set[int]:
    """Values of which some 3x3 pixels are all the same."""
    if min(codes.shape) < _SMALL_PX:
        return set(np.unique(codes).tolist())
    across = (codes[:, 2:] == codes[:, 1:-1]) & (codes[:, :-2] == codes[:, 1:-1])  # three in a row
    middle = codes[:, 1:-1]
    down = (middle[2:] == middle[1:-1]) & (middle[:-2] == middle[1:-1])
    whole = across[2:] & across[1:-1] & across[:-2] & down
    return set(np.unique(middle[1:-1][whole]).tolist())


def _count_between(survey: LabelSurvey, path: Path) -> None:
    """Counts pixels of values without a region whose neighbours' values lie on both sides, in every channel."""
    image = open_image(path)
    if survey.kind == "colours":
        channels = rgb_values(image, path).astype(np.int32)  # (H, W, 3)
        codes = _codes(channels.astype(np.uint8))
    else:
        ids = class_ids_of(image, path, equal_channels=True)
        channels, codes = ids.astype(np.int32)[..., None], ids.astype(np.uint32)
    lonely = [value for value in np.unique(codes).tolist() if not survey.values[value].has_region]
    if not lonely:
        return
    lowest, highest = channels, channels
    for axis in (0, 1):
        lowest, highest = _neighbours(lowest, axis, np.minimum), _neighbours(highest, axis, np.maximum)
    inside = (lowest <= channels) & (channels <= highest)
    strictly = (lowest < channels) & (channels < highest)
    between = inside.all(axis=2) & strictly.any(axis=2)
    values, counts = np.unique(codes[between], return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        survey.values[value].between += count


def _neighbours(values: NDArray[np.int32], axis: int, choose: np.ufunc) -> NDArray[np.int32]:
    """The lowest or highest of each pixel and its two neighbours along an axis."""
    padded = np.pad(values, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
    size = values.shape[axis]
    first, second, third = (np.take(padded, range(k, k + size), axis) for k in range(3))
    result: NDArray[np.int32] = choose(choose(first, second), third)
    return result


def _palette_colours(flat: list[int], ids: list[int]) -> dict[int, Colour]:
    flat = flat + [0] * (3 * (VOID + 1) - len(flat))
    return {i: (flat[3 * i], flat[3 * i + 1], flat[3 * i + 2]) for i in ids}
