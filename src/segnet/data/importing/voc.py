"""The layout of PASCAL VOC: the data set itself, and what LabelMe's and CVAT's exporters write in its form.

    SRC/JPEGImages/X.jpg
    SRC/SegmentationClass/X.png
    SRC/ImageSets/Segmentation/train.txt     names, one a line; left out: every label picture
    SRC/labelmap.txt                         CVAT's classes: colours
    SRC/class_names.txt                      LabelMe's: the first is id -1 (void) if it is __ignore__, the next is id 0

Without either list of classes they are the 21 of VOC.
"""

from pathlib import Path

from segnet.data.importing.label_pictures import LabelPictures, classes_of, read_colour_table
from segnet.data.importing.source import BACKGROUND, Source, means_void
from segnet.data.voc import voc_folder
from segnet.errors import DataError
from segnet.labels import VOC_21, VOID, LabelSet, distinct_colours

_PICTURES = (".jpg", ".jpeg", ".png")


def read_voc(src: Path, name: str) -> Source:
    """Reads pictures that have a label picture, of the lists `train` and `val` where there are lists.

    Args:
        src: the folder, or one that holds it as `VOCdevkit/VOC2012`.
        name: of the label set, where it is not VOC's own.

    Raises:
        DataError: another layout, or a file is missing.
        LabelError: a list of classes that cannot be used.
    """
    folder = voc_folder(src)
    if folder is None:
        raise DataError(f"no VOC in {src}: wanted JPEGImages/ and SegmentationClass/ in it")
    lists = {split: folder / "ImageSets" / "Segmentation" / f"{split}.txt" for split in ("train", "val")}
    splits = {s: tuple(path.read_text().split()) for s, path in lists.items() if path.is_file()}
    found = sorted(path.stem for path in (folder / "SegmentationClass").glob("*.png"))
    names = tuple(dict.fromkeys(n for listed in splits.values() for n in listed)) or tuple(found)
    if not names:
        raise DataError(f"no label picture in {folder / 'SegmentationClass'}; wanted X.png for JPEGImages/X.jpg")
    for n in names:
        if Path(n).name != n:
            raise DataError(f"a list in {folder / 'ImageSets'} names '{n}', which is not the name of a picture")
    pairs = [(_picture(folder / "JPEGImages", n), folder / "SegmentationClass" / f"{n}.png") for n in names]
    if (folder / "labelmap.txt").is_file():
        label_set, table = classes_of(read_colour_table(folder / "labelmap.txt"), name)
        return Source(LabelPictures(pairs, names, label_set, colours=table), splits)
    label_set = VOC_21
    if (folder / "class_names.txt").is_file():
        lines = (folder / "class_names.txt").read_text(encoding="utf-8").splitlines()
        class_names = [n for n in map(str.strip, lines) if n and not means_void(n)]
        class_names = [BACKGROUND if n == "_background_" else n for n in class_names]
        label_set = LabelSet(name, tuple(class_names), ((0, 0, 0), *distinct_colours(len(class_names) - 1)))
    ids = {i: i for i in range(label_set.num_classes)} | {VOID: VOID}
    return Source(LabelPictures(pairs, names, label_set, ids=ids), splits)


def _picture(folder: Path, name: str) -> Path:
    paths = [folder / f"{name}{suffix}" for suffix in _PICTURES]
    return next((path for path in paths if path.is_file()), paths[0])
