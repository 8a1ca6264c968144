"""Where a folder keeps its images and label images: the names of folders, and links.

    DIR/images/X.jpg          DIR/labels/X.png             or `imgs`, `masks` and others of the lists below
    DIR/images/train/X.jpg    DIR/labels/train/X.png       split folders inside
    DIR/train/images/X.jpg    DIR/train/labels/X.png       split folders outside
    DIR/train/X.jpg           DIR/train_labels/X.png       as CamVid is often repacked; `train_masks` too

Names of folders and suffixes count in any case. Folders of a split may be called `training`, `valid`, `validation` or
`testing`. How a label image is found by the name of its image stands in `label_names.py`.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from segnet.data.datasets.label_names import LabelIndex
from segnet.errors import DataError

IMAGE_SUFFIXES = (
    *(
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".jp2",
        ".bmp",
        ".gif",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tif",
        ".tiff",
    ),
    *(".webp", ".avif", ".tga", ".npy"),
)
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "JPEGImages", "original_images", "photos", "frames", "rgb", "input")
LABEL_FOLDERS = (
    *(
        "labels",
        "masks",
        "annotations",
        "annots",
        "label",
        "mask",
        "targets",
        "gt",
        "ground_truth",
        "groundtruth",
        "ground truth",
    ),
    *("segmentation", "segmentations", "semantic", "label_images", "SegmentationClass", "output"),
)
BESIDE = ("_labels", "_masks", "_annotations", "_mask", "_label", "annot", "_gt", "labels", "masks")
"""What stands behind the name of a folder of images in the name of the folder of their labels."""
SPLITS = ("train", "val", "test")
SPLIT_WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}

_NEVER_DATA = ("thumbs.db", "desktop.ini")  # what file managers of Windows leave in a folder
_NO_FOLDERS = (".", "@", "__MACOSX")  # @eaDir is left by servers of Synology


def images_in(folder: Path) -> dict[str, Path]:
    """Lists the images of a folder: name without suffix -> path, in the order of the names.

    Hidden files, such as the `._X` of macOS, are left out. Broken links are not: reading them raises.

    Raises:
        DataError: no such folder, two images that differ only in suffix, or a name that is not UTF-8.
    """
    if not folder.is_dir():
        require_no_broken_link([folder])
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
    """Refuses links to files or folders that do not exist.

    Raises:
        DataError: names the first one and what it points to.
    """
    for path in paths:
        if path.is_symlink() and not path.exists():
            raise DataError(f"{path} is a link to {path.readlink()}, which does not exist; repair or delete it")


def label_index(folder: Path) -> LabelIndex:
    """The label images of a folder, to be found by the names of their images; empty where there is no such folder."""
    paths = _files(folder) if folder.is_dir() else []
    return LabelIndex([path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES])


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
    index = label_index(folder)
    labels: dict[str, Path] = {}
    for name in names:
        found = index.of(name)
        if len(found) > 1:
            raise DataError(f"{found[0]} and {found[1]} are both labels of '{name}'; delete or rename one")
        labels[name] = found[0] if found else folder / f"{name}.png"
    return labels


def image_folder(root: Path) -> Path:
    """The folder of images: the first of `IMAGE_FOLDERS` that is there; `root/images` where none is.

    Raises:
        DataError: it is a link to nothing.
    """
    return child_folder(root, IMAGE_FOLDERS) or root / IMAGE_FOLDERS[0]


def label_folder(root: Path) -> Path:
    """The folder of label images: the first of `LABEL_FOLDERS` that holds anything; `root/labels` where none does.

    Raises:
        DataError: it is a link to nothing.
    """
    for name in LABEL_FOLDERS:
        found = child_folder(root, (name,))
        if found is not None and any(found.iterdir()):
            return found
    return root / LABEL_FOLDERS[0]


def child_folder(root: Path, names: Iterable[str]) -> Path | None:
    """The first of these folders in `root`, by its exact name or in another case; None where there is none.

    Raises:
        DataError: it is a link to nothing.
    """
    if not root.is_dir():
        return None
    for name in names:
        if (root / name).is_dir():
            return root / name
    lower = {entry.name.lower(): entry for entry in root.iterdir()}
    for name in names:
        found = lower.get(name.lower())
        if found is not None:
            require_no_broken_link([found])
            if found.is_dir():
                return found
    return None


def folders_of(root: Path, split: str) -> tuple[Path, Path] | None:
    """The folders of images and label images that belong to one split alone; None where it has none.

    Raises:
        DataError: one of them is a link to nothing.
    """
    words = SPLIT_WORDS.get(split, (split,))
    images, labels = image_folder(root), label_folder(root)
    if (inner := child_folder(images, words)) is not None:
        own = child_folder(labels, (inner.name, *words))
        # labels may all lie in one folder, whatever the split of their images
        return inner, own or (labels if _has_images(labels) else labels / inner.name)
    outer = child_folder(root, words)
    if outer is None:
        return None
    if (inner := child_folder(outer, IMAGE_FOLDERS)) is not None:
        return inner, label_folder(outer)
    beside = child_folder(root, [outer.name + ending for ending in BESIDE])
    return (outer, beside) if beside is not None else None


def home_folders(root: Path) -> tuple[Path, Path]:
    """The folders whose images lists or names divide into splits: those of `train` where `val` has none of its own.

    Raises:
        DataError: one of them is a link to nothing.
    """
    train = folders_of(root, "train")
    if train is not None and folders_of(root, "val") is None:
        return train
    return image_folder(root), label_folder(root)


def all_folders(root: Path) -> list[tuple[Path, Path]]:
    """All pairs of an image folder and a label folder that `root` has, of the splits or of the whole dataset.

    Raises:
        DataError: one of them is a link to nothing.
    """
    images = image_folder(root)
    inside = [path.name for path in images.iterdir() if _is_split(path)] if images.is_dir() else []
    known = {word for words in SPLIT_WORDS.values() for word in words}
    splits = dict.fromkeys((*SPLITS, *sorted(name for name in inside if name.lower() not in known)))
    found = [pair for split in splits if (pair := folders_of(root, split)) is not None]
    return found or [(images, label_folder(root))]


def _is_split(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(_NO_FOLDERS)


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix.lower() in IMAGE_SUFFIXES for path in _files(folder))


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
        names = sorted(e.name for e in entries if not e.name.startswith(".") and not _is_folder(e))
    return [folder / name for name in names]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: reading it says so
        return False
