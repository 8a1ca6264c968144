"""Datasets by format: the table of readers, and the detection of a folder's format."""

from collections.abc import Callable
from pathlib import Path

from segnet.data.datasets.camvid import SPLITS, CamVid
from segnet.data.datasets.camvid32 import CamVid32, is_painted_in_32_colours
from segnet.data.datasets.cityscapes import Cityscapes
from segnet.data.datasets.folder import Folder
from segnet.data.datasets.layout import all_folders
from segnet.data.datasets.paired import PairedImages
from segnet.data.datasets.sunrgbd import SUNRGBD, is_sunrgbd
from segnet.data.datasets.voc import VOC, voc_folder
from segnet.data.reading.bands import AS_RGB, ImageReading
from segnet.data.reading.label_file import LABELS_TOML
from segnet.data.sample import Dataset
from segnet.data.street.scenes import street_split
from segnet.errors import ConfigError, DataError, nearest

DATA_FORMATS: dict[str, Callable[[Path, str, bool], Dataset]] = {
    "camvid": CamVid,
    "camvid32": CamVid32,
    "cityscapes": Cityscapes,
    "folder": Folder,
    "street": street_split,
    "sunrgbd": SUNRGBD,
    "voc": VOC,
}


def open_dataset(
    path: Path | str,
    split: str,
    data_format: str = "auto",
    *,
    allow_missing: bool = False,
    reading: ImageReading = AS_RGB,
) -> Dataset:
    """Opens one split of a dataset.

    Args:
        path: its folder. `street`, where no folder has that name, opens the built-in drawn street scenes.
        split: `train`, `val` or `test`.
        data_format: a key of `DATA_FORMATS`, or `auto`, which detects it from the folder. `street` reads no files.
        allow_missing: do not check that the files exist; reading a sample whose file is missing raises.
        reading: bands and range of values of the images (see `value_range.py` for one that fits the data).

    Raises:
        ConfigError: an unknown format; names the nearest.
        DataError: no such folder, a folder of unknown layout, or an error of the reader.
        LabelError: `labels.toml` is invalid.
    """
    root, given = Path(path), data_format
    if data_format == "auto":
        data_format = "street" if str(path) == "street" and not root.exists() else _format_of(root)
    if data_format not in DATA_FORMATS:
        raise ConfigError(f"unknown data format '{data_format}'; {nearest(data_format, (*DATA_FORMATS, 'auto'))}")
    if data_format != "street":
        _require_folder(root)
    try:
        dataset = DATA_FORMATS[data_format](root, split, allow_missing)
    except DataError as cause:
        raise DataError(f"{cause}{_other_format(root, given)}") from None
    if isinstance(dataset, PairedImages):
        dataset.reading = reading
    return dataset


def _other_format(root: Path, given: str) -> str:
    """What to do where a folder is not of the format that was given, but of another one; empty where that is not so."""
    try:
        found = given if given == "auto" else _format_of(root)
    except DataError:
        return ""
    if found == given:
        return ""
    return f"; data.format is '{given}', the folder looks like '{found}': use --set data.format=auto, or --format auto"


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {what}; expected the folder of a dataset, or the word street")


def _format_of(root: Path) -> str:
    _require_folder(root)
    if (root / LABELS_TOML).is_file():
        return "folder"
    if any((root / f"{split}annot").is_dir() for split in SPLITS):
        return "camvid"
    if any(is_painted_in_32_colours(root, split) for split in SPLITS):
        return "camvid32"
    if is_sunrgbd(root):
        return "sunrgbd"
    if voc_folder(root) is not None:
        return "voc"
    if (root / "leftImg8bit").is_dir():
        return "cityscapes"
    pairs = [(images, labels) for images, labels in all_folders(root) if images.is_dir() and labels.is_dir()]
    if pairs:
        images, labels = pairs[0]
        raise DataError(
            f"{root} has images in {images.relative_to(root)}/ and labels in {labels.relative_to(root)}/ but no "
            f"{LABELS_TOML}; `segnet data init {root}` writes one"
        )
    inside = sorted(f"{path.name}{'/' * path.is_dir()}" for path in root.iterdir() if not path.name.startswith("."))
    held = ", ".join(inside[:8]) + (f" and {len(inside) - 8} more" if len(inside) > 8 else "")
    raise DataError(
        f"{root} holds no dataset known here, but {held or 'nothing'}. If a labelling tool exported it: `segnet data "
        f"import {root} --out NEW_FOLDER` recognises the format; looked for {LABELS_TOML} with images/ and labels/ (or "
        "masks/), for trainannot/ (CamVid, 11 classes), for LabeledApproved_full/X_L.png or labels/X_L.png (CamVid, 32 "
        "colours), for SUNRGBDtoolbox/ or image/ with label37/ (SUN RGB-D), for VOCdevkit/VOC2012/, and for "
        "leftImg8bit/ (Cityscapes)"
    )
