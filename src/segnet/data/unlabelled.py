"""Pictures without labels, for learning that needs none: a folder of pictures, or one split of a data set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segnet.data import open_dataset
from segnet.data.listing import find_pictures
from segnet.data.pictures import read_picture
from segnet.data.sample import Dataset, Sample
from segnet.errors import DataError
from segnet.labels import VOID, LabelSet

RGB = LabelSet("rgb", ("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
"""What stands in for classes where a picture itself is the target: its three channels."""


class Pictures:
    """Pictures whose every pixel is void.

    Args:
        paths: of different file names.
    """

    label_set: LabelSet = RGB

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.names = tuple(path.name for path in paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        """Reads one picture.

        Raises:
            DataError: missing or broken.
        """
        image = read_picture(self.paths[index])
        return Sample(image, np.full(image.shape[:2], VOID, np.uint8), self.names[index])


def open_pictures(path: Path | str, split: str, data_format: str = "auto") -> Dataset:
    """Pictures to learn from without labels; those of a data set keep theirs, which nobody looks at.

    Args:
        path: a folder with pictures directly in it, which are then taken, all; or what `open_dataset` takes.
        split: of a data set; a folder of pictures has none.
        data_format: as in `open_dataset`; any but `auto` asks for a data set.

    Raises:
        DataError: an empty folder, or neither pictures nor a data set; or what the reader of the data set finds wrong.
        ConfigError: an unknown format.
    """
    root = Path(path)
    if data_format != "auto" or not root.is_dir():
        return open_dataset(path, split, data_format)
    if not any(root.iterdir()):
        raise DataError(f"the folder {root} is empty; wanted pictures in it, or a data set")
    try:
        return Pictures(find_pictures([root]))
    except DataError as no_picture:
        try:
            return open_dataset(path, split)
        except DataError as cause:
            raise DataError(f"{no_picture}; as a data set: {cause}") from None
