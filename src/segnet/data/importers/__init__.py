"""From what a labelling tool exports to a dataset in the folder layout (`folder.py`)."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track

from segnet.data.class_files import class_image, png_info, written_ids
from segnet.data.datasets.layout import IMAGE_SUFFIXES, require_utf8
from segnet.data.importers.annotations import ORDERS, Annotations, Order, ShapeImage
from segnet.data.importers.formats import FORMATS, IMPORT_FORMATS
from segnet.data.importers.imported import Imported, merge
from segnet.data.importers.opening import open_exports
from segnet.data.importers.problems import ImportContext, ImportProblemsError, Problems
from segnet.data.reading.label_file import LABELS_TOML, LabelFile, write_labels_toml
from segnet.data.splitting import list_text
from segnet.errors import ConfigError, DataError
from segnet.io.files import whole_files
from segnet.labels import VOID

__all__ = ["IMPORT_FORMATS", "ImportProblemsError", "import_dataset"]


def import_dataset(
    sources: Path | Sequence[Path],
    out: Path,
    *,
    data_format: str | None = None,
    rest: str | None = None,
    order: str | None = None,
    colour_tolerance: int = 0,
    skip_broken: bool = False,
    console: Console | None = None,
) -> list[str]:
    """Reads exports of labelling tools and writes them as one folder of images and labels, whole or not at all.

    Args:
        sources: folders, files, or ZIP or TAR archives. Classes of several sources meet by their names.
        out: a new or empty folder.
        data_format: a name in `IMPORT_FORMATS`; None recognises it.
        rest: class of pixels that no shape covers, or `void`; None is `background`. For formats of shapes alone.
        order: in which shapes are drawn: `file`, or `area` for small ones on top; None takes what the format defines,
            and `area` where it defines nothing.
        colour_tolerance: largest difference, 0..255 in each of red, green and blue, at which a colour of a label image
            still counts as a colour of the table.
        skip_broken: leave out images and shapes that are broken, and list them.
        console: where progress is shown; None is quiet.

    Returns:
        What the user should know of the result, in lines.

    Raises:
        ConfigError: an unknown format or order, or `rest` for formats where every pixel has a label.
        DataError: a source is missing, of an unknown format, or broken; or `out` cannot be written or holds something.
        LabelError: a class, colour or shape that cannot be used; names the file.
        ShapeError: an image of another size than its labels.
        ImportProblemsError: several of these; it holds all of them.
    """
    if order is not None and order not in ORDERS:
        raise ConfigError(f"unknown order '{order}'; known: {', '.join(ORDERS)}")
    if not 0 <= colour_tolerance <= 255:
        raise ConfigError(f"colour tolerance {colour_tolerance}; expected 0 to 255")
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is not empty; expected a new or empty folder to write a dataset to")
    chosen: Order | None = "file" if order == "file" else "area" if order == "area" else None
    with tempfile.TemporaryDirectory(prefix="segnet-import-", ignore_cleanup_errors=True) as scratch:
        context = ImportContext(Path(scratch), Problems(), colour_tolerance)
        exports = open_exports([sources] if isinstance(sources, Path) else sources, data_format, context.scratch)
        parts = list[tuple[str, Annotations]]()
        for number, export in enumerate(exports):
            with context.problems.collect():
                room = context.scratch / f"inside-{number}"
                room.mkdir()
                found = FORMATS[export.data_format].read(export.src, replace(context, scratch=room))
                parts.append((export.name, found))
        for export, (_, found) in zip(exports, parts, strict=False):
            _require_no_rest(found, export.data_format, rest)
        data = merge(parts, out.name, rest, chosen, context.problems)
        written = _write(data, out, context.problems, skip_broken, console or Console(quiet=True))
    notes = [note for _, part in parts for note in part.notes]
    skipped = [f"left out: {problem}" for problem in context.problems.found]
    next_step = f"next: segnet data check {out}, then segnet train --data {out}"
    return [*(e.note for e in exports if e.note), *written, *notes, *_shape_notes(data), *skipped, next_step]


def _require_no_rest(found: Annotations, data_format: str, rest: str | None) -> None:
    """Refuses a `rest` where it would have no meaning."""
    if rest is not None and (found.rest is not None or not any(isinstance(i, ShapeImage) for i in found.images)):
        raise ConfigError(f"every pixel of a {data_format} label has a meaning, so there is no rest to be '{rest}'")


def _write(data: Imported, out: Path, problems: Problems, skip_broken: bool, console: Console) -> list[str]:
    """Writes the dataset, or raises what is wrong with it."""
    holding, splits, written = Counter[int](), dict[str, list[str]](), list[str]()
    with whole_files(out) as room:
        (room / "images").mkdir(parents=True)
        (room / "labels").mkdir()
        for index in track(range(len(data)), "importing", console=console, transient=True):
            with problems.collect():
                path = data.entries[index].image.path
                require_utf8(path)
                sample = data[index]
                holding.update(i for i in range(data.label_set.num_classes) if (sample.target == i).any())
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    shutil.copyfile(path, room / "images" / f"{sample.name}{path.suffix.lower()}")
                else:
                    Image.fromarray(sample.image).save(room / "images" / f"{sample.name}.png")
                class_image(sample.target, data.label_set).save(
                    room / "labels" / f"{sample.name}.png", pnginfo=png_info(data.label_set)
                )
                splits.setdefault(data.entries[index].image.split, []).append(sample.name)
                written.append(sample.name)
        if not skip_broken or not written:
            problems.raise_any()
        if "" in splits:  # an image of no split: then the lists of the others would leave it out
            splits.clear()
        for split, names in splits.items():
            (room / f"{split}.txt").write_text(list_text(names), encoding="utf-8")
        ids = tuple((i,) for i in written_ids(data.label_set))
        void_ids = () if (VOID,) in ids else (VOID,)
        write_labels_toml(room / LABELS_TOML, LabelFile(data.label_set, "ids", ids, void_ids))
    classes = ", ".join(f"{name} {holding[i]}" for i, name in enumerate(data.label_set.names))
    counts = ", ".join(f"{split} {len(names)}" for split, names in splits.items())
    lines = [f"{len(written)} images in {out}", f"classes, and in how many images: {classes}"]
    return [*lines, f"splits: {counts}"] if counts else lines


def _shape_notes(data: Imported) -> list[str]:
    """How pixels without a shape, and those in several, were decided."""
    drawn = [entry for entry in data.entries if isinstance(entry.image, ShapeImage)]
    if not drawn:
        return []
    notes = [f"pixels that no shape covers are {' and '.join(sorted({entry.rest for entry in drawn}))} (--rest)"]
    if data.empty:
        notes.append(
            f"warning: {len(data.empty)} shapes cover no pixel, such as in {data.empty[0]}: they are smaller than a "
            "pixel, outside the image, or in other units than pixels"
        )
    pixels, images = sum(data.overlapping.values()), sum(n > 0 for n in data.overlapping.values())
    if not pixels:
        return notes
    order = drawn[0].order
    small = "small shapes are drawn over large ones" if order == "area" else "later shapes are drawn over earlier ones"
    notes.append(f"{pixels} pixels in {images} images lie in shapes of different classes; there {small} (--order)")
    shares, others = (100 * p / max(p.sum(), 1) for p in (data.pixels, data.pixels_other))
    changed = [i for i in range(data.label_set.num_classes) if abs(shares[i] - others[i]) >= 0.05]
    changed.sort(key=lambda i: (-round(abs(shares[i] - others[i]), 3), i))  # the classes that gain or lose most first
    if changed:
        words = ", ".join(f"{data.label_set.names[i]} {shares[i]:.1f} % ({others[i]:.1f} %)" for i in changed[:8])
        other = "file" if order == "area" else "area"
        notes.append(f"share of the pixels of each class, and with --order {other}: {words}")
    return notes
