"""VIA, in the forms of its versions 1 and 2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from importer_files import save_image, save_json

from segnet.data.importers.via import read_via
from segnet.errors import DataError, LabelError, SegNetError

Read = Callable[..., Any]
SQUARE = {"name": "polygon", "all_points_x": [0, 2, 2, 0], "all_points_y": [0, 0, 2, 2]}


def region(shape: dict[str, Any] = SQUARE, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def save(root: Path, regions: Any, *, project: bool = False, folder: str = "") -> Path:
    save_image(root / folder / "x.png")
    images = {"x.png1234": {"filename": "x.png", "size": 1234, "regions": regions, "file_attributes": {}}}
    record = {"_via_settings": {}, "_via_img_metadata": images, "_via_attributes": {"region": {}, "file": {}}}
    save_json(root / folder / "via_region_data.json", record if project else images)
    return root


def test_a_project_of_version_2_with_every_kind(read: Read, tmp_path: Path) -> None:
    regions = [
        region(type="car"),
        region({"name": "rect", "x": 3, "y": 0, "width": 3, "height": 1}, type="road"),
        region({"name": "circle", "cx": 3.5, "cy": 3.5, "r": 0.4}, type="sun"),
        region({"name": "ellipse", "cx": 5.5, "cy": 2.5, "rx": 1.4, "ry": 0.6, "theta": 1.5707963}, type="egg"),
        region({"name": "point", "cx": 1, "cy": 1}, type="car"),
    ]
    source = read(read_via, save(tmp_path, regions, project=True))
    assert source.images.label_set.names == ("background", "car", "egg", "road", "sun")
    assert source.images[0].target.tolist() == [
        [1, 1, 0, 3, 3, 3], [1, 1, 0, 0, 0, 2], [0, 0, 0, 0, 0, 2], [0, 0, 0, 4, 0, 2],
    ]  # fmt: skip
    assert source.notes == (
        "1 shapes of kind 'point' enclose nothing and are left out",
        "the class of a region is its attribute 'type'",
    )


def test_version_1_numbers_its_regions_and_may_have_no_attribute(read: Read, tmp_path: Path) -> None:
    save(tmp_path, {"0": region()}, folder="train")
    save(tmp_path, {"0": region()}, folder="val")
    source = read(read_via, tmp_path)
    assert source.images.label_set.names == ("background", "object")
    assert source.splits == {"train": ("train_x",), "val": ("val_x",)}
    assert source.notes == ("no region has an attribute, so all are of the class 'object'",)


def test_of_several_attributes_the_class_is_the_one_with_such_a_name(read: Read, tmp_path: Path) -> None:
    data = read(read_via, save(tmp_path, [region(quality="good", Class={"car": True, "bus": False})])).images
    assert data.label_set.names == ("background", "car")
    with pytest.raises(LabelError, match="regions have the attributes quality, sort; call the one that is the class"):
        read(read_via, save(tmp_path, [region(quality="good", sort="car")]))


@pytest.mark.parametrize(
    ("regions", "error", "words"),
    [
        ([region({**SQUARE, "all_points_x": [0, 1]}, a="b")], LabelError, "region 0 is a polygon of 2 x and 4"),
        ([region(a="car"), region()], LabelError, "region 1 has no single value of 'a'; choose its class"),
        ([region({"name": "cube"}, a="car")], LabelError, "unknown kind 'cube'"),
        ([{"region_attributes": {}}], DataError, "region 0 cannot be used: shape_attributes"),
        (5, DataError, r"image 'x\.png1234' cannot be used: regions"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_names_image_and_region(
    regions: Any, error: type[SegNetError], words: str, read: Read, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        read(read_via, save(tmp_path, regions))
