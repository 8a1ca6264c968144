"""The original CamVid, labelled in 32 colours, read as SegNet's 11 classes.

    DIR/701_StillsRaw_full/X.png, DIR/LabeledApproved_full/X_L.png      as published
    DIR/images/X.png,             DIR/labels/X_L.png                    as often repacked
    DIR/train/X.png,              DIR/train_labels/X_L.png              the same, cut into splits (val and test alike)

The colours are those of the published `label_colors.txt`. How 32 become 11:

    sky          Sky
    building     Bridge, Building, Wall, Tunnel, Archway
    pole         Column_Pole, TrafficCone
    road         Road, LaneMkgsDriv, LaneMkgsNonDriv
    pavement     Sidewalk, ParkingBlock, RoadShoulder
    tree         Tree, VegetationMisc
    sign         SignSymbol, Misc_Text, TrafficLight
    fence        Fence
    car          Car, SUVPickupTruck, Truck_Bus, Train, OtherMoving
    pedestrian   Pedestrian, Child, CartLuggagePram, Animal
    bicyclist    Bicyclist, MotorcycleScooter
    void         Void

Where the folder is not cut into splits, `train.txt`, `val.txt` and `test.txt` (image names, one a line) define them;
without these lists it is the SegNet authors' split, which follows from the image names (see `published_split`).

Images keep their size, 720x960 as published; the authors trained at 360x480.

Source:
    Brostow, Fauqueur, Cipolla: Semantic object classes in video, 2009. The grouping is the usual one for SegNet.
    The authors' own script was not released, and their labels were redrawn later, so pixels at object boundaries differ
    from the 11-class release.
"""

from pathlib import Path

from segnet.data.datasets.paired import Pair, PairedImages
from segnet.data.reading.bands import colours_in, rgb_values
from segnet.data.reading.images import open_image
from segnet.data.reading.targets import read_colours_target, require_files
from segnet.data.sample import Image8
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import CAMVID_11, VOID, Colour

_GROUPS: dict[str, dict[str, Colour]] = {
    "sky": {"Sky": (128, 128, 128)},
    "building": {
        "Bridge": (0, 128, 64),
        "Building": (128, 0, 0),
        "Wall": (64, 192, 0),
        "Tunnel": (64, 0, 64),
        "Archway": (192, 0, 128),
    },
    "pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    "road": {"Road": (128, 64, 128), "LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64)},
    "pavement": {"Sidewalk": (0, 0, 192), "ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192)},
    "tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    "sign": {"SignSymbol": (192, 128, 128), "Misc_Text": (128, 128, 64), "TrafficLight": (0, 64, 64)},
    "fence": {"Fence": (64, 64, 128)},
    "car": {
        "Car": (64, 0, 128),
        "SUVPickupTruck": (64, 128, 192),
        "Truck_Bus": (192, 128, 192),
        "Train": (192, 64, 128),
        "OtherMoving": (128, 64, 64),
    },
    "pedestrian": {
        "Pedestrian": (64, 64, 0),
        "Child": (192, 128, 64),
        "CartLuggagePram": (64, 0, 192),
        "Animal": (64, 128, 64),
    },
    "bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
}
VOID_32: Colour = (0, 0, 0)

COLOURS_32: dict[str, Colour] = {name: c for group in _GROUPS.values() for name, c in group.items()} | {"Void": VOID_32}
IDS_32: dict[Colour, int] = {
    colour: CAMVID_11.names.index(name) for name, group in _GROUPS.items() for colour in group.values()
} | {VOID_32: VOID}

_FOLDERS = (("701_StillsRaw_full", "LabeledApproved_full"), ("images", "labels"))


class CamVid32(PairedImages):
    """One split of the original CamVid.

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


def published_split(name: str) -> str:
    """The split to which the SegNet authors gave an image of CamVid.

    All 701 names follow one rule: the sequence Seq05VD and the second half of 0001TP (frames after 8520) are `test`,
    the densely labelled part of 0016E5 (frames 7959 to 8159) is `val`, everything else is `train`. This gives their
    233, 101 and 367 images.

    Args:
        name: of the image, without suffix, for example `0016E5_07959`.
    """
    sequence, _, frame = name.partition("_")
    number = int(frame) if frame.isdigit() else 0
    if sequence == "Seq05VD" or (sequence == "0001TP" and number > 8520):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= number <= 8159 else "train"


def camvid32_folders(root: Path, split: str) -> tuple[Path, Path] | None:
    """The folders of images and of labels, when `root` has one of the layouts above."""
    for images, labels in ((split, f"{split}_labels"), *_FOLDERS):
        if (root / images).is_dir() and any((root / labels).glob("[!.]*_L.png")):
            return root / images, root / labels
    return None


def _read_target(path: Path) -> Image8:
    return read_colours_target(path, IDS_32)


def is_painted_in_32_colours(root: Path, split: str) -> bool:
    """Whether `root` has one of the layouts above and its first label image has CamVid's colours.

    Other datasets are packed in the same layout, so the colours decide: most pixels must have one of the 32, and one
    that is not black.
    """
    folders = camvid32_folders(root, split)
    if folders is None:
        return False
    path = min(folders[1].glob("[!.]*_L.png"))
    try:
        rgb = rgb_values(open_image(path), path)
    except DataError:
        return True  # reading the dataset says what is wrong with the file
    colours, _, counts = colours_in(rgb)
    known = {tuple(colour): int(count) for colour, count in zip(colours.tolist(), counts, strict=True)}
    shared = sum(count for colour, count in known.items() if colour in IDS_32)
    return shared * 2 > rgb.shape[0] * rgb.shape[1] and any(colour in IDS_32 and any(colour) for colour in known)


def find_pairs(root: Path, split: str) -> list[Pair]:
    """The images of a split with their label images; label files need not exist.

    Raises:
        DataError: another layout, or no image.
    """
    folders = camvid32_folders(root, split)
    if folders is None:
        expected = " or ".join(f"{labels}/X_L.png" for _, labels in ((split, f"{split}_labels"), *_FOLDERS))
        raise DataError(f"no CamVid split '{split}' labelled in 32 colours in {root}: expected {expected}")
    images, labels = folders
    paths = sorted(images.glob("[!.]*.png"))
    list_path = root / f"{split}.txt"
    if images.name == split:
        chosen = paths
    elif list_path.is_file():
        chosen = [images / f"{Path(line).stem}.png" for line in read_lines(list_path)]
    else:
        chosen = [p for p in paths if published_split(p.stem) == split]
    if not chosen:
        raise DataError(f"no image in the CamVid split '{split}' of {images}")
    return [Pair(path.stem, path, labels / f"{path.stem}_L.png") for path in chosen]
