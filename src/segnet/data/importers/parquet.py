"""Hugging Face datasets: Parquet files, or what `save_to_disk` writes, with a column of images and one of label images.

    SRC/data/train-00000-of-00001.parquet                  as on the hub
    SRC/train/data-00000-of-00001.arrow                    as `save_to_disk` writes

The column of label images is called label, annotation, mask or the like. Class names come from an `id2label.json`;
without it the values in the label images are the classes. Needs pyarrow (`pip install "segnet[parquet]"`).
"""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from segnet.data.importers.annotations import Annotations, MaskImage
from segnet.data.importers.classes import plain_name
from segnet.data.importers.listing import Listing
from segnet.data.importers.masks import annotations_of_values
from segnet.data.importers.parsing import parse_json_mapping
from segnet.data.importers.problems import ImportContext
from segnet.data.importers.source import split_word
from segnet.errors import ConfigError, DataError, LabelError
from segnet.io.text import whole_number

_IMAGES = ("image", "images", "pixel_values", "img", "input", "jpg", "png")
_LABELS = (
    *("label", "labels", "annotation", "annotations", "mask", "masks", "segmentation", "segmentation_mask"),
    *("semantic_segmentation", "ground_truth", "gt", "target", "label_map", "output"),
)
_BEGINNINGS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"II*\0": ".tif", b"MM\0*": ".tif", b"BM": ".bmp"}
_BATCH = 32


def recognise_parquet(listing: Listing) -> str:
    """Why a source is a Hugging Face dataset; empty where it is not."""
    files = listing.ending(".parquet", ".arrow")
    return f"it holds {files[0].name}" if files else ""


def read_parquet(src: Path, context: ImportContext) -> Annotations:
    """Reads every Parquet or Arrow file below a folder, or one.

    Args:
        src: the file or the folder.
        context: its scratch folder gets the images; rows without an image or labels are problems.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: no file, a broken one, or one without a column of images and one of label images.
    """
    files = [src] if src.is_file() else sorted(p for p in src.rglob("[!.]*") if p.suffix in (".parquet", ".arrow"))
    files = [path for path in files if not path.name.startswith((".", "cache-"))]
    if not files:
        raise DataError(f"no Parquet or Arrow file in {src}; expected those of a Hugging Face dataset")
    root = src.parent if src.is_file() else src
    names = _names(root)
    pairs, images = list[tuple[Path, Path, str]](), list[MaskImage]()
    for path in files:
        split = split_word(" ".join(path.relative_to(root).with_suffix("").parts))
        with context.problems.collect():
            for number, (image, labels) in enumerate(_rows(path)):
                with context.problems.collect():
                    where = f"{path}, row {number}"
                    stem = f"{split or re.split(r'-[0-9]', path.stem)[0]}-{len(pairs):06d}"
                    image_path = _write(image, context.scratch / "images" / stem, f"{where}: the image")
                    labels_path = _write(labels, context.scratch / "masks" / stem, f"{where}: the label image")
                    pairs.append((image_path, labels_path, split))
                    images.append(MaskImage(image_path, labels_path, names, split=split))
    if not pairs:
        context.problems.raise_any()
        raise DataError(f"{src} holds no row")
    return (
        Annotations(tuple(images), dict.fromkeys(names.values()))
        if names
        else annotations_of_values(pairs, src, context)
    )


def _names(root: Path) -> Mapping[int, str]:
    """Id -> class name from an `id2label.json`; empty where there is none."""
    for path in sorted(root.rglob("id2label.json")):
        record = parse_json_mapping(path, "a mapping of ids to names")
        named = all(isinstance(name, str) and name.strip() for name in record.values())
        if not named or None in map(whole_number, record):
            raise LabelError(f'{path} is not a mapping of ids to names such as {{"0": "road"}}')
        return {int(key): plain_name(name) for key, name in record.items()} | {255: "void"}
    return {}


def _rows(path: Path) -> Iterator[tuple[Any, Any]]:
    """Image and label image of each row, as the file holds them."""
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError('pyarrow is not installed; run pip install "segnet[parquet]"') from None
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                image, labels = _columns(file.schema_arrow.names, path)
                for batch in file.iter_batches(_BATCH, columns=[image, labels]):
                    yield from zip(batch.column(image).to_pylist(), batch.column(labels).to_pylist(), strict=True)
            return
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            image, labels = _columns(stream.schema.names, path)
            for batch in stream:
                yield from zip(batch.column(image).to_pylist(), batch.column(labels).to_pylist(), strict=True)
    except (pa.ArrowException, OSError) as cause:
        if isinstance(cause, DataError):
            raise
        raise DataError(f"{path} cannot be read: {' '.join(str(cause).split())}") from None


def _columns(names: list[str], path: Path) -> tuple[str, str]:
    """The columns of images and of label images."""
    image = next((name for known in _IMAGES for name in names if name.lower() == known), None)
    labels = next((name for known in _LABELS for name in names if name.lower() == known and name != image), None)
    if image is None or labels is None:
        raise DataError(f"{path} has the columns {', '.join(names)}; expected one called image and one called label")
    return image, labels


def _write(cell: Any, path: Path, where: str) -> Path:
    """A cell of an image column, as a file: its bytes are those of an image file already."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes) or not data:
        raise DataError(f"{where} is not stored in the file; expected images with their bytes")
    ending = next((end for start, end in _BEGINNINGS.items() if data.startswith(start)), ".png")
    path.parent.mkdir(exist_ok=True)
    written = path.with_name(f"{path.name}{ending}")
    written.write_bytes(data)
    return written
