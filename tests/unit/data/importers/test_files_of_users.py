"""Files that users really have: overlapping objects, names of a server, broken records, images inside JSON."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from importer_files import save_image, save_json, save_mask, save_text

from segnet.data.datasets.folder import Folder
from segnet.data.importers import ImportProblemsError, import_dataset
from segnet.data.importers.coco import read_coco
from segnet.data.importers.cvat import read_cvat
from segnet.data.importers.labelme import read_labelme
from segnet.data.reading.class_names import means_void
from segnet.data.reading.colour_table import read_colour_table
from segnet.errors import DataError, LabelError
from segnet.labels import VOID

Read = Callable[..., Any]
SIZE_PX = (48, 64)


def square(x: int, y: int, side: int) -> list[list[int]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def facade(root: Path, file_name: str = "p0.png", **more: list[Any]) -> Path:
    """A window of 64 pixels, and then the facade that covers it."""
    save_image(root / "images" / "p0.png", SIZE_PX)
    shapes = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": square(20, 10, 8), "area": 64},
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": square(5, 5, 40), "area": 1600},
    ]
    images = [{"id": 1, "file_name": file_name, "width": 64, "height": 48}]
    record = {"images": images, "annotations": shapes, "categories": [{"id": 1, "name": "window"}]}
    record["categories"].append({"id": 2, "name": "facade"})
    for key, values in more.items():
        record[key] += values
    save_json(root / "annotations.json", record)
    return root


def counts(root: Path) -> dict[str, int]:
    data = Folder(root, "val")
    target = data[0].target
    return {name: int((target == i).sum()) for i, name in enumerate(data.label_set.names)}


def test_small_objects_stay_visible_and_the_effect_is_reported(tmp_path: Path) -> None:
    lines = import_dataset(facade(tmp_path / "src"), tmp_path / "area")
    assert counts(tmp_path / "area")["window"] == 64
    assert "64 pixels in 1 images lie in shapes of different classes; there small shapes are drawn over large ones" in (
        " ".join(lines)
    )
    expected = "window 2.1 % (0.0 %), facade 50.0 % (52.1 %)"  # of 48 x 64 pixels: 64, and 1600 with the window or less
    assert f"share of the pixels of each class, and with --order file: {expected}" in lines
    lines = import_dataset(tmp_path / "src", tmp_path / "file", order="file")
    assert counts(tmp_path / "file")["window"] == 0
    assert "share of the pixels of each class, and with --order area: " in " ".join(lines)


@pytest.mark.parametrize(
    "name",
    [
        *("/data/project/upload/1/p0.png", "C:\\Users\\me\\p0.png", "../../p0.png", "somewhere/else/p0.png"),
        *("https://host.org/a/p0.png?token=a/b", "images/P%30.PNG"),
    ],
)
def test_an_absolute_name_is_found_by_its_file_name(name: str, read: Read, tmp_path: Path) -> None:
    assert (read(read_coco, facade(tmp_path, name)).images[0].target == 1).sum() == 64


def test_shapes_that_cover_nothing_are_said(tmp_path: Path) -> None:
    """Coordinates as shares of the image, or of a larger one."""
    shapes = [[[0.1, 0.1, 0.4, 0.1, 0.4, 0.4]], [[90, 90, 99, 90, 99, 99]]]
    more = [{"image_id": 1, "category_id": 1, "segmentation": shape} for shape in shapes]
    lines = import_dataset(facade(tmp_path / "src", annotations=more), tmp_path / "out")
    assert "warning: 2 shapes cover no pixel, such as in p0: " in " ".join(lines)


def test_all_problems_are_reported_at_once_and_can_be_skipped(tmp_path: Path) -> None:
    broken = [
        {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16},
        {"id": 4, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 5]], "area": 0},
    ]
    missing = [{"id": 2, "file_name": "missing.png", "width": 64, "height": 48}]
    src = facade(tmp_path / "src", images=missing, annotations=broken)
    with pytest.raises(ImportProblemsError, match=r"^3 problems, the first: .*annotation 3 has no outline") as caught:
        import_dataset(src, tmp_path / "out")
    problems = [str(problem) for problem in caught.value.problems]
    for words, problem in zip(
        ("3 has no outline", "4 has a polygon of 4 numbers", "'missing.png'"), problems, strict=True
    ):
        assert words in problem
    assert caught.value.__notes__ == problems
    assert not (tmp_path / "out").exists()

    lines = import_dataset(src, tmp_path / "out", skip_broken=True)
    assert [line for line in lines if line.startswith("left out: ")] == [f"left out: {problem}" for problem in problems]
    assert counts(tmp_path / "out")["window"] == 64


def test_an_image_outside_the_folder_is_never_read(read: Read, tmp_path: Path) -> None:
    save_image(tmp_path / "secret.png", SIZE_PX)
    src = facade(tmp_path / "src", "../secret.png")
    for name in ("../secret.png", str(tmp_path / "secret.png"), "images/../../secret.png"):
        path = src / "annotations.json"
        record = json.loads(path.read_text())
        record["images"][0]["file_name"] = name
        save_json(path, record)
        with pytest.raises(DataError, match=r"secret\.png', but there is none of that name below"):
            read(read_coco, src)


def test_objects_of_an_image_that_is_itself_broken_are_not_reported_again(read: Read, tmp_path: Path) -> None:
    image = {"id": 2, "file_name": "p1.png", "width": "wide", "height": 48}
    shape = {"id": 9, "image_id": 2, "category_id": 1, "segmentation": square(1, 1, 8)}
    with pytest.raises(DataError, match="image number 1 cannot be used: width"):  # the only problem, so raised itself
        read(read_coco, facade(tmp_path, images=[image], annotations=[shape]))


def test_objects_of_one_image_in_two_files_are_taken_together(read: Read, tmp_path: Path) -> None:
    facade(tmp_path)
    record = json.loads((tmp_path / "annotations.json").read_text())
    for number, shape in enumerate(record["annotations"]):
        save_json(tmp_path / f"part-{number}.json", record | {"annotations": [shape]})
    (tmp_path / "annotations.json").unlink()
    source = read(read_coco, tmp_path)
    assert np.bincount(source.images[0].target.ravel()).tolist() == [48 * 64 - 1600, 64, 1536]
    assert source.notes == ("1 images stand in several records; their objects are taken together",)


def test_formats_with_an_order_of_their_own_keep_it(read: Read, tmp_path: Path) -> None:
    """A large shape that comes after a small one covers it."""
    small, large = [[0, 0], [2, 0], [2, 2], [0, 2]], [[0, 0], [6, 0], [6, 4], [0, 4]]
    save_image(tmp_path / "x.png")
    shapes = [{"label": n, "points": p, "shape_type": "polygon"} for n, p in (("a", small), ("b", large))]
    save_json(tmp_path / "x.json", {"shapes": shapes, "imagePath": "x.png"})
    assert (read(read_labelme, tmp_path).images[0].target == 2).all()
    assert (read(read_labelme, tmp_path, order="area").images[0].target == 1).sum() == 4
    polygons = "".join(
        f'<polygon label="{n}" z_order="{z}" points="{";".join(f"{x},{y}" for x, y in p)}"/>'
        for n, z, p in (("b", 1, large), ("a", 0, small))
    )
    image = f'<image id="0" name="x.png" width="6" height="4">{polygons}</image>'
    save_text(tmp_path / "annotations.xml", f"<annotations>{image}</annotations>")
    data = read(read_cvat, tmp_path).images
    assert (data[0].target == data.ids["b"]).all()


def test_images_that_cannot_be_decoded_are_left_out_of_the_splits_too(tmp_path: Path) -> None:
    for split in ("train", "val"):
        facade(tmp_path / "src" / split)
    save_text(tmp_path / "src" / "val" / "images" / "p0.png", "not an image")
    with pytest.raises(DataError, match=r"val/images/p0\.png is not an image"):
        import_dataset(tmp_path / "src", tmp_path / "out")
    import_dataset(tmp_path / "src", tmp_path / "out", skip_broken=True)
    assert (tmp_path / "out" / "train.txt").read_text().split() == ["train_images_p0"]
    assert not (tmp_path / "out" / "val.txt").exists()


def test_nothing_is_written_where_everything_is_broken(tmp_path: Path) -> None:
    src = facade(tmp_path / "src")
    save_text(src / "images" / "p0.png", "not an image")
    with pytest.raises(DataError, match="is not an image"):
        import_dataset(src, tmp_path / "out", skip_broken=True)
    assert not (tmp_path / "out").exists()


def test_a_full_coco_folder_leaves_captions_and_key_points_aside(read: Read, tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        image = {"id": 1, "file_name": f"{split}.jpg", "height": 4, "width": 6}
        save_image(tmp_path / split / f"{split}.jpg")
        shape = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": square(0, 0, 2)}
        persons = [{"id": 1, "name": "person", "keypoints": ["nose"]}]
        caption = {"id": 1, "image_id": 1, "caption": "a photo"}
        folder = tmp_path / "annotations"
        objects = {"images": [image], "annotations": [shape], "categories": [{"id": 1, "name": "person"}]}
        save_json(folder / f"instances_{split}.json", objects)
        save_json(folder / f"person_keypoints_{split}.json", objects | {"categories": persons})
        save_json(folder / f"captions_{split}.json", {"images": [image], "annotations": [caption]})
    source = read(read_coco, tmp_path)
    assert source.splits == {"train": ("train2017_train2017",), "val": ("val2017_val2017",)}
    assert [note.split("/")[-1] for note in source.notes] == [
        f"{name}_{split}.json is a file of {kind} and is left out"
        for name, kind in (("captions", "captions"), ("person_keypoints", "keypoints"))
        for split in ("train2017", "val2017")
    ]
    with pytest.raises(DataError, match=r"captions_val2017\.json is not a COCO file of objects: it has no categories"):
        read(read_coco, tmp_path / "annotations" / "captions_val2017.json")


def test_categories_that_only_look_like_classes_are_none(read: Read, tmp_path: Path) -> None:
    """Roboflow writes the project above all categories, and labelme's converter writes `_background_`."""
    src = facade(
        tmp_path,
        categories=[
            {"id": 0, "name": "houses", "supercategory": "none"},
            {"id": 3, "name": "door", "supercategory": "houses"},
            {"id": 4, "name": "_background_"},
            {"id": 5, "name": "window"},
        ],
    )
    assert read(read_coco, src, "void").images.label_set.names == ("window", "facade", "door")
    assert read(read_coco, src).images.label_set.names == ("background", "window", "facade", "door")
    record = json.loads((src / "annotations.json").read_text())
    record["annotations"] += [
        {"id": 8 + c, "image_id": 1, "category_id": c, "segmentation": square(1, 1, 2)} for c in (0, 4)
    ]
    save_json(src / "annotations.json", record)
    names = read(read_coco, src, "void").images.label_set.names
    assert names == ("window", "facade", "houses", "door", "background")


