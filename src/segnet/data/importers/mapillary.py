"""Mapillary Vistas: label images of class ids, whose names and colours a configuration file holds.

    SRC/config.json (or config_v1.2.json, config_v2.0.json)
    SRC/training/images/X.jpg      SRC/training/labels/X.png           (version 1.2: also training/v1.2/labels/X.png)
    SRC/validation/images/X.jpg    SRC/validation/labels/X.png

Classes that the benchmark does not evaluate are ignored.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.listing import Listing
from segnet.data.importers.pairs import ImageFolder, pairs_in
from segnet.data.importers.parsing import ClassName, parse_json
from segnet.data.importers.problems import ImportContext
from segnet.errors import DataError, LabelError

_SPLITS = {"training": "train", "validation": "val"}
_Channel = Annotated[int, Field(ge=0, le=255)]


class _Label(BaseModel):
    readable: ClassName
    evaluate: bool = True
    color: tuple[_Channel, _Channel, _Channel]


class _Config(BaseModel):
    labels: list[_Label]


def recognise_mapillary(listing: Listing) -> str:
    """Why a source is Mapillary Vistas; empty where it is not."""
    for path, content in listing.json_files:
        labels = content.get("labels") if _is_config(path, listing) and isinstance(content, dict) else None
        if isinstance(labels, list) and labels and all(isinstance(e, dict) and "readable" in e for e in labels):
            return f"{path.name} has labels that are readable"
    return ""


def _is_config(path: Path, listing: Listing) -> bool:
    return path.name.startswith("config") and path.parent == listing.root


def read_mapillary(src: Path, context: ImportContext) -> Annotations:
    """Reads the splits `training` and `validation`, as far as they are there.

    Args:
        src: the folder of the dataset; of several versions the oldest is read, whose label images all releases hold.
        context: gets images without labels.

    Raises:
        DataError: no configuration file, or no folder of labels for it.
        LabelError: more classes than a label image of 8 bits can hold.
    """
    for path in sorted(src.glob("config*.json")):
        version = path.stem.removeprefix("config").removeprefix("_")
        folders = _folders(src, version)
        if folders:
            break
    else:
        raise DataError(f"no Mapillary Vistas in {src}; expected config.json, training/images/ and training/labels/")
    labels = parse_json(_Config, path, "the configuration of Mapillary Vistas").labels
    if len(labels) > 256:
        raise LabelError(f"{path} has {len(labels)} labels; expected at most 256, what an 8-bit label image can hold")
    readable = [label.readable for label in labels]
    ids = {i: label.readable if label.evaluate else "void" for i, label in enumerate(labels)}
    if len(set(readable)) < len(readable):
        twice = next(name for name in readable if readable.count(name) > 1)
        raise LabelError(f"{path} has two labels '{twice}'; give each a name of its own")
    images = [
        MaskImage(image, found, ids, split=folder.split)
        for folder in folders
        for image, found in pairs_in(folder, context.problems)
    ]
    classes = {label.readable: label.color for label in labels if label.evaluate}
    return Annotations(tuple(images), classes, (f"classes are those of {path.name}",))


def _folders(root: Path, version: str) -> list[ImageFolder]:
    found = []
    for name, split in _SPLITS.items():
        inner = [root / name / version / "labels"] if version else []
        labels = next((p for p in (*inner, root / name / "labels") if p.is_dir()), None)
        if labels is not None and (root / name / "images").is_dir():
            found.append(ImageFolder(root / name / "images", labels, split))
    return found
