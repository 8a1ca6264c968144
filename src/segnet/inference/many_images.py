"""Very many images by several processes: each gets one result, and a second run goes on where the first stopped."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch

from segnet.data.exporters.preannotations import PreAnnotations
from segnet.errors import ConfigError
from segnet.inference.image_work import ImageWork, Outcome, WorkOpener, share
from segnet.inference.images import ImageResults
from segnet.inference.item import Item, require_different
from segnet.inference.journal import Journal
from segnet.inference.predictor import Predictor
from segnet.inference.published_journal import PublishedJournal
from segnet.inference.tiles import MEMORY_GIB
from segnet.inference.worker_pool import Lost, run_in_workers
from segnet.io.files import remove_left_over, sha256_of
from segnet.io.remote import RemoteFolder
from segnet.labels import LabelSet
from segnet.machine import usable_cores
from segnet.weights.finding import find_weights

_ONE_FILE_EACH = ("", "labelme", "yolo", "geojson")
_MOST_BATCH = 256


@dataclass
class ManyResults:
    """What became of many images.

    Attributes:
        num_images: all that were given.
        num_before: those that an earlier run had done.
        failed: address and reason of each that has no result.
        seconds: of this run.
        changed: names of settings that differ from the last run in the folder, whose results were all replaced.
    """

    num_images: int
    num_before: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    changed: Sequence[str] = ()

    @property
    def num_done(self) -> int:
        """Images that have a result, of this or an earlier run."""
        return self.num_images - len(self.failed)

    @property
    def images_per_s(self) -> float:
        """Of this run."""
        return (self.num_images - self.num_before) / self.seconds if self.seconds else 0.0


def predict_many(
    predictor: Predictor,
    settings: dict[str, Any],
    items: Sequence[Item],
    results: ImageResults,
    num_workers: int,
    *,
    target: str = "",
    batch_size: int = 1,
    memory_gib: float = MEMORY_GIB,
    tile_px: int = 0,
    again: bool = False,
    on_done: Callable[[int, str], object] = lambda number, failed: None,
    on_start: Callable[[int], None] = lambda pid: None,
) -> ManyResults:
    """Predicts images in several processes of this machine and writes their results.

    The folder of the results gets `predictions.jsonl`: what was done, and what failed and why. Images that stand
    there, are unchanged and have their files are left out.

    Args:
        predictor: made with `settings`; processes on the CPU share its weights.
        settings: arguments of `Predictor`.
        items: the images; their stems differ.
        results: what is written.
        num_workers: processes, each with its share of the cores; 0 predicts in this one.
        target: address of a folder in a store for the results, instead of `results.out`.
        batch_size: images of one size that are predicted together, at most.
        memory_gib: for each process; larger images are predicted in tiles.
        tile_px: side of the tiles; 0 uses what the memory allows.
        again: predict also what an earlier run has done.
        on_done: told how many images were just done, and why one failed, or an empty text.
        on_start: told the id of each process.

    Raises:
        ConfigError: polygons in one file for all images, uncertainty of a model without dropout, or too little
            memory.
        DataError: a result cannot be written.
    """
    require_one_file_each(results)
    require_different(items)
    outcome = ManyResults(len(items))
    begun = perf_counter()
    with TemporaryDirectory(prefix="segnet-") as folder:
        scratch = Path(folder)
        place = _Place(replace(results, out=scratch) if target else results, target, items)
        with place.journal(run_settings(predictor, settings, results, tile_px)) as journal:
            outcome.changed = () if journal.is_new else journal.changed
            left = list(items) if again else [item for item in items if not (journal.is_done(item) and place.has(item))]
            outcome.num_before = len(items) - len(left)
            on_done(outcome.num_before, "")
            place.clear(left)
            threads = max(1, usable_cores() // num_workers) if num_workers else torch.get_num_threads()
            shared = share(predictor, scratch) if num_workers else None
            opener = WorkOpener(settings, shared, results, memory_gib, tile_px, threads, target, scratch)
            batch = min(batch_size, _MOST_BATCH)
            if num_workers:
                answers = run_in_workers(
                    left,
                    num_workers,
                    opener,
                    batch_size=batch,
                    threads=threads,
                    on_death=place.clear,
                    on_start=on_start,
                )
            else:
                answers = _run_here(left, opener.work_of(predictor), batch)
            with closing(answers):
                for item, result in answers:
                    failed = str(result) if isinstance(result, Lost) else result.failed
                    if failed:
                        outcome.failed[item.address] = failed
                        journal.add(item, failed=failed)
                    else:
                        journal.add(item, pixels=result.pixels)
                    on_done(1, failed and _with_address(failed, item))
        if results.form:
            place.finish(predictor.label_set)
    outcome.seconds = perf_counter() - begun
    return outcome


def require_one_file_each(results: ImageResults) -> None:
    """Refuses polygons in one file for all images, which several processes cannot write.

    Raises:
        ConfigError: such a form.
    """
    if results.form not in _ONE_FILE_EACH:
        raise ConfigError(
            f"--as {results.form} writes one file for all images, which needs files of this machine and no "
            "--workers; take yolo or labelme"
        )


def run_settings(
    predictor: Predictor, settings: Mapping[str, Any], results: ImageResults, tile_px: int
) -> dict[str, Any]:
    """Everything that results depend on, as the journal holds it."""
    kept = {k: v for k, v in vars(results).items() if k not in ("out", "pixel_limit")}
    kept |= {k: str(v) for k, v in settings.items() if k in ("crf", "tta", "reading") and v is not None}
    weights = sha256_of(find_weights(settings["weights"]))
    return {
        **kept,
        "weights": weights,
        "runtime": str(predictor),
        "longest_side_px": predictor.longest_side_px,
        "tile_px": tile_px,
    }


class _Place:
    """Where results go: a folder of this machine, or one of a store.

    Args:
        results: what is written; for a store into a folder for a while.
        target: address of the store, or empty.
        items: all images.

    Raises:
        ConfigError: a result would replace an image.
        DataError: the store cannot be read.
    """

    def __init__(self, results: ImageResults, target: str, items: Sequence[Item]) -> None:
        self._results = results
        self._target = RemoteFolder(target) if target else None
        self._names: dict[Path, set[str]] = {}
        self._remote = self._target.names() if self._target else set()
        if self._target:
            inputs = {item.address for item in items}
            for name in map(self._relative, self._paths(items)):
                if f"{self._target.address}/{name}" in inputs:
                    raise ConfigError(
                        f"{self._target.address}/{name} would be overwritten, but is also an input; name another folder"
                    )

    def journal(self, settings: Mapping[str, Any]) -> Journal:
        """The journal of this place."""
        if self._target:
            return PublishedJournal(self._results.out, settings, self._target, self._remote)
        return Journal(self._results.out, settings)

    def has(self, item: Item) -> bool:
        """Whether the files of an image are there; a GeoTIFF may be missing, as not every TIFF is georeferenced."""
        needed = [path for path in self._paths([item]) if path.suffix != ".tif"]
        if self._target:
            return all(self._relative(path) in self._remote for path in needed)
        for folder in {path.parent for path in needed} - self._names.keys():
            self._names[folder] = set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208 (names only)
        return all(path.name in self._names[path.parent] for path in needed)

    def clear(self, items: Iterable[Item]) -> None:
        """Removes what killed processes left of these images; a store shows no parts of files."""
        if not self._target:
            remove_left_over(self._paths(items))

    def finish(self, label_set: LabelSet) -> None:
        """Writes what polygons of all images have in common."""
        PreAnnotations(self._results.out, self._results.form, label_set, self._results.tolerance_px).finish()
        if self._target and self._results.form == "yolo":
            self._target.put(self._results.out / "data.yaml", "data.yaml")

    def _paths(self, items: Iterable[Item]) -> Iterator[Path]:
        for item in items:
            yield from self._results.paths(Path(item.name or item.address), item.stem)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._results.out).as_posix()


def _run_here(items: Sequence[Item], work: ImageWork, batch_size: int) -> Generator[tuple[Item, Outcome]]:
    """As `run_in_workers`, in this process."""
    try:
        for start in range(0, len(items), batch_size):
            batch = items[start : start + batch_size]
            yield from zip(batch, work(batch), strict=True)
    finally:
        work.close()


def _with_address(reason: str, item: Item) -> str:
    return reason if item.address in reason else f"{item.address}: {reason}"
