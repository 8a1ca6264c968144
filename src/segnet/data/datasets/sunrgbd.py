"""SUN RGB-D, the images only, with its 37 indoor classes, in the official layout and in a plain one.

Official:

    DIR/SUNRGBD/kv1/NYUdata/NYU0003/image/NYU0003.jpg               and so on: 10,335 images
    DIR/SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat                5,285 for training, 5,050 for testing
    DIR/SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat                     the images in the order of their numbers
    DIR/label37/img-000001.png .. img-010335.png                    8-bit class ids, 0 is void, 1..37 the classes

The official labels, `SUNRGBD2Dseg.mat`, are a MATLAB 7.3 (HDF5) file that takes some 64 GB of memory and is not read
here. `label37` holds the same labels as numbered images: the content of `sunrgbd_train_test_labels.tar.gz` in the
repository ankurhanda/sunrgbd-meta-data. A folder with the archive's name is found too.

Plain:

    DIR/image/X.jpg
    DIR/label37/X.png           8-bit class ids, 0 is void, 1..37 the classes
    DIR/train.txt               image names, one a line; other lists alike; without any list all images are used

Splits, in both layouts: `trainval` holds all images for training, `test` the official test images (plain: `test.txt`).
`trainval` is divided into `train` and `val`, so that weights are not chosen on the test images: an image is in `val`
when the first 8 bytes of the SHA-256 of its name are a multiple of 5, about every fifth; frames of one SUN3D video stay
in one split. Where a plain folder has its own `val.txt`, the lists are used as they are.

Source:
    Song, Lichtenberg, Xiao: SUN RGB-D: a RGB-D scene understanding benchmark suite, CVPR 2015.

Deviates:
    SegNet trained on all 5,285 images: for table 4 of the paper, train on `trainval` and evaluate on `test`.
"""

import os
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np

from segnet.data.datasets.paired import Pair, PairedImages
from segnet.data.reading.targets import read_ids_target, require_files
from segnet.data.sample import Image8
from segnet.errors import DataError
from segnet.io.text import read_lines
from segnet.labels import SUN_37, VOID

LABEL_FOLDERS = ("label37", "sunrgbd_train_test_labels")
SUN_SPLITS = ("train", "val", "trainval", "test")

_IDS = {0: VOID, **{i + 1: i for i in range(SUN_37.num_classes)}}
_TOOLBOX = "SUNRGBDtoolbox"


class SUNRGBD(PairedImages):
    """One split of SUN RGB-D.

    Args:
        root: the folder DIR above, of either layout.
        split: `train`, `val`, `trainval` or `test`; in the plain layout any name that has a list.
        allow_missing: do not check that the files exist; reading a sample whose file is missing raises.

    Raises:
        DataError: a folder, list, .mat file, image or label is missing or broken, or there is no image at all.
    """

    def __init__(self, root: Path, split: str, allow_missing: bool = False) -> None:
        label_set = SUN_37.with_file_ids(range(1, SUN_37.num_classes + 1))
        super().__init__(label_set, find_pairs(root, split), _read_target)
        if not allow_missing:
            require_files(self.pairs, f"split '{split}' of {root} names it")


def find_pairs(root: Path, split: str) -> list[Pair]:
    """The images of a split with their label images; files need not exist.

    Raises:
        DataError: a folder, list or .mat file is missing or broken, or no image.
    """
    found = _official(root, split) if (root / _TOOLBOX).is_dir() else _plain(root, split)
    if not found:
        raise DataError(f"no image in the SUN RGB-D split '{split}' of {root}")
    return [Pair(name, image, target) for name, (image, target) in found.items()]


def _read_target(path: Path) -> Image8:
    return read_ids_target(path, _IDS)


def is_sunrgbd(root: Path) -> bool:
    """Whether the folder has one of the two layouts."""
    return (root / _TOOLBOX).is_dir() or ((root / "image").is_dir() and (root / "label37").is_dir())


def held_out(name: str) -> bool:
    """Whether a training image belongs to `val`: about one in five, the same on every machine.

    Args:
        name: of the image; in the official layout its folder, such as `kv1/NYUdata/NYU0003`.
    """
    path = PurePosixPath(name)
    whole = str(path.parent) if "sun3ddata" in path.parts else name
    return int.from_bytes(sha256(os.fsencode(whole)).digest()[:8], "big") % 5 == 0


def _chosen(names: Iterable[str], split: str) -> list[str]:
    """The training images that belong to `train`, `val` or `trainval`."""
    return [name for name in names if split == "trainval" or held_out(name) == (split == "val")]


