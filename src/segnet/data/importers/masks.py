"""Images and label images in two folders, without any word on the classes: the values in the label images are classes.

    SRC/images/X.jpg and SRC/masks/X.png        or other usual names; X_mask.png and other endings; JPG and TIFF too

Which values are classes, and which mean ignored pixels, is decided as by `segnet data init`.
"""

from pathlib import Path

from segnet.data.describe_labels import init_folder
from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.listing import Listing
from segnet.data.importers.pairs import image_folders, pairs_in
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.source import is_image
from segnet.data.reading.images import open_image
from segnet.errors import DataError, SegNetError


def recognise_masks(listing: Listing) -> str:
    """Why a source has images and label images in two folders; empty where it has not."""
    for folder in image_folders(listing.root) if listing.src.is_dir() else []:
        if any(map(is_image, folder.labels.iterdir())) and any(map(is_image, folder.images.iterdir())):
            parts = [str(f.relative_to(listing.root)) for f in (folder.images, folder.labels)]
            return f"images in {parts[0]}/ and label images in {parts[1]}/"
    return ""


def read_masks(src: Path, context: ImportContext) -> Annotations:
    """Reads every image of the folders that has a label image.

    Args:
        src: the folder of both folders.
        context: gets images without a label image.

    Raises:
        DataError: another layout.
        LabelError: label images that hold no classes, such as RGB images.
    """
    folders = image_folders(src)
    if not folders:
        raise DataError(f"no label images in {src}; expected images/ with masks/, or train/ with train_masks/")
    pairs = [(*pair, folder.split) for folder in folders for pair in pairs_in(folder, context.problems)]
    if not pairs:
        context.problems.raise_any()
        raise DataError(f"no image in {', '.join(str(folder.images) for folder in folders)}")
    return annotations_of_values(pairs, src, context)


def annotations_of_values(pairs: list[tuple[Path, Path, str]], src: Path, context: ImportContext) -> Annotations:
    """Pairs of images and label images whose values are the classes.

    Args:
        pairs: image, label image and split of each.
        src: for messages.
        context: its scratch folder gets the label images as one folder, whose values are looked at together.

    Raises:
        LabelError: label images that hold no classes.
    """
    (context.scratch / "labels").mkdir()
    kept = list[tuple[Path, Path, str]]()
    for number, (image, labels, split) in enumerate(pairs):
        with context.problems.collect():
            open_image(labels)  # a broken one is a problem by its own name
            (context.scratch / "labels" / f"{number:06d}{labels.suffix.lower()}").symlink_to(labels.resolve())
            kept.append((image, labels, split))
    try:
        description = init_folder(context.scratch)
    except SegNetError as cause:
        raise type(cause)(_by_own_names(str(cause), pairs, context)) from None
    table = description.labels
    names = table.label_set.names
    classes = dict(zip(names, table.label_set.colours, strict=True))
    void = "void"
    if table.kind == "ids":
        ids = {i: void if class_id >= len(names) else names[class_id] for i, class_id in table.id_table.items()}
        images = tuple(MaskImage(image, labels, ids, split=split) for image, labels, split in kept)
    else:
        colours = {c: void if k >= len(names) else names[k] for c, k in table.colour_table.items()}
        images = tuple(MaskImage(image, labels, colours=colours, split=split) for image, labels, split in kept)
    said = [line for line in description.lines if line.startswith("warning") or "-> ignored" in line]
    note = f"{src} does not name its classes: the values of the label images are classes; rename them in labels.toml"
    return Annotations(images, classes, (note, *(_by_own_names(line.strip(), pairs, context) for line in said)))


def _by_own_names(text: str, pairs: list[tuple[Path, Path, str]], context: ImportContext) -> str:
    """A message with the names of the label images in place of those of their links."""
    for number, (_, labels, _) in enumerate(pairs):
        link = context.scratch / "labels" / f"{number:06d}{labels.suffix.lower()}"
        text = text.replace(str(link), str(labels)) if link.name in text else text
    return text
