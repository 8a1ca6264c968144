"""Cityscapes with fine labels, in its official layout.

    DIR/leftImg8bit/train/aachen/X_leftImg8bit.png          RGB, 1024x2048
    DIR/gtFine/train/aachen/X_gtFine_labelIds.png           8-bit label ids 0..33

The same for `val`. The 19 label ids that count in the benchmark become its train ids; all others are void.

Source:
    Cordts et al.: The Cityscapes dataset for semantic urban scene understanding, CVPR 2016; the ids as published with
    its tools.
"""

from pathlib import Path

from segnet.data.reading.images import read_image
from segnet.data.reading.targets import read_ids_target, require_labels, sample_of
from segnet.data.sample import Sample
from segnet.errors import DataError
from segnet.labels import CITYSCAPES_19, VOID, LabelSet

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
    **dict.fromkeys((*range(34), 255), VOID),  # 255 is the licence plate's -1, where a tool wrote it
    **{LABEL_IDS[name]: class_id for class_id, name in enumerate(CITYSCAPES_19.names)},
}


class Cityscapes:
    """One split of Cityscapes.

    Args:
        root: the folder DIR above.
        split: `train` or `val`.
        allow_missing: open it although files are missing; reading such a sample then raises.

    Raises:
        DataError: a folder or label image missing, no image at all, or `test`, whose labels are not published.
    """

    label_set: LabelSet = CITYSCAPES_19

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        if split == "test":
            raise DataError("Cityscapes does not publish the labels of its test split (all are void); use val")
        images, labels = root / "leftImg8bit" / split, root / "gtFine" / split
        for folder in (images, labels):
            if not folder.is_dir():
                raise DataError(f"no Cityscapes split '{split}' in {root}: expected {folder}/")
        paths = sorted(images.glob(f"*/*{_IMAGE}"))
        if not paths:
            raise DataError(f"no image in the Cityscapes split '{split}': expected {images}/CITY/X{_IMAGE}")
        self.names = tuple(path.name.removesuffix(_IMAGE) for path in paths)
        self.pairs = [
            (path, labels / path.parent.name / f"{name}{_LABELS}") for path, name in zip(paths, self.names, strict=True)
        ]
        if not allow_missing:
            require_labels(self.pairs, "unpack gtFine_trainvaltest.zip beside leftImg8bit")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample.

        Raises:
            DataError: a file is missing or broken.
            ShapeError: image and labels differ in size.
            LabelError: a label id above 33.
        """
        image_path, target_path = self.pairs[index]
        target = read_ids_target(target_path, IDS)
        return sample_of(read_image(image_path), target, self.names[index], image_path, target_path)
