"""Very many images by several processes: each gets one result, and a second run goes on where the first stopped."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from segnet.data.exporters.preannotations import PreAnnotations
from segnet.errors import ConfigError
from segnet.inference.image_work import WorkOpener, cores, share
from segnet.inference.images import ImageResults
from segnet.inference.item import Item
from segnet.inference.journal import Journal
from segnet.inference.predictor import Predictor
from segnet.inference.tiles import MEMORY_GIB
from segnet.inference.worker_pool import Lost, run_in_workers
from segnet.io.files import remove_left_over, sha256_of
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
        num_workers: processes, each with its share of the cores.
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
    outcome = ManyResults(len(items))
    begun = perf_counter()
    with Journal(results.out, run_settings(predictor, settings, results, tile_px)) as journal:
        outcome.changed = () if journal.is_new else journal.changed
        left = list(items) if again else list(_left(items, journal, results))
        outcome.num_before = len(items) - len(left)
        on_done(outcome.num_before, "")
        remove_left_over(_paths(left, results))
        threads = max(1, cores() // num_workers)
        with _shared(predictor) as shared:
            opener = WorkOpener(settings, shared, results, memory_gib, tile_px, threads)
            for item, result in run_in_workers(
                left,
                num_workers,
                opener,
                batch_size=min(batch_size, _MOST_BATCH),
                threads=threads,
                on_death=lambda items: remove_left_over(_paths(items, results)),
                on_start=on_start,
            ):
                failed = str(result) if isinstance(result, Lost) else result.failed
                if failed:
                    outcome.failed[item.address] = failed
                    journal.add(item, failed=failed)
                else:
                    journal.add(item, pixels=result.pixels)
                on_done(1, failed and _with_address(failed, item))
    if results.form:
        PreAnnotations(results.out, results.form, predictor.label_set, results.tolerance_px).finish()
    outcome.seconds = perf_counter() - begun
    return outcome


def require_one_file_each(results: ImageResults) -> None:
    """Refuses polygons in one file for all images, which several processes cannot write.

    Raises:
        ConfigError: such a form.
    """
    if results.form not in _ONE_FILE_EACH:
        raise ConfigError(f"--as {results.form} writes one file for all images; leave out --workers, or take yolo")


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


@contextmanager
def _shared(predictor: Predictor) -> Iterator[Path | None]:
    with TemporaryDirectory(prefix="segnet-") as folder:
        yield share(predictor, Path(folder))


def _left(items: Iterable[Item], journal: Journal, results: ImageResults) -> Iterator[Item]:
    """Items that are not done, or whose files have gone."""
    names: dict[Path, set[str]] = {}
    for item in items:
        if journal.is_done(item):
            needed = [p for p in results.paths(Path(item.address), item.stem) if p.suffix != ".tif"]
            for folder in {path.parent for path in needed} - names.keys():
                names[folder] = set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208 (names only)
            if all(path.name in names[path.parent] for path in needed):
                continue
        yield item


def _paths(items: Iterable[Item], results: ImageResults) -> Iterator[Path]:
    for item in items:
        yield from results.paths(Path(item.address), item.stem)


def _with_address(reason: str, item: Item) -> str:
    return reason if item.address in reason else f"{item.address}: {reason}"
