"""KITTI's semantic segmentation benchmark: 200 images with the label ids of Cityscapes.

SRC/training/image_2/X.png      SRC/training/semantic/X.png
"""

from pathlib import Path

from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.cityscapes import CITYSCAPES_IDS
from segnet.data.importers.listing import Listing
from segnet.data.importers.pairs import ImageFolder, pairs_in
from segnet.data.importers.problems import ImportContext
from segnet.errors import DataError
from segnet.labels import CITYSCAPES_19


def _folder(root: Path) -> ImageFolder | None:
    for base in (root / "training", root):
        if (base / "image_2").is_dir() and (base / "semantic").is_dir():
            return ImageFolder(base / "image_2", base / "semantic", "")
    return None


def recognise_kitti(listing: Listing) -> str:
    """Why a source is KITTI's; empty where it is not."""
    return "it holds image_2/ and semantic/" if _folder(listing.root) else ""


def read_kitti(src: Path, context: ImportContext) -> Annotations:
    """Reads the training images; the test images have no labels.

    Args:
        src: the folder that holds `training/`, or that folder.
        context: gets images without labels.

    Raises:
        DataError: another layout.
    """
    folder = _folder(src)
    if folder is None:
        raise DataError(f"no KITTI semantics in {src}; expected training/image_2/ and training/semantic/")
    images = tuple(MaskImage(image, labels, CITYSCAPES_IDS) for image, labels in pairs_in(folder, context.problems))
    classes = dict(zip(CITYSCAPES_19.names, CITYSCAPES_19.colours, strict=True))
    return Annotations(images, classes, label_set_name=CITYSCAPES_19.name)
