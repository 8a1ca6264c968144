"""`segnet data ...`: import, split, check, show, describe and draw datasets."""

from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import complain, out_console, say
from segnet.cli.options import DeviceOption, FormatOption, WeightsOption, device_name, one_of, size_px
from segnet.errors import ConfigError

data_app = typer.Typer(no_args_is_help=True, help="Import, split, check, show, describe and draw datasets.")

FolderArgument = Annotated[Path, typer.Argument(help="Folder of the dataset.")]
SplitOption = Annotated[str | None, typer.Option(help="train, val or test; default: all that exist.")]


@data_app.command("import")
def data_import(
    sources: Annotated[list[Path], typer.Argument(help="Exports of a tool: folders, files, ZIP or TAR archives.")],
    out: Annotated[Path, typer.Option(help="New folder for images/, labels/ and labels.toml.")],
    data_format: Annotated[
        str | None, typer.Option("--from", help="Format, such as coco or yolo; default: recognised from the files.")
    ] = None,
    rest: Annotated[
        str | None, typer.Option(help="Class of pixels that no shape covers, or void; default: background.")
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(help="Drawing order of shapes: file, or area (small ones on top); default: the format's."),
    ] = None,
    colour_tolerance: Annotated[
        int, typer.Option(min=0, max=255, help="How far a colour may be from that of its class, per channel.")
    ] = 0,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images and shapes that are broken, and list them.")
    ] = False,
) -> None:
    """Import what a labelling tool exported: polygons, masks and colours become class ids. All of it or nothing."""
    from segnet.data.importers import ImportProblemsError, import_dataset

    try:
        lines = import_dataset(
            sources,
            out,
            data_format=data_format,
            rest=rest,
            order=order,
            colour_tolerance=colour_tolerance,
            skip_broken=skip_broken,
            console=out_console,
        )
    except ImportProblemsError as error:
        for problem in error.problems:
            complain("problem", str(problem))
        raise
    for line in lines:
        say(line)


