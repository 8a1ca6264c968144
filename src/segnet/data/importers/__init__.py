"""From what a labelling tool left to a dataset in the folder layout (`folder.py`)."""

import shutil
from collections import Counter
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track

from segnet.data.datasets.folder import IMAGE_SUFFIXES, require_utf8
from segnet.data.importers.cityscapes import read_cityscapes
from segnet.data.importers.coco import read_coco
from segnet.data.importers.colours import read_colours
from segnet.data.importers.cvat import read_cvat
from segnet.data.importers.labelme import read_labelme
from segnet.data.importers.shapes import ShapeImages
from segnet.data.importers.source import BACKGROUND, Source
from segnet.data.importers.voc import read_voc
from segnet.data.reading.label_file import LABELS_TOML, LabelFile, write_labels_toml
from segnet.data.splitting import list_text
from segnet.errors import ConfigError, DataError, nearest
from segnet.io.files import whole_files
from segnet.palette import to_palette_image

SHAPE_FORMATS = {"labelme": read_labelme, "coco": read_coco, "cvat": read_cvat}
IMPORT_FORMATS = (*SHAPE_FORMATS, "voc", "cityscapes", "colours")


def import_folder(
    tool: str, src: Path, out: Path, rest: str | None = None, console: Console | None = None
) -> list[str]:
    """Reads what a labelling tool left and writes it as a folder of images and labels, whole or not at all.

    Args:
        tool: a name in `IMPORT_FORMATS`.
        src: its folder or file.
        out: a new or empty folder.
        rest: class of pixels that no shape covers, or `void`; None is `background`. For formats of shapes alone.
        console: where progress is shown; None is quiet.

    Returns:
        What a person should know of it, in lines.

    Raises:
        ConfigError: an unknown format, or `rest` for one that has no such pixels.
        DataError: `src` is missing or of another form, an image is missing, broken or outside `src`, two images
            have one name, or `out` cannot be written or holds something.
        LabelError: a class, colour or shape that cannot be; names the file.
        ShapeError: an image of another size than its labels.
    """
    if tool not in IMPORT_FORMATS:
        raise ConfigError(f"unknown format '{tool}'; {nearest(tool, IMPORT_FORMATS)}")
    if rest is not None and tool not in SHAPE_FORMATS:
        raise ConfigError(f"every pixel of a {tool} label has a meaning, so there is no rest to be '{rest}'")
    if not src.exists():
        raise DataError(f"{src} does not exist; expected a folder or file of labels")
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is not empty; expected a new or empty folder to write a dataset to")
    source = _read(tool, src, out.name, rest or BACKGROUND)
    found = _write(source, out, console or Console(quiet=True))
    return [*found, *source.notes, *_shape_notes(source, rest or BACKGROUND), *_split_notes(source)]


def _read(tool: str, src: Path, name: str, rest: str) -> Source:
    if tool in SHAPE_FORMATS:
        return SHAPE_FORMATS[tool](src, rest, name)
    if tool == "cityscapes":
        return read_cityscapes(src)
    return read_voc(src, name) if tool == "voc" else read_colours(src, name)


def _write(source: Source, out: Path, console: Console) -> list[str]:
    data, holding = source.images, Counter[int]()
    for name, count in Counter(data.names).items():
        if count > 1:
            raise DataError(f"{count} images would be called '{name}'; rename all but one")
    for path in data.paths:
        require_utf8(path)
    with whole_files(out) as room:
        (room / "images").mkdir(parents=True)
        (room / "labels").mkdir()
        for index in track(range(len(data)), "importing", console=console, transient=True):
            sample, path = data[index], data.paths[index]
            holding.update(i for i in range(data.label_set.num_classes) if (sample.target == i).any())
            if path.suffix.lower() in IMAGE_SUFFIXES:
                shutil.copyfile(path, room / "images" / f"{sample.name}{path.suffix.lower()}")
            else:
                Image.fromarray(sample.image).save(room / "images" / f"{sample.name}.png")
            to_palette_image(sample.target, data.label_set).save(room / "labels" / f"{sample.name}.png")
        for split, names in source.splits.items():
            (room / f"{split}.txt").write_text(list_text(names), encoding="utf-8")
        ids = tuple((class_id,) for class_id in range(data.label_set.num_classes))
        write_labels_toml(room / LABELS_TOML, LabelFile(data.label_set, "ids", ids))
    classes = ", ".join(f"{name} {holding[i]}" for i, name in enumerate(data.label_set.names))
    return [f"{len(data)} images in {out}", f"classes, and in how many images: {classes}"]


def _shape_notes(source: Source, rest: str) -> list[str]:
    data = source.images
    if not isinstance(data, ShapeImages):
        return []
    pixels, images = sum(data.overlapping.values()), sum(n > 0 for n in data.overlapping.values())
    notes = [f"pixels that no shape covers are {rest} (--rest)"]
    if pixels:
        notes.append(
            f"{pixels} pixels in {images} images lie in shapes of different classes; there the later shape counts"
        )
    return notes


def _split_notes(source: Source) -> list[str]:
    counts = ", ".join(f"{split} {len(names)}" for split, names in source.splits.items())
    return [f"splits: {counts}"] if counts else []
