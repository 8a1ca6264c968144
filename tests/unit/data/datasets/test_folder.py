import os
import tomllib
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.datasets.folder import Folder, write_folder
from segnet.data.reading.label_file import LABELS_TOML, LabelFile, read_labels_toml, write_labels_toml
from segnet.data.street.scenes import Street
from segnet.errors import DataError, LabelError, ShapeError
from segnet.labels import VOID, LabelSet

TWO = LabelSet("two", ("road", 'a "quoted" näme\t\x7f'), ((128, 64, 128), (10, 20, 30)))
BY_ID = LabelFile(TWO, "ids", ((0, 7), (1,)), (255, 9))
BY_COLOUR = LabelFile(TWO, "colours", ((0,), (1,)), (255,), ((0, 0, 0), (255, 255, 255)))


def save(path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def fill(root, names, labels=BY_ID, target=((0, 7, 1, 9),), part=""):
    for name in names:
        save(root / "images" / part / f"{name}.png", np.zeros((*np.shape(target)[:2], 3)))
        save(root / "labels" / part / f"{name}.png", target)
    write_labels_toml(root / LABELS_TOML, labels)
    return root


@pytest.mark.parametrize("labels", [BY_ID, BY_COLOUR])
def test_labels_toml_reads_back_as_written(tmp_path, labels):
    path = tmp_path / LABELS_TOML
    write_labels_toml(path, labels, "two\nlines")
    assert read_labels_toml(path) == labels
    assert path.read_text().startswith("# two\n# lines\nname")
    assert tomllib.loads(path.read_text())["class"][0]["name"] == "road"


def test_the_shortest_labels_toml_numbers_its_classes_and_takes_255_as_void(tmp_path):
    path = tmp_path / LABELS_TOML
    path.write_text('[[class]]\nname="a"\ncolour=[1,2,3]\n[[class]]\nname="b"\ncolour=[4,5,6]\n')
    read = read_labels_toml(path)
    assert read.id_table == {0: 0, 1: 1, 255: VOID}
    assert read.label_set.name == tmp_path.name


CLASS = '[[class]]\nname="a"\ncolour=[1,2,3]\n'


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("name = ", DataError, "cannot be read as TOML"),
        ('name = "x"', LabelError, r"at least one \[\[class\]\]"),
        ('lables = "ids"\n' + CLASS, LabelError, "unknown key 'lables'; did you mean 'labels'"),
        (CLASS + "color = [1,2,3]", LabelError, "unknown key 'color'; did you mean 'colour'"),
        ('labels = "colours"\n[[class]]\nname = "a"', LabelError, "has no colour"),
        ('labels = "numbers"\n' + CLASS, LabelError, "'numbers': expected 'ids' or 'colours'"),
        (CLASS + "ids = [65536]", LabelError, "id 65536: expected 0..65535"),
        (CLASS + "ids = ['a']", LabelError, "list of integers"),
        (CLASS + "ids = 3", LabelError, "expected a list"),
        ("void_ids = [0]\n" + CLASS, LabelError, "id 0 is used twice"),
        (CLASS + CLASS, LabelError, "name used twice: a"),
        ('[[class]]\nname="a"\ncolour=[1,2]', LabelError, "three integers"),
        ("void_colours = [[1,2]]\n" + CLASS, LabelError, "three integers"),
        ('labels = "colours"\nvoid_colours = [[1,2,3]]\n' + CLASS, LabelError, "a class's and void's"),
    ],
)
def test_a_wrong_labels_toml_says_what_is_wrong_and_where(tmp_path, text, error, message):
    (tmp_path / LABELS_TOML).write_text(text)
    with pytest.raises(error, match=message) as raised:
        read_labels_toml(tmp_path / LABELS_TOML)
    assert str(tmp_path / LABELS_TOML) in str(raised.value)


def test_a_missing_labels_toml_names_the_command_that_writes_one(tmp_path):
    with pytest.raises(DataError, match="segnet data init"):
        Folder(tmp_path, "train")


def test_ids_on_disk_become_class_ids_and_void(tmp_path):
    fill(tmp_path, ["a"])
    (tmp_path / "train.txt").write_text("a\n")
    sample = Folder(tmp_path, "train")[0]
    assert sample.target.tolist() == [[0, 0, 1, VOID]]
    assert sample.image.shape == (1, 4, 3)


def test_a_palette_image_counts_by_its_indices(tmp_path):
    fill(tmp_path, ["a"])
    image = Image.fromarray(np.array([[7, 1, 255]], np.uint8))
    image.putpalette([9, 9, 9] * 256)
    image.save(tmp_path / "labels" / "a.png")
    save(tmp_path / "images" / "a.png", np.zeros((1, 3, 3)))
    (tmp_path / "train.txt").write_text("a.png\n")
    assert Folder(tmp_path, "train")[0].target.tolist() == [[0, 1, VOID]]


def test_labels_painted_in_colours_are_read_and_a_palette_counts_by_its_colours(tmp_path):
    fill(tmp_path, ["a", "b"], BY_COLOUR, [[(128, 64, 128), (10, 20, 30), (255, 255, 255)]])
    image = Image.fromarray(np.array([[2, 1, 0]], np.uint8))
    image.putpalette([0, 0, 0, 10, 20, 30, 128, 64, 128])
    image.save(tmp_path / "labels" / "b.png")
    (tmp_path / "train.txt").write_text("a\nb\n")
    dataset = Folder(tmp_path, "train")
    assert dataset[0].target.tolist() == dataset[1].target.tolist() == [[0, 1, VOID]]