def test_the_image_inside_a_labelme_file(read: Read, tmp_path: Path) -> None:
    data = save_image(tmp_path / "p0.jpg", SIZE_PX).read_bytes()
    (tmp_path / "p0.jpg").unlink()
    shape = {"label": "thing", "shape_type": "polygon", "points": [[4, 8], [26, 8], [26, 30], [4, 30]]}
    record = {"version": "5.5.0", "flags": {}, "imagePath": "..\\p0.jpg", "imageHeight": 48, "imageWidth": 64}
    record |= {"shapes": [shape], "imageData": base64.b64encode(data).decode()}
    save_json(tmp_path / "src" / "p0.json", record)
    import_dataset(tmp_path / "src", tmp_path / "out")
    assert (tmp_path / "out" / "images" / "p0.jpg").read_bytes() == data
    assert counts(tmp_path / "out")["thing"] == 22 * 22
    save_json(tmp_path / "src" / "p0.json", record | {"imageData": "AAAA"})
    with pytest.raises(DataError, match=r"p0\.json: imageData is not an image in base64"):
        read(read_labelme, tmp_path / "src")


COLOURS = np.array([[0, 0, 0], [227, 0, 144], [64, 0, 128]], np.uint8)  # the road is off by one
TABLE = "name,r,g,b,class_11\nroad,228,0,144,1\ncar,64,0,128,1\nvoid,0,0,0,0\nvoid,1,1,1,0\n"


