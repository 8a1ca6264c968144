"""Folders of images beside folders of label images, by the names that datasets give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segnet.data.importers.problems import Problems
from segnet.data.importers.source import is_image, split_word
from segnet.errors import DataError

_IMAGES = ("images", "image", "imgs", "img", "JPEGImages", "photos", "frames", "rgb", "input", "inputs")
_LABELS = ("labels", "label", "masks", "mask", "annotations", "gt", "ground_truth", "segmentation", "targets", "output")
_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
_BESIDE = ("_labels", "_masks", "_annotations", "_mask", "_label", "annot", "_gt")
ENDINGS = ("", "_mask", "_L", "_label", "_labels", "_gt", "_seg", "_segmentation", "_annotation", "-mask", ".mask")


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
    `train/masks`; or `train` with `train_labels`, or without splits.

    Returns:
        Nothing where no pair is there.
    """
    children = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()} if root.is_dir() else {}
    splits = {name: path for name, path in children.items() if name in _SPLITS}
    found = [pair for name, path in splits.items() for pair in _siblings(path, split_word(name))]
    for name, path in splits.items():
        labels = next((children[name + end] for end in _BESIDE if name + end in children), None)
        found += [ImageFolder(path, labels, split_word(name))] if labels and not _siblings(path, "") else []
    for pair in _siblings(root, ""):
        inner = {p.name.lower(): p for p in sorted(pair.images.iterdir()) if p.is_dir() and p.name.lower() in _SPLITS}
        below = [ImageFolder(p, pair.labels / p.name, split_word(n)) for n, p in inner.items()]
        below = [folder for folder in below if folder.labels.is_dir()]
        found += below or [pair]
    return found


def pairs_in(folder: ImageFolder, problems: Problems) -> list[tuple[Path, Path]]:
    """The images of a folder with their label images.

    A label image has the stem of its image, with one of `ENDINGS` or without, and any suffix of an image.

    Args:
        folder: of images and labels.
        problems: gets each image that has no label image, or two.
    """
    labels: dict[str, list[Path]] = {}
    for path in sorted(folder.labels.iterdir()):
        if is_image(path):
            labels.setdefault(path.stem, []).append(path)
    pairs = []
    for image in (path for path in sorted(folder.images.iterdir()) if is_image(path)):
        found = next((labels[image.stem + end] for end in ENDINGS if image.stem + end in labels), [])
        found = [path for path in found if path != image]
        with problems.collect():
            if len(found) != 1:
                what = f"has {len(found)} label images, {found[0]} and {found[1]}" if found else "has no labels"
                raise DataError(f"{image} {what}; expected {folder.labels / image.stem}.png")
            pairs.append((image, found[0]))
    return pairs


def _siblings(root: Path, split: str) -> list[ImageFolder]:
    """The folder of images in `root` with that of labels."""
    below = {p.name: p for p in sorted(root.iterdir()) if p.is_dir()}
    images, labels = _first(below, _IMAGES), _first(below, _LABELS)
    return [ImageFolder(images, labels, split)] if images and labels else []


def _first(folders: dict[str, Path], names: Sequence[str]) -> Path | None:
    lower = {name.lower(): path for name, path in folders.items()}
    return next((lower[name.lower()] for name in names if name.lower() in lower), None)
