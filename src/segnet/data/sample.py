"""The two records of the data path: a `Sample` from disk and a `Batch` for the model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segnet.labels import LabelSet

if TYPE_CHECKING:
    from torch import Tensor  # reading image files needs no PyTorch

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One image and its labels.

    Attributes:
        image: (H, W, C): RGB uint8, or another number of channels, uint16, or float32 as the model takes it.
        target: class ids or `VOID`, uint8 (H, W).
        name: of the image, for messages and for files made from it.
    """

    image: NDArray[Any]
    target: Image8
    name: str


@dataclass(frozen=True)
class Batch:
    """Images of one size, ready for a model.

    Attributes:
        image: float32 (N, C, H, W); of integers, in [0, 1].
        target: class ids or `VOID`, int64 (N, H, W).
        names: of the N images.
    """

    image: "Tensor"
    target: "Tensor"
    names: tuple[str, ...]


class Dataset(Protocol):
    """The interface of every dataset; files are read at `dataset[i]`."""

    @property
    def label_set(self) -> LabelSet: ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images, in order; unique."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def spread(total: int, limit: int) -> list[int]:
    """At most `limit` indices, spread evenly over `range(total)`."""
    count = min(total, limit)
    return [i * total // count for i in range(count)]
