"""A custom dataset: images and labels in two folders, and a `labels.toml` that defines the classes.

    DIR/images/X.jpg        any image that Pillow opens
    DIR/labels/X.png        the same name; class ids (8-bit grey or palette) or colours, of the image's size
    DIR/labels.toml         names, colours and ids of the classes (see `label_file.py`)

The images of a split are found in this order:

1. `DIR/train.txt`, `DIR/val.txt`: image names with or without suffix, one a line;
2. folders `DIR/images/train`, `DIR/labels/train`, and `val` alike;
3. by name: an image is in `val` when the first 8 bytes of the SHA-256 of its name (without suffix) are a multiple of
   5, else in `train`. So about every fifth image is in `val`, on every machine, and no image changes its split when
   others are added. Where `val` would be empty, it gets the image with the smallest number; where `train` would be
   empty, it gets the one with the largest. For similar images, such as frames of one video, use `segnet data split`,
   which writes the lists of 1.
"""

import os
from hashlib import sha256
from pathlib import Path

from PIL import Image

from segnet.data.datasets.paired import Pair, PairedImages
from segnet.data.reading.label_file import LABELS_TOML, LabelFile, read_labels_toml, write_labels_toml
from segnet.data.reading.targets import read_colours_target, read_ids_target, require_labels
from segnet.data.sample import Dataset, Image8
from segnet.errors import DataError
from segnet.io.files import whole_file
from segnet.io.text import read_lines
from segnet.palette import to_palette_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")


class Folder(PairedImages):
    """One split of a folder of images and labels.

    Args:
        root: the folder DIR above.
        split: `train`, `val`, or any name that has a list or folders.
        allow_missing: do not check that the files exist; reading a sample whose file is missing raises.

    Raises:
        DataError: a folder, list, image or label is missing, a name is there twice, or there is no image at all.
        LabelError: `labels.toml` cannot be used.
    """

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        self.labels = read_labels_toml(root / LABELS_TOML)
        super().__init__(self.labels.label_set, find_pairs(root, split, allow_missing), self._read)
        if not allow_missing:
            require_labels(
                self.pairs, "expected a PNG of the image's name for each, or a list that leaves the others out"
            )

    def _read(self, path: Path) -> Image8:
        if self.labels.kind == "ids":
            return read_ids_target(path, self.labels.id_table)
        return read_colours_target(path, self.labels.colour_table)


def find_pairs(root: Path, split: str, allow_missing: bool = False) -> list[Pair]:
    """The images of a split with their label images; label files need not exist.

    Raises:
        DataError: no such split, a list that names an unknown image, or no image.
    """
    images, labels, names = _split(root, split, allow_missing)
    if not names:
        raise DataError(f"no image in the split '{split}' of {root}")
    return [Pair(name, images[name], labels / f"{name}.png") for name in names]


def write_folder(root: Path, dataset: Dataset) -> None:
    """Writes a dataset in this layout: PNG images, palette PNG labels, and `labels.toml` last.

    Args:
        root: a new or empty folder.
        dataset: its names become file names.

    Raises:
        DataError: the folder holds something already, or cannot be written; or what reading the dataset raises.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root} is not empty; expected a new or empty folder to write a dataset to")
    label_set = dataset.label_set
    for index, name in enumerate(dataset.names):
        sample = dataset[index]
        with whole_file(root / "images" / f"{name}.png") as temporary:
            Image.fromarray(sample.image).save(temporary)
        with whole_file(root / "labels" / f"{name}.png") as temporary:
            to_palette_image(sample.target, label_set).save(temporary)
    ids = tuple((class_id,) for class_id in range(label_set.num_classes))
    write_labels_toml(root / LABELS_TOML, LabelFile(label_set, "ids", ids))


def images_in(folder: Path) -> dict[str, Path]:
    """Name without suffix -> path, in the order of the names.

    Raises:
        DataError: no such folder, two images that differ only in suffix, or a name that is not UTF-8.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected images in it")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith("."):
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


def _split(root: Path, split: str, allow_missing: bool) -> tuple[dict[str, Path], Path, tuple[str, ...]]:
    """All images by name, the folder of labels, and the names that belong to the split."""
    list_path = root / f"{split}.txt"
    if list_path.is_file():
        images = images_in(root / "images")
        listed = _listed(list_path, images, allow_missing)
        return listed, root / "labels", tuple(listed)
    if (root / "images" / split).is_dir():
        images = images_in(root / "images" / split)
        return images, root / "labels" / split, tuple(images)
    if any((root / f"{other}.txt").is_file() or (root / "images" / other).is_dir() for other in ("train", "val")):
        raise DataError(f"no split '{split}' in {root}: expected {list_path} or {root / 'images' / split}/")
    images = images_in(root / "images")
    if split not in ("train", "val"):
        raise DataError(
            f"no split '{split}' in {root}: there is no {list_path.name}, and a split by name gives train and val"
        )
    val = _val(images)
    return images, root / "labels", tuple(name for name in images if (name in val) == (split == "val"))


def _val(names: dict[str, Path]) -> set[str]:
    numbers = {name: int.from_bytes(sha256(os.fsencode(name)).digest()[:8], "big") for name in names}
    chosen = {name for name, number in numbers.items() if number % 5 == 0}
    order = sorted(names, key=numbers.__getitem__)
    if chosen == set(order):
        chosen -= set(order[1:][-1:])
    return chosen or set(order[:1])


def _listed(list_path: Path, images: dict[str, Path], allow_missing: bool) -> dict[str, Path]:
    by_file_name = {path.name: name for name, path in images.items()}
    listed: dict[str, Path] = {}
    for line in read_lines(list_path):
        name = line if line in images else by_file_name.get(line, line)
        if name not in images and not allow_missing:
            raise DataError(f"{list_path} names '{line}', but images/ holds no image of that name")
        if name in listed:
            raise DataError(f"{list_path} names '{line}' twice; leave one out")
        listed[name] = images.get(name, list_path.parent / "images" / name)
    return listed
