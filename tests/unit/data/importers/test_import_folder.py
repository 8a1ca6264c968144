import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.datasets.folder import Folder
from segnet.data.exporters.annotation_files import write_coco, write_labelme
from segnet.data.importers import import_dataset
from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.formats import FORMATS, ImportFormat
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError, DataError, ShapeError
from segnet.labels import VOID

STREET = Street(5, (48, 64), seed=3)


@pytest.mark.parametrize(("tool", "write"), [("labelme", write_labelme), ("coco", write_coco)])
def test_drawn_streets_come_back_pixel_for_pixel(tmp_path: Path, tool: str, write: object) -> None:
    write(tmp_path / "labelled", STREET)  # type: ignore[operator]
    lines = import_dataset(tmp_path / "labelled", tmp_path / "data", data_format=tool, rest="void")
    assert lines[0].startswith("5 images in ")
    assert "road 5" in lines[1]
    assert lines[2] == "pixels that no shape covers are void (--rest)"
    seen = set[str]()
    for split in ("train", "val"):
        data = Folder(tmp_path / "data", split)
        ids = {n: i for i, n in enumerate(STREET.label_set.names)}
        table = np.array([ids[n] for n in data.label_set.names] + [VOID] * (256 - data.label_set.num_classes))
        for sample in map(data.__getitem__, range(len(data))):
            original = STREET[STREET.names.index(sample.name)]
            assert np.array_equal(table[sample.target], original.target)
            assert np.array_equal(sample.image, original.image)
            seen.add(sample.name)
    assert seen == set(STREET.names)


def labelled(root: Path, points: list[list[float]], size_px: tuple[int, int] = (4, 6)) -> Path:
    root.mkdir()
    Image.fromarray(np.zeros((*size_px, 3), np.uint8)).save(root / "x.JPG")
    shapes = [{"label": name, "points": points, "shape_type": "polygon"} for name in ("a", "b")]
    record = {"shapes": shapes, "imagePath": "x.JPG", "imageHeight": 4, "imageWidth": 6}
    (root / "x.json").write_text(json.dumps(record))
    return root


def test_images_are_copied_as_they_are_and_overlaps_are_said(tmp_path: Path) -> None:
    src = labelled(tmp_path / "src", [[0, 0], [3, 0], [3, 2], [0, 2]])
    lines = import_dataset(src, tmp_path / "out", data_format="labelme")
    assert (tmp_path / "out" / "images" / "x.jpg").read_bytes() == (src / "x.JPG").read_bytes()
    words = "later shapes are drawn over earlier ones (--order)"
    assert f"6 pixels in 1 images lie in shapes of different classes; there {words}" in lines
    assert "classes, and in how many images: background 1, a 0, b 1" in lines
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["images", "labels", "labels.toml"]


def test_splits_of_the_source_become_lists(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_coco(tmp_path / "src" / split, Street(2, (24, 32), seed=len(split)))
    assert "splits: train 2, val 2" in import_dataset(
        tmp_path / "src", tmp_path / "out", data_format="coco", rest="void"
    )
    assert Folder(tmp_path / "out", "val").names == ("val_images_street-3-0000", "val_images_street-3-0001")


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    src = labelled(tmp_path / "src", [[0, 0], [3, 0], [3, 2]], size_px=(5, 6))
    with pytest.raises(ShapeError, match=r"x\.json says \(4, 6\)"):
        import_dataset(src, tmp_path / "out", data_format="labelme")
    assert [p.name for p in tmp_path.iterdir()] == ["src"]


def annotations_of(root: Path, files: list[str], names: tuple[str, ...]) -> Annotations:
    paths = [root / file for file in files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((1, 1), np.uint8)).save(path)
    images = tuple(MaskImage(path, path, {0: "road"}, split="train") for path in paths)
    return Annotations(images, {"road": None}, names=names)


def format_that_finds(found: Annotations) -> ImportFormat:
    return ImportFormat("a format", lambda listing: "", lambda src, context: found)


@pytest.mark.parametrize(
    ("files", "names", "words"),
    [
        (["a/x.png", "b/x.png"], ("x", "x"), "2 images would be called 'x', .*b/x.png; rename all but one"),
        (["x .png"], ("x ",), "'x ' begins or ends with a space, or breaks a line"),
        ([os.fsdecode(b"caf\xe9.png")], ("cafe",), r"caf\\udce9\.png': the name is not valid UTF-8; rename it"),
    ],
)
def test_names_that_would_lose_an_image_are_refused(
    files: list[str], names: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = annotations_of(tmp_path / "src", files, names)
    monkeypatch.setitem(FORMATS, "colours", format_that_finds(found))
    with pytest.raises(DataError, match=words):
        import_dataset(tmp_path / "src", tmp_path / "out", data_format="colours")
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_options_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src = labelled(tmp_path / "src", [[0, 0], [3, 0], [3, 2]])
    with pytest.raises(ConfigError, match="unknown format 'labelmee'; did you mean 'labelme'"):
        import_dataset(src, tmp_path / "out", data_format="labelmee")
    monkeypatch.setitem(FORMATS, "voc", format_that_finds(annotations_of(tmp_path, ["x.png"], ("x",))))
    with pytest.raises(ConfigError, match="no rest to be 'void'"):
        import_dataset(src, tmp_path / "out", data_format="voc", rest="void")
    with pytest.raises(ConfigError, match="unknown order 'size'; known: file, area"):
        import_dataset(src, tmp_path / "out", order="size")
    with pytest.raises(ConfigError, match="colour tolerance 256; expected 0 to 255"):
        import_dataset(src, tmp_path / "out", colour_tolerance=256)
    with pytest.raises(DataError, match="nowhere does not exist"):
        import_dataset(tmp_path / "nowhere", tmp_path / "out", data_format="coco")
    with pytest.raises(DataError, match="is not empty"):
        import_dataset(src, src, data_format="labelme")
