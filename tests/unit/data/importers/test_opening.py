"""From what the user names to exports: archives, folders in folders, several batches of one project."""

import shutil
from pathlib import Path

import pytest
from export_samples import SAMPLES, image

from segnet.data.datasets.folder import Folder
from segnet.data.importers import import_dataset
from segnet.data.importers.listing import Listing
from segnet.data.importers.opening import open_exports
from segnet.errors import DataError


def sample(root: Path, name: str = "coco") -> Path:
    root.mkdir(parents=True)
    SAMPLES[name](root)
    return root


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_an_archive_that_wraps_everything_in_one_folder(kind: str, tmp_path: Path) -> None:
    sample(tmp_path / "packed" / "project-export")
    path = Path(shutil.make_archive(str(tmp_path / "batch"), kind, tmp_path / "packed"))
    lines = import_dataset(path, tmp_path / "out")
    assert lines[0].startswith(f"{path} is COCO (coco): instances_default.json has images")
    assert lines[1].startswith("2 images in ")
    assert Folder(tmp_path / "out", "val").label_set.names == ("background", "road", "car")


def test_batches_in_one_folder_merge_and_images_of_one_name_stay_apart(tmp_path: Path) -> None:
    sample(tmp_path / "src" / "batch-1", "yolo")
    sample(tmp_path / "packed", "cvat")
    shutil.make_archive(str(tmp_path / "src" / "batch-2"), "zip", tmp_path / "packed")
    lines = import_dataset(tmp_path / "src", tmp_path / "out")
    assert [line.split(" is ")[1].split(":")[0] for line in lines[:2]] == [
        "YOLO segmentation (yolo)",
        "CVAT XML (cvat)",
    ]
    names = sorted(path.stem for path in (tmp_path / "out" / "images").iterdir())
    assert names == ["a", "b", "train_a", "val_b"]
    assert "classes, and in how many images: background 4, road 4, car 4" in lines


def test_an_archive_that_was_unpacked_beside_itself_or_lies_in_an_export_is_not_read_again(tmp_path: Path) -> None:
    sample(tmp_path / "src" / "batch", "coco")
    shutil.make_archive(str(tmp_path / "src" / "batch"), "zip", tmp_path / "src" / "batch")
    assert import_dataset(tmp_path / "src", tmp_path / "out")[1].startswith("2 images in ")
    sample(tmp_path / "via", "via")
    shutil.make_archive(str(tmp_path / "via" / "images"), "zip", tmp_path / "src")
    (export,) = open_exports([tmp_path / "via"], None, tmp_path)
    assert export.note.endswith("; images.zip in it is not read")


def test_archives_in_archives_are_opened_to_a_depth(tmp_path: Path) -> None:
    sample(tmp_path / "0")
    for depth in range(4):
        (tmp_path / f"{depth + 1}").mkdir()
        shutil.make_archive(str(tmp_path / f"{depth + 1}" / "a"), "zip", tmp_path / f"{depth}")
    (tmp_path / "room").mkdir()
    (export,) = open_exports([tmp_path / "3"], None, tmp_path / "room")
    assert export.data_format == "coco"
    with pytest.raises(DataError, match=r"a\.zip lies in 3 archives, one in the other"):
        open_exports([tmp_path / "4"], None, tmp_path / "room")


def test_several_sources_with_images_of_one_name_get_the_name_of_their_source(tmp_path: Path) -> None:
    sources = [sample(tmp_path / "one", "via"), sample(tmp_path / "two", "labelme")]
    import_dataset(sources, tmp_path / "out")
    names = sorted(path.stem for path in (tmp_path / "out" / "images").iterdir())
    assert names == ["one_a", "one_b", "two_a", "two_b"]
    data = Folder(tmp_path / "out", "train")
    assert set(data.label_set.names) == {"background", "road", "car"}


def test_a_single_json_file_is_enough(tmp_path: Path) -> None:
    (export,) = open_exports([sample(tmp_path / "x") / "annotations" / "instances_default.json"], None, tmp_path)
    assert export.data_format == "coco"


def test_a_second_format_that_would_fit_is_named(tmp_path: Path) -> None:
    sample(tmp_path / "x", "coco")
    image(tmp_path / "x" / "masks" / "a.png")
    (export,) = open_exports([tmp_path / "x"], None, tmp_path)
    assert export.note.endswith("it could also be read as masks (--from)")


def test_a_folder_of_no_known_format_is_described(tmp_path: Path) -> None:
    for name in ("a.docx", "b.docx", "c.txt"):
        (tmp_path / name).write_text("x")
    with pytest.raises(
        DataError, match=r"has no format known here: it holds 2 \.docx, 1 \.txt\. Known: .*COCO \(coco\)"
    ):
        open_exports([tmp_path], None, tmp_path)
    (tmp_path / "labels.toml").write_text("")
    with pytest.raises(DataError, match=r"is a dataset already \(labels\.toml\); run `segnet data check"):
        open_exports([tmp_path], None, tmp_path)


def test_a_link_to_a_folder_above_does_not_end_in_a_circle(tmp_path: Path) -> None:
    root = sample(tmp_path / "x")
    (root / "images" / "again").symlink_to(root, target_is_directory=True)
    assert len(Listing(root).files) == 3
    (export,) = open_exports([root], None, tmp_path)
    assert export.data_format == "coco"
