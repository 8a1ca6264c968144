from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.street import Street
from segnet.data.unlabelled import RGB, open_pictures
from segnet.errors import DataError
from segnet.labels import VOID


def test_a_folder_of_pictures_is_all_its_pictures_without_a_label(tmp_path: Path) -> None:
    for number, name in enumerate(("b.png", "a.bmp")):
        Image.fromarray(np.full((5, 7, 3), 10 * number, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    pictures = open_pictures(tmp_path, "whatever")
    assert (pictures.names, len(pictures), pictures.label_set) == (("a.bmp", "b.png"), 2, RGB)
    sample = pictures[0]
    assert (sample.name, sample.image.shape, int(sample.image.max())) == ("a.bmp", (5, 7, 3), 10)
    assert sample.target.shape == (5, 7)
    assert (sample.target == VOID).all()


def test_a_data_set_gives_its_split(tiny_camvid: Path) -> None:
    assert open_pictures(tiny_camvid, "val").names == ("val0", "val1")
    assert open_pictures(tiny_camvid / "train", "val").names[0] == "train0.png"  # a folder of pictures has no split


def test_the_word_street_is_the_drawn_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_pictures("street", "train"), Street)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda root: None, "is empty; wanted pictures"),
        (lambda root: (root / "a.txt").write_text("x"), r"no picture in the folder .*; as a data set: .*looked for"),
        (lambda root: root.rmdir(), "does not exist"),
    ],
)
def test_a_folder_without_pictures_is_one_clear_line(tmp_path: Path, prepare: object, words: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    prepare(root)  # type: ignore[operator]
    with pytest.raises(DataError, match=words):
        open_pictures(root, "train")


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture at all")
    with pytest.raises(DataError, match=r"broken\.png is not a picture"):
        open_pictures(tmp_path, "train")[0]
