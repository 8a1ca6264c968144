"""PASCAL VOC 2012, segmentation, in its official layout.

    DIR/VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt      image names, one a line; val and trainval alike
    DIR/VOCdevkit/VOC2012/JPEGImages/X.jpg
    DIR/VOCdevkit/VOC2012/SegmentationClass/X.png               palette: 0 background, 1..20 objects, 255 void

DIR may also be `VOCdevkit` or `VOC2012` itself. Annotations made later, such as the 10,582 images of "train_aug", are
read when their list and their label images (palette or grey) lie in the same folders.

Source:
    Everingham, Van Gool, Williams, Winn, Zisserman: The PASCAL Visual Object Classes Challenge 2012.
"""

from pathlib import Path

from segnet.data.reading.images import read_image
from segnet.data.reading.targets import read_ids_target, require_files, sample_of
from segnet.data.sample import Sample
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import VOC_21, VOID, LabelSet

_IDS = {**{i: i for i in range(VOC_21.num_classes)}, VOID: VOID}


class VOC:
    """One split of VOC 2012.

    Args:
        root: the folder DIR above.
        split: `train`, `val`, `trainval`, or any other list that lies beside theirs.
        allow_missing: open it although files are missing; reading such a sample then raises.

    Raises:
        DataError: folder, list or image missing, no image at all, or `test`, whose labels are not published.
    """

    label_set: LabelSet = VOC_21

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        folder = voc_folder(root)
        if folder is None:
            raise DataError(f"no VOC in {root}: expected VOCdevkit/VOC2012/ with JPEGImages/ and SegmentationClass/")
        lists = folder / "ImageSets" / "Segmentation"
        list_path = lists / f"{split}.txt"
        if not list_path.is_file():
            found = ", ".join(sorted(path.stem for path in lists.glob("*.txt"))) or "none"
            raise DataError(f"no VOC split '{split}': {list_path} does not exist; lists there: {found}")
        self.names = tuple(read_lines(list_path))
        if not self.names:
            raise DataError(f"no image in the VOC split '{split}': {list_path} is empty")
        self.pairs = [
            (folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png") for name in self.names
        ]
        if not allow_missing:
            remedy = "; VOC does not publish the labels of its test split, use val" if split == "test" else ""
            require_files(self.pairs, f"{list_path} names it{remedy}")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample.

        Raises:
            DataError: a file is missing or broken.
            ShapeError: image and labels differ in size.
            LabelError: a class id of 21..254, or labels painted in colours.
        """
        image_path, target_path = self.pairs[index]
        target = read_ids_target(target_path, _IDS)
        return sample_of(read_image(image_path), target, self.names[index], image_path, target_path)


def voc_folder(root: Path) -> Path | None:
    """The folder `VOC2012` that `root` is or holds."""
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "JPEGImages").is_dir() and (folder / "SegmentationClass").is_dir():
            return folder
    return None