def test_a_table_with_further_columns_and_colours_that_are_slightly_off(tmp_path: Path) -> None:
    save_image(tmp_path / "src" / "images" / "p0.png", (1, 3))
    save_mask(tmp_path / "src" / "labels" / "p0.png", COLOURS[[[0, 1, 2]]])
    save_text(tmp_path / "src" / "classes.csv", TABLE)
    with pytest.raises(
        LabelError, match=r"unknown colour \(227, 0, 144\) \(1 pixel\).* differs from \(228, 0, 144\) by 1"
    ):
        import_dataset(tmp_path / "src", tmp_path / "out")
    import_dataset(tmp_path / "src", tmp_path / "out", colour_tolerance=1)
    data = Folder(tmp_path / "out", "val")
    assert (data.label_set.names, data[0].target.tolist()) == (("road", "car"), [[VOID, 0, 1]])


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        "id;class;red;green;blue\n1;road;228;0;144\n2;car;64;0;128\n0;void;0;0;0\n3;Void;1;1;1\n",
        'R,G,B,Label Name\n228,0,144,"road"\n64,0,128,"car"\n0,0,0,void\n1,1,1,void\n',
        "Klasse, rot, gruen, blau\nroad,228,0,144\ncar,64,0,128\nvoid,0,0,0\nvoid,1,1,1\n",
        'class,hex\nroad,#e40090\ncar,#400080\nvoid,#000000 # black\nvoid,"#010101"\n',
        'name,rgb\nroad,"228,0,144"\ncar,"(64, 0, 128)"\nvoid,0 0 0\nvoid,"[1, 1, 1]"\n',
        'name,r,g,b\n"road",228.0,0.0,144.0\ncar,64,0,128\nunlabeled,0,0,0\n"ignore","1","1","1"\n',
        "road\t228\t0\t144\ncar\t64\t0\t128\nvoid\t0\t0\t0\nvoid\t1\t1\t1\n",
    ],
)
def test_tables_with_any_heading(text: str, tmp_path: Path) -> None:
    table = read_colour_table(save_text(tmp_path / "classes.csv", text))
    assert table.classes == {"road": (228, 0, 144), "car": (64, 0, 128)}
    assert {colour for colour, name in table.colours.items() if means_void(name)} == {(0, 0, 0), (1, 1, 1)}


