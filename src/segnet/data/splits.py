"""Opens all splits that a dataset has, for commands that read every image."""

from collections.abc import Sequence
from pathlib import Path

from segnet.data.datasets.layout import folders_of
from segnet.data.formats import open_dataset
from segnet.data.sample import Dataset, Sample
from segnet.errors import DataError
from segnet.labels import LabelSet

_SPLITS = ("train", "val", "test")


def open_splits(
    root: Path, split: str | None, data_format: str = "auto", *, allow_missing: bool = False
) -> tuple[dict[str, Dataset], dict[str, DataError]]:
    """Opens one split, or those of `train`, `val` and `test` that exist.

    Args:
        root: as for `open_dataset`.
        split: None opens all.
        data_format: a key of `DATA_FORMATS`, or `auto`.
        allow_missing: as for `open_dataset`.

    Returns:
        Split -> dataset; and split -> the error, for splits that have a list or a folder but cannot be opened.

    Raises:
        DataError: none can be opened; or what else `open_dataset` raises.
    """
    splits: dict[str, Dataset] = {}
    causes: dict[str, DataError] = {}
    for name in _SPLITS if split is None else (split,):
        try:
            splits[name] = open_dataset(root, name, data_format, allow_missing=allow_missing)
        except DataError as cause:
            causes[name] = cause
    if not splits:
        raise next(iter(causes.values()))
    return splits, {name: cause for name, cause in causes.items() if _is_there(root, name)}


def _is_there(root: Path, split: str) -> bool:
    """Whether a split has its own list or folder: then it is broken, not absent."""
    try:
        own = folders_of(root, split)
    except DataError:  # a link to nothing
        return True
    return own is not None or any((root / place).exists() for place in (f"{split}.txt", f"{split}annot"))


class Joined:
    """Several splits of one dataset as a single dataset.

    Args:
        splits: at least one.
    """

    label_set: LabelSet

    def __init__(self, splits: Sequence[Dataset]) -> None:
        self.label_set = splits[0].label_set
        self.names = tuple(name for split in splits for name in split.names)
        self._places = [(split, index) for split in splits for index in range(len(split))]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample; errors as those of its split."""
        split, place = self._places[index]
        return split[place]
