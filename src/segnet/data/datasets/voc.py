"""PASCAL VOC 2012, segmentation, in its official layout.

    DIR/VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt      image names, one a line; val and trainval alike
    DIR/VOCdevkit/VOC2012/JPEGImages/X.jpg
    DIR/VOCdevkit/VOC2012/SegmentationClass/X.png               palette: 0 background, 1..20 objects, 255 void

DIR may also be `VOCdevkit` or `VOC2012` itself. Annotations made later, such as the 10,582 images of "train_aug", are
read when their list and label images (palette or grey) are in the same folders.

Source:
    Everingham, Van Gool, Williams, Winn, Zisserman: The PASCAL Visual Object Classes Challenge 2012.
"""

from pathlib import Path

from segnet.data.datasets.paired import Pair, PairedImages
from segnet.data.reading.targets import read_ids_target, require_files
from segnet.data.sample import Image8
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import VOC_21, VOID

_IDS = {**{i: i for i in range(VOC_21.num_classes)}, VOID: VOID}


class VOC(PairedImages):
    """One split of VOC 2012.

    Args:
        root: the folder DIR above.
        split: `train`, `val`, `trainval`, or any other list that lies beside theirs.
        allow_missing: do not check that the files exist; reading a sample whose file is missing raises.

    Raises:
        DataError: folder, list or image missing, no image at all, or `test`, whose labels are not published.
    """

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        super().__init__(VOC_21, find_pairs(root, split), _read_target)
        if not allow_missing:
            remedy = "; VOC does not publish the labels of its test split, use val" if split == "test" else ""
            require_files(self.pairs, f"the list {split}.txt names it{remedy}")


def find_pairs(root: Path, split: str) -> list[Pair]:
    """The images that a list names, with their label images; files need not exist.

    Raises:
        DataError: no VOC folder, no such list, or an empty one.
    """
    folder = voc_folder(root)
    if folder is None:
        raise DataError(f"no VOC in {root}: expected VOCdevkit/VOC2012/ with JPEGImages/ and SegmentationClass/")
    lists = folder / "ImageSets" / "Segmentation"
    list_path = lists / f"{split}.txt"
    if not list_path.is_file():
        found = ", ".join(sorted(path.stem for path in lists.glob("*.txt"))) or "none"
        raise DataError(f"no VOC split '{split}': {list_path} does not exist; lists there: {found}")
    names = read_lines(list_path)
    if not names:
        raise DataError(f"no image in the VOC split '{split}': {list_path} is empty")
    return [
        Pair(name, folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png")
        for name in names
    ]


def _read_target(path: Path) -> Image8:
    return read_ids_target(path, _IDS)


def voc_folder(root: Path) -> Path | None:
    """The folder `VOC2012` that `root` is or holds."""
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "JPEGImages").is_dir() and (folder / "SegmentationClass").is_dir():
            return folder
    return None
