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

from segnet.data.datasets.layout import find_labels, images_in, label_index
from segnet.data.datasets.voc import voc_folder
from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.classes import means_void, plain_name
from segnet.data.importers.listing import Listing
from segnet.data.importers.problems import ImportContext
from segnet.data.reading.colour_table import read_colour_table, with_near_colours
from segnet.data.reading.targets import require_files
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import VOC_21, VOID, Colour, distinct_colours

_VOID_NAME = "void"


def recognise_voc(listing: Listing) -> str:
    """Why a source has the layout of PASCAL VOC; empty where it has not."""
    return "it holds JPEGImages/ and SegmentationClass/" if voc_folder(listing.root) else ""


def read_voc(src: Path, context: ImportContext) -> Annotations:
    """Reads images that have a label image, of the lists `train` and `val` where there are lists.

    Args:
        src: the folder, or one that holds it as `VOCdevkit/VOC2012`.
        context: gets missing files; its tolerance applies to the colours of a `labelmap.txt`.

    Raises:
        DataError: another layout, or a list that names an image twice or one of the other list.
        LabelError: a list of classes that cannot be used.
    """
    folder = voc_folder(src)
    if folder is None:
        raise DataError(f"no VOC in {src}: expected JPEGImages/ and SegmentationClass/ in it")
    lists = {split: folder / "ImageSets" / "Segmentation" / f"{split}.txt" for split in ("train", "val")}
    listed = {split: tuple(read_lines(path)) for split, path in lists.items() if path.is_file()}
    splits = {split: names for split, names in listed.items() if names}
    notes = tuple(f"{lists[split]} is empty and counts as not there" for split in listed if split not in splits)
    found = sorted(path.stem for path in label_index(folder / "SegmentationClass").paths)
    names = _once(splits, lists) or tuple(found)
    if not names:
        raise DataError(f"no label image in {folder / 'SegmentationClass'}; expected X.png for JPEGImages/X.jpg")
    for n in names:
        if Path(n).name != n:
            raise DataError(f"a list in {folder / 'ImageSets'} names '{n}', which is not the name of an image")
    split_of = {name: split for split, members in splits.items() for name in members}
    classes, ids, colours = _classes(folder)
    images, kept = list[MaskImage](), list[str]()
    photographs = images_in(folder / "JPEGImages")
    label_images = find_labels(folder / "SegmentationClass", names)
    for n in names:
        image, labels = photographs.get(n, folder / "JPEGImages" / f"{n}.jpg"), label_images[n]
        with context.problems.collect():
            require_files([(image, labels)], "expected an image and its labels")
            near = with_near_colours(colours, labels, context.colour_tolerance) if ids is None else {}
            images.append(MaskImage(image, labels, ids, near, split_of.get(n, "")))
            kept.append(n)
    published = VOC_21.name if classes == dict(zip(VOC_21.names, VOC_21.colours, strict=True)) else ""
    return Annotations(tuple(images), classes, notes, names=tuple(kept), label_set_name=published)


def _classes(folder: Path) -> tuple[Mapping[str, Colour], Mapping[int, str] | None, Mapping[Colour, str]]:
    """Class name -> colour; id -> class name, or None where the label images hold colours; colour -> class name."""
    if (folder / "labelmap.txt").is_file():
        table = read_colour_table(folder / "labelmap.txt")
        return table.classes, None, table.colours
    names, colours = VOC_21.names, VOC_21.colours
    if (folder / "class_names.txt").is_file():
        listed = [n for n in read_lines(folder / "class_names.txt") if not means_void(n)]
        names, colours = tuple(plain_name(n) for n in listed), ((0, 0, 0), *distinct_colours(len(listed) - 1))
    classes = dict(zip(names, colours, strict=True))
    return classes, dict(enumerate(names)) | {VOID: _VOID_NAME}, {}


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
