"""Images without labels, for pretraining: a folder of images, or one split of a dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segnet.data.formats import open_dataset
from segnet.data.reading.bands import AS_RGB, ImageReading
from segnet.data.reading.images import read_image
from segnet.data.reading.listing import find_images
from segnet.data.sample import Dataset, Sample
from segnet.errors import DataError
from segnet.labels import VOID, LabelSet

RGB = LabelSet("rgb", ("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
"""A label set for models whose target is the image itself: its three channels in place of classes."""


class Images:
    """Images without labels: every pixel of the target is `VOID`.

    Args:
        paths: of different file names.
        reading: bands and range of values.
    """

    label_set: LabelSet = RGB

    def __init__(self, paths: Sequence[Path], reading: ImageReading = AS_RGB) -> None:
        self.paths, self.reading = tuple(paths), reading
        self.names = tuple(path.name for path in paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        """Reads one image.

        Raises:
            DataError: missing or broken.
        """
        image = read_image(self.paths[index], reading=self.reading)
        return Sample(image, np.full(image.shape[:2], VOID, np.uint8), self.names[index])


def open_images(path: Path | str, split: str, data_format: str = "auto", *, reading: ImageReading = AS_RGB) -> Dataset:
    """Images for training without labels; a dataset keeps its labels, which are not used.

    Args:
        path: a folder with images directly in it, all of which are used; or what `open_dataset` takes.
        split: of a dataset; a folder of images has none.
        data_format: as in `open_dataset`; any but `auto` asks for a dataset.
        reading: bands and range of values of the images.

    Raises:
        DataError: an empty folder, or neither images nor a dataset; or what the reader of the dataset finds wrong.
        ConfigError: an unknown format.
    """
    root = Path(path)
    if data_format != "auto" or not root.is_dir():
        return open_dataset(path, split, data_format, reading=reading)
    if not any(root.iterdir()):
        raise DataError(f"the folder {root} is empty; expected images in it, or a dataset")
    try:
        return Images(find_images([root]), reading)
    except DataError as no_image:
        try:
            return open_dataset(path, split, reading=reading)
        except DataError as cause:
            raise DataError(f"{no_image}; as a dataset: {cause}") from None
