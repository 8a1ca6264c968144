"""The formats that can be imported, and which of them a source has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segnet.data.importers.ade20k import read_ade20k, recognise_ade20k
from segnet.data.importers.annotations import Annotations
from segnet.data.importers.cityscapes import read_cityscapes, recognise_cityscapes
from segnet.data.importers.coco import read_coco, recognise_coco
from segnet.data.importers.coco_panoptic import read_coco_panoptic, recognise_coco_panoptic
from segnet.data.importers.colours import read_colours, recognise_colours
from segnet.data.importers.cvat import read_cvat, recognise_cvat
from segnet.data.importers.kitti import read_kitti, recognise_kitti
from segnet.data.importers.label_studio import read_label_studio, recognise_label_studio
from segnet.data.importers.labelme import read_labelme, recognise_labelme
from segnet.data.importers.listing import Listing
from segnet.data.importers.mapillary import read_mapillary, recognise_mapillary
from segnet.data.importers.masks import read_masks, recognise_masks
from segnet.data.importers.parquet import read_parquet, recognise_parquet
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.roboflow_masks import read_roboflow_masks, recognise_roboflow_masks
from segnet.data.importers.supervisely import read_supervisely, recognise_supervisely
from segnet.data.importers.via import read_via, recognise_via
from segnet.data.importers.voc import read_voc, recognise_voc
from segnet.data.importers.yolo import read_yolo, recognise_yolo


@dataclass(frozen=True)
class ImportFormat:
    """One format.

    Attributes:
        title: its name in words, for messages and the documentation.
        recognise: why a source has this format; empty where it has not.
        read: the source as annotations.
    """

    title: str
    recognise: Callable[[Listing], str]
    read: Callable[[Path, ImportContext], Annotations]


# In the order in which they are tried: layouts that are like no other come first.
FORMATS = {
    "cityscapes": ImportFormat("Cityscapes", recognise_cityscapes, read_cityscapes),
    "voc": ImportFormat("PASCAL VOC", recognise_voc, read_voc),
    "kitti": ImportFormat("KITTI semantics", recognise_kitti, read_kitti),
    "ade20k": ImportFormat("ADE20K", recognise_ade20k, read_ade20k),
    "mapillary": ImportFormat("Mapillary Vistas", recognise_mapillary, read_mapillary),
    "supervisely": ImportFormat("Supervisely", recognise_supervisely, read_supervisely),
    "coco": ImportFormat("COCO", recognise_coco, read_coco),
    "coco-panoptic": ImportFormat("COCO panoptic", recognise_coco_panoptic, read_coco_panoptic),
    "label-studio": ImportFormat("Label Studio", recognise_label_studio, read_label_studio),
    "labelme": ImportFormat("LabelMe", recognise_labelme, read_labelme),
    "via": ImportFormat("VIA", recognise_via, read_via),
    "cvat": ImportFormat("CVAT XML", recognise_cvat, read_cvat),
    "yolo": ImportFormat("YOLO segmentation", recognise_yolo, read_yolo),
    "roboflow-masks": ImportFormat("Roboflow semantic masks", recognise_roboflow_masks, read_roboflow_masks),
    "colours": ImportFormat("label images in colours with a table", recognise_colours, read_colours),
    "parquet": ImportFormat("Hugging Face dataset", recognise_parquet, read_parquet),
    "masks": ImportFormat("images and label images", recognise_masks, read_masks),
}
IMPORT_FORMATS = tuple(FORMATS)


@dataclass(frozen=True)
class Recognised:
    """A format that fits a source.

    Attributes:
        name: a key of `FORMATS`.
        reason: why it fits.
        others: further formats that fit as well.
    """

    name: str
    reason: str
    others: tuple[str, ...]


def recognise(listing: Listing) -> Recognised | None:
    """The first format that fits a source; None where none does."""
    reasons = {name: reason for name, entry in FORMATS.items() if (reason := entry.recognise(listing))}
    if not reasons:
        return None
    first, *others = reasons
    return Recognised(first, reasons[first], tuple(others))