def test_a_name_with_a_comma_in_quotes(tmp_path: Path) -> None:
    table = read_colour_table(save_text(tmp_path / "classes.csv", 'name,r,g,b\n"road, paved",1,2,3\n'))
    assert table.classes == {"road, paved": (1, 2, 3)}


def test_a_colour_beyond_the_tolerance_is_an_error(tmp_path: Path) -> None:
    save_image(tmp_path / "src" / "images" / "p0.png", (1, 1))
    save_mask(tmp_path / "src" / "labels" / "p0.png", [[[2, 0, 0]]])
    save_text(tmp_path / "src" / "classes.csv", "a,0,0,0\nb,200,0,0\n")
    with pytest.raises(LabelError, match=r"unknown colour \(2, 0, 0\)"):
        import_dataset(tmp_path / "src", tmp_path / "out", colour_tolerance=1)
    import_dataset(tmp_path / "src", tmp_path / "out", colour_tolerance=2)


def test_a_colour_between_two_classes_stays_unknown(tmp_path: Path) -> None:
    save_image(tmp_path / "src" / "images" / "p0.png", (1, 1))
    save_mask(tmp_path / "src" / "labels" / "p0.png", [[[2, 0, 0]]])
    save_text(tmp_path / "src" / "classes.csv", "a,0,0,0\nb,4,0,0\n")
    with pytest.raises(LabelError, match=r"unknown colour \(2, 0, 0\)"):
        import_dataset(tmp_path / "src", tmp_path / "out", colour_tolerance=3)


