"""Data sets by name: which readers there are, and the one that a folder on disk asks for."""

from pathlib import Path

from segnet.data.camvid import CamVid
from segnet.data.sample import Dataset
from segnet.errors import ConfigError, DataError, nearest

DATA_FORMATS = {"camvid": CamVid}


def open_dataset(path: Path | str, split: str, data_format: str = "auto") -> Dataset:
    """One split of a data set.

    Args:
        path: its folder.
        split: `train`, `val` or `test`.
        data_format: a key of `DATA_FORMATS`, or `auto`, which looks at what the folder holds.

    Raises:
        ConfigError: an unknown format; names the nearest.
        DataError: no such folder, or a folder of no known layout; says what was looked for.
    """
    if data_format == "auto":
        data_format = "camvid"
    if data_format not in DATA_FORMATS:
        raise ConfigError(f"unknown data format '{data_format}'; {nearest(data_format, DATA_FORMATS)}")
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; wanted the folder of a data set")
    return DATA_FORMATS[data_format](root, split)
