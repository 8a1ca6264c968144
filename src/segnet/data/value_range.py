"""One range of values for all images of a dataset: by bit depth, given, or measured on the training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from segnet.data.datasets.paired import PairedImages
from segnet.data.reading.bands import ImageReading
from segnet.data.reading.images import PIXEL_LIMIT, is_more_than_8_bits, pages_note, read_bands
from segnet.data.sample import Dataset
from segnet.errors import DataError

ValueRange = Literal["auto", "bit_depth", "percentiles"] | tuple[float, float]

_MOST_FILES = 64  # that are decoded to measure
_PIXELS_OF_A_FILE = 20_000
_WHITE_16 = 65535.0
_DARK = 0.25  # of the range by bit depth: where nearly all values are below, images would be nearly black


@dataclass(frozen=True)
class Values:
    """The stored values of the images of more than 8 bits.

    Attributes:
        dtype: of the first such image.
        lowest: of all values seen.
        highest: of all values seen.
        bulk: the 0.1th and 99.9th percentile.
        num_files: of more than 8 bits.
        example: one of them.
    """

    dtype: str
    lowest: float
    highest: float
    bulk: tuple[float, float]
    num_files: int
    example: Path

    def chosen(self, setting: ValueRange) -> tuple[float, float] | None:
        """The range that a setting means for these values; None is the bit depth.

        `auto` takes the bit depth, or the percentiles where the bit depth would give nearly black images or the type
        has no natural white: 12-bit cameras, reflectances up to 10,000, signed or unscaled numbers.
        """
        if not isinstance(setting, str):
            return setting
        low = min(self.bulk[0], 0.0) if self.bulk[0] < 0.1 * self.bulk[1] else self.bulk[0]
        measured = (low, self.bulk[1]) if self.bulk[1] > low else (low, low + 1)
        fits_16 = self.dtype == "uint16" and self.bulk[1] >= _DARK * _WHITE_16
        fits_fraction = self.dtype.startswith("float") and self.lowest >= 0 and self.highest <= 1
        by_bits = setting == "bit_depth" or (setting == "auto" and (fits_16 or fits_fraction))
        return None if by_bits else measured

    def describe(self, reading: ImageReading) -> str:
        """Says in one line what the values are and how they are read."""
        held = f"{self.num_files} images hold {self.dtype} values {self.lowest:g}..{self.highest:g}"
        most = f"99.8 % of them {self.bulk[0]:g}..{self.bulk[1]:g}, such as in {self.example}"
        if reading.value_range is None:
            return f"{held} ({most}); the bit depth is 0..255 in every image (data.value_range)"
        low, high = reading.value_range
        return f"{held} ({most}); {low:g}..{high:g} is 0..255 in every image, as in training (data.value_range)"


def measure_values(paths: Sequence[Path], bands: Sequence[int] | None = None) -> Values | None:
    """Measures the values of up to 64 images of more than 8 bits, evenly spread; None where there are none.

    Args:
        paths: of the images; those that cannot be read are left out.
        bands: to measure; None takes all bands but a fourth of images that look like RGB with alpha.
    """
    wide = [path for path in paths if is_more_than_8_bits(path)]
    if not wide:
        return None
    places = np.unique(np.linspace(0, len(wide) - 1, min(_MOST_FILES, len(wide))).round().astype(int))
    seen, dtype = list[np.ndarray](), ""
    for place in places.tolist():
        try:
            stored = read_bands(wide[place], PIXEL_LIMIT, bands or (), of_any_number=not bands)
        except DataError:
            continue
        dtype = dtype or str(stored.dtype)
        flat = stored.reshape(-1)
        flat = flat[np.isfinite(flat)] if stored.dtype.kind == "f" else flat
        seen.append(flat[:: max(1, flat.size // _PIXELS_OF_A_FILE)].astype(np.float64))
    if not seen or not sum(map(len, seen)):
        return None
    values = np.concatenate(seen)
    low, high = np.percentile(values, (0.1, 99.9)).tolist()
    return Values(dtype, float(values.min()), float(values.max()), (low, high), len(wide), wide[0])


def reading_notes(paths: Sequence[Path], reading: ImageReading) -> list[str]:
    """What a user should know of how images are read before they are predicted: darkness, and pages left out.

    Args:
        paths: of the images.
        reading: as the weights were trained, or as the user says.
    """
    return [note for note in (_dark_note(paths, reading), *map(pages_note, paths)) if note]


def _dark_note(paths: Sequence[Path], reading: ImageReading) -> str:
    """Says that images would be nearly black as they are read, and what to do; empty where they would not."""
    values = measure_values(paths, reading.bands) if reading.value_range is None else None
    if values is None or values.chosen("auto") is None or values.dtype != "uint16":
        return ""  # other types without a range are refused when they are read
    low, high = values.bulk
    return (
        f"{values.num_files} images hold {values.dtype} values {low:g}..{high:g}, such as {values.example}: read by "
        f"their bit depth, 0..65535, they are nearly black. Say which values are black and white: --value-range "
        f"{min(low, 0):g},{high:g}"
    )


def reading_for(
    paths: Sequence[Path], value_range: ValueRange = "auto", bands: Sequence[int] | None = None
) -> ImageReading:
    """How to read the images of a dataset: chosen once, on the training images, and stored with the weights.

    Args:
        paths: of the training images.
        value_range: `auto`, `bit_depth`, `percentiles` (0.1 and 99.9 of the values), or two values.
        bands: to read; None reads RGB.
    """
    chosen = None if bands is None else tuple(bands)
    if value_range == "bit_depth":
        return ImageReading(None, chosen)
    if not isinstance(value_range, str):
        return ImageReading(value_range, chosen)
    values = measure_values(paths, bands)
    return ImageReading(values.chosen(value_range) if values else None, chosen)


def read_alike(splits: Mapping[str, Dataset]) -> None:
    """Gives all splits one range of values, that of `train` or else of the first split; where it has none, chosen.

    Datasets of other kinds, which read no image files of this package's, stay as they are.
    """
    paired = {split: dataset for split, dataset in splits.items() if isinstance(dataset, PairedImages)}
    if paired:
        first = paired.get("train") or next(iter(paired.values()))
        given = first.reading
        if given.value_range is None:
            given = reading_for([image for image, _ in first.pairs], bands=given.bands)
        for dataset in paired.values():
            if dataset.reading.value_range is None:
                dataset.reading = replace(dataset.reading, value_range=given.value_range)
