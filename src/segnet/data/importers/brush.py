"""The run lengths of Label Studio's brush: a stream of bits that unfolds to an RGBA image, whose alpha is the mask."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class _Bits:
    """Reads numbers of some bits each, the highest bit first."""

    def __init__(self, data: Sequence[int]) -> None:
        self.bits = np.unpackbits(np.array(data, np.uint8))
        self.place = 0

    def take(self, count: int) -> int:
        return int(self.take_several(1, count)[0])

    def take_several(self, number: int, count: int) -> NDArray[np.int64]:
        chosen = self.bits[self.place : self.place + number * count]
        if len(chosen) < number * count:
            raise ValueError("brush run lengths that break off")
        self.place += number * count
        weights = 1 << np.arange(count - 1, -1, -1, dtype=np.int64)
        values: NDArray[np.int64] = chosen.reshape(number, count) @ weights
        return values


def unpack_brush(data: Sequence[int], size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask from the numbers in the field `rle`.

    The stream begins with the number of values (32 bits), the size of a value less 1 (5 bits), and four sizes of run
    lengths less 1 (4 bits each). Then come runs: 1 bit for one value repeated, or several written out; 2 bits for which
    of the four sizes the length has; the length less 1; and the value or values.

    Args:
        data: bytes, 0..255.
        size_px: (height, width) of the image.

    Returns:
        bool (H, W), True where the alpha value is above 0.

    Raises:
        ValueError: numbers that are no bytes, that break off, or that do not fill the image.

    Source:
        The format of the package @thi.ng/rle-pack, which Label Studio uses.
    """
    if not all(0 <= value <= 255 for value in data):
        raise ValueError("brush run lengths with a number outside 0..255")
    bits, height, width = _Bits(data), *size_px
    count, value_bits = bits.take(32), bits.take(5) + 1
    length_bits = [bits.take(4) + 1 for _ in range(4)]
    if count != height * width * 4:
        raise ValueError(f"brush run lengths of {count} values for an image of {height}x{width} with 4 channels")
    values = np.zeros(count, np.int64)
    filled = 0
    while filled < count:
        repeated = bits.take(1)
        length = bits.take(length_bits[bits.take(2)]) + 1
        if filled + length > count:
            raise ValueError("brush run lengths that overflow the image")
        if repeated:
            values[filled : filled + length] = bits.take(value_bits)
        else:
            values[filled : filled + length] = bits.take_several(length, value_bits)
        filled += length
    mask: NDArray[np.bool_] = values.reshape(height, width, 4)[..., 3] > 0
    return mask
