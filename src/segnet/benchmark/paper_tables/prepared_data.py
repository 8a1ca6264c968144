"""The images that all models of a benchmark see: resized once and stored as a dataset."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from segnet.data.datasets.folder import write_folder
from segnet.data.sample import Dataset, Sample
from segnet.errors import ConfigError, DataError
from segnet.io.files import whole_file
from segnet.labels import LabelSet


class Resized:
    """Several splits in sequence, all images at one size: images averaged or interpolated, labels by nearest pixel.

    Args:
        splits: by name, all of one label set.
        size_px: (height, width).
    """

    def __init__(self, splits: Mapping[str, Dataset], size_px: tuple[int, int]) -> None:
        self.size_px = size_px
        self._places = [(split, dataset, i) for split, dataset in splits.items() for i in range(len(dataset))]
        self.names = tuple(_file_name(split, dataset.names[i]) for split, dataset, i in self._places)
        self.label_set: LabelSet = next(iter(splits.values())).label_set

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        _, dataset, place = self._places[index]
        sample = dataset[place]
        if sample.target.shape == self.size_px:
            return Sample(sample.image, sample.target, self.names[index])
        size = (self.size_px[1], self.size_px[0])  # PIL counts (width, height)
        image = Image.fromarray(sample.image).resize(size, Image.Resampling.BILINEAR, reducing_gap=None)
        target = Image.fromarray(sample.target).resize(size, Image.Resampling.NEAREST)
        return Sample(np.asarray(image), np.asarray(target), self.names[index])


def prepare_data(folder: Path, splits: Mapping[str, Dataset], size_px: tuple[int, int], source: str) -> Path:
    """Writes splits at one size in the folder layout, once.

    Args:
        folder: of the copy, written whole or not at all.
        splits: by name, all of one label set.
        size_px: (height, width).
        source: description of the original, for the check if the copy exists already.

    Raises:
        ConfigError: the folder holds a copy of something else.
        DataError: a split has no labels, an image cannot be read, or the copy cannot be written.
    """
    facts = {"source": source, "size_px": list(size_px), "images": {k: len(v) for k, v in splits.items()}}
    if (folder / "copy.json").exists():
        before = json.loads((folder / "copy.json").read_text())
        if before != facts:
            raise ConfigError(f"{folder} holds a copy of {before}, now {facts} is expected; use another --out")
        return folder
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_folder(unfinished, Resized(splits, size_px))
    for split, dataset in splits.items():
        names = "".join(f"{_file_name(split, name)}\n" for name in dataset.names)
        with whole_file(unfinished / f"{split}.txt") as temporary:
            temporary.write_text(names, encoding="utf-8")
    with whole_file(unfinished / "copy.json") as temporary:
        temporary.write_text(json.dumps(facts))
    unfinished.rename(folder)
    return folder


def require_labels(dataset: Dataset, where: str) -> None:
    """Whether any of the first images is labelled.

    Raises:
        DataError: the first ten have no labelled pixel: such a split cannot be trained on or scored.
    """
    num_classes = dataset.label_set.num_classes
    if not any((dataset[i].target < num_classes).any() for i in range(min(len(dataset), 10))):
        raise DataError(f"{where} has no labels to train on or to score; choose a split that is labelled")


def _file_name(split: str, name: str) -> str:
    return f"{split}-{name.replace('/', '-')}"
