"""What a process does with the images it is given: read, predict, whole or in tiles, and write the results."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple

import numpy as np
import torch

from segnet.data.exporters.preannotations import PreAnnotations
from segnet.data.reading.archives import Archive
from segnet.data.reading.elsewhere import Source, open_source
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
from segnet.io.remote import RemoteFolder
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


class ImageWork:
    """Predicts batches of items and writes their results.

    Args:
        predictor: of the images.
        results: what is written.
        memory_gib: for this process; larger images are predicted in tiles.
        tile_px: side of the tiles; 0 uses what the memory allows.
        target: address where the results are put from `results.out`, which is then a folder of this work alone.
        scratch: folder for images that are fetched; None for that of the system.
    """

    def __init__(
        self,
        predictor: Predictor,
        results: ImageResults,
        memory_gib: float = MEMORY_GIB,
        tile_px: int = 0,
        target: str = "",
        scratch: Path | None = None,
    ) -> None:
        self.predictor, self.results = predictor, results
        self._memory_gib, self._tile_px, self._scratch = memory_gib, tile_px, scratch
        self._target = RemoteFolder(target) if target else None
        self._sources: dict[str, Source] = {}
        self._annotations = None
        if results.form:
            self._annotations = PreAnnotations(results.out, results.form, predictor.label_set, results.tolerance_px)

    def __call__(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """Predicts items, neighbours of one size together.

        Yields:
            An outcome for each, in their order; a file that cannot be read fails alone.

        Raises:
            DataError: a result cannot be written.
            ConfigError: uncertainty asked of a model without dropout, or too little memory for any tile.
        """
        group: list[tuple[Item, Path]] = []
        images: list[Image8] = []
        limit, reading = self.results.pixel_limit, self.predictor.reading
        with self._fetching(items) as folder:
            for number, item in enumerate(items):
                path, tile_px, image, failed = Path(item.address), 0, None, ""
                try:
                    if item.source:
                        path = self._fetched(item, folder / str(number))
                    tile_px = tile_px_of(path, self.predictor, self._memory_gib, self._tile_px, limit)
                    image = None if tile_px else read_image(path, limit, reading)
                except DataError as error:
                    failed = str(error).replace(str(path), item.address)
                if group and (image is None or images[0].shape != image.shape):
                    yield from self._whole(group, images)
                    group, images = [], []
                if image is not None:
                    group.append((item, path))
                    images.append(image)
                else:
                    yield Outcome({}, failed) if failed else self._in_tiles(path, item, tile_px)
            if group:
                yield from self._whole(group, images)

    def close(self) -> None:
        """Closes archives."""
        for source in self._sources.values():
            if isinstance(source, Archive):
                source.close()
        self._sources = {}

    def _whole(self, group: Sequence[tuple[Item, Path]], images: Sequence[Image8]) -> Iterable[Outcome]:
        predictions = self.predictor.batch(
            images,
            confidence=self.results.confidence,
            probabilities=self.results.probabilities,
            uncertainty_samples=self.results.uncertainty_samples,
        )
        for (item, path), prediction in zip(group, predictions, strict=True):
            save_results(prediction, path, item.stem, self.results, self._annotations)
            self._deliver()
            yield Outcome(_pixels(Counter(), prediction, self.predictor.label_set))

    def _in_tiles(self, path: Path, item: Item, tile_px: int) -> Outcome:
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
                item.stem,
                opacity=self.results.opacity,
                ids=self.results.ids,
                georeference=georeference_of(path),
                cog=self.results.cog,
            )
        except (DataError, ConfigError) as error:
            return Outcome({}, str(error).replace(str(path), item.address))
        self._deliver()
        return Outcome(dict(pixels))

    @contextmanager
    def _fetching(self, items: Sequence[Item]) -> Iterator[Path]:
        """A folder for the images that are not on this machine, while they are worked on."""
        if not any(item.source for item in items):
            yield Path()
            return
        with TemporaryDirectory(prefix="segnet-images-", dir=self._scratch) as folder:
            yield Path(folder)

    def _fetched(self, item: Item, folder: Path) -> Path:
        """The image on this machine: its name there says nothing but its kind."""
        if item.source not in self._sources:
            self._sources[item.source] = open_source(item.source)
        source = self._sources[item.source]
        suffix = PurePosixPath(item.name).suffix.lower()
        folder.mkdir()
        path = folder / f"image{suffix if suffix[1:].isalnum() else ''}"
        is_one_file = isinstance(source, RemoteFolder) and item.address == source.address
        source.fetch("" if is_one_file else item.name, path)
        return path

    def _deliver(self) -> None:
        """Puts the files of one image to the target; what says that it is done, its classes, last."""
        if self._target is None:
            return
        out = self.results.out
        for path in sorted(out.rglob("*"), key=lambda path: path.name.endswith("-classes.png")):
            if path.is_file():
                self._target.put(path, path.relative_to(out).as_posix())
                path.unlink()


@dataclass(frozen=True)
class WorkOpener:
    """Makes an `ImageWork` in a process; can be pickled, and holds no weights itself.

    Args:
        settings: arguments of `Predictor`, for a process that opens its own.
        shared: file of `share`, whose weights all processes map into memory; None where each opens its own.
        results, memory_gib, tile_px, target: of `ImageWork`.
        threads: of PyTorch.
        scratch: folder that the parent removes at the end.
    """

    settings: dict[str, object]
    shared: Path | None
    results: ImageResults
    memory_gib: float
    tile_px: int
    threads: int
    target: str
    scratch: Path

    def __call__(self) -> ImageWork:
        """Opens the predictor; errors as for `Predictor`."""
        torch.set_num_threads(self.threads)
        if self.shared is None:
            predictor = Predictor(**self.settings)  # type: ignore[arg-type]
        else:  # written by the parent a moment ago, in a folder of its own
            predictor = torch.load(self.shared, mmap=True, weights_only=False)
        return self.work_of(predictor)

    def work_of(self, predictor: Predictor) -> ImageWork:
        """The work with a predictor that is open already."""
        results = self.results
        if self.target:
            results = replace(results, out=Path(mkdtemp(prefix="results-", dir=self.scratch)))
        return ImageWork(predictor, results, self.memory_gib, self.tile_px, self.target, self.scratch)


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


def _pixels(counts: Counter[str], prediction: Prediction, label_set: LabelSet) -> dict[str, int]:
    """Adds the pixels of each class to `counts`."""
    found = np.bincount(prediction.classes.ravel(), minlength=label_set.num_classes)
    counts.update({name: int(n) for name, n in zip(label_set.names, found.tolist(), strict=False) if n})
    return dict(counts)
