"""The command line's `segnet predict`: images of any size and videos to classes and overlays."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from segnet.cli.console import complain, out_console, say
from segnet.cli.options import (
    BackendOption,
    CRFOption,
    DeviceOption,
    PrecisionOption,
    TTAOption,
    WeightsOption,
    amount,
    backend_name,
    device_name,
    image_reading,
    one_of,
    precision_name,
)
from segnet.errors import ConfigError, DataError

if TYPE_CHECKING:
    from segnet.data.class_files import IdsOut
    from segnet.inference.images import ImageResults
    from segnet.inference.item import Item
    from segnet.inference.predictor import Predictor


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(help="Images, videos, folders of images, ZIP or TAR files; or addresses, such as s3://bucket."),
    ],
    out_text: Annotated[
        str,
        typer.Option("--out", help="Folder for the results, also an address; for one video also a file: out.mp4."),
    ],
    weights: WeightsOption = "segnet-basic-camvid",
    opacity: Annotated[float, typer.Option(min=0, max=1, help="Opacity of the class colours in the overlay.")] = 0.5,
    probabilities: Annotated[bool, typer.Option(help="Also NAME-probability.npz, float16 (K, H, W).")] = False,
    confidence: Annotated[bool, typer.Option(help="Also NAME-confidence.png: white is sure, black is not.")] = False,
    uncertainty: Annotated[
        int, typer.Option(min=0, help="Samples of a Bayesian model; NAME-variance.png, NAME-entropy.png etc.")
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of one size per batch.")] = 1,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            max=1024,
            help="Processes that share the cores; a second run then goes on where the first stopped. 0: this process.",
        ),
    ] = 0,
    again: Annotated[
        bool, typer.Option("--again", help="Of --workers: predict also what an earlier run has done.")
    ] = False,
    memory: Annotated[
        float, typer.Option(help="Memory limit in GiB of each process; larger images are predicted in tiles.")
    ] = 4,
    tile: Annotated[int, typer.Option(min=0, help="Side of a tile in pixels; 0 uses what --memory allows.")] = 0,
    longest_side: Annotated[
        int | None,
        typer.Option(
            min=0, help="Resize larger images to this longest side in pixels; 0 never resizes; default: as in training."
        ),
    ] = None,
    max_megapixels: Annotated[
        float, typer.Option(help="Size limit of an image; a small file can expand to gigabytes.")
    ] = 250,
    bands: Annotated[
        str, typer.Option(help="Bands of the files for the model's channels, such as 4,3,2; default: as in training.")
    ] = "",
    value_range: Annotated[
        str, typer.Option(help="Stored values that become black,white, such as 0,4095; default: as in training.")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--as",
            help="Instead of images, polygons to correct in a labelling tool: labelme, cvat, coco, yolo, label-studio; "
            "or geojson.",
        ),
    ] = "",
    tolerance: Annotated[
        float, typer.Option(min=0, max=99, help="Of --as: pixels by which a border may move to save corners.")
    ] = 0.5,
    cog: Annotated[bool, typer.Option("--cog", help="A GeoTIFF's NAME-classes.tif is cloud optimised.")] = False,
    ids: Annotated[
        str,
        typer.Option(help="In classes PNGs: files (as in the label files of the training), or classes (0 to K-1)."),
    ] = "files",
    frames: Annotated[bool, typer.Option("--frames", help="For a video: also each frame's classes as PNG.")] = False,
    smoothing: Annotated[
        float, typer.Option(min=0, max=0.99, help="For a video: share of earlier frames in the probabilities.")
    ] = 0,
    tta: TTAOption = "",
    crf_file: CRFOption = None,
    backend: BackendOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Segment images and videos: NAME-classes.png (class ids with a palette) and NAME-overlay.png for each image,
    NAME-overlay.mp4 for each video (.mkv if only that can hold the audio). GeoTIFFs also give NAME-classes.tif.

    A broken file is reported and skipped, the others are kept, and the exit code is then 2.
    """
    from segnet.crf.file import read_crf
    from segnet.data.class_files import IDS_OUT, ids_note
    from segnet.data.exporters.preannotations import FORMS
    from segnet.data.reading.listing import find_images, output_stems
    from segnet.data.value_range import reading_notes
    from segnet.inference.images import ImageResults, predict_images
    from segnet.inference.predictor import Predictor
    from segnet.inference.tiles import tile_px_of
    from segnet.io.files import require_apart
    from segnet.video import is_video, overlay_suffix

    paths, elsewhere, target = _places(sources, out_text)
    out = Path(out_text)
    videos = [path for path in dict.fromkeys(paths) if is_video(path)]
    others = [path for path in paths if not is_video(path)]
    images = find_images(others) if others else []
    goes_on = bool(workers or elsewhere or target)
    _require_fitting(out, videos, images, form, maps=probabilities or confidence or uncertainty > 0)
    results = ImageResults(
        out,
        opacity=opacity,
        confidence=confidence,
        probabilities=probabilities,
        uncertainty_samples=uncertainty,
        form=one_of("form of annotations", form, ("", *FORMS)),
        tolerance_px=tolerance,
        ids=one_of("ids", ids, IDS_OUT),
        cog=cog,
        pixel_limit=round(amount("--max-megapixels", max_megapixels) * 1e6),
    )
    _require_workers(workers, videos, results, [*elsewhere, target], again=again, goes_on=goes_on)
    stems = output_stems([*videos, *images])
    targets = {path: out if is_video(out) else out / f"{stems[path]}-overlay{overlay_suffix(path)}" for path in videos}
    require_apart((file for path in images for file in results.paths(path, stems[path])), images)
    require_apart(targets.values(), [*videos, *images])
    memory = amount("--memory", memory)
    given = _given({path: stems[path] for path in images}, elsewhere, form) if goes_on else []
    settings = {
        "weights": weights,
        "backend": backend_name(backend),
        "device": device_name(device),
        "precision": precision_name(precision),
        "crf": read_crf(crf_file) if crf_file else None,
        "longest_side_px": longest_side,
        "tta": tta,
        "reading": image_reading(bands, value_range),
    }
    predictor = Predictor(**settings)
    if goes_on:
        _predict_many(predictor, settings, given, results, workers, target, batch_size, memory, tile, again=again)
        return
    failed = 0
    for path, made in targets.items():
        frames_folder = made.parent / f"{stems[path]}-frames" if frames else None
        failed += not _predict_video(predictor, path, made, opacity, smoothing, frames_folder, results.ids)
    _warn(reading_notes(images, predictor.reading))
    tile_px = {path: tile_px_of(path, predictor, memory, tile, results.pixel_limit) for path in images}
    for path in [path for path in images if tile_px[path]]:
        results.require_tiles(path)
        failed += not _predict_large(predictor, path, tile_px[path], stems[path], results)
    whole = {path: stems[path] for path in images if not tile_px[path]}
    with Progress(console=out_console, transient=True) as progress:
        task = progress.add_task(f"predicting on {predictor}", total=len(whole))
        for broken in predict_images(predictor, whole, results, batch_size, lambda n: progress.advance(task, n)):
            _skipped(broken)
            failed += 1
    kind = "files" if videos else "images"
    folder = out.parent if is_video(out) else out
    total = len(videos) + len(images)
    note = "" if form else ids_note(predictor.label_set, results.ids)
    say(f"{total - failed} of {total} {kind} in {folder}, on {predictor}{note}")
    if failed:
        raise typer.Exit(2)


