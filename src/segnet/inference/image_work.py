"""What a process does with the images it is given: read, predict, whole or in tiles, and write the results."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from segnet.data.exporters.preannotations import PreAnnotations
from segnet.data.reading.georeference import georeference_of
from segnet.data.reading.images import read_image
from segnet.data.reading.windows import open_windows
from segnet.data.sample import Image8
from segnet.errors import ConfigError, DataError
from segnet.inference.bands import save_bands
from segnet.inference.images import ImageResults, save_results
from segnet.inference.item import Item
from segnet.inference.prediction import Prediction
from segnet.inference.predictor import Predictor
from segnet.inference.tiles import MEMORY_GIB, Tiling, predict_in_tiles, tile_px_of
from segnet.labels import LabelSet
from segnet.runtime.eager import EagerBackend
from segnet.runtime.plain import PlainBackend


class Outcome(NamedTuple):
    """What became of an image.

    Attributes:
        pixels: of each class that it has, by name; empty where it failed.
        failed: why there is no result; empty where there is one.
    """

    pixels: dict[str, int]
    failed: str = ""


@dataclass(frozen=True)
class ImageWork:
    """Predicts batches of items and writes their results.

    Args:
        predictor: of the images.
        results: what is written.
        memory_gib: for this process; larger images are predicted in tiles.
        tile_px: side of the tiles; 0 uses what the memory allows.
    """

    predictor: Predictor
    results: ImageResults
    memory_gib: float = MEMORY_GIB
    tile_px: int = 0
    annotations: PreAnnotations | None = field(init=False)

    def __post_init__(self) -> None:
        written = None
        if self.results.form:
            written = PreAnnotations(
                self.results.out, self.results.form, self.predictor.label_set, self.results.tolerance_px
            )
        object.__setattr__(self, "annotations", written)

    def __call__(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """Predicts items, neighbours of one size together.

        Yields:
            An outcome for each, in their order; a file that cannot be read fails alone.

        Raises:
            DataError: a result cannot be written.
            ConfigError: uncertainty asked of a model without dropout, or too little memory for any tile.
        """
        group: list[Item] = []
        images: list[Image8] = []
        for item in items:
            path = Path(item.address)
            tile_px = tile_px_of(path, self.predictor, self.memory_gib, self.tile_px, self.results.pixel_limit)
            image: Image8 | None = None
            failed = ""
            try:
                image = None if tile_px else read_image(path, self.results.pixel_limit, self.predictor.reading)
            except DataError as error:
                failed = str(error)
            if group and (image is None or images[0].shape != image.shape):
                yield from self._whole(group, images)
                group, images = [], []
            if image is not None:
                group.append(item)
                images.append(image)
            else:
                yield Outcome({}, failed) if failed else self._in_tiles(path, item.stem, tile_px)
        if group:
            yield from self._whole(group, images)

    def _whole(self, items: Sequence[Item], images: Sequence[Image8]) -> Iterable[Outcome]:
        predictions = self.predictor.batch(
            images,
            confidence=self.results.confidence,
            probabilities=self.results.probabilities,
            uncertainty_samples=self.results.uncertainty_samples,
        )
        for item, prediction in zip(items, predictions, strict=True):
            save_results(prediction, Path(item.address), item.stem, self.results, self.annotations)
            yield Outcome(_pixels(Counter(), prediction, self.predictor.label_set))

    def _in_tiles(self, path: Path, stem: str, tile_px: int) -> Outcome:
        pixels: Counter[str] = Counter()

        def counted(bands: Iterable[Prediction]) -> Iterator[Prediction]:
            for band in bands:
                _pixels(pixels, band, band.label_set)
                yield band

        try:
            self.results.require_tiles(path)
            image = open_windows(path, self.results.pixel_limit, self.predictor.reading)
            bands = predict_in_tiles(
                self.predictor,
                image,
                Tiling(image.size_px, tile_px),
                confidence=self.results.confidence,
                uncertainty_samples=self.results.uncertainty_samples,
            )
            save_bands(
                counted(bands),
                image.size_px,
                self.results.out,
                stem,
                opacity=self.results.opacity,
                ids=self.results.ids,
                georeference=georeference_of(path),
                cog=self.results.cog,
            )
        except (DataError, ConfigError) as error:
            return Outcome({}, str(error))
        return Outcome(dict(pixels))


@dataclass(frozen=True)
class WorkOpener:
    """Makes an `ImageWork` in a process; can be pickled, and holds no weights itself.

    Args:
        settings: arguments of `Predictor`, for a process that opens its own.
        shared: file of `share`, whose weights all processes map into memory; None where each opens its own.
        results, memory_gib, tile_px: of `ImageWork`.
        threads: of PyTorch.
    """

    settings: dict[str, object]
    shared: Path | None
    results: ImageResults
    memory_gib: float = MEMORY_GIB
    tile_px: int = 0
    threads: int = 1

    def __call__(self) -> ImageWork:
        """Opens the predictor; errors as for `Predictor`."""
        torch.set_num_threads(self.threads)
        if self.shared is None:
            predictor = Predictor(**self.settings)  # type: ignore[arg-type]
        else:  # written by the parent a moment ago, in a folder of its own
            predictor = torch.load(self.shared, mmap=True, weights_only=False)
        return ImageWork(predictor, self.results, self.memory_gib, self.tile_px)


def share(predictor: Predictor, folder: Path) -> Path | None:
    """Writes a predictor so that processes map its weights, prepared as they are, instead of copying them.

    Returns:
        The file; None for a GPU, which copies, and for runtimes that only open files of their own.
    """
    on_cpu = predictor.device_spec.device.type == "cpu"
    if not on_cpu or not isinstance(predictor.backend, EagerBackend | PlainBackend):
        return None
    path = folder / "predictor.pt"
    torch.save(predictor, path)
    return path


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pixels(counts: Counter[str], prediction: Prediction, label_set: LabelSet) -> dict[str, int]:
    """Adds the pixels of each class to `counts`."""
    found = np.bincount(prediction.classes.ravel(), minlength=label_set.num_classes)
    counts.update({name: int(n) for name, n in zip(label_set.names, found.tolist(), strict=False) if n})
    return dict(counts)
