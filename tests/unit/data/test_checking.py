import numpy as np
import pytest
from PIL import Image

from segnet.data import open_dataset
from segnet.data.checking import check
from segnet.data.datasets.folder import Folder
from segnet.data.describe_labels import init_folder
from segnet.data.reading.label_file import LABELS_TOML
from segnet.data.street.scenes import Street
from segnet.errors import DataError
from segnet.labels import VOID


def save(path, pixels, palette=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    if palette:
        image.putpalette(palette)
    image.save(path)


@pytest.fixture
def broken(tmp_path):
    """Seven images, of which five have something wrong, each in its own way."""
    good = [[0, 1, 1, VOID]]
    for name in ("bad-id", "good", "missing", "not-a-image", "size", "truncated", "void"):
        save(tmp_path / "images" / f"{name}.png", np.random.default_rng(0).integers(0, 256, (1, 4, 3)))
        save(tmp_path / "labels" / f"{name}.png", good)
    init_folder(tmp_path)
    path = tmp_path / LABELS_TOML
    path.write_text(path.read_text() + '\n[[class]]\nname = "never"\ncolour = [9, 9, 9]\nids = [2]\n')
    (tmp_path / "train.txt").write_text("\n".join(p.stem for p in sorted((tmp_path / "images").iterdir())))
    dataset = Folder(tmp_path, "train")
    save(tmp_path / "labels" / "bad-id.png", [[0, 77, 77, 78]])
    (tmp_path / "images" / "missing.png").unlink()
    (tmp_path / "images" / "not-a-image.png").write_text("text")
    save(tmp_path / "labels" / "size.png", [[0]])
    whole = (tmp_path / "labels" / "truncated.png").read_bytes()
    (tmp_path / "labels" / "truncated.png").write_bytes(whole[: len(whole) * 2 // 3])
    save(tmp_path / "labels" / "void.png", [[VOID] * 4])
    return dataset


def test_check_goes_on_over_broken_files_and_sorts_what_it_finds(broken):
    found = check(broken)
    assert found.num_images == 7
    assert len(found.unreadable) == 3
    for name, message in zip(("missing", "not-a-image", "truncated"), found.unreadable, strict=True):
        assert f"{name}.png" in message
    assert len(found.size_mismatches) == 1
    assert "size.png is (1, 1)" in found.size_mismatches[0]
    assert len(found.unknown_labels) == 1
    assert "bad-id.png: unknown class id 77 (2 pixels), 78 (1 pixel)" in found.unknown_labels[0]
    assert found.all_void == ("void",)
    assert found.missing_classes == ("never",)
    assert found.frequencies.pixels.tolist() == [1, 2, 0, 5]
    assert found.frequencies.images.tolist() == [1, 1, 0, 2]
    assert not found.ok


def test_check_as_lines_says_all_of_it(broken):
    text = "\n".join(check(broken).lines())
    for words in (
        "missing or unreadable files: 3",
        "labels of another size: 1",
        "unknown labels: 1",
        "without a labelled pixel: 1",
    ):
        assert words in text
    assert "classes that never occur: never" in text
    assert "25.000%" in text  # class-1: 2 of 8 pixels of the images that could be read
    assert text.endswith("7 images: not ok: see above")


def test_check_goes_on_over_what_a_list_names_and_is_not_there(tmp_path):
    for name in ("good", "no-label"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((1, 2, 3)))
    save(tmp_path / "labels" / "good.png", [[0, 1]])
    init_folder(tmp_path)
    (tmp_path / "train.txt").write_text("no-image\ngood\nno-label.png\n")
    found = check(open_dataset(tmp_path, "train", allow_missing=True))
    assert found.num_images == 3
    assert found.unreadable == (
        f"{tmp_path / 'images' / 'no-image'} does not exist",
        f"{tmp_path / 'labels' / 'no-label.png'} does not exist",
    )
    assert found.frequencies.pixels.tolist() == [1, 1, 0]
    with pytest.raises(DataError, match="names 'no-image'"):
        open_dataset(tmp_path, "train")


def test_check_of_good_data_is_ok():
    found = check(Street(4, (24, 32)))
    assert found.ok
    assert found.lines()[-1] == "4 images: ok"
    assert found.frequencies.pixels.sum() == 4 * 24 * 32


def test_check_of_nothing_is_not_ok():
    found = check(Street(0))
    assert not found.ok
    assert found.lines()[-1].startswith("0 images: not ok")
