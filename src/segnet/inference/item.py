"""An image among many: where it is, what its results are called, and how one knows that it has changed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from segnet.errors import DataError


class Item(NamedTuple):
    """An image to predict.

    Attributes:
        address: of the file.
        stem: first part of its results' names.
        version: differs when the content does.
    """

    address: str
    stem: str
    version: str


def local_items(stems: Mapping[Path, str]) -> list[Item]:
    """Items of files on this machine; their version is size and time of the last change.

    Raises:
        DataError: a file has gone since it was listed.
    """
    items = []
    for path, stem in stems.items():
        try:
            facts = path.stat()
        except OSError:
            if not path.is_symlink():
                raise DataError(f"{path} has gone since the folder was listed; run again") from None
            items.append(Item(os.path.abspath(path), stem, "link to nothing"))  # noqa: PTH100 (links stay)
            continue
        items.append(Item(os.path.abspath(path), stem, f"{facts.st_size}-{facts.st_mtime_ns}"))  # noqa: PTH100
    return items