def test_unknown_ids_colours_and_sizes_name_the_file(tmp_path):
    fill(tmp_path, ["a", "b", "c"])
    (tmp_path / "train.txt").write_text("a\nb\nc\n")
    save(tmp_path / "labels" / "a.png", [[0, 5, 5, 1]])
    save(tmp_path / "labels" / "b.png", [[0]])
    save(tmp_path / "labels" / "c.png", [[(1, 2, 3)] * 4])
    dataset = Folder(tmp_path, "train")
    with pytest.raises(LabelError, match=r"a\.png: unknown class id 5 \(2 pixels\); known: 0\.\.1, 7, 9, 255"):
        dataset[0]
    with pytest.raises(ShapeError, match=r"labels/b\.png is \(1, 1\)"):
        dataset[1]
    with pytest.raises(LabelError, match=r"c\.png holds mode RGB"):
        dataset[2]


def test_lists_choose_and_are_checked(tmp_path):
    fill(tmp_path, ["a", "b.c"])
    (tmp_path / "val.txt").write_text("b.c\n")
    assert Folder(tmp_path, "val").names == ("b.c",)
    with pytest.raises(DataError, match=r"no split 'train'.*train\.txt or .*images/train/"):
        Folder(tmp_path, "train")
    for content, message in (("a\na.png\n", "'a.png' twice"), ("z\n", "names 'z'"), ("\n", "no image in the split")):
        (tmp_path / "val.txt").write_text(content)
        with pytest.raises(DataError, match=message):
            Folder(tmp_path, "val")


def test_a_list_may_have_the_mark_that_windows_puts_in_front_and_must_be_utf8(tmp_path):
    fill(tmp_path, ["ä"])
    (tmp_path / "val.txt").write_bytes("\ufeffä\r\n".encode())
    assert Folder(tmp_path, "val").names == ("ä",)
    (tmp_path / "val.txt").write_bytes("ä\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"val\.txt is not text in UTF-8 \(byte 0\)"):
        Folder(tmp_path, "val")


def test_an_image_whose_name_is_not_utf8_is_refused(tmp_path):
    fill(tmp_path, ["a", os.fsdecode(b"caf\xe9")])
    with pytest.raises(DataError, match=r"images/caf\\udce9\.png': the name is not valid UTF-8; rename it"):
        Folder(tmp_path, "train")


def test_sub_folders_are_splits(tmp_path):
    fill(tmp_path, ["a"], part="train")
    fill(tmp_path, ["b"], part="val")
    assert Folder(tmp_path, "train").names == ("a",)
    assert Folder(tmp_path, "val")[0].name == "b"


def test_a_split_by_name_keeps_a_fifth_and_none_changes_sides_when_images_are_added(tmp_path):
    fill(tmp_path, [f"p{i}" for i in range(100)])
    train, val = Folder(tmp_path, "train").names, Folder(tmp_path, "val").names
    assert set(train) | set(val) == {f"p{i}" for i in range(100)}
    assert not set(train) & set(val)
    assert 10 <= len(val) <= 30
    fill(tmp_path, [f"q{i}" for i in range(20)])
    assert set(val) <= set(Folder(tmp_path, "val").names)
    assert set(train) <= set(Folder(tmp_path, "train").names)
    with pytest.raises(DataError, match="gives train and val"):
        Folder(tmp_path, "test")


def test_two_images_are_one_for_each_side(tmp_path):
    fill(tmp_path, ["a", "b"])
    assert sorted([*Folder(tmp_path, "train").names, *Folder(tmp_path, "val").names]) == ["a", "b"]
    assert len(Folder(tmp_path, "val")) == 1


def test_training_keeps_an_image_where_all_names_fall_to_validation(tmp_path):
    names = [
        name for name in map(str, range(100)) if int.from_bytes(sha256(name.encode()).digest()[:8], "big") % 5 == 0
    ]
    fill(tmp_path, names[:3])
    assert (len(Folder(tmp_path, "train")), len(Folder(tmp_path, "val"))) == (1, 2)


def test_images_without_label_or_with_a_double_name_or_none_are_refused(tmp_path):
    fill(tmp_path, ["a", "b"])
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "labels" / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png is missing \(1 of 2"):
        Folder(tmp_path, "train")
    save(tmp_path / "images" / "a.bmp", np.zeros((1, 1, 3)))
    with pytest.raises(DataError, match="rename one"):
        Folder(tmp_path, "train")
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    (tmp_path / "train.txt").unlink()
    with pytest.raises(DataError, match="no image in the split 'train'"):
        Folder(tmp_path, "train")


def test_a_written_folder_reads_back_pixel_for_pixel(tmp_path):
    street = Street(6, (24, 32), seed=4)
    write_folder(tmp_path / "new", street)
    for split in ("train", "val"):
        for sample in map(Folder(tmp_path / "new", split).__getitem__, range(len(Folder(tmp_path / "new", split)))):
            original = street[street.names.index(sample.name)]
            assert np.array_equal(sample.image, original.image)
            assert np.array_equal(sample.target, original.target)
    assert Folder(tmp_path / "new", "train").label_set == street.label_set
    with pytest.raises(DataError, match="not empty"):
        write_folder(tmp_path / "new", street)


def test_a_file_written_by_hand_needs_names_only(tmp_path: Path) -> None:
    path = tmp_path / "labels.toml"
    path.write_text(
        '[[class]]\nname = "a"\n[[class]]\nname = "b"\ncolour = [128, 0, 0]\n[[class]]\nname = "c"\nids = [255]\n'
    )
    labels = read_labels_toml(path)
    assert labels.label_set.names == ("a", "b", "c")
    assert labels.label_set.colours[1] == (128, 0, 0)
    assert len(set(labels.label_set.colours)) == 3
    assert labels.ids == ((0,), (1,), (255,))
    assert labels.void_ids == ()  # 255 is a class here
