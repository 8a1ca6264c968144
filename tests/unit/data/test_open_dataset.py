from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data import DATA_FORMATS, open_dataset
from segnet.data.datasets.camvid import CamVid
from segnet.data.datasets.camvid32 import CamVid32
from segnet.data.datasets.folder import Folder, write_folder
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError, DataError
from segnet.labels import CAMVID_11


def save(path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def test_auto_finds_camvid(tmp_path):
    save(tmp_path / "train" / "a.png", np.zeros((1, 1, 3)))
    save(tmp_path / "trainannot" / "a.png", [[3]])
    opened = open_dataset(str(tmp_path), "train")
    assert isinstance(opened, CamVid)
    assert opened[0].target.tolist() == [[3]]


def test_auto_finds_the_original_camvid(tmp_path):
    save(tmp_path / "images" / "a.png", np.zeros((1, 1, 3)))
    save(tmp_path / "labels" / "a_L.png", [[(128, 64, 128)]])
    opened = open_dataset(tmp_path, "train")
    assert isinstance(opened, CamVid32)
    assert opened[0].target.tolist() == [[3]]


def test_auto_finds_a_folder_with_labels_toml(tmp_path):
    write_folder(tmp_path / "d", Street(3, (16, 16)))
    opened = open_dataset(tmp_path / "d", "train")
    assert isinstance(opened, Folder)
    assert opened.label_set == CAMVID_11


def test_the_word_street_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = open_dataset("street", "val")
    assert isinstance(opened, Street)
    assert (len(opened), opened[0].target.shape) == (60, (120, 160))
    assert len(open_dataset("anything", "train", "street")) == 400


def test_a_folder_called_street_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "street", Street(3, (16, 16)))
    assert isinstance(open_dataset("street", "train"), Folder)


def test_errors_say_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match="does not exist; expected the folder"):
        open_dataset(tmp_path / "nowhere", "train")
    looked_for = r"labels\.toml .* trainannot/ .* LabeledApproved_full.* SUNRGBDtoolbox/ .* VOCdevkit/.* leftImg8bit/"
    with pytest.raises(DataError, match=f"looked for {looked_for}"):
        open_dataset(tmp_path, "train")
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(DataError, match="segnet data init"):
        open_dataset(tmp_path, "train")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is not a folder"):
        open_dataset(tmp_path / "file", "train", "camvid")
    with pytest.raises(ConfigError, match="unknown data format 'camvit'; did you mean 'camvid"):
        open_dataset(tmp_path, "train", "camvit")


def test_the_formats_are_these():
    assert list(DATA_FORMATS) == ["camvid", "camvid32", "cityscapes", "folder", "street", "sunrgbd", "voc"]


@pytest.mark.data
def test_auto_finds_the_real_camvid(shared_data):
    assert len(open_dataset(shared_data / "camvid", "train")) == 367


def test_a_format_that_is_given_and_does_not_fit_names_the_way_out(tmp_path: Path) -> None:
    write_folder(tmp_path, Street(4, (16, 16)))
    with pytest.raises(
        DataError, match=r"data.format is 'camvid', the folder looks like 'folder': use --set data.format=auto"
    ):
        open_dataset(tmp_path, "train", "camvid")
    with pytest.raises(DataError) as raised:
        open_dataset(tmp_path, "nowhere", "folder")
    assert "looks like" not in str(raised.value)
