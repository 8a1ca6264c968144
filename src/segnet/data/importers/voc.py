"""The layout of PASCAL VOC: the dataset itself, and what LabelMe's and CVAT's exporters write in its form.

    SRC/JPEGImages/X.jpg
    SRC/SegmentationClass/X.png
    SRC/ImageSets/Segmentation/train.txt     names, one a line; left out, or empty: every label image
    SRC/labelmap.txt                         CVAT's classes: colours
    SRC/class_names.txt                      LabelMe's: the first is id -1 (void) if it is __ignore__, the next is id 0

Without either list of classes they are the 21 of VOC.
"""

from collections.abc import Mapping
from pathlib import Path

from segnet.data.datasets.voc import voc_folder
from segnet.data.importers.label_images import LabelImages, classes_of, read_colour_table
from segnet.data.importers.source import BACKGROUND, Source, means_void
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import VOC_21, VOID, LabelSet, distinct_colours

_IMAGES = (".jpg", ".jpeg", ".png")


def read_voc(src: Path, name: str) -> Source:
    """Reads images that have a label image, of the lists `train` and `val` where there are lists.

    Args:
        src: the folder, or one that holds it as `VOCdevkit/VOC2012`.
        name: of the label set, where it is not VOC's own.

    Raises:
        DataError: another layout, a file is missing, or a list that names an image twice or one of the other list.
        LabelError: a list of classes that cannot be used.
    """
    folder = voc_folder(src)
    if folder is None:
        raise DataError(f"no VOC in {src}: expected JPEGImages/ and SegmentationClass/ in it")
    lists = {split: folder / "ImageSets" / "Segmentation" / f"{split}.txt" for split in ("train", "val")}
    listed = {split: tuple(read_lines(path)) for split, path in lists.items() if path.is_file()}
    splits = {split: names for split, names in listed.items() if names}
    notes = tuple(f"{lists[split]} is empty and counts as not there" for split in listed if split not in splits)
    found = sorted(path.stem for path in (folder / "SegmentationClass").glob("[!.]*.png"))
    names = _once(splits, lists) or tuple(found)
    if not names:
        raise DataError(f"no label image in {folder / 'SegmentationClass'}; expected X.png for JPEGImages/X.jpg")
    for n in names:
        if Path(n).name != n:
            raise DataError(f"a list in {folder / 'ImageSets'} names '{n}', which is not the name of an image")
    pairs = [(_image(folder / "JPEGImages", n), folder / "SegmentationClass" / f"{n}.png") for n in names]
    if (folder / "labelmap.txt").is_file():
        label_set, table = classes_of(read_colour_table(folder / "labelmap.txt"), name)
        return Source(LabelImages(pairs, names, label_set, colours=table), splits, notes)
    label_set = VOC_21
    if (folder / "class_names.txt").is_file():
        class_names = [n for n in read_lines(folder / "class_names.txt") if not means_void(n)]
        class_names = [BACKGROUND if n == "_background_" else n for n in class_names]
        label_set = LabelSet(name, tuple(class_names), ((0, 0, 0), *distinct_colours(len(class_names) - 1)))
    ids = {i: i for i in range(label_set.num_classes)} | {VOID: VOID}
    return Source(LabelImages(pairs, names, label_set, ids=ids), splits, notes)


def _once(splits: Mapping[str, tuple[str, ...]], lists: Mapping[str, Path]) -> tuple[str, ...]:
    """The names of all splits, each of which is in one list and there once."""
    homes: dict[str, Path] = {}
    for split, names in splits.items():
        for name in names:
            if name in homes:
                where = f"{lists[split]} names '{name}'"
                raise DataError(
                    f"{where} twice; leave one out"
                    if homes[name] == lists[split]
                    else f"{where}, which {homes[name]} names too; leave it out of one"
                )
            homes[name] = lists[split]
    return tuple(homes)


def _image(folder: Path, name: str) -> Path:
    paths = [folder / f"{name}{suffix}" for suffix in _IMAGES]
    return next((path for path in paths if path.is_file()), paths[0])
