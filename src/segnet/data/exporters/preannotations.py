"""Predictions as the files of labelling tools, to be corrected there instead of drawn again.

Each connected component of a class is a polygon. Polygons are written from large to small, and those tools draw them
in this order, so what lies in a hole is drawn over the polygon around it; GeoJSON has true holes.
"""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from PIL import Image

from segnet import palette
from segnet.data.exporters.outlines import Outline, trace
from segnet.data.exporters.simplify import simplify
from segnet.data.reading.georeference import Georeference
from segnet.data.reading.images import is_turned
from segnet.data.sample import Image8
from segnet.errors import ConfigError, nearest
from segnet.io.files import whole_file
from segnet.labels import LabelSet

FORMS = ("labelme", "cvat", "coco", "yolo", "label-studio", "geojson")
TOLERANCE_PX = 0.5
_OPENED = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}  # by every tool above, and by browsers
_WITH_IMAGES = {"labelme": "", "cvat": "images", "coco": "images", "yolo": "images", "label-studio": "images"}


class PreAnnotations:
    """Writer for images that were predicted: `add` each, then `finish`.

    Written are, below `out`: `labelme` STEM.json beside the image; `cvat` annotations.xml ("CVAT for images 1.1") and
    images/; `coco` annotations.json and images/; `yolo` data.yaml, labels/STEM.txt and images/; `label-studio`
    tasks.json with predictions, label-config.xml and images/; `geojson` STEM.geojson, in longitude and latitude where
    the image is georeferenced, else in pixels.

    Args:
        out: folder; files of these names are replaced.
        form: one of `FORMS`.
        label_set: of the predictions.
        tolerance_px: how far a border may move to save corners, as for `simplify`.

    Raises:
        ConfigError: an unknown form, or a tolerance below 0.
    """

    def __init__(self, out: Path, form: str, label_set: LabelSet, tolerance_px: float = TOLERANCE_PX) -> None:
        if form not in FORMS:
            raise ConfigError(f"unknown form '{form}' of annotations; {nearest(form, FORMS)}")
        if not 0 <= tolerance_px < 100:
            raise ConfigError(f"tolerance {tolerance_px}: expected pixels, 0 to 100")
        self.out, self.form, self.label_set, self.tolerance_px = out, form, label_set, tolerance_px
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._xml: list[str] = []

    def add(
        self, path: Path, stem: str, image: Image8, classes: Image8, georeference: Georeference | None = None
    ) -> None:
        """Writes, or keeps until the end, what is known of one image.

        Args:
            path: of the image file, which is copied where every tool opens its kind; else a PNG is written.
            stem: name of the files.
            image: as it was predicted, uint8 (H, W, C).
            classes: class ids, uint8 (H, W).
            georeference: for `geojson`.

        Raises:
            DataError: a file cannot be written.
        """
        outlines = simplify(classes, trace(classes, holes=self.form == "geojson"), self.tolerance_px)
        height, width = classes.shape
        name = "" if self.form == "geojson" else self._copy(path, stem, image)
        if self.form == "labelme":
            self._json(f"{stem}.json", _labelme(name, classes.shape, outlines, self.label_set))
        elif self.form == "yolo":
            lines = [_yolo_line(outline, (height, width)) for outline in outlines]
            self._text(f"labels/{stem}.txt", "".join(lines))
        elif self.form == "geojson":
            self._json(f"{stem}.geojson", _geojson(outlines, self.label_set, georeference))
        elif self.form == "cvat":
            self._xml.append(_cvat_image(len(self._xml), name, (height, width), outlines, self.label_set))
        elif self.form == "label-studio":
            self._images.append(_studio_task(name, (height, width), outlines, self.label_set))
        else:
            self._images.append({"id": len(self._images) + 1, "file_name": name, "height": height, "width": width})
            for outline in outlines:
                known = {"id": len(self._annotations) + 1, "image_id": len(self._images)}
                self._annotations.append({**known, **coco_annotation(outline)})

    def finish(self) -> None:
        """Writes the files of the whole: after the last image.

        Raises:
            DataError: a file cannot be written.
        """
        names, colours = self.label_set.names, self.label_set.colours
        if self.form == "yolo":
            listed = "".join(f"  {class_id}: {json.dumps(name)}\n" for class_id, name in enumerate(names))
            self._text("data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{listed}")
        elif self.form == "coco":
            categories = [{"id": class_id + 1, "name": name} for class_id, name in enumerate(names)]
            whole = {"images": self._images, "annotations": self._annotations, "categories": categories}
            self._json("annotations.json", whole)
        elif self.form == "cvat":
            labels = "".join(
                f"<label><name>{quoteattr(name)[1:-1]}</name><color>#{bytes(colour).hex()}</color>"
                "<type>polygon</type><attributes></attributes></label>\n"
                for name, colour in zip(names, colours, strict=True)
            )
            head = f"<meta><task><size>{len(self._xml)}</size><labels>\n{labels}</labels></task></meta>\n"
            self._text(
                "annotations.xml",
                f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n{head}'
                f"{''.join(self._xml)}</annotations>\n",
            )
        elif self.form == "label-studio":
            self._json("tasks.json", self._images)
            labels = "".join(
                f'    <Label value={quoteattr(name)} background="#{bytes(colour).hex()}"/>\n'
                for name, colour in zip(names, colours, strict=True)
            )
            self._text(
                "label-config.xml",
                '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
                f'  <PolygonLabels name="label" toName="image">\n{labels}  </PolygonLabels>\n</View>\n',
            )

    def _copy(self, path: Path, stem: str, image: Image8) -> str:
        """The image beside its annotations, upright; its file name."""
        folder = self.out / _WITH_IMAGES[self.form]
        suffix = path.suffix.lower()
        if suffix not in _OPENED or is_turned(path):
            with whole_file(folder / f"{stem}.png") as temporary:
                Image.fromarray(palette.displayed(image)).save(temporary)
            return f"{stem}.png"
        if (folder / f"{stem}{suffix}").resolve() != path.resolve():
            with whole_file(folder / f"{stem}{suffix}") as temporary:
                shutil.copyfile(path, temporary)
        return f"{stem}{suffix}"

    def _json(self, name: str, record: object) -> None:
        self._text(name, json.dumps(record, ensure_ascii=False))

    def _text(self, name: str, text: str) -> None:
        with whole_file(self.out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def coco_annotation(outline: Outline) -> dict[str, Any]:
    """What COCO says of one outline, but for its ids; categories count from 1."""
    x, y = zip(*outline.corners, strict=True)
    return {
        "category_id": outline.class_id + 1,
        "segmentation": [[v for corner in outline.corners for v in corner]],
        "bbox": [min(x), min(y), max(x) - min(x), max(y) - min(y)],
        "area": outline.area_px,
        "iscrowd": 0,
    }


def _labelme(
    file_name: str, size_px: tuple[int, ...], outlines: list[Outline], label_set: LabelSet
) -> dict[str, object]:
    shapes = [
        {"label": label_set.names[o.class_id], "points": o.corners, "shape_type": "polygon", "flags": {}}
        for o in outlines
    ]
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": file_name,
        "imageData": None,
        "imageHeight": size_px[0],
        "imageWidth": size_px[1],
    }


