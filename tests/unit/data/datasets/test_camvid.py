from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.datasets.camvid import CamVid, camvid_target
from segnet.data.datasets.camvid32 import COLOURS_32, IDS_32, CamVid32, published_split
from segnet.errors import DataError, LabelError, ShapeError
from segnet.labels import CAMVID_11, VOID


def save(path: Path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.fixture
def camvid(tmp_path):
    save(tmp_path / "train" / "a.png", np.full((2, 3, 3), 7))
    save(tmp_path / "trainannot" / "a.png", [[0, 10, 11], [3, 3, 3]])
    return tmp_path


def test_void_11_becomes_255_and_the_rest_stays(camvid):
    sample = CamVid(camvid, "train")[0]
    assert sample.target.tolist() == [[0, 10, VOID], [3, 3, 3]]
    assert sample.target.dtype == np.uint8
    assert sample.image.tolist() == np.full((2, 3, 3), 7).tolist()
    assert sample.name == "a"


def test_lists_name_the_images_whatever_prefix_they_have(camvid):
    save(camvid / "train" / "b.png", np.zeros((2, 3, 3)))
    (camvid / "train.txt").write_text("/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/a.png\n\n")
    assert CamVid(camvid, "train").names == ("a",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("one-field\n", "expected 'image labels'"),
        ("train/x.png trainannot/x.png\n", "x.png is missing"),
        ("\n", "no image"),
    ],
)
def test_bad_lists_say_what_is_wrong(camvid, content, message):
    (camvid / "train.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        CamVid(camvid, "train")


@pytest.mark.parametrize("reader", [CamVid, CamVid32])
def test_a_list_may_have_the_mark_that_windows_puts_in_front_and_must_be_utf8(camvid, reader):
    save(camvid / "images" / "a.png", np.zeros((1, 1, 3)))
    save(camvid / "labels" / "a_L.png", np.zeros((1, 1, 3)))
    line = "train/a.png trainannot/a.png\n" if reader is CamVid else "a.png\n"
    (camvid / "train.txt").write_bytes(("\ufeff" + line).encode())
    assert reader(camvid, "train").names == ("a",)
    (camvid / "train.txt").write_bytes(("# \xe9\n" + line).encode("latin-1"))
    with pytest.raises(DataError, match=r"train\.txt is not text in UTF-8 \(byte 2\)"):
        reader(camvid, "train")


def test_without_lists_only_images_count(camvid):
    for name in (".DS_Store", "._a.png", "Thumbs.db", "notes.txt"):
        (camvid / "train" / name).write_bytes(b"x")
    assert CamVid(camvid, "train").names == ("a",)


def test_a_missing_split_says_what_was_expected(camvid):
    with pytest.raises(DataError, match=r"no CamVid split 'val'.*val\.txt or .*val/"):
        CamVid(camvid, "val")


def test_ids_out_of_range_are_named_with_pixels_and_file():
    ids = np.array([[12, 12, 200, 1]], np.uint8)
    with pytest.raises(LabelError, match=r"x\.png: unknown class id 12 \(2 pixels\), 200 \(1 pixel\); known: 0\.\.11"):
        camvid_target(ids, Path("x.png"))


def test_a_label_of_another_size_names_both_files(camvid):
    save(camvid / "trainannot" / "a.png", np.zeros((3, 3)))
    with pytest.raises(ShapeError, match=r"trainannot/a\.png is \(3, 3\).*train/a\.png is \(2, 3\)"):
        CamVid(camvid, "train")[0]


def test_a_truncated_image_is_named(camvid):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3))
    save(camvid / "train" / "a.png", noise)
    whole = (camvid / "train" / "a.png").read_bytes()
    (camvid / "train" / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"train/a\.png cannot be read"):
        CamVid(camvid, "train")[0]


def test_a_label_in_colours_is_refused_in_the_11_class_layout(camvid):
    save(camvid / "trainannot" / "a.png", np.zeros((2, 3, 3)))
    with pytest.raises(LabelError, match="mode RGB"):
        CamVid(camvid, "train")[0]


