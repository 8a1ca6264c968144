"""Images with a label image each: the one way in which every dataset on disk is read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from segnet.data.reading.bands import AS_RGB, ImageReading
from segnet.data.reading.images import read_image
from segnet.data.reading.targets import sample_of
from segnet.data.sample import Image8, Sample
from segnet.labels import LabelSet


class Pair(NamedTuple):
    """An image and its label image.

    Attributes:
        name: of the sample; unique in its split.
        image: path.
        target: path of the label image.
    """

    name: str
    image: Path
    target: Path


class PairedImages:
    """A dataset of pairs; files are read on access.

    Args:
        label_set: of the classes.
        pairs: in the order of the dataset.
        read_target: reads a label image as class ids or `VOID`, uint8 (H, W).

    Attributes:
        reading: bands and range of values of the images; `open_dataset` sets it.
    """

    reading: ImageReading = AS_RGB

    def __init__(self, label_set: LabelSet, pairs: Sequence[Pair], read_target: Callable[[Path], Image8]) -> None:
        self.label_set = label_set
        self.names = tuple(pair.name for pair in pairs)
        self.pairs = [(pair.image, pair.target) for pair in pairs]
        self._read_target = read_target

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample.

        Raises:
            DataError: a file is missing or broken.
            ShapeError: image and labels differ in size.
            LabelError: an id or a colour that the dataset does not define.
        """
        image_path, target_path = self.pairs[index]
        image = read_image(image_path, reading=self.reading)
        return sample_of(image, self._read_target(target_path), self.names[index], image_path, target_path)