def _require_fitting(out: Path, videos: list[Path], images: list[Path], form: str, *, maps: bool) -> None:
    """Refuses options that a video has no meaning for, and polygons with maps."""
    from segnet.video import is_video

    if is_video(out) and (len(videos) + len(images) > 1 or not videos):
        raise ConfigError(f"--out {out} is a video; expected a folder for images or several files")
    if videos and (maps or form):
        raise ConfigError(
            "a video has no --as, --probabilities, --confidence or --uncertainty; give its frames as images"
        )
    if form and maps:
        raise ConfigError("--as writes polygons; leave out --confidence, --probabilities and --uncertainty")


def _places(sources: list[str], out: str) -> tuple[list[Path], list[str], str]:
    """Paths of this machine; addresses and archives; and the address for the results, or an empty text."""
    from segnet.data.reading.archives import is_archive_name
    from segnet.io.remote import is_address

    elsewhere = [text for text in sources if is_address(text) or (is_archive_name(text) and Path(text).is_file())]
    return [Path(text) for text in sources if text not in elsewhere], elsewhere, out if is_address(out) else ""


def _given(stems: dict[Path, str], elsewhere: list[str], form: str) -> "list[Item]":
    """All images, here and elsewhere."""
    from segnet.inference.item import items_elsewhere, local_items, require_different

    there = [item for address in elsewhere for item in items_elsewhere(address, flat=bool(form))]
    items = [*local_items(stems), *there]
    require_different(items)
    return items


def _require_workers(
    workers: int, videos: list[Path], results: "ImageResults", places: list[str], *, again: bool, goes_on: bool
) -> None:
    """Refuses what cannot be done by processes, or with what is not on this machine."""
    from segnet.inference.many_images import require_one_file_each
    from segnet.io.remote import scheme_of

    if goes_on:
        require_one_file_each(results)
    if goes_on and videos:
        raise ConfigError(f"{videos[0]} is a video, which one process predicts by itself; leave out --workers")
    if again and not goes_on:
        raise ConfigError("--again belongs to --workers; without it every image is predicted anyway")
    if workers and any(scheme_of(place) == "memory" for place in places):
        raise ConfigError("memory:// is the memory of one process; leave out --workers")