# ------------------------------------------------------------------------------------------------ plain


def _plain(root: Path, split: str) -> dict[str, tuple[Path, Path]]:
    """Image and label by name."""
    images, labels = root / "image", root / "label37"
    if not images.is_dir() or not labels.is_dir():
        raise DataError(
            f"no SUN RGB-D in {root}: expected SUNRGBD/ and {_TOOLBOX}/ (official), or image/ and label37/ (plain)"
        )
    if split not in ("train", "val", "trainval"):
        names = _lines(root / f"{split}.txt")
    elif (root / "val.txt").is_file():
        names = [n for part in ("train", "val") if split in (part, "trainval") for n in _lines(root / f"{part}.txt")]
    elif (root / "train.txt").is_file():
        names = _chosen(_lines(root / "train.txt"), split)
    else:
        names = _chosen(sorted(path.stem for path in images.glob("[!.]*.jpg")), split)
    return {name: (images / f"{name}.jpg", labels / f"{name}.png") for name in names}


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(f"no SUN RGB-D split '{path.stem}': {path} does not exist")
    return read_lines(path)


# ------------------------------------------------------------------------------------------------ official


def _official(root: Path, split: str) -> dict[str, tuple[Path, Path]]:
    """Image and label by the name of the label."""
    if split not in SUN_SPLITS:
        raise DataError(f"no SUN RGB-D split '{split}' in {root}: expected one of {', '.join(SUN_SPLITS)}")
    labels = _label_folder(root)
    listed = _matlab(
        root / _TOOLBOX / "traintestSUNRGBD" / "allsplit.mat", "alltest" if split == "test" else "alltrain"
    )
    scenes = [_inside(str(path)) for path in np.ravel(listed)]
    expected = set(scenes if split == "test" else _chosen(scenes, split))
    meta = _matlab(root / _TOOLBOX / "Metadata" / "SUNRGBDMeta.mat", "SUNRGBDMeta")
    images = [_inside(str(path)) for path in np.ravel(meta["rgbpath"])]  # SCENE/image/X.jpg, in the labels' order
    found = {}
    for number, image in enumerate(images, start=1):
        scene = str(PurePosixPath(image).parents[1])
        if scene in expected:
            name = f"img-{number:06d}"
            found[name] = (root / "SUNRGBD" / image, labels / f"{name}.png")
            expected.remove(scene)
    if expected:
        raise DataError(f"SUNRGBDMeta.mat does not know {min(expected)} of allsplit.mat ({len(expected)} such images)")
    return found


def _label_folder(root: Path) -> Path:
    for name in LABEL_FOLDERS:
        if (root / name).is_dir():
            return root / name
    raise DataError(
        f"no SUN RGB-D labels in {root}: SUNRGBD2Dseg.mat is MATLAB 7.3 (HDF5) and is not read; unpack "
        "sunrgbd_train_test_labels.tar.gz of the repository ankurhanda/sunrgbd-meta-data (img-000001.png .. "
        f"img-010335.png) into {root / LABEL_FOLDERS[0]}/"
    )


def _inside(path: str) -> str:
    """`/n/fs/sun3d/data/SUNRGBD/kv1/X/`, as the .mat files write it -> `kv1/X`."""
    return path.rpartition("SUNRGBD/")[2].strip("/")


def _matlab(path: Path, name: str) -> np.ndarray:
    """One variable of a .mat file up to version 7.

    Raises:
        DataError: missing, broken, of version 7.3, or without that variable.
    """
    from scipy.io import loadmat  # noqa: PLC0415 (slow to import, and few runs need it)
    from scipy.io.matlab import MatReadError  # noqa: PLC0415

    if not path.is_file():
        raise DataError(f"{path} does not exist; unpack SUNRGBDtoolbox.zip")
    try:
        held = loadmat(path, variable_names=[name], squeeze_me=True)
    except NotImplementedError:
        raise DataError(f"{path} is MATLAB 7.3 (HDF5); expected version 7 or below: save it again with -v7") from None
    except (MatReadError, ValueError, TypeError, OSError, zlib.error) as cause:
        raise DataError(f"{path} cannot be read as a .mat file ({cause}); unpack SUNRGBDtoolbox.zip again") from None
    if name not in held:
        raise DataError(f"{path} has no '{name}'; unpack SUNRGBDtoolbox.zip again")
    return np.asarray(held[name])
