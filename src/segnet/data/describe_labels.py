"""`segnet data init`: a first `labels.toml` from the label images of a folder, and a reason for every value.

A value is ignored only for a reason that stands outside the label images or in a convention: the user names it
(`--void`), a table or a list of names calls it void, the palette is that of PASCAL VOC, or the ids are small and
consecutive and 255 stands beside them, as in VOC and Cityscapes. Anything else is a class. A value wrongly taken for a
class is seen at once in `segnet data check`; pixels wrongly ignored are not missed by anybody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segnet.data.datasets.layout import all_folders, find_labels, images_in
from segnet.data.label_doubts import doubts_of
from segnet.data.label_survey import NOT_A_LABEL, LabelSurvey, colour_of, distance_between, survey_labels, value_text
from segnet.data.names_file import Named, find_names
from segnet.data.reading.class_ids import HIGHEST_ID
from segnet.data.reading.label_file import LABELS_TOML, LabelFile, write_labels_toml
from segnet.errors import ConfigError, DataError, LabelError
from segnet.io.text import whole_number
from segnet.labels import VOID, Colour, LabelSet, distinct_colours

_COMMENT = """Written by `segnet data init` from the label images. Give the classes their names.
labels = "ids": the numbers in grey or palette images; "colours": images painted in RGB.
Ids under void_ids, and colours under void_colours, are ignored in training and evaluation."""

_SPACED = 16  # least distance of values that were chosen to be told apart by eye, such as 0, 128, 255
_NEAR = 8  # a stray value is at most so far from the value that it stands for,
_RARE = 1e-3  # and no larger a share of all pixels
_LOSSY_NEAR = 24  # how far JPEG moves a value
_VOC_BORDER = (224, 224, 192)
_SHOWN = 40  # values that are printed one by one


@dataclass(frozen=True)
class Description:
    """What `init_folder` wrote.

    Attributes:
        path: of the `labels.toml`.
        labels: its content.
        lines: what each value became, and what is in doubt, for the user.
    """

    path: Path
    labels: LabelFile
    lines: tuple[str, ...]


@dataclass
class _Decision:
    """What becomes of the values."""

    classes: list[int]
    void: dict[int, str]  # value -> why it is ignored
    joined: dict[int, int]  # stray value -> the class value that it counts as
    doubts: list[str]
    snap: bool


def init_folder(root: Path, *, void: Iterable[str] = (), snap: bool = False, overwrite: bool = False) -> Description:
    """Reads every label image of a folder and writes `root/labels.toml` from what they hold.

    Grey images, and RGB images with R = G = B throughout, hold ids. Palette images hold ids and their colours, unless
    the palettes disagree: then the colours are used. Other RGB images hold colours. Names come from a table of colours
    or a list of names in `root`, where there is one (see `names_file.py`).

    Args:
        root: the folder of a dataset, as `layout.py` describes it.
        void: values to ignore, such as `255` or `0,0,0`.
        snap: accept labels that were smoothed by resizing or JPEG: other values will be read as the nearest class.
        overwrite: replace an existing `labels.toml`.

    Raises:
        DataError: there is a `labels.toml` already, no label image, or one that cannot be read.
        LabelError: ids and colours are mixed, labels are smoothed and `snap` is not given, or more than 255 classes.
        ConfigError: a void value of another form, or one that does not occur.
    """
    path = root / LABELS_TOML
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists; delete it, or ask to overwrite it")
    files = label_files(root)
    survey = survey_labels(files)
    if survey.kind == "ids" and not survey.one_palette:
        survey = survey_labels(files, as_colours=True)
    names = find_names(root, survey.kind)
    decision = _decide(survey, names, _void_values(void, survey), snap)
    labels = _label_file(root.resolve().name or "my-data", survey, names, decision)
    write_labels_toml(path, labels, _COMMENT)
    return Description(path, labels, (*_report(survey, labels, names, decision),))


def label_files(root: Path) -> list[Path]:
    """The label images of a folder: those that belong to an image, or all where no image has one.

    Raises:
        DataError: none.
    """
    found: list[Path] = []
    folders = all_folders(root)
    for images, labels in folders:
        names = images_in(images) if images.is_dir() else {}
        found += [path for path in find_labels(labels, names).values() if path.is_file()]
    if not found:
        found = [path for _, labels in folders for path in _all_below(labels)]
    if not found:
        raise DataError(f"no label image: expected images in {' or '.join(str(labels) for _, labels in folders)}")
    return sorted(set(found))


def _all_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    return [*images_in(folder).values(), *(path for below in inner for path in _all_below(below))]


def _void_values(texts: Iterable[str], survey: LabelSurvey) -> set[int]:
    """Values from the command line; each must occur, for one that does not is likely a slip."""
    values = set()
    for text in texts:
        numbers = [n for n in (whole_number(part.strip()) for part in text.split(",")) if n is not None]
        expected = 3 if survey.kind == "colours" else 1
        if len(numbers) != expected or len(numbers) != len(text.split(",")):
            example = "a colour such as 0,0,0" if expected == 3 else "an id such as 255"
            raise ConfigError(f"--void {text}: these labels hold {survey.kind}; expected {example}")
        value = numbers[0] if expected == 1 else numbers[0] << 16 | numbers[1] << 8 | numbers[2]
        if value not in survey.values:
            held = ", ".join(value_text(v, survey) for v in sorted(survey.values)[:12])
            raise ConfigError(f"--void {text}: no label image holds it; they hold {held}")
        values.add(value)
    return values


def _decide(survey: LabelSurvey, names: Sequence[Named], user_void: set[int], snap: bool) -> _Decision:
    values = sorted(survey.values)
    smoothed = survey.smoothed_values(1) if snap else survey.smoothed_values()
    if smoothed or (snap and survey.lossy):
        values = _without_smoothed(survey, smoothed, names, snap)
    decision = _Decision([], {}, {}, [], snap)
    if not smoothed:
        decision.joined = _strays(survey, values, user_void)
        decision.snap = snap or bool(decision.joined and survey.kind == "colours")
    for value in values:
        if value in decision.joined:
            continue
        why = (
            "--void"
            if value in user_void
            else _void_by_name(value, names) or _void_by_tag(value, survey) or _void_by_convention(value, survey, names)
        )
        if why:
            decision.void[value] = why
        else:
            decision.classes.append(value)
    for stray, target in list(decision.joined.items()):
        if target in decision.void:
            decision.void[stray] = f"next to {value_text(target, survey)}, which is ignored"
            del decision.joined[stray]
    if not decision.classes:
        reasons = ", ".join(dict.fromkeys(decision.void.values()))
        raise LabelError(f"all pixels of all label images are ignored ({reasons}); expected at least one class")
    if len(decision.classes) > VOID:
        raise LabelError(
            f"{len(decision.classes)} different {survey.kind} in {survey.num_files} label images; at most {VOID} "
            f"classes can be trained. {NOT_A_LABEL} If they are ids of instances, "
            "write the ids of their classes instead"
        )
    if survey.lossy:
        _require_far_apart(survey, decision.classes, snap)
    decision.doubts += doubts_of(survey, decision.classes, names, smoothed=bool(smoothed))
    return decision


def _require_far_apart(survey: LabelSurvey, classes: Sequence[int], snap: bool) -> None:
    """Refuses classes that a lossy format may have turned into each other: ids 0, 1, 2 in a JPEG.

    Raises:
        LabelError: two classes are nearer than the changes of such a format.
    """
    pairs = ((a, b) for i, a in enumerate(classes) for b in classes[:i])
    near = next((pair for pair in pairs if distance_between(*pair, survey) <= _LOSSY_NEAR), None)
    if near is not None:
        snapping = "" if snap else ", or use `segnet data init --snap`, which keeps values that lie further apart"
        raise LabelError(
            f"{survey.lossy[0]}: {len(survey.lossy)} label images are in a format that changes values, such as JPEG, "
            f"and {value_text(min(near), survey)} and {value_text(max(near), survey)} lie too near to be told apart. "
            f"Write them again as PNG from the originals{snapping}"
        )


def _without_smoothed(survey: LabelSurvey, smoothed: Sequence[int], names: Sequence[Named], snap: bool) -> list[int]:
    """The values that a file names, where there is one; else those that smoothing did not make."""
    listed = sorted(entry.value for entry in names if entry.value in survey.values)
    if snap and listed:
        return listed
    if smoothed:
        _require_snap(survey, smoothed, snap)
    values = [value for value in sorted(survey.values) if value not in set(smoothed)]
    return _apart(values, survey) if survey.lossy else values


def _require_snap(survey: LabelSurvey, smoothed: Sequence[int], snap: bool) -> None:
    share = sum(survey.values[value].pixels for value in smoothed) / survey.num_pixels
    if share > 0.5 or len(smoothed) == len(survey.values):
        example = survey.values[smoothed[0]].example
        raise LabelError(f"{example}: {len(smoothed)} different {survey.kind}, mostly without a region. {NOT_A_LABEL}")
    if snap:
        return
    files = list(dict.fromkeys(survey.values[value].example for value in smoothed))
    named = ", ".join(str(path) for path in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    shown = ", ".join(value_text(value, survey) for value in smoothed[:4])
    cause = "saved as JPEG" if survey.lossy else "resized with smoothing, or saved as JPEG"
    raise LabelError(
        f"{named}: {len(smoothed)} values ({shown}, ...) lie between two others and only along boundaries: these "
        f"labels were {cause}. Write them again with nearest-neighbour resizing as PNG, or use `segnet data init "
        "--snap`, which reads each such pixel as the nearest class"
    )


def _apart(values: Sequence[int], survey: LabelSurvey) -> list[int]:
    """Values without those that JPEG made near a more frequent one."""
    kept: list[int] = []
    for value in sorted(values, key=lambda v: -survey.values[v].pixels):
        if all(distance_between(value, other, survey) > _LOSSY_NEAR for other in kept):
            kept.append(value)
    return sorted(kept)


def _strays(survey: LabelSurvey, values: Sequence[int], user_void: set[int]) -> dict[int, int]:
    """Rare values close to a frequent one, where all frequent ones are far apart: 254 beside 0 and 255."""
    rare = [v for v in values if survey.values[v].pixels <= _RARE * survey.num_pixels and v not in user_void]
    frequent = [v for v in values if v not in set(rare)]
    distances = [distance_between(a, b, survey) for i, a in enumerate(frequent) for b in frequent[:i]]
    if not distances or min(distances) < _SPACED:
        return {}
    nearest = {v: min(frequent, key=lambda f: distance_between(v, f, survey)) for v in rare}
    return {v: f for v, f in nearest.items() if distance_between(v, f, survey) <= _NEAR}


def _void_by_name(value: int, names: Sequence[Named]) -> str:
    return next((f"'{named.name}' in {named.source}" for named in names if named.value == value and named.is_void), "")


def _void_by_tag(value: int, survey: LabelSurvey) -> str:
    """Values that are no ids, such as NaN and -9999, where a tag says that they are no data (see `class_ids.py`)."""
    file = survey.no_data.get(value) if value == HIGHEST_ID else None
    return f"no data, as the tag of {file.name} says" if file else ""


def _void_by_convention(value: int, survey: LabelSurvey, names: Sequence[Named]) -> str:
    if survey.kind == "colours":
        return ""
    others = sorted(({named.value for named in names} or survey.values.keys()) - {VOID})
    if value != VOID or not others:
        return ""
    if survey.palette.get(VOID) == _VOC_BORDER:
        return "the palette of PASCAL VOC"
    # Nearly consecutive: a few classes may be missing from a small dataset. A mask of 0 and 255 is no such case.
    is_small = len(others) > 1 and others[-1] < min(VOID, 2 * len(others) + 1)
    return "255 beside small ids, as in VOC and Cityscapes" if is_small else ""


def _label_file(root_name: str, survey: LabelSurvey, names: Sequence[Named], decision: _Decision) -> LabelFile:
    named = {entry.value: entry for entry in names if not entry.is_void}
    values = sorted({*decision.classes, *named} - decision.void.keys())  # those of a table, although they do not occur
    if survey.kind == "colours":
        order = {entry.value: number for number, entry in enumerate(names)}
        values.sort(key=lambda value: order.get(value, len(order) + value))
    unnamed = {value: f"class-{value if survey.kind == 'ids' else place}" for place, value in enumerate(values)}
    class_names = tuple(named[value].name if value in named else unnamed[value] for value in values)
    label_set = LabelSet(root_name, class_names, _class_colours(values, survey, named))
    void_values = sorted({*decision.void, *(entry.value for entry in names if entry.is_void)})
    if survey.kind == "colours":
        places = tuple((place,) for place in range(len(values)))
        return LabelFile(label_set, "colours", places, (), tuple(map(colour_of, void_values)), decision.snap)
    ids = tuple((value, *sorted(v for v, to in decision.joined.items() if to == value)) for value in values)
    return LabelFile(label_set, "ids", ids, tuple(void_values), (), decision.snap)


def _class_colours(values: Sequence[int], survey: LabelSurvey, named: Mapping[int, Named]) -> tuple[Colour, ...]:
    """Those of the files or of the table, where every class has one of its own; else made up."""
    if survey.kind == "colours":
        return tuple(colour_of(value) for value in values)
    found = [named[v].colour if v in named and named[v].colour else survey.palette.get(v) for v in values]
    chosen = tuple(colour for colour in found if colour is not None)
    return chosen if len(set(chosen)) == len(values) else distinct_colours(len(values))


def _report(survey: LabelSurvey, labels: LabelFile, names: Sequence[Named], decision: _Decision) -> list[str]:
    """A line for each value, then what is in doubt."""
    table = labels.id_table if labels.kind == "ids" else {_code(c): i for c, i in labels.colour_table.items()}
    shown = sorted({*decision.classes, *decision.void, *decision.joined}, key=lambda v: -survey.values[v].pixels)
    words = {v: value_text(v, survey) for v in shown[:_SHOWN]}
    wide = max(map(len, words.values()))
    lines = [f"{survey.num_files} label images of {survey.kind}, {labels.label_set.num_classes} classes:"]
    for value, text in words.items():
        of = survey.values[value]
        if value in decision.void:
            became = f"ignored ({decision.void[value]})"
        else:
            target = decision.joined.get(value, value)
            became = f"class '{labels.label_set.names[table[target]]}'"
        share = of.pixels / survey.num_pixels
        lines.append(f"  {text:>{wide}} -> {became}: {share:.2%} of the pixels, most in {of.example}")
    lines += [f"  and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    for value, target in decision.joined.items():
        of = survey.values[value]
        pixels = "1 pixel has" if of.pixels == 1 else f"{of.pixels} pixels have"
        remedy = f"Edit ids in {LABELS_TOML}" if survey.kind == "ids" else f"Delete snap in {LABELS_TOML}"
        lines.append(
            f"warning: {pixels} the value {value_text(value, survey)}, most in {of.example}; it is read as "
            f"{value_text(target, survey)}, which is next to it. {remedy} if it is a class of its own"
        )
    smoothed = survey.smoothed_values(1) if decision.snap and not decision.joined else []
    if smoothed:
        share = sum(survey.values[value].pixels for value in smoothed) / survey.num_pixels
        lines.append(f"warning: {len(smoothed)} other values, {share:.2%} of the pixels, are read as the nearest class")
    unnamed = [value for value in decision.classes if names and value not in {entry.value for entry in names}]
    if unnamed:
        first = survey.values[unnamed[0]]
        lines.append(
            f"warning: {names[0].source} does not name {', '.join(value_text(v, survey) for v in unnamed[:5])} "
            f"(such as in {first.example})"
        )
    lines += [f"warning: {doubt}" for doubt in decision.doubts]
    if labels.label_set.num_classes == 1:
        lines.append("warning: one class only: nothing can be learned; is a value ignored that is a class?")
    return lines


def _code(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]