def _predict_many(
    predictor: "Predictor",
    settings: dict[str, Any],
    items: "list[Item]",
    results: "ImageResults",
    workers: int,
    target: str,
    batch_size: int,
    memory_gib: float,
    tile_px: int,
    *,
    again: bool,
) -> None:
    """Predicts images in several processes, or from or to another place, and says so."""
    from segnet.data.class_files import ids_note
    from segnet.data.value_range import reading_notes
    from segnet.inference.many_images import predict_many

    _warn(reading_notes([Path(item.address) for item in items if not item.source], predictor.reading))
    by, place = f" by {workers} workers" if workers else "", target or results.out
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed("images"))
    with Progress(*columns, TimeRemainingColumn(), console=out_console, transient=True) as progress:
        task = progress.add_task(f"predicting{by} on {predictor}", total=len(items))

        def done(number: int, failed: str) -> None:
            progress.advance(task, number)
            if failed:
                complain("skipped", failed)

        outcome = predict_many(
            predictor,
            settings,
            items,
            results,
            workers,
            target=target,
            batch_size=batch_size,
            memory_gib=memory_gib,
            tile_px=tile_px,
            again=again,
            on_done=done,
        )
    if outcome.changed:
        changed = ", ".join(outcome.changed)
        say(f"other settings than those of the last run in {place}: {changed}; all are predicted again", "dim")
    note = "" if results.form else ids_note(predictor.label_set, results.ids)
    before = f", {outcome.num_before} of them before" if outcome.num_before else ""
    say(
        f"{outcome.num_done} of {outcome.num_images} images in {place}{before}, {outcome.images_per_s:.1f} "
        f"images/s{by} on {predictor}{note}"
    )
    if outcome.failed:
        raise typer.Exit(2)


def _predict_large(predictor: "Predictor", path: Path, tile_px: int, stem: str, results: "ImageResults") -> bool:
    """Predicts an image in tiles, and says so; whether it could be read."""
    from segnet.data.reading.georeference import georeference_of
    from segnet.data.reading.windows import open_windows
    from segnet.inference.bands import save_bands
    from segnet.inference.tiles import Tiling, predict_in_tiles

    with Progress(console=out_console, transient=True) as progress:
        try:
            image = open_windows(path, results.pixel_limit, predictor.reading)
            tiling = Tiling(image.size_px, tile_px)
            height, width = image.size_px
            say(f"{path}: {width}x{height} pixels, {image.note}, in {tiling}")
            task = progress.add_task(f"tiles on {predictor}", total=len(tiling))
            bands = predict_in_tiles(
                predictor,
                image,
                tiling,
                confidence=results.confidence,
                uncertainty_samples=results.uncertainty_samples,
                on_tile=lambda: progress.advance(task),
            )
            save_bands(
                bands,
                image.size_px,
                results.out,
                stem,
                opacity=results.opacity,
                ids=results.ids,
                georeference=georeference_of(path),
                cog=results.cog,
            )
        except DataError as error:
            _skipped(error)
            return False
    return True


def _predict_video(
    predictor: "Predictor",
    path: Path,
    target: Path,
    opacity: float,
    smoothing: float,
    frames: Path | None,
    ids: "IdsOut",
) -> bool:
    """Predicts a video; whether it was read to its end."""
    from segnet.video.overlay import predict_video

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed("frames"))
    with Progress(*columns, console=out_console, transient=True) as progress:
        task = progress.add_task(f"{escape(path.name)} on {predictor}", total=None)
        try:
            result = predict_video(
                predictor,
                path,
                target,
                opacity=opacity,
                smoothing=smoothing,
                frames=frames,
                ids=ids,
                on_frame=lambda total: progress.update(task, total=total or None, advance=1),
            )
        except DataError as error:
            _skipped(error)
            return False
    speed = f"{result.num_frames} frames at {result.frames_per_s:.1f} frames/s"
    say(f"{path}: {speed}, {target}")
    if result.ended_early:
        kept = f"after {result.num_frames} frames, which are kept"
        complain("broken", f"{path} ends early, {kept}: {result.ended_early}")
    if result.interrupted:
        raise typer.Exit(130)
    return result.ended_early is None


class _Speed(ProgressColumn):
    """Frames or images per second."""

    def __init__(self, things: str) -> None:
        super().__init__()
        self._things = things

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.1f} {self._things}/s")


def _warn(notes: list[str]) -> None:
    for note in notes:
        complain("warning", note)


def _skipped(error: DataError) -> None:
    complain("skipped", str(error))
