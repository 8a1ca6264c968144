"""One scene as every tool and dataset that can be imported would store it: two images, a car on a road.

Each function writes one format in the layout of its tool; the names of the functions' keys are those of `--from`.
"""

import base64
import csv
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32
NAMES = ("a", "b")
ROAD = [(0, 12), (32, 12), (32, 24), (0, 24)]
CAR = [(4, 8), (14, 8), (14, 16), (4, 16)]
BACKGROUND_ID, ROAD_ID, CAR_ID = 0, 1, 2
COLOURS = np.array([(0, 0, 0), (128, 64, 128), (0, 0, 142)], np.uint8)


def scene() -> np.ndarray:
    """Ids of background, road and car, uint8 (H, W); the car covers a part of the road."""
    target = np.zeros((HEIGHT, WIDTH), np.uint8)
    target[12:] = ROAD_ID
    target[8:16, 4:14] = CAR_ID
    return target


def image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 60, (HEIGHT, WIDTH, 3))
    Image.fromarray((scene()[..., None] * 60 + noise).astype(np.uint8)).save(path)
    return path


def mask(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def as_json(path: Path, record: Any) -> Path:
    return text(path, json.dumps(record))


def flat(points: list[tuple[int, int]]) -> list[int]:
    return [value for point in points for value in point]


def coco(root: Path) -> None:
    images, annotations = [], []
    for number, name in enumerate(NAMES, 1):
        image(root / "images" / f"{name}.jpg")
        images.append({"id": number, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT})
        for category, points in ((2, CAR), (1, ROAD)):  # the car first: it would vanish in the order of the file
            x, y = zip(*points, strict=True)
            box = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": category,
                    "segmentation": [flat(points)], "bbox": box, "area": box[2] * box[3], "iscrowd": 0,
                }
            )  # fmt: skip
    categories = [{"id": 1, "name": "road", "supercategory": ""}, {"id": 2, "name": "car", "supercategory": ""}]
    as_json(
        root / "annotations" / "instances_default.json",
        {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories},
    )


def coco_panoptic(root: Path) -> None:
    images, annotations = [], []
    for number, name in enumerate(NAMES, 1):
        image(root / "val2017" / f"{name}.jpg")
        ids = np.array([0, 7, 65793])[scene()]  # ids of segments
        pixels = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=2)
        mask(root / "annotations" / "panoptic_val2017" / f"{name}.png", pixels)
        images.append({"id": number, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT})
        segments = [{"id": 7, "category_id": 1, "area": 304}, {"id": 65793, "category_id": 2, "area": 80}]
        annotations.append({"image_id": number, "file_name": f"{name}.png", "segments_info": segments})
    categories = [{"id": 1, "name": "road", "isthing": 0}, {"id": 2, "name": "car", "isthing": 1}]
    as_json(
        root / "annotations" / "panoptic_val2017.json",
        {"images": images, "annotations": annotations, "categories": categories},
    )