def test_there_are_32_colours_and_each_class_has_one():
    assert len(COLOURS_32) == len(set(COLOURS_32.values())) == len(IDS_32) == 32
    assert set(IDS_32.values()) == {*range(11), VOID}


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("Archway", "building"),
        ("TrafficCone", "pole"),
        ("LaneMkgsNonDriv", "road"),
        ("RoadShoulder", "pavement"),
        ("VegetationMisc", "tree"),
        ("TrafficLight", "sign"),
        ("Truck_Bus", "car"),
        ("Animal", "pedestrian"),
        ("MotorcycleScooter", "bicyclist"),
    ],
)
def test_32_become_11(original, expected):
    assert CAMVID_11.names[IDS_32[COLOURS_32[original]]] == expected


@pytest.mark.parametrize(
    ("images", "labels"),
    [("701_StillsRaw_full", "LabeledApproved_full"), ("images", "labels"), ("train", "train_labels")],
)
def test_all_layouts_of_the_original_are_read(tmp_path, images, labels):
    save(tmp_path / images / "0006R0_f00930.png", np.zeros((1, 3, 3)))
    save(tmp_path / labels / "0006R0_f00930_L.png", [[COLOURS_32["Sky"], COLOURS_32["Train"], COLOURS_32["Void"]]])
    dataset = CamVid32(tmp_path, "train")
    assert dataset.names == ("0006R0_f00930",)
    assert dataset[0].target.tolist() == [[0, 8, VOID]]


def test_what_a_mac_leaves_beside_the_original_is_no_image(tmp_path):
    save(tmp_path / "images" / "a.png", np.zeros((1, 1, 3)))
    save(tmp_path / "labels" / "a_L.png", np.zeros((1, 1, 3)))
    (tmp_path / "images" / "._a.png").write_bytes(b"x")
    assert CamVid32(tmp_path, "train").names == ("a",)


def test_a_colour_that_is_none_of_the_32_is_named(tmp_path):
    save(tmp_path / "images" / "x.png", np.zeros((1, 2, 3)))
    save(tmp_path / "labels" / "x_L.png", [[(1, 2, 3), (0, 0, 0)]])
    with pytest.raises(LabelError, match=r"x_L\.png: unknown colour \(1, 2, 3\) \(1 pixel\)"):
        CamVid32(tmp_path, "train")[0]


def test_without_folders_in_32_colours_the_error_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"LabeledApproved_full/X_L\.png or labels/X_L\.png"):
        CamVid32(tmp_path, "train")


def test_lists_choose_images_of_the_original(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((1, 1, 3)))
        save(tmp_path / "labels" / f"{name}_L.png", np.zeros((1, 1, 3)))
    (tmp_path / "val.txt").write_text("b.png\n")
    assert CamVid32(tmp_path, "val").names == ("b",)
    with pytest.raises(DataError, match="no image in the CamVid split 'test'"):
        CamVid32(tmp_path, "test")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Seq05VD_f00000", "test"),
        ("0001TP_008520", "train"),
        ("0001TP_008550", "test"),
        ("0006R0_f03930", "train"),
        ("0016E5_07957", "train"),
        ("0016E5_07959", "val"),
        ("0016E5_08159", "val"),
        ("0016E5_08190", "train"),
    ],
)
def test_the_published_split_follows_from_the_name(name, split):
    assert published_split(name) == split


@pytest.mark.data
def test_the_published_split_agrees_with_the_released_lists(shared_data):
    for split, count in (("train", 367), ("val", 101)):
        names = CamVid(shared_data / "camvid", split).names
        assert len(names) == count
        assert {published_split(name) for name in names} == {split}


@pytest.mark.data
def test_a_real_sample_has_the_released_size_and_classes(shared_data):
    sample = CamVid(shared_data / "camvid", "val")[0]
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.target).tolist()) <= {*range(11), VOID}
    assert (sample.target == CAMVID_11.names.index("road")).mean() > 0.2
