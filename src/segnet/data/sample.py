"""The two records that travel: a `Sample` from disk, and a `Batch` to the net."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segnet.labels import LabelSet

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One picture and its labels.

    Attributes:
        image: RGB uint8 (H, W, 3).
        target: class ids or `VOID`, uint8 (H, W).
        name: of the picture, for messages and for files made from it.
    """

    image: Image8
    target: Image8
    name: str


@dataclass(frozen=True)
class Batch:
    """Pictures of one size, ready for a net.

    Attributes:
        image: float32 (N, 3, H, W) in [0, 1].
        target: class ids or `VOID`, int64 (N, H, W).
        names: of the N pictures.
    """

    image: Tensor
    target: Tensor
    names: tuple[str, ...]


class Dataset(Protocol):
    """What every data set offers; reading happens at `dataset[i]`."""

    @property
    def label_set(self) -> LabelSet: ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pictures, in order; all different."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
