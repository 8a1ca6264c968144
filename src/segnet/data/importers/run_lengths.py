"""Run-length encoding: a mask as alternating counts of pixels outside and inside, outside first.

COCO counts down the columns of the whole image, and may pack the counts into text; CVAT counts along the rows of a box.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segnet.data.importers.polygons import Region


@dataclass(frozen=True)
class RunLengths:
    """A mask as run lengths.

    Attributes:
        counts: pixels outside, inside, outside, ...
        size_px: (height, width) of the box they fill.
        top: row of the box's first pixel.
        left: column of it.
        down: whether they run down the columns; else along the rows.

    Raises:
        ValueError: a negative number, or they do not fill the box.
    """

    counts: Sequence[int]
    size_px: tuple[int, int]
    top: int = 0
    left: int = 0
    down: bool = False

    def __post_init__(self) -> None:
        height, width = self.size_px
        if min(self.counts, default=0) < 0 or min(height, width) < 1 or sum(self.counts) != height * width:
            raise ValueError(f"run lengths of {sum(self.counts)} pixels for a mask of {height}x{width}")

    def region(self, size_px: tuple[int, int]) -> Region:
        """The pixels of an image of (height, width)."""
        inside = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        height, width = self.size_px
        mask = inside.reshape(width, height).T if self.down else inside.reshape(height, width)
        return Region(mask, self.top, self.left).region(size_px)


def unpack_counts(text: str) -> list[int]:
    """COCO's packed run lengths as numbers.

    Each number is written in groups of five bits, the lowest first, one character each; a sixth bit says whether more
    follow. From the fourth number on, it is the difference to the number two before.

    Raises:
        ValueError: a character that does not occur in such text, or a number without its end.

    Source:
        The COCO API's `maskApi.c`, `rleFrString`, for the form.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"packed run lengths with the character {character!r}")
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    if shift:
        raise ValueError("packed run lengths that break off")
    return counts
