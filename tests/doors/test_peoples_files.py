"""Folders as people bring them, through the commands: `data init` or `data import`, then `data check`."""

import base64
import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data import open_dataset

Run = Callable[..., tuple[int, str, str]]
Encode = Callable[[np.ndarray], Image.Image]
HEIGHT, WIDTH = 40, 56
PAINT = np.array([[0, 0, 0], [220, 20, 60], [20, 180, 40]], np.uint8)


def objects(number: int) -> np.ndarray:
    """Ids 0, 1, 2: a block that moves from image to image, and a bar below it."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[6:24, 3 + 5 * number : 23 + 5 * number] = 1
    ids[28:36, 8 : 48 - number] = 2
    return ids


def photo(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).integers(0, 60, (HEIGHT, WIDTH, 3))
    return (objects(number)[..., None] * 70 + noise).astype(np.uint8)


def folder(root: Path, encode: Encode, images: str = "images/{}.png", labels: str = "labels/{}.png") -> Path:
    """Five images of numbered scenes, and their labels."""
    for number in range(5):
        paths = [root / pattern.format(f"scene{number}") for pattern in (images, labels)]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(number)).save(paths[0])
        encode(objects(number)).save(paths[1])
    return root


def grey(*values: int) -> Encode:
    table = np.array(values, np.uint8)
    return lambda ids: Image.fromarray(table[np.minimum(ids, len(values) - 1)])


def painted(ids: np.ndarray) -> Image.Image:
    return Image.fromarray(PAINT[ids])


def described(run: Run, root: Path, *options: object) -> tuple[str, str]:
    """What `data init` and `data check` answer; both succeed."""
    code, init, err = run("data", "init", root, *options)
    assert (code, err) == (0, "")
    code, check, err = run("data", "check", root)
    assert (code, err) == (0, ""), check
    return init, check


def targets(root: Path) -> dict[str, np.ndarray]:
    splits = [open_dataset(root, split) for split in ("train", "val")]
    return {split[i].name: split[i].target for split in splits for i in range(len(split))}


@pytest.mark.parametrize(
    ("encode", "num_classes"),
    [
        (lambda ids: grey(0, 255)(ids).convert("RGB"), 2),
        (lambda ids: grey(0, 255)(ids).convert("RGBA"), 2),
        (lambda ids: grey(0, 255)(ids).convert("LA"), 2),
        (lambda ids: Image.fromarray(ids > 0), 2),
        (painted, 3),
        (lambda ids: Image.fromarray(np.dstack([ids] * 3)), 3),
        (grey(0, 128, 255), 3),
        (lambda ids: Image.fromarray(ids.astype(np.float32)), 3),
        (lambda ids: Image.fromarray(ids.astype(np.uint16) * 9000), 3),
    ],
)
def test_every_value_is_a_class_and_nothing_is_ignored(
    encode: Encode, num_classes: int, run: Run, tmp_path: Path
) -> None:
    root = folder(tmp_path / "d", encode, labels="labels/{}.tif")
    init, check = described(run, root)
    assert re.search(rf", {num_classes} classes:$", init.splitlines()[0])
    assert re.findall(r"^void +(\S+)", check, re.MULTILINE) == ["0.000%", "0.000%"]
    for name, target in targets(root).items():
        ids = np.minimum(objects(int(name[-1])), num_classes - 1)
        pairs = set(zip(ids.ravel().tolist(), target.ravel().tolist(), strict=True))
        assert len(pairs) == num_classes  # one class for each id


def test_a_few_pixels_of_a_neighbouring_grey_are_no_class(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 255))
    ids = np.asarray(Image.open(root / "labels/scene2.png")).copy()
    ids[10, 20] = 254
    Image.fromarray(ids).save(root / "labels/scene2.png")
    init, _ = described(run, root)
    assert "2 classes" in init
    assert re.findall("^warning: 1 pixel has the value 254, most in .*/scene2.png", init, re.MULTILINE)


def test_a_single_pixel_of_another_grey_is_said(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 255))
    ids = np.asarray(Image.open(root / "labels/scene2.png")).copy()
    ids[10, 20] = 100
    Image.fromarray(ids).save(root / "labels/scene2.png")
    init, _ = described(run, root)
    assert "warning: 100 has 1 pixel, most in " in init and "scene2.png, and is taken for a class" in init
    init, _ = described(run, root, "--void", 100, "--overwrite")
    assert "2 classes" in init and "--void" in init


@pytest.mark.parametrize("encode", [grey(0, 255), grey(0, 90, 200), painted])
def test_one_smoothed_label_is_refused_by_name_and_snapped_on_request(encode: Encode, run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", encode)
    smaller = Image.open(root / "labels/scene3.png").resize((50, 35), Image.Resampling.BILINEAR)
    smaller.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR).save(root / "labels/scene3.png")
    code, _, err = run("data", "init", root)
    assert (code, err.count("\n")) == (2, 1)
    assert "scene3.png: " in err and "scene2.png" not in err and "--snap" in err
    described(run, root, "--snap")
    before = encode(objects(2)).convert("RGB").getcolors()
    assert len(np.unique(targets(root)["scene2"])) == len(before or [])


def test_images_of_16_bits_have_one_scale(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 1, 2))
    for number, peak in enumerate((200, 256, 1000, 4000, 4095)):
        ramp = np.linspace(0, peak, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
        Image.fromarray(ramp.astype(np.uint16)).save(root / f"images/scene{number}.png")
    _, check = described(run, root)
    assert "images hold uint16 values 0..4095" in check and "is 0..255 in every image, as in training" in check


@pytest.mark.parametrize("kind", ["near infrared", "all transparent"])
def test_a_band_tagged_alpha_that_is_none_is_never_composited(kind: str, run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 1, 2))
    alpha = np.linspace(3, 250, HEIGHT * WIDTH) if kind == "near infrared" else np.zeros(HEIGHT * WIDTH)
    rgba = np.dstack([photo(0), alpha.reshape(HEIGHT, WIDTH).astype(np.uint8)])
    for name in ("scene0.png", "scene1.png"):
        Image.fromarray(rgba).save(root / "images" / name)
    run("data", "init", root)
    code, out, _ = run("data", "check", root)
    assert code == 2
    assert out.count("its last band is tagged alpha, but ") == 2 and "data.bands=[1,2,3]" in out


@pytest.mark.parametrize("suffix", ["tif", "gif", "webp", "png"])
def test_pages_that_are_left_out_are_said(suffix: str, run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 1, 2))
    (root / "images/scene0.png").unlink()
    pages = [Image.fromarray(photo(number)) for number in range(4)]
    pages[0].save(root / f"images/scene0.{suffix}", save_all=True, append_images=pages[1:])
    _, check = described(run, root)
    assert f"scene0.{suffix} holds 4 pages, of which the first is read" in check
    code, _, err = run("predict", root / f"images/scene0.{suffix}", "--out", tmp_path / "o")
    assert code == 0 and f"scene0.{suffix} holds 4 pages, of which the first is read" in err


def test_what_file_managers_leave_behind_is_no_data(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 1, 2))
    for place in ("images", "labels"):
        for name in ("._scene0.png", ".DS_Store", "Thumbs.db"):
            (root / place / name).write_bytes(b"\0\5\26\7")
        (root / place / "@eaDir").mkdir()
    (root / "__MACOSX").mkdir()
    _, check = described(run, root)
    assert "4 images: ok" in check and "1 images: ok" in check and "notes" not in check


def test_links_are_followed_and_broken_ones_are_reported(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 1, 2), "images/train/{}.png", "elsewhere/{}.png")
    (root / "labels").mkdir()
    (root / "labels/train").symlink_to(root / "elsewhere")
    (root / "images/train/scene9.png").symlink_to(tmp_path / "gone.png")
    assert run("data", "init", root)[0] == 0
    code, out, _ = run("data", "check", root)
    assert code == 2
    assert f"scene9.png is a link to {tmp_path / 'gone.png'}, which does not exist" in out
    (root / "images/train/scene9.png").unlink()
    assert run("data", "check", root)[0] == 0
    (root / "images/val").symlink_to(tmp_path / "gone")
    code, _, err = run("data", "check", root)
    assert code == 2 and "images/val is a link to " in err


def test_exif_turned_images_and_labels_on_the_raw_grid(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", grey(0, 1, 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(5):
        Image.fromarray(photo(number)).save(root / f"images/scene{number}.png", exif=exif)
    run("data", "init", root)
    code, out, _ = run("data", "check", root)
    assert code == 2 and out.count("is rotated by its EXIF orientation to (56, 40)") == 5
    for number in range(5):  # labels that carry the orientation themselves are turned with their images
        Image.fromarray(objects(number)).save(root / f"labels/scene{number}.png", exif=exif)
    assert run("data", "check", root)[0] == 0
    assert np.array_equal(targets(root)["scene1"], np.rot90(objects(1), -1))
    square = exif.tobytes()
    for number in range(5):
        for kind, array in (("images", photo(number)), ("labels", objects(number))):
            options: dict[str, Any] = {"exif": square} if kind == "images" else {}
            Image.fromarray(array[:40, :40]).save(root / kind / f"scene{number}.png", **options)
    assert "rotated by their EXIF orientation" in described(run, root, "--overwrite")[1]


def test_copies_by_augmentation_stay_on_one_side(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "d"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(5):
        for copy in "abc":
            name = f"scene{number}_jpg.rf.{copy * 6}{number}"
            Image.fromarray(photo(10 * number + ord(copy))).save(root / "images" / f"{name}.jpg")
            Image.fromarray(objects(number)).save(root / "labels" / f"{name}.png")
    _, check = described(run, root)
    assert re.search(
        r"leak: val: \d of \d images are copies of an image in train, by their names, such as .*--by sequence", check
    )
    assert run("data", "split", root)[0] == 0
    sides = {split: set(re.findall(r"scene\d", (root / f"{split}.txt").read_text())) for split in ("train", "val")}
    assert not sides["train"] & sides["val"] and len(sides["val"]) == 1
    assert "copies of an image" not in run("data", "check", root)[1]


def square(x: int, y: int, side: int) -> list[list[int]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def coco(root: Path, file_name: str) -> dict[str, Any]:
    (root / "images").mkdir(parents=True)
    Image.fromarray(photo(0)).save(root / "images/one.png")
    shapes = [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": square(12, 10, 6), "area": 36},
        {"id": 2, "image_id": 7, "category_id": 4, "segmentation": square(4, 4, 30), "area": 900},
    ]
    images = [{"id": 7, "file_name": file_name, "width": WIDTH, "height": HEIGHT}]
    return {
        "images": images,
        "annotations": shapes,
        "categories": [{"id": 3, "name": "door"}, {"id": 4, "name": "wall"}],
    }


def pixels_of(root: Path, class_name: str) -> int:
    data = open_dataset(root, "val")
    return int((data[0].target == data.label_set.names.index(class_name)).sum())


def test_small_coco_shapes_are_on_top_wherever_the_server_kept_the_image(run: Run, tmp_path: Path) -> None:
    record = coco(tmp_path / "src", "/srv/upload/3/one.png")
    (tmp_path / "src/annotations.json").write_text(json.dumps(record))
    code, out, _ = run("data", "import", tmp_path / "src", "--out", tmp_path / "d")
    assert code == 0 and pixels_of(tmp_path / "d", "door") == 36
    assert "36 pixels in 1 images lie in shapes of different classes" in out
    assert "with --order file: door 1.6 % (0.0 %)" in out
    run("data", "import", tmp_path / "src", "--out", tmp_path / "e", "--order", "file")
    assert pixels_of(tmp_path / "e", "door") == 0


def test_all_broken_records_are_named_at_once(run: Run, tmp_path: Path) -> None:
    record = coco(tmp_path / "src", "one.png")
    record["images"].append({"id": 8, "file_name": "gone.png", "width": 4, "height": 4})
    record["annotations"] += [
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [1, 1, 3, 3]},
        {"id": 4, "image_id": 7, "category_id": 3, "segmentation": [[1, 1, 6, 6]]},
    ]
    (tmp_path / "src/annotations.json").write_text(json.dumps(record))
    code, _, err = run("data", "import", tmp_path / "src", "--out", tmp_path / "d")
    assert code == 2 and len(re.findall("^problem: ", err, re.MULTILINE)) == 3
    code, out, _ = run("data", "import", tmp_path / "src", "--out", tmp_path / "d", "--skip-broken")
    assert code == 0 and out.count("left out: ") == 3 and pixels_of(tmp_path / "d", "door") == 36


def test_an_image_that_is_only_inside_its_labelme_file(run: Run, tmp_path: Path) -> None:
    data = BytesIO()
    Image.fromarray(photo(0)).save(data, "PNG")
    shape = {"label": "block", "shape_type": "polygon", "points": [[3, 6], [23, 6], [23, 24], [3, 24]], "flags": {}}
    record = {"version": "5.5.0", "flags": {}, "shapes": [shape], "imagePath": "one.png"}
    record |= {"imageData": base64.b64encode(data.getvalue()).decode(), "imageHeight": HEIGHT, "imageWidth": WIDTH}
    (tmp_path / "src").mkdir()
    (tmp_path / "src/one.json").write_text(json.dumps(record))
    assert run("data", "import", tmp_path / "src", "--out", tmp_path / "d")[0] == 0
    assert pixels_of(tmp_path / "d", "block") == 20 * 18


def test_a_colour_table_with_digits_in_its_heading_and_two_void_lines(run: Run, tmp_path: Path) -> None:
    root = folder(
        tmp_path / "src", lambda ids: Image.fromarray(np.array([[0] * 3, [99, 0, 1], [1, 50, 2]], np.uint8)[ids])
    )
    (root / "classes.csv").write_text("name,r,g,b,group_32\nroad,100,0,0,5\ncar,0,50,2,5\nvoid,0,0,0,0\nvoid,3,3,3,0\n")
    code, _, err = run("data", "import", root, "--out", tmp_path / "d")
    assert code == 2 and "unknown colour (99, 0, 1)" in err
    assert run("data", "import", root, "--out", tmp_path / "d", "--colour-tolerance", 1)[0] == 0
    assert open_dataset(tmp_path / "d", "train").label_set.names == ("road", "car")


def test_labels_that_end_in_l_are_not_camvid_unless_their_colours_are(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", painted, "train/{}.png", "train_labels/{}_L.png")
    (root / "class_dict.csv").write_text("name,r,g,b\nsoil,0,0,0\nbeet,220,20,60\nweed,20,180,40\n")
    init, check = described(run, root)
    assert [f"class '{name}'" in init for name in ("soil", "beet", "weed")] == [True] * 3
    assert "4 images: ok" in check and "1 images: ok" in check  # train alone has a folder: it is divided by name
