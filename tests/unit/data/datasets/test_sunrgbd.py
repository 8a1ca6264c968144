import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segnet.data import open_dataset
from segnet.data.datasets.sunrgbd import SUNRGBD, held_out
from segnet.errors import DataError, LabelError, ShapeError
from segnet.labels import SUN_37, VOID

BASE = "/n/fs/sun3d/data/SUNRGBD/"
NYU_HELD_OUT = [8, 9, 18, 22, 24, 29, 32, 33, 40]
TEST = ["kv2/kinect2data/000002_a", "realsense/lg/2014_b"]
TRAIN = [f"kv1/NYUdata/NYU{i:04d}" for i in range(3, 23)] + [f"xtion/sun3ddata/mit_1/mit_1/{i:07d}" for i in range(9)]


def save(path: Path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def cells(values: list[str]) -> np.ndarray:
    """A MATLAB cell array of strings."""
    held = np.empty(len(values), object)
    held[:] = values
    return held


@pytest.fixture
def official(tmp_path):
    """Two test and 29 training images of 1x3, numbered as in SUNRGBDMeta.mat: the test images first."""
    scenes = TEST + TRAIN
    meta = np.zeros(len(scenes), [("sequenceName", object), ("rgbpath", object)])
    for number, scene in enumerate(scenes, start=1):
        save(tmp_path / "SUNRGBD" / scene / "image" / f"{number:07d}.jpg", np.full((1, 3, 3), number))
        save(tmp_path / "label37" / f"img-{number:06d}.png", [[0, 1, 37]])
        meta[number - 1] = (f"SUNRGBD/{scene}", f"{BASE}{scene}/image/{number:07d}.jpg")
    toolbox = tmp_path / "SUNRGBDtoolbox"
    (toolbox / "traintestSUNRGBD").mkdir(parents=True)
    (toolbox / "Metadata").mkdir()
    lists = {"alltrain": cells([BASE + s + "/" for s in TRAIN]), "alltest": cells([BASE + s for s in TEST])}
    savemat(toolbox / "traintestSUNRGBD" / "allsplit.mat", lists)
    savemat(toolbox / "Metadata" / "SUNRGBDMeta.mat", {"SUNRGBDMeta": meta})
    return tmp_path


@pytest.fixture
def plain(tmp_path):
    for name in ("NYU0003", "NYU0004", "NYU0005", "NYU0006", "extra"):
        save(tmp_path / "image" / f"{name}.jpg", np.zeros((1, 3, 3)))
        save(tmp_path / "label37" / f"{name}.png", [[0, 1, 37]])
    (tmp_path / "train.txt").write_text("NYU0003\nNYU0004\n\nNYU0005\nNYU0006\n")
    return tmp_path


# ------------------------------------------------------------------------------------------------ official


def test_the_official_layout_has_the_official_split(official):
    test, trainval = SUNRGBD(official, "test"), SUNRGBD(official, "trainval")
    assert test.names == ("img-000001", "img-000002")
    assert trainval.names == tuple(f"img-{i:06d}" for i in range(3, 32))
    assert trainval.label_set == SUN_37


def test_void_0_becomes_255_and_37_become_0_to_36(official):
    sample = SUNRGBD(official, "test")[1]
    assert sample.target.tolist() == [[VOID, 0, 36]]
    assert np.abs(sample.image.astype(int) - 2).max() <= 1  # image 2, and it is JPEG
    assert sample.name == "img-000002"


def test_train_and_val_part_the_training_images(official):
    train, val, trainval = (set(SUNRGBD(official, split).names) for split in ("train", "val", "trainval"))
    assert train | val == trainval
    assert not train & val
    expected = {f"img-{i:06d}" for i, scene in enumerate(TEST + TRAIN, start=1) if i > 2 and held_out(scene)}
    assert val == expected
    assert len(val) >= 1


def test_which_images_are_held_out_never_changes():
    # written down: another rule would mix what was trained on with what is scored
    assert [i for i in range(3, 43) if held_out(f"kv1/NYUdata/NYU{i:04d}")] == NYU_HELD_OUT
    assert len({held_out(f"xtion/sun3ddata/mit_1/mit_1/{i:07d}") for i in range(50)}) == 1


def test_labels_in_a_folder_of_the_archives_name_are_found(official):
    (official / "label37").rename(official / "sunrgbd_train_test_labels")
    assert SUNRGBD(official, "test")[0].target.tolist() == [[VOID, 0, 36]]


def test_one_image_alone_is_a_list_too(official):
    savemat(official / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat", {"alltest": cells([BASE + TEST[1]])})
    assert SUNRGBD(official, "test").names == ("img-000002",)


def test_without_label_images_the_error_says_what_to_unpack(official):
    (official / "label37").rename(official / "elsewhere")
    with pytest.raises(DataError, match=r"SUNRGBD2Dseg\.mat is MATLAB 7\.3 .* unpack .*\.tar\.gz .* into .*label37/"):
        SUNRGBD(official, "train")


def test_errors_of_the_official_layout_say_what_is_wrong(official):
    with pytest.raises(DataError, match=r"no SUN RGB-D split 'valid' .* train, val, trainval, test"):
        SUNRGBD(official, "valid")
    (official / "SUNRGBD" / TEST[0] / "image" / "0000001.jpg").unlink()
    with pytest.raises(DataError, match=r"0000001\.jpg is missing"):
        SUNRGBD(official, "test")
    split = official / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    savemat(split, {"alltest": cells([BASE + "kv1/new"])})
    with pytest.raises(DataError, match=r"SUNRGBDMeta\.mat does not know kv1/new .* \(1 such"):
        SUNRGBD(official, "test")
    with pytest.raises(DataError, match="has no 'alltrain'"):
        SUNRGBD(official, "train")
    split.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 50)
    with pytest.raises(DataError, match=r"allsplit\.mat is MATLAB 7\.3 \(HDF5\).*-v7"):
        SUNRGBD(official, "test")
    savemat(split, {"alltest": cells([BASE + s for s in TEST * 200])}, do_compression=True)
    split.write_bytes(split.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"allsplit\.mat cannot be read as a \.mat file"):
        SUNRGBD(official, "test")
    split.write_bytes(b"no such thing")
    with pytest.raises(DataError, match=r"allsplit\.mat cannot be read"):
        SUNRGBD(official, "test")
    split.unlink()
    with pytest.raises(DataError, match=r"does not exist; unpack SUNRGBDtoolbox\.zip"):
        SUNRGBD(official, "test")


# ------------------------------------------------------------------------------------------------ plain


def test_the_plain_layout_parts_its_train_list(plain):
    names = ("NYU0003", "NYU0004", "NYU0005", "NYU0006")
    assert SUNRGBD(plain, "trainval").names == names
    expected = tuple(name for name in names if not held_out(name))
    assert SUNRGBD(plain, "train").names == expected
    assert SUNRGBD(plain, "train")[0].target.tolist() == [[VOID, 0, 36]]


def test_lists_of_its_own_count_as_they_are(plain):
    (plain / "val.txt").write_text("extra\n")
    (plain / "test.txt").write_text("NYU0004\n")
    assert SUNRGBD(plain, "val").names == ("extra",)
    assert len(SUNRGBD(plain, "train")) == 4
    assert len(SUNRGBD(plain, "trainval")) == 5
    assert SUNRGBD(plain, "test").names == ("NYU0004",)


def test_without_a_list_all_images_count(plain):
    (plain / "train.txt").unlink()
    assert len(SUNRGBD(plain, "trainval")) == 5


def test_errors_of_the_plain_layout_say_what_is_wrong(plain):
    with pytest.raises(DataError, match=r"no SUN RGB-D split 'test': .*test\.txt does not exist"):
        SUNRGBD(plain, "test")
    (plain / "train.txt").write_text("NYU0003\nNYU0007\n")
    with pytest.raises(DataError, match=r"image/NYU0007\.jpg is missing; split 'trainval'"):
        SUNRGBD(plain, "trainval")
    (plain / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="no image in the SUN RGB-D split 'train'"):
        SUNRGBD(plain, "train")
    (plain / "val.txt").write_text("NYU0003\n")
    save(plain / "label37" / "NYU0003.png", [[38, 0, 38]])
    with pytest.raises(LabelError, match=r"NYU0003\.png: unknown class id 38 \(2 pixels\); known: 0\.\.37"):
        SUNRGBD(plain, "val")[0]
    save(plain / "label37" / "NYU0003.png", [[1], [1]])
    with pytest.raises(ShapeError, match="give both the same size"):
        SUNRGBD(plain, "val")[0]
    (plain / "image").rename(plain / "images")
    with pytest.raises(DataError, match=r"expected SUNRGBD/ and SUNRGBDtoolbox/ \(official\), or image/ and label37/"):
        SUNRGBD(plain, "val")


def test_auto_finds_both_layouts(plain):
    assert isinstance(open_dataset(plain, "trainval"), SUNRGBD)
    (plain / "SUNRGBDtoolbox").mkdir()
    with pytest.raises(DataError, match=r"allsplit\.mat does not exist"):  # official by its toolbox; label37 is there
        open_dataset(plain, "train")


@pytest.mark.data
def test_the_real_nyu_part(shared_data):
    root = shared_data / "nyuv2_37"
    train, val, trainval = (open_dataset(root, split) for split in ("train", "val", "trainval"))
    assert len(trainval) == 795
    assert set(train.names).isdisjoint(val.names)
    assert len(train) + len(val) == 795
    assert 0.17 < len(val) / 795 < 0.23
    sample = val[0]
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.target).tolist()) <= {*range(37), VOID}
    names = [line.split(" ", 1)[1] for line in (root / "classes37.txt").read_text().splitlines()]
    renamed = {"refridgerator": "fridge", "television": "tv"}
    assert tuple(renamed.get(name, name) for name in names[1:]) == SUN_37.names


