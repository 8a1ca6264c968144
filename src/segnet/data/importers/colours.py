"""Label images painted in colours, with a table that says what the colours mean.

    SRC/images/X.jpg and SRC/labels/X.png       or, for each split: SRC/train/X.jpg and SRC/train_labels/X.png
    SRC/classes.csv                             or another table of `TABLES`; its forms are in `label_images.py`

A label image has the name of its image, or that and `_L`, `_label` or `_mask`. A colour that the table lacks is an
error; a colour that counts for nothing is called `void` there.
"""

from pathlib import Path

from segnet.data.datasets.folder import images_in
from segnet.data.importers.label_images import LabelImages, classes_of, read_colour_table
from segnet.data.importers.source import Source, flat_names
from segnet.errors import DataError

TABLES = ("classes.csv", "class_dict.csv", "label_colors.txt", "labelmap.txt")
_ENDINGS = ("", "_L", "_label", "_mask")


def read_colours(src: Path, name: str) -> Source:
    """Reads every image that is there.

    Args:
        src: the folder.
        name: of the label set.

    Raises:
        DataError: another layout, no table, or an image without labels.
        LabelError: a table that cannot be used.
    """
    table = next((src / file for file in TABLES if (src / file).is_file()), None)
    if table is None:
        raise DataError(f"no table of colours in {src}; expected {' or '.join(TABLES)}, with a line for each class")
    folders = {"": (src / "images", src / "labels")}
    folders |= {split: (src / split, src / f"{split}_labels") for split in ("train", "val", "test")}
    found = {split: pair for split, pair in folders.items() if all(folder.is_dir() for folder in pair)}
    if not found:
        raise DataError(f"no label images in {src}; expected images/ with labels/, or train/ with train_labels/")
    pairs, of_split = list[tuple[Path, Path]](), dict[str, range]()
    for split, (images, labels) in found.items():
        below = images_in(labels)
        first = len(pairs)
        for stem, path in images_in(images).items():
            label = next((below[stem + ending] for ending in _ENDINGS if stem + ending in below), None)
            if label is None:
                raise DataError(f"{path} has no labels; expected {labels / stem}.png")
            pairs.append((path, label))
        of_split[split] = range(first, len(pairs))
    if not pairs:
        raise DataError(f"no image in {', '.join(str(images) for images, _ in found.values())}")
    names = flat_names([path for path, _ in pairs])
    label_set, colours = classes_of(read_colour_table(table), name)
    splits = {} if "" in of_split else {s: tuple(names[i] for i in places) for s, places in of_split.items()}
    return Source(
        LabelImages(pairs, names, label_set, colours=colours), splits, (f"colours are those of {table.name}",)
    )
