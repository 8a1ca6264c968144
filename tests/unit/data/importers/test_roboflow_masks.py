"""Roboflow's "Semantic Segmentation Masks"."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from importer_files import save_image, save_mask, save_text

from segnet.data.importers.roboflow_masks import read_roboflow_masks
from segnet.errors import DataError, LabelError

Read = Callable[..., Any]
NAME = "street_0001_jpg.rf.4f1c0a"


def export(root: Path, split: str, table: str = "Pixel Value, Class\n0, background\n1, car\n") -> Path:
    save_image(root / split / f"{NAME}{split}.jpg", (1, 3))
    save_mask(root / split / f"{NAME}{split}_mask.png", [[0, 1, 1]])
    save_text(root / split / "_classes.csv", table)
    return root


def test_splits_have_a_table_each_and_their_classes_meet_by_name(read: Read, tmp_path: Path) -> None:
    export(tmp_path, "train")
    export(tmp_path, "valid", "Pixel Value, Class\n0, background\n1, bus\n2, car\n")
    source = read(read_roboflow_masks, tmp_path)
    assert source.images.label_set.names == ("background", "car", "bus")
    assert [source.images[i].target.tolist() for i in (0, 1)] == [[[0, 1, 1]], [[0, 2, 2]]]
    assert source.splits == {"train": (f"train_{NAME}train",), "val": (f"valid_{NAME}valid",)}


def test_an_image_without_a_mask_and_a_missing_table(read: Read, tmp_path: Path) -> None:
    (export(tmp_path, "train") / "train" / f"{NAME}train_mask.png").unlink()
    with pytest.raises(DataError, match=r"rf\.4f1c0atrain\.jpg has no mask; expected .*_mask\.png"):
        read(read_roboflow_masks, tmp_path)
    (tmp_path / "train" / "_classes.csv").unlink()
    with pytest.raises(DataError, match=r"no _classes\.csv in"):
        read(read_roboflow_masks, tmp_path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("Pixel Value, Class\n1 car\n", r"_classes\.csv, line 2 is '1 car'; expected a pixel value and a name"),
        ("0, a\n300, b\n", "line 2 is '300,b'"),
        ("0, a\n0, b\n", "line 2: the value 0 is 'a' already"),
    ],
)
def test_tables_that_cannot_be_used(table: str, words: str, read: Read, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=words):
        read(read_roboflow_masks, export(tmp_path, "train", table))
