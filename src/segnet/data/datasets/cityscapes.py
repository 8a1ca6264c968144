"""Cityscapes with fine labels, in its official layout.

    DIR/leftImg8bit/train/aachen/X_leftImg8bit.png          RGB, 1024x2048
    DIR/gtFine/train/aachen/X_gtFine_labelIds.png           8-bit label ids 0..33

The same for `val`. The 19 label ids that the benchmark evaluates become its train ids; all others are void.

Source:
    Cordts et al.: The Cityscapes dataset for semantic urban scene understanding, CVPR 2016; the ids as published with
    its tools.
"""

from pathlib import Path

from segnet.data.datasets.paired import Pair, PairedImages
from segnet.data.reading.targets import read_ids_target, require_labels
from segnet.data.sample import Image8
from segnet.errors import DataError
from segnet.labels import CITYSCAPES_19, VOID

LABEL_IDS = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}

_IMAGE, _LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"
IDS = {
    **dict.fromkeys((*range(34), 255), VOID),  # 255: id -1 (licence plate) as an 8-bit file holds it
    **{LABEL_IDS[name]: class_id for class_id, name in enumerate(CITYSCAPES_19.names)},
}


class Cityscapes(PairedImages):
    """One split of Cityscapes.

    Args:
        root: the folder DIR above.
        split: `train` or `val`.
        allow_missing: do not check that the files exist; reading a sample whose file is missing raises.

    Raises:
        DataError: a folder or label image missing, no image at all, or `test`, whose labels are not published.
    """

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        label_set = CITYSCAPES_19.with_file_ids([LABEL_IDS[name] for name in CITYSCAPES_19.names])
        super().__init__(label_set, find_pairs(root, split), _read_target)
        if not allow_missing:
            require_labels(self.pairs, "unpack gtFine_trainvaltest.zip beside leftImg8bit")


def find_pairs(root: Path, split: str) -> list[Pair]:
    """The images of a split with their label images; label files need not exist.

    Raises:
        DataError: a folder is missing, no image, or the split `test`.
    """
    if split == "test":
        raise DataError("Cityscapes does not publish the labels of its test split (all are void); use val")
    images, labels = root / "leftImg8bit" / split, root / "gtFine" / split
    for folder in (images, labels):
        if not folder.is_dir():
            raise DataError(f"no Cityscapes split '{split}' in {root}: expected {folder}/")
    paths = sorted(images.glob(f"*/[!.]*{_IMAGE}"))
    if not paths:
        raise DataError(f"no image in the Cityscapes split '{split}': expected {images}/CITY/X{_IMAGE}")
    names = [path.name.removesuffix(_IMAGE) for path in paths]
    return [
        Pair(name, path, labels / path.parent.name / f"{name}{_LABELS}")
        for path, name in zip(paths, names, strict=True)
    ]


def _read_target(path: Path) -> Image8:
    return read_ids_target(path, IDS)
