"""Folders of images beside folders of label images, by the names that datasets give them."""

from dataclasses import dataclass
from pathlib import Path

from segnet.data.datasets.layout import BESIDE, IMAGE_FOLDERS, LABEL_FOLDERS, child_folder, label_index
from segnet.data.importers.problems import Problems
from segnet.data.importers.source import is_image, split_word
from segnet.errors import DataError

_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images and the one of their label images.

    Attributes:
        images: the folder of images.
        labels: that of label images; may be the same.
        split: `train`, `val` or `test`; empty for none.
    """

    images: Path
    labels: Path
    split: str


def image_folders(root: Path) -> list[ImageFolder]:
    """The pairs of folders in a dataset, in either nesting: `images/train` with `masks/train`, or `train/images` with
    `train/masks`; or `train` with `train_labels`, or without splits; or images and their labels in one folder.

    Returns:
        Nothing where no pair is there.
    """
    if not root.is_dir():
        return []
    splits = [path for path in sorted(root.iterdir()) if path.is_dir() and split_word(path.name)]
    splits = [path for path in splits if path.name.isalpha()]  # not train_labels
    found = [pair for path in splits for pair in _siblings(path, split_word(path.name))]
    for path in splits:
        labels = child_folder(root, [path.name + ending for ending in BESIDE])
        found += [ImageFolder(path, labels, split_word(path.name))] if labels and not _siblings(path, "") else []
    for pair in _siblings(root, ""):
        inner = [p for p in sorted(pair.images.iterdir()) if p.is_dir() and split_word(p.name) and p.name.isalpha()]
        below = [(p, child_folder(pair.labels, (p.name,))) for p in inner]
        pairs = [ImageFolder(p, labels, split_word(p.name)) for p, labels in below if labels] or [pair]
        found += [one for each in pairs for one in _with_folders_inside(each)]
    if not found:
        mixed = [(path, split_word(path.name)) for path in splits] or [(root, "")]
        found = [ImageFolder(path, path, split) for path, split in mixed if _images_among_labels(path)]
    return found


def _with_folders_inside(pair: ImageFolder) -> list[ImageFolder]:
    """The pair; or, where its folder of images holds folders alone, those that both folders have, at any depth."""
    inside = sorted(pair.images.iterdir())
    if any(map(is_image, inside)):
        return [pair]
    below = [(path, child_folder(pair.labels, (path.name,))) for path in inside if path.is_dir()]
    pairs = [ImageFolder(path, labels, pair.split) for path, labels in below if labels]
    return [one for each in pairs for one in _with_folders_inside(each)] or [pair]


def pairs_in(folder: ImageFolder, problems: Problems) -> list[tuple[Path, Path]]:
    """The images of a folder with their label images, found by name (see `label_names.py`).

    Args:
        folder: of images and labels.
        problems: gets each image that has no label image, or two.
    """
    if folder.images == folder.labels:
        return _images_among_labels(folder.images)
    index = label_index(folder.labels)
    pairs = []
    for image in (path for path in sorted(folder.images.iterdir()) if is_image(path)):
        found = index.of(image.stem, besides=image)
        with problems.collect():
            if len(found) != 1:
                what = f"has {len(found)} label images, {found[0]} and {found[1]}" if found else "has no labels"
                raise DataError(f"{image} {what}; expected {folder.labels / image.stem}.png")
            pairs.append((image, found[0]))
    return pairs


def _images_among_labels(folder: Path) -> list[tuple[Path, Path]]:
    """Images and their label images where both lie in one folder: `X.jpg` with `X_mask.png`, or with `X.png`."""
    index = label_index(folder)
    pairs = [(path, index.of(path.stem, besides=path)) for path in sorted(index.paths)]
    single = [(image, found[0]) for image, found in pairs if len(found) == 1]
    # Of two files of one name the photograph is the JPEG.
    single = [(i, m) for i, m in single if i.stem != m.stem or (_is_lossy(i) and not _is_lossy(m))]
    labels = {label for _, label in single}
    kept = [(image, label) for image, label in single if image not in labels]
    return kept if 2 * len(kept) == len(index) else []  # files without a partner: not such a folder


def _is_lossy(path: Path) -> bool:
    return path.suffix.lower() in _LOSSY


def _siblings(root: Path, split: str) -> list[ImageFolder]:
    """The folder of images in `root` with that of labels."""
    images, labels = child_folder(root, IMAGE_FOLDERS), child_folder(root, LABEL_FOLDERS)
    return [ImageFolder(images, labels, split)] if images and labels else []