def _yolo_line(outline: Outline, size_px: tuple[int, int]) -> str:
    height, width = size_px
    return f"{outline.class_id} " + " ".join(f"{x / width:.6f} {y / height:.6f}" for x, y in outline.corners) + "\n"


def _cvat_image(
    number: int, file_name: str, size_px: tuple[int, int], outlines: list[Outline], label_set: LabelSet
) -> str:
    polygons = "".join(
        f'<polygon label={quoteattr(label_set.names[outline.class_id])} source="auto" occluded="0" '
        f'points="{";".join(f"{x:g},{y:g}" for x, y in outline.corners)}" z_order="{place}"></polygon>\n'
        for place, outline in enumerate(outlines)
    )
    size = f'width="{size_px[1]}" height="{size_px[0]}"'
    return f'<image id="{number}" name={quoteattr(file_name)} {size}>\n{polygons}</image>\n'


def _studio_task(
    file_name: str, size_px: tuple[int, int], outlines: list[Outline], label_set: LabelSet
) -> dict[str, object]:
    height, width = size_px
    results = [
        {
            "id": f"p{place}",
            "type": "polygonlabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "points": [[round(100 * x / width, 5), round(100 * y / height, 5)] for x, y in outline.corners],
                "closed": True,
                "polygonlabels": [label_set.names[outline.class_id]],
            },
        }
        for place, outline in enumerate(outlines)
    ]
    return {
        "data": {"image": f"/data/local-files/?d=images/{file_name}"},
        "predictions": [{"model_version": f"segnet {label_set.name}", "result": results}],
    }


def _geojson(outlines: list[Outline], label_set: LabelSet, georeference: Georeference | None) -> dict[str, object]:
    features = []
    for outline in outlines:
        rings = [outline.corners, *outline.holes]
        # On the map y points up where it points down in the image: what is traced clockwise to the eye must be given
        # counter-clockwise for the outer ring and clockwise for holes.
        turned = [
            _turned(ring, counter_clockwise=place == 0)
            for place, ring in enumerate([georeference.lon_lat(ring) if georeference else ring for ring in rings])
        ]
        features.append(
            {
                "type": "Feature",
                "properties": {
                    "class": label_set.names[outline.class_id],
                    "class_id": outline.class_id,
                    "color": list(label_set.colours[outline.class_id]),
                },
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in turned]},
            }
        )
    coordinates = "longitude, latitude (WGS 84)" if georeference else "pixels: x to the right, y down"
    return {"type": "FeatureCollection", "coordinates": coordinates, "features": features}


def _turned(ring: list[tuple[float, float]], *, counter_clockwise: bool) -> list[tuple[float, float]]:
    """The ring in the requested sense, with y upwards."""
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True))
    return ring if (area > 0) == counter_clockwise else ring[::-1]
