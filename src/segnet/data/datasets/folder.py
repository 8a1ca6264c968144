"""A custom dataset: images and labels in two folders, and a `labels.toml` that defines the classes.

    DIR/images/X.jpg        any image that Pillow opens
    DIR/labels/X.png        the same name; class ids (grey or palette) or colours, of the image's size
    DIR/labels.toml         names, colours and ids of the classes (see `label_file.py`)

`layout.py` and `label_names.py` list other names of the folders and of label files that are read too.

The images of a split are found in this order:

1. `DIR/train.txt`, `DIR/val.txt`: image names with or without suffix, one a line;
2. folders of the split, such as `DIR/images/train` and `DIR/labels/train`;
3. by name: an image is in `val` when the first 8 bytes of the SHA-256 of its name (without suffix) are a multiple of
   5, else in `train`. So about every fifth image is in `val`, on every machine, and no image changes its split when
   others are added. Where `val` would be empty, it gets the image with the smallest number; where `train` would be
   empty, it gets the one with the largest. For similar images, such as frames of one video, use `segnet data split`,
   which writes the lists of 1. Where `train` has folders and `val` has none, this divides the images of `train`.
"""

import os
from hashlib import sha256
from pathlib import Path

from PIL import Image

from segnet.data.datasets.layout import (
    find_labels,
    folders_of,
    home_folders,
    images_in,
    other_files,
    require_no_broken_link,
)
from segnet.data.datasets.paired import Pair, PairedImages
from segnet.data.reading.label_file import LABELS_TOML, LabelFile, read_labels_toml, write_labels_toml
from segnet.data.reading.targets import read_colours_target, read_ids_target, require_labels
from segnet.data.sample import Dataset, Image8
from segnet.errors import DataError
from segnet.io.files import whole_files
from segnet.io.text import read_lines
from segnet.palette import to_palette_image

_EXPECTED = "expected a PNG of the image's name for each, or a list that leaves the others out"


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
        super().__init__(self.labels.numbered_label_set, find_pairs(root, split, allow_missing), self._read)
        if not allow_missing:
            require_no_broken_link(image for image, _ in self.pairs)
            require_labels(self.pairs, _EXPECTED)

    def _read(self, path: Path) -> Image8:
        if self.labels.kind == "ids":
            return read_ids_target(path, self.labels.id_table, snap=self.labels.snap, equal_channels=True)
        return read_colours_target(path, self.labels.colour_table, snap=self.labels.snap)


def find_pairs(root: Path, split: str, allow_missing: bool = False) -> list[Pair]:
    """The images of a split with their label images; label files need not exist.

    Raises:
        DataError: no such split, a list that names an unknown image, or no image.
    """
    images, labels, names = _split(root, split, allow_missing)
    if not names:
        others = other_files(home_folders(root)[0])
        held = f"; {len(others)} files there are not read, such as {others[0].name}: not an image" if others else ""
        raise DataError(f"no image in the split '{split}' of {root}{held}")
    found = find_labels(labels, names)
    return [Pair(name, images[name], found[name]) for name in names]


def write_folder(root: Path, dataset: Dataset) -> None:
    """Writes a dataset in this layout: PNG images, palette PNG labels and `labels.toml`, whole or not at all.

    Args:
        root: a new or empty folder.
        dataset: its names become file names.

    Raises:
        DataError: the folder holds something already, or cannot be written; or what reading the dataset raises.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root} is not empty; expected a new or empty folder to write a dataset to")
    label_set = dataset.label_set
    ids = tuple((class_id,) for class_id in range(label_set.num_classes))
    with whole_files(root) as room:
        (room / "images").mkdir(parents=True)
        (room / "labels").mkdir()
        for index, name in enumerate(dataset.names):
            sample = dataset[index]
            Image.fromarray(sample.image).save(room / "images" / f"{name}.png")
            to_palette_image(sample.target, label_set).save(room / "labels" / f"{name}.png")
        write_labels_toml(room / LABELS_TOML, LabelFile(label_set, "ids", ids))


def _split(root: Path, split: str, allow_missing: bool) -> tuple[dict[str, Path], Path, tuple[str, ...]]:
    """All images by name, the folder of labels, and the names that belong to the split."""
    list_path = root / f"{split}.txt"
    if list_path.is_file():
        home, labels = home_folders(root)
        listed = _listed(list_path, home, allow_missing)
        return listed, labels, tuple(listed)
    own, home_pair = folders_of(root, split), home_folders(root)
    if own is not None and own != home_pair:
        images = images_in(own[0])
        return images, own[1], tuple(images)
    has_list = any((root / f"{other}.txt").is_file() for other in ("train", "val"))
    if has_list or (own is None and folders_of(root, "val") is not None):
        raise DataError(f"no split '{split}' in {root}: expected {list_path} or {root / 'images' / split}/")
    if split not in ("train", "val"):
        raise DataError(
            f"no split '{split}' in {root}: there is no {list_path.name}, and a split by name gives train and val"
        )
    images = images_in(home_pair[0])
    val = _val(images)
    return images, home_pair[1], tuple(name for name in images if (name in val) == (split == "val"))


def _val(names: dict[str, Path]) -> set[str]:
    numbers = {name: int.from_bytes(sha256(os.fsencode(name)).digest()[:8], "big") for name in names}
    chosen = {name for name, number in numbers.items() if number % 5 == 0}
    order = sorted(names, key=numbers.__getitem__)
    if chosen == set(order):
        chosen -= set(order[1:][-1:])
    return chosen or set(order[:1])


def _listed(list_path: Path, folder: Path, allow_missing: bool) -> dict[str, Path]:
    images = images_in(folder)
    by_file_name = {path.name: name for name, path in images.items()}
    listed: dict[str, Path] = {}
    for line in read_lines(list_path):
        name = line if line in images else by_file_name.get(line, line)
        if name not in images and not allow_missing:
            raise DataError(f"{list_path} names '{line}', but {folder.name}/ holds no image of that name")
        if name in listed:
            raise DataError(f"{list_path} names '{line}' twice; leave one out")
        listed[name] = images.get(name, folder / name)
    return listed
