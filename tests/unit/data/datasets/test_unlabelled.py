from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.datasets.unlabelled import RGB, open_images
from segnet.data.street.scenes import Street
from segnet.errors import DataError
from segnet.labels import VOID


def test_a_folder_of_images_is_all_its_images_without_a_label(tmp_path: Path) -> None:
    for number, name in enumerate(("b.png", "a.bmp")):
        Image.fromarray(np.full((5, 7, 3), 10 * number, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    images = open_images(tmp_path, "whatever")
    assert (images.names, len(images), images.label_set) == (("a.bmp", "b.png"), 2, RGB)
    sample = images[0]
    assert (sample.name, sample.image.shape, int(sample.image.max())) == ("a.bmp", (5, 7, 3), 10)
    assert sample.target.shape == (5, 7)
    assert (sample.target == VOID).all()


def test_a_data_set_gives_its_split(tiny_camvid: Path) -> None:
    assert open_images(tiny_camvid, "val").names == ("val0", "val1")
    assert open_images(tiny_camvid / "train", "val").names[0] == "train0.png"  # a folder of images has no split


def test_the_word_street_is_the_drawn_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_images("street", "train"), Street)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda root: None, "is empty; expected images"),
        (lambda root: (root / "a.txt").write_text("x"), r"no image in the folder .*; as a dataset: .*looked for"),
        (lambda root: root.rmdir(), "does not exist"),
    ],
)
def test_a_folder_without_images_is_one_clear_line(tmp_path: Path, prepare: object, words: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    prepare(root)  # type: ignore[operator]
    with pytest.raises(DataError, match=words):
        open_images(root, "train")


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image at all")
    with pytest.raises(DataError, match=r"broken\.png is not an image"):
        open_images(tmp_path, "train")[0]
