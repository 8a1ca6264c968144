"""Images and label images without names of classes: two folders, or the columns of a Hugging Face dataset."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from importer_files import save_image, save_mask
from PIL import Image

from segnet.data.datasets.folder import Folder
from segnet.data.importers import import_dataset
from segnet.data.importers.masks import read_masks
from segnet.data.importers.parquet import read_parquet
from segnet.errors import DataError, LabelError
from segnet.labels import VOID

Read = Callable[..., Any]
PIXELS = [[0, 1, 2]]


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/a.png", "masks/a_mask.png"),
        ("images/a.jpg", "masks/a.png"),
        ("images/a.JPG", "labels/a.PNG"),
        ("img/a.png", "gt/a.tif"),
        ("imgs/a.png", "masks/a-mask.png"),
        ("train/images/a.png", "train/masks/a.png"),
        ("images/train/a.png", "masks/train/a_L.png"),
        ("train/a.png", "train_labels/a.png"),
        ("images/north/1/a.png", "masks/north/1/a.png"),
    ],
)
def test_usual_names_of_folders_and_files(image: str, labels: str, read: Read, tmp_path: Path) -> None:
    save_image(tmp_path / image, (1, 3))
    save_mask(tmp_path / labels, PIXELS)
    source = read(read_masks, tmp_path)
    assert source.images[0].target.tolist() == PIXELS
    assert source.images.label_set.names == ("class-0", "class-1", "class-2")
    assert list(source.splits) == (["train"] if "train" in image else [])


def test_an_image_without_labels_or_with_two_is_a_problem(read: Read, tmp_path: Path) -> None:
    save_image(tmp_path / "images" / "a.png", (1, 3))
    save_mask(tmp_path / "masks" / "b.png", PIXELS)
    with pytest.raises(DataError, match=r"images/a\.png has no labels; expected .*masks/a\.png"):
        read(read_masks, tmp_path)
    save_mask(tmp_path / "masks" / "a.png", PIXELS)
    save_mask(tmp_path / "masks" / "a.tif", PIXELS)
    with pytest.raises(DataError, match=r"a\.png has 2 label images, .*a\.png and .*a\.tif"):
        read(read_masks, tmp_path)


def test_label_images_that_are_photographs_are_refused_by_their_own_names(read: Read, tmp_path: Path) -> None:
    save_image(tmp_path / "images" / "a.png", (40, 40))
    save_mask(tmp_path / "masks" / "a.png", np.random.default_rng(0).integers(0, 256, (40, 40, 3)))
    with pytest.raises(LabelError, match=r"masks/a\.png: \d+ different colours"):
        read(read_masks, tmp_path)


def cell(pixels: Any, name: str) -> dict[str, Any]:
    data = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(data, "PNG")
    return {"bytes": data.getvalue(), "path": name}


def table(count: int, labels: str = "label") -> Any:
    pa = pytest.importorskip("pyarrow")
    images = [cell(np.full((1, 3, 3), i), f"{i}.png") for i in range(count)]
    image = pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    masks = pa.array([cell(PIXELS, f"m{i}.png") for i in range(count)], image.type)
    columns = pa.table({"image": image, labels: masks, "scene": pa.array(["street"] * count)})
    features = {"image": {"_type": "Image"}, labels: {"_type": "Image"}}
    return columns.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.mark.parametrize("column", ["label", "annotation", "mask"])
def test_parquet_files_of_the_hub(column: str, read: Read, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "data").mkdir()
    for split in ("train", "validation"):
        pq.write_table(table(2, column), tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    source = read(read_parquet, tmp_path)
    assert [int(source.images[i].image[0, 0, 0]) for i in range(4)] == [0, 1, 0, 1]
    assert source.images[3].target.tolist() == PIXELS
    assert source.splits == {"train": ("train-000000", "train-000001"), "val": ("val-000002", "val-000003")}


def test_arrow_files_of_save_to_disk_with_names_of_classes(read: Read, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    (tmp_path / "train").mkdir()
    path = str(tmp_path / "train" / "data-00000-of-00001.arrow")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table(1).schema) as stream:
        stream.write_table(table(1))
    (tmp_path / "id2label.json").write_text('{"0": "road", "1": "car", "2": "void"}')
    source = read(read_parquet, tmp_path)
    assert source.images.label_set.names == ("road", "car")
    assert source.images[0].target.tolist() == [[0, 1, VOID]]


def test_columns_that_hold_no_label_images(read: Read, tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(table(1).drop_columns(["label"]), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet has the columns image, scene; expected one called image and"):
        read(read_parquet, tmp_path)
    numbers = table(1).set_column(1, "label", pa.array([3]))
    pq.write_table(numbers, tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet, row 0: the label image is not stored in the file"):
        read(read_parquet, tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"PAR1 broken PAR1")
    with pytest.raises(DataError, match=r"train\.parquet cannot be read"):
        read(read_parquet, tmp_path)


@pytest.mark.parametrize(
    ("ids", "void"),
    [
        *(((38, 78, 128), []), ((0, 255), []), ((1, 2, 3), []), ((1000, 2000), [])),
        *(((1, 2, 255), [255]), ((0, 1, 2), [])),
    ],
)
def test_the_ids_of_the_label_images_are_kept(ids: tuple[int, ...], void: list[int], tmp_path: Path) -> None:
    """So that predictions of a model that was trained on the import hold the ids that the user knows."""
    save_image(tmp_path / "src" / "images" / "a.png", (1, len(ids)))
    save_mask(tmp_path / "src" / "masks" / "a.png", [list(ids)])
    said = " ".join(import_dataset(tmp_path / "src", tmp_path / "out"))
    assert ("255 -> ignored (255 beside small ids" in said) == bool(void)
    assert "segnet-import-" not in said  # names the files of the user
    data = Folder(tmp_path / "out", "val")
    classes = [i for i in ids if i not in void]
    assert data[0].target.tolist() == [[*range(len(classes)), *([VOID] * len(void))]]
    with Image.open(tmp_path / "out" / "labels" / "a.png") as image:
        assert np.asarray(image).tolist() == [list(ids)]
        assert json.loads(image.text["classes"]) == {str(i): f"class-{i}" for i in classes}  # type: ignore[attr-defined]
    assert data.label_set.file_ids == (() if classes == [0, 1, 2] else tuple(classes))