@data_app.command("split")
def data_split(
    root: FolderArgument,
    val: Annotated[float, typer.Option(min=0, max=1, help="Share of the images to validate on.")] = 0.2,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the images for a test; 0 makes none.")] = 0.0,
    by: Annotated[
        str,
        typer.Option(
            help="auto, sequence (runs of consecutive frames), image, or a regular expression whose first bracket is "
            "the group."
        ),
    ] = "auto",
    compare: Annotated[bool, typer.Option(help="Compare the pixels, and keep near-duplicates in one split.")] = True,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(help="Group that is val while all others are train, repeatable; see --by."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random choice.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing lists.")] = False,
) -> None:
    """Write random train.txt and val.txt; similar images, such as the frames of one sequence, stay together."""
    from segnet.data.splitting import split_folder

    shares = {split: share for split, share in (("val", val), ("test", test)) if split == "val" or share}
    lines = split_folder(root, shares, by=by, compare=compare, hold_out=hold_out or (), seed=seed, overwrite=overwrite)
    for line in lines:
        say(line)
    say(f"Next: segnet data check {root}, then segnet train --data {root}")


@data_app.command("show")
def data_show(
    root: FolderArgument,
    split: SplitOption = None,
    count: Annotated[int, typer.Option(min=1, help="Number of images, evenly spread.")] = 24,
    out: Annotated[Path, typer.Option(help="File to write, .html or .png.")] = Path("contact-sheet.html"),
    data_format: FormatOption = "auto",
) -> None:
    """Write one sheet of images with their labels as overlays."""
    from segnet.data.splits import Joined, open_splits
    from segnet.report.contact_sheet import spread, write_contact_sheet

    splits, broken = open_splits(root, split, data_format, allow_missing=False)
    if broken:
        raise next(iter(broken.values()))
    dataset = Joined(list(splits.values()))
    indices = spread(len(dataset), count)
    count_text, names = f"{len(indices)} of {len(dataset)} images", ", ".join(splits)
    write_contact_sheet(out, dataset, indices, f"{root.resolve().name}, {names}: {count_text}")
    say(f"{count_text} ({names}) in {out}")


@data_app.command("check")
def data_check(root: FolderArgument, split: SplitOption = None, data_format: FormatOption = "auto") -> None:
    """Report missing and broken files, different sizes, unknown ids, class frequencies, images without labels."""
    from segnet.data.checking import check, leaks_between
    from segnet.data.splits import open_splits
    from segnet.data.value_range import read_alike

    splits, broken = open_splits(root, split, data_format, allow_missing=True)
    read_alike(splits)
    checks = {}
    for name, dataset in splits.items():
        checks[name] = result = check(dataset, is_train=name == "train")
        if split is None:
            say(f"{name}:")
        for line in result.lines():
            say(line)
    for line in leaks_between(splits, checks):
        say(f"leak: {line}; segnet data split keeps similar images together, with --by sequence frames of a video")
    for name, cause in broken.items():
        say(f"{name}: not ok: {cause}")
    if broken or not all(result.ok for result in checks.values()):
        raise typer.Exit(2)
    if split is None:
        say(f"Next: segnet data show {root}, then segnet train --data {root}")


@data_app.command("init")
def data_init(
    root: Annotated[Path, typer.Argument(help="Folder with images/ and labels/.")],
    void: Annotated[list[str] | None, typer.Option(help="Value to ignore, such as 255 or 0,0,0; repeatable.")] = None,
    snap: Annotated[
        bool, typer.Option("--snap", help="Read values from smoothing or JPEG as the nearest class.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing labels.toml.")] = False,
) -> None:
    """Write labels.toml from the class ids or colours of the label images, and say what each value became."""
    from segnet.data.describe_labels import init_folder

    description = init_folder(root, void=void or (), snap=snap, overwrite=overwrite)
    for line in description.lines:
        say(line)
    say(f"{description.path} written; edit the names of the classes there. Next: segnet data check {root}")


@data_app.command("suggest")
def data_suggest(
    sources: Annotated[list[Path], typer.Argument(help="Unlabelled images, or folders of them.")],
    weights: WeightsOption,
    count: Annotated[int, typer.Option(min=1, help="Number of images to label next.")] = 50,
    labelled: Annotated[
        list[Path] | None, typer.Option(help="Folder of labelled images; similar ones rank lower.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the list, .csv or .json.")] = None,
    longest_side: Annotated[
        int, typer.Option(min=32, help="Resize larger images to this longest side in pixels.")
    ] = 480,
    device: DeviceOption = "auto",
) -> None:
    """List the unlabelled images most worth labelling next, with reasons: those the model is unsure of, whose borders
    change when it is mirrored, and that is unlike the images labelled or chosen already.
    """
    from rich.progress import Progress

    from segnet.data.reading.listing import find_images
    from segnet.inference.predictor import Predictor
    from segnet.inference.suggest import judge, suggest, write_suggestions

    if out is not None and out.suffix not in (".csv", ".json"):
        raise ConfigError(f"--out {out}: expected a file that ends in .csv or .json")
    known = find_images(labelled) if labelled else []
    have_labels = {path.resolve() for path in known}
    candidates = [path for path in find_images(sources) if path.resolve() not in have_labels]
    predictor = Predictor(weights, backend="eager", device=device_name(device))
    with Progress(console=out_console, transient=True) as progress:
        task = progress.add_task(f"judging on {predictor}", total=len(candidates) + len(known))
        judged, broken = judge(predictor, candidates, longest_side, lambda: progress.advance(task))
        judged_known, broken_known = judge(predictor, known, longest_side, lambda: progress.advance(task))
    for error in (*broken, *broken_known):
        complain("skipped", str(error))
    chosen = suggest(judged, count, judged_known)
    for one in chosen:
        say(f"{one.rank}. {one.image}: {one.why}")
    if out is not None:
        write_suggestions(out, chosen)
        say(str(out), "dim")
    if broken or broken_known:
        raise typer.Exit(2)


@data_app.command("draw")
def data_draw(
    root: Annotated[Path, typer.Argument(help="New folder for the scenes.")],
    count: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 8,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH in pixels.")] = "240x320",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    form: Annotated[
        str, typer.Option("--as", help="folder (images/, labels/, labels.toml), or labelme or coco (polygons).")
    ] = "folder",
) -> None:
    """Draw street scenes with exact labels, in the folder layout or in the format of a labelling tool."""
    from segnet.data.datasets.folder import write_folder
    from segnet.data.exporters.annotation_files import write_coco, write_labelme
    from segnet.data.street.scenes import Street

    write = {"folder": write_folder, "labelme": write_labelme, "coco": write_coco}
    write[one_of("form", form, write)](root, Street(count, size_px(size), seed))
    say(f"{count} scenes in {root}")
