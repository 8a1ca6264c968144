"""An image among many: where it is, what its results are called, and how one knows that it has changed."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from segnet.data.reading.archives import Archive
from segnet.data.reading.elsewhere import images_of, open_source, tree_stems
from segnet.errors import ConfigError, DataError


class Item(NamedTuple):
    """An image to predict.

    Attributes:
        address: of the file.
        stem: first part of its results' names.
        version: differs when the content does.
        source: address of the store or archive that it is fetched from; empty for a file of this machine.
        name: in the source.
    """

    address: str
    stem: str
    version: str
    source: str = ""
    name: str = ""


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


def items_elsewhere(address: str, *, flat: bool = False) -> list[Item]:
    """Items of the images in a store or in an archive.

    Args:
        address: as for `open_source`.
        flat: as for `tree_stems`.

    Raises:
        DataError: it cannot be read, or holds no image.
        ConfigError: two images whose results would have one name, an unknown kind of address, or a missing package.
    """
    source = open_source(address)
    try:
        images = images_of(source)
    finally:
        if isinstance(source, Archive):
            source.close()
    stems = tree_stems([image.name for image in images], flat=flat)
    return [
        Item(source.address_of(image.name), stems[image.name], image.version, address, image.name) for image in images
    ]


def require_different(items: Iterable[Item]) -> None:
    """Refuses items whose results would have one name.

    Raises:
        ConfigError: names two of them.
    """
    first: dict[str, str] = {}
    for item in items:
        if (other := first.setdefault(item.stem, item.address)) != item.address:
            raise ConfigError(f"results of {item.address} would overwrite those of {other}; predict it by itself")