def yolo(root: Path) -> None:
    for name, split in zip(NAMES, ("train", "val"), strict=True):
        image(root / "images" / split / f"{name}.jpg")
        lines = []
        for class_id, points in ((1, CAR), (0, ROAD)):
            shares = [f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in points]
            lines.append(f"{class_id} {' '.join(shares)}\n")
        text(root / "labels" / split / f"{name}.txt", "".join(lines))
    text(root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\n\nnames:\n  0: road\n  1: car\n")


def roboflow_masks(root: Path) -> None:
    for name, split in zip(NAMES, ("train", "valid"), strict=True):
        stem = f"{name}_jpg.rf.0123456789abcdef"
        image(root / split / f"{stem}.jpg")
        mask(root / split / f"{stem}_mask.png", scene())
        text(root / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, road\n2, car\n")
    text(root / "README.roboflow.txt", "Exported by Roboflow\n")


def labelme(root: Path) -> None:
    for name in NAMES:
        image(root / f"{name}.jpg")
        shapes = [
            {"label": label, "points": points, "group_id": None, "shape_type": "polygon", "flags": {}}
            for label, points in (("road", ROAD), ("car", CAR))
        ]  # fmt: skip
        record = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None}
        as_json(root / f"{name}.json", record | {"imageHeight": HEIGHT, "imageWidth": WIDTH})


def cvat(root: Path) -> None:
    parts = []
    for number, name in enumerate(NAMES):
        image(root / "images" / f"{name}.jpg")
        drawn = ""
        for order, (label, points) in enumerate((("road", ROAD), ("car", CAR))):
            corners = ";".join(f"{x}.00,{y}.00" for x, y in points)
            drawn += f'<polygon label="{label}" source="manual" occluded="0" points="{corners}" z_order="{order}"/>'
        drawn += '<tag label="sunny" source="manual"></tag>'
        size = f'width="{WIDTH}" height="{HEIGHT}"'
        parts.append(f'<image id="{number}" name="{name}.jpg" {size}>{drawn}</image>')
    kinds = (("road", "#804080", "any"), ("car", "#00008e", "polygon"), ("sunny", "#ffffff", "tag"))
    labels = "".join(
        f"<label><name>{n}</name><color>{c}</color><type>{k}</type><attributes></attributes></label>"
        for n, c, k in kinds
    )
    meta = f"<meta><task><id>1</id><labels>{labels}</labels></task></meta>"
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    text(root / "annotations.xml", f"{head}{meta}{''.join(parts)}</annotations>")


def label_studio(root: Path) -> None:
    tasks = []
    for number, name in enumerate(NAMES, 1):
        upload = f"{number:08x}-{name}.jpg"
        image(root / "images" / upload)
        results = [
            {
                "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "id": label,
                "value": {
                    "points": [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in points], "closed": True,
                    "polygonlabels": [label],
                },
                "from_name": "label", "to_name": "image", "type": "polygonlabels", "origin": "manual",
            }
            for label, points in (("car", CAR), ("road", ROAD))
        ]  # fmt: skip
        annotations = [{"id": number, "completed_by": 1, "result": results, "was_cancelled": False}]
        data = {"image": f"/data/upload/1/{upload}"}
        tasks.append({"id": number, "annotations": annotations, "file_upload": upload, "data": data})
    as_json(root / "project-1.json", tasks)


def via(root: Path) -> None:
    record = {}
    for name in NAMES:
        size = image(root / f"{name}.jpg").stat().st_size
        regions = []
        for label, points in (("car", CAR), ("road", ROAD)):
            x, y = (list(values) for values in zip(*points, strict=True))
            shape = {"name": "polygon", "all_points_x": x, "all_points_y": y}
            regions.append({"shape_attributes": shape, "region_attributes": {"class": label}})
        record[f"{name}.jpg{size}"] = {"filename": f"{name}.jpg", "size": size, "regions": regions}
        record[f"{name}.jpg{size}"]["file_attributes"] = {}
    as_json(root / "via_project.json", {"_via_settings": {}, "_via_img_metadata": record, "_via_attributes": {}})


def supervisely(root: Path) -> None:
    classes = [
        {"title": "road", "shape": "polygon", "color": "#804080"},
        {"title": "car", "shape": "bitmap", "color": "#00008E"},
    ]
    as_json(root / "meta.json", {"classes": classes, "tags": []})
    data = io.BytesIO()
    Image.new("L", (10, 8), 255).save(data, "PNG")
    packed = base64.b64encode(zlib.compress(data.getvalue())).decode()
    objects = [
        {"classTitle": "road", "geometryType": "polygon", "points": {"exterior": ROAD, "interior": []}},
        {"classTitle": "car", "geometryType": "bitmap", "bitmap": {"data": packed, "origin": [4, 8]}},
    ]
    for name, split in zip(NAMES, ("train", "val"), strict=True):
        image(root / split / "img" / f"{name}.jpg")
        record = {"description": "", "tags": [], "size": {"height": HEIGHT, "width": WIDTH}, "objects": objects}
        as_json(root / split / "ann" / f"{name}.jpg.json", record)


def voc(root: Path) -> None:
    for name in NAMES:
        image(root / "JPEGImages" / f"{name}.jpg")
        mask(root / "SegmentationClass" / f"{name}.png", COLOURS[scene()])
    text(root / "ImageSets" / "Segmentation" / "train.txt", "a\nb\n")
    lines = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n"
    text(root / "labelmap.txt", lines)


def cityscapes(root: Path) -> None:
    for name, split in zip(NAMES, ("train", "val"), strict=True):
        image(root / "leftImg8bit" / split / "aachen" / f"{name}_leftImg8bit.png")
        ids = np.array([0, 7, 26])[scene()]
        mask(root / "gtFine" / split / "aachen" / f"{name}_gtFine_labelIds.png", ids)


def kitti(root: Path) -> None:
    for name in NAMES:
        image(root / "training" / "image_2" / f"{name}.png")
        mask(root / "training" / "semantic" / f"{name}.png", np.array([0, 7, 26])[scene()])


def ade20k(root: Path) -> None:
    for name, split in zip(NAMES, ("training", "validation"), strict=True):
        image(root / "images" / split / f"{name}.jpg")
        mask(root / "annotations" / split / f"{name}.png", np.array([0, 7, 21])[scene()])
    lines = "7\t0.0451\t3000\t300\t1\troad, route\n21\t0.0110\t2000\t200\t0\tcar, auto, automobile\n"
    text(root / "objectInfo150.txt", f"Idx\tRatio\tTrain\tVal\tStuff\tName\n{lines}")


def mapillary(root: Path) -> None:
    for name, split in zip(NAMES, ("training", "validation"), strict=True):
        image(root / split / "images" / f"{name}.jpg")
        mask(root / split / "labels" / f"{name}.png", np.array([2, 0, 1])[scene()])
    entries = (("road", True, (128, 64, 128)), ("car", True, (0, 0, 142)), ("Unlabeled", False, (0, 0, 0)))
    labels = [{"name": n, "readable": n, "evaluate": e, "color": c, "instances": False} for n, e, c in entries]
    as_json(root / "config.json", {"labels": labels, "version": 1.1})


def colours(root: Path) -> None:
    for name in NAMES:
        image(root / "train" / f"{name}.png")
        mask(root / "train_labels" / f"{name}_L.png", COLOURS[scene()])
    with (root / "class_dict.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "r", "g", "b"), ("background", 0, 0, 0)])
        csv.writer(file).writerows([("road", 128, 64, 128), ("car", 0, 0, 142)])


def masks(root: Path) -> None:
    for name in NAMES:
        image(root / "images" / f"{name}.jpg")
        mask(root / "masks" / f"{name}_mask.png", scene())


def parquet(root: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for name in NAMES:
        cells = [image(root / "cell.jpg").read_bytes(), mask(root / "cell.png", scene()).read_bytes()]
        rows.append({"image": {"bytes": cells[0], "path": name}, "label": {"bytes": cells[1], "path": name}})
    for path in ("cell.jpg", "cell.png"):
        (root / path).unlink()
    (root / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), root / "data" / "train-00000-of-00001.parquet")
    as_json(root / "id2label.json", {"0": "background", "1": "road", "2": "car"})


SAMPLES: dict[str, Callable[[Path], None]] = {
    "coco": coco,
    "yolo": yolo,
    "cvat": cvat,
    "labelme": labelme,
    "roboflow-masks": roboflow_masks,
    "label-studio": label_studio,
    "supervisely": supervisely,
    "via": via,
    "voc": voc,
    "masks": masks,
    "colours": colours,
    "parquet": parquet,
    "coco-panoptic": coco_panoptic,
    "cityscapes": cityscapes,
    "kitti": kitti,
    "ade20k": ade20k,
    "mapillary": mapillary,
}