@pytest.mark.data
def test_in_the_real_images_walls_stand_above_floors(shared_data):
    """The class numbers are the right way round: over many images, the wall's rows lie above the floor's."""
    val = SUNRGBD(shared_data / "nyuv2_37", "val")
    rows: dict[str, list[float]] = {"wall": [], "floor": []}
    for index in range(0, 30, 3):
        target = val[index].target
        for name, held in rows.items():
            found = np.nonzero(target == SUN_37.names.index(name))[0]
            held.extend(found.tolist())
    assert np.mean(rows["wall"]) < 180
    assert np.mean(rows["floor"]) > 240


def test_a_list_may_have_the_mark_that_windows_puts_in_front_and_must_be_utf8(plain):
    (plain / "test.txt").write_bytes("\ufeffextra\r\n".encode())
    assert SUNRGBD(plain, "test").names == ("extra",)
    (plain / "test.txt").write_bytes(b"\xe9\n")
    with pytest.raises(DataError, match=r"test\.txt is not text in UTF-8 \(byte 0\)"):
        SUNRGBD(plain, "test")


def test_what_a_mac_leaves_and_a_name_that_is_not_utf8_do_not_stop_the_plain_layout(plain):
    (plain / "train.txt").unlink()
    (plain / "image" / "._NYU0003.jpg").write_bytes(b"x")
    name = os.fsdecode(b"caf\xe9")
    save(plain / "image" / f"{name}.jpg", np.zeros((1, 3, 3)))
    save(plain / "label37" / f"{name}.png", [[0, 1, 37]])
    assert set(SUNRGBD(plain, "trainval").names) == {"NYU0003", "NYU0004", "NYU0005", "NYU0006", "extra", name}
    assert name in {*SUNRGBD(plain, "train").names, *SUNRGBD(plain, "val").names}
