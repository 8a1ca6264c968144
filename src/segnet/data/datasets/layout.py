"""Where a folder keeps its images and label images: the names of folders, the endings of label files, and links.

    DIR/images/X.jpg          DIR/labels/X.png             `masks`, `annotations` and other `LABEL_FOLDERS` too
    DIR/images/train/X.jpg    DIR/labels/train/X.png       split folders inside
    DIR/train/images/X.jpg    DIR/train/labels/X.png       split folders outside
    DIR/train/X.jpg           DIR/train_labels/X.png       as CamVid is often repacked

A label image has the name of its image, or that and one of `ENDINGS`, such as `X_mask.png`; suffixes in any case.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from segnet.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp", ".npy")
LABEL_FOLDERS = ("labels", "masks", "annotations", "label", "mask", "targets", "gt")
ENDINGS = ("", "_mask", "_L", "_label", "_labels", "_labelIds", "_seg", "_gt", "-mask", ".mask")
SPLITS = ("train", "val", "test")

_NEVER_DATA = ("thumbs.db", "desktop.ini")  # what file managers of Windows leave in a folder


def images_in(folder: Path) -> dict[str, Path]:
    """Lists the images of a folder: name without suffix -> path, in the order of the names.

    Hidden files, such as the `._X` of macOS, are left out. Broken links are not: reading them raises.

    Raises:
        DataError: no such folder, two images that differ only in suffix, or a name that is not UTF-8.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected images in it")
    found: dict[str, Path] = {}
    for path in _files(folder):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            require_utf8(path)
            if path.stem in found:
                raise DataError(f"{found[path.stem]} and {path} would share one label; rename one")
            found[path.stem] = path
    return found


def require_utf8(path: Path) -> None:
    """Refuses a file name that cannot be written to a list or shown.

    Raises:
        DataError: its bytes are not UTF-8.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{str(path)!r}: the name is not valid UTF-8; rename it") from None


def require_no_broken_link(paths: Iterable[Path]) -> None:
    """Refuses links to files that do not exist.

    Raises:
        DataError: names the first one and what it points to.
    """
    for path in paths:
        if path.is_symlink() and not path.exists():
            raise DataError(f"{path} is a link to {path.readlink()}, which does not exist; repair or delete it")


def find_labels(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Finds the label image of each name.

    Args:
        folder: of the label images; may be missing.
        names: of the images, without suffix.

    Returns:
        Name -> path. A name without a label image gets `folder/NAME.png`, which does not exist.

    Raises:
        DataError: two label images for one image, such as `X.png` and `X.tif`.
    """
    by_stem: dict[str, list[Path]] = {}
    for path in _files(folder) if folder.is_dir() else ():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            by_stem.setdefault(path.stem, []).append(path)
    return {name: _label(folder, name, by_stem) for name in names}


def _label(folder: Path, name: str, by_stem: Mapping[str, list[Path]]) -> Path:
    for ending in ENDINGS:
        found = by_stem.get(name + ending, [])
        if len(found) > 1:
            raise DataError(f"{found[0]} and {found[1]} are both labels of '{name}'; delete or rename one")
        if found:
            return found[0]
    return folder / f"{name}.png"


def label_folder(root: Path) -> Path:
    """The folder of label images: the first of `LABEL_FOLDERS` that holds anything; `root/labels` where none does."""
    for name in LABEL_FOLDERS:
        if (root / name).is_dir() and any((root / name).iterdir()):
            return root / name
    return root / LABEL_FOLDERS[0]


def folders_of(root: Path, split: str) -> tuple[Path, Path] | None:
    """The folders of images and label images that belong to one split alone; None where it has none."""
    labels = label_folder(root)
    if (root / "images" / split).is_dir():
        return root / "images" / split, labels / split
    if (root / split / "images").is_dir():
        return root / split / "images", label_folder(root / split)
    if (root / split).is_dir() and (root / f"{split}_labels").is_dir():
        return root / split, root / f"{split}_labels"
    return None


def all_folders(root: Path) -> list[tuple[Path, Path]]:
    """All pairs of an image folder and a label folder that `root` has, of the splits or of the whole dataset."""
    inside = [path.name for path in (root / "images").iterdir() if path.is_dir()] if (root / "images").is_dir() else []
    splits = dict.fromkeys((*SPLITS, "valid", *sorted(inside)))
    found = [pair for split in splits if (pair := folders_of(root, split)) is not None]
    return found or [(root / "images", label_folder(root))]


def other_files(folder: Path) -> list[Path]:
    """Files of a folder that are not read, because their suffix is not that of an image; hidden files left out."""
    return [
        path
        for path in (_files(folder) if folder.is_dir() else ())
        if path.suffix.lower() not in IMAGE_SUFFIXES and path.name.lower() not in _NEVER_DATA
    ]


def _files(folder: Path) -> list[Path]:
    """Files and links to files or to nothing, hidden ones left out, by name."""
    with os.scandir(folder) as entries:
        # A folder says what it is without a further call to the file system, which is what counts for 100,000 files.
        names = sorted(e.name for e in entries if not e.name.startswith(".") and not e.is_dir())
    return [folder / name for name in names]