def test_masks_with_a_suffix_need_no_renaming(tmp_path: Path) -> None:
    for name in "ab":
        save_image(tmp_path / "src" / "images" / f"{name}.png", (1, 4))
        save_mask(tmp_path / "src" / "masks" / f"{name}_mask.png", [[0, 255, 255, 0]])
    save_text(tmp_path / "src" / "masks" / "._a_mask.png", "left by macOS")
    import_dataset(tmp_path / "src", tmp_path / "out")
    data = Folder(tmp_path / "out", "train")
    assert (data.label_set.num_classes, data[0].target.tolist()) == (2, [[0, 1, 1, 0]])


VIDEO = """<annotations><version>1.1</version><meta><task><labels>
<label><name>car</name><color>#ff0000</color><type>any</type></label>
<label><name>rainy</name><color>#00ff00</color><type>tag</type></label></labels>
<original_size><width>6</width><height>4</height></original_size></task></meta>
<track id="0" label="car" source="manual">
<box frame="0" keyframe="1" outside="0" occluded="0" xtl="0" ytl="0" xbr="2" ybr="2" z_order="0"/>
<box frame="1" keyframe="0" outside="0" occluded="0" xtl="1" ytl="0" xbr="3" ybr="2" z_order="0"/>
<box frame="2" keyframe="1" outside="1" occluded="0" xtl="2" ytl="0" xbr="4" ybr="2" z_order="0"/>
</track></annotations>"""


def test_cvat_for_video_has_an_object_in_each_frame_in_which_it_is_seen(read: Read, tmp_path: Path) -> None:
    save_text(tmp_path / "annotations.xml", VIDEO)
    for frame in range(3):
        save_image(tmp_path / "images" / f"frame_{frame:06d}.PNG")
    data = read(read_cvat, tmp_path).images
    assert data.label_set.names == ("background", "car")
    assert [data[i].target[0].tolist() for i in range(3)] == [[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0] * 6]
    (tmp_path / "images" / "frame_000001.PNG").unlink()
    with pytest.raises(DataError, match=r"frame 1 has shapes, but there is no image frame_000001 .*'Save images'"):
        read(read_cvat, tmp_path)
    save_text(tmp_path / "annotations.xml", VIDEO.replace("original_size", "size"))
    with pytest.raises(DataError, match="has tracks and 0 elements <original_size>, expected one"):
        read(read_cvat, tmp_path)


def test_tags_are_no_classes_and_frames_have_names_without_a_suffix(read: Read, tmp_path: Path) -> None:
    labels = "".join(f"<label><name>{n}</name><color>#0000ff</color><type>any</type></label>" for n in ("car", "sunny"))
    image = '<image id="0" name="frame_000000" width="6" height="4"><tag label="sunny"/></image>'
    text = f"<annotations><meta><labels>{labels}</labels></meta>{image}</annotations>"
    save_text(tmp_path / "annotations.xml", text)
    save_image(tmp_path / "images" / "frame_000000.PNG")
    assert read(read_cvat, tmp_path).images.label_set.names == ("background", "car")


@pytest.mark.parametrize("value", ["NaN", "1e999", "-Infinity", "1" + "0" * 400])
def test_numbers_that_no_image_has_are_one_clear_error(value: str, tmp_path: Path) -> None:
    path = facade(tmp_path / "src") / "annotations.json"
    path.write_text(path.read_text().replace("[20, 10", f"[{value}, 10").replace("[[20", f"[[{value}"))
    with pytest.raises(DataError, match=r"annotations\.json"):
        import_dataset(tmp_path / "src", tmp_path / "out")
    path.write_text(json.dumps(json.loads("[" * 900 + "]" * 900)))
    with pytest.raises(DataError, match=r"annotations\.json"):
        import_dataset(tmp_path / "src", tmp_path / "out", data_format="coco")
