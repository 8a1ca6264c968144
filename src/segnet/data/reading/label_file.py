"""`labels.toml`: the meaning of the label images of a folder, written by hand or by `segnet data init`.

    name = "my-street"
    labels = "ids"                  # 8-bit grey, or the indices of a palette; "colours": painted in RGB
    void_ids = [255]                # ignored in training and evaluation; any number of ids, or none
    void_colours = [[0, 0, 0]]      # the same for labels = "colours"
    snap = true                     # other ids or colours count as the nearest one here; default: an error

    [[class]]
    name = "road"
    colour = [128, 64, 128]         # of predictions; with labels = "ids" it may be left out
    ids = [0, 7]                    # in the files; default: the position of the class in this list, from 0

In Python this is a `LabelFile`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segnet.data.reading.class_ids import HIGHEST_ID
from segnet.errors import DataError, LabelError, nearest
from segnet.io.files import whole_file
from segnet.io.text import parse_toml, read_text, toml_value
from segnet.labels import VOID, Colour, LabelSet, distinct_colours

LABELS_TOML = "labels.toml"
KINDS = ("ids", "colours")

_TOP_KEYS = ("name", "labels", "void_ids", "void_colours", "snap", "class")
_CLASS_KEYS = ("name", "colour", "ids")


@dataclass(frozen=True)
class LabelFile:
    """The content of `labels.toml`.

    Args:
        label_set: the classes.
        kind: `ids` or `colours`: what the pixels of the label images are.
        ids: of each class, its ids in the files.
        void_ids: ids in the files that become `VOID`.
        void_colours: colours in the files that become `VOID`.
        snap: read other ids or colours as the nearest of these: for labels that were smoothed by resizing or JPEG.

    Raises:
        LabelError: an unknown kind, an id outside 0..65535, an id or colour used twice, or ids for another number of
            classes.
    """

    label_set: LabelSet
    kind: str
    ids: tuple[tuple[int, ...], ...]
    void_ids: tuple[int, ...] = (VOID,)
    void_colours: tuple[Colour, ...] = ()
    snap: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise LabelError(f"labels = '{self.kind}': expected 'ids' or 'colours'")
        if len(self.ids) != self.label_set.num_classes:
            raise LabelError(f"ids for {len(self.ids)} classes, but there are {self.label_set.num_classes}")
        used = [i for ids in (*self.ids, self.void_ids) for i in ids]
        for i in used:
            if not 0 <= i <= HIGHEST_ID:
                raise LabelError(f"id {i}: expected 0..{HIGHEST_ID}, what an image of 16 bits can hold")
        twice = sorted({i for i in used if used.count(i) > 1})
        if twice and self.kind == "ids":
            raise LabelError(f"id {twice[0]} is used twice; give each id one class, or void")
        both = set(self.void_colours) & set(self.label_set.colours)
        if both and self.kind == "colours":
            raise LabelError(f"colour {min(both)} is a class's and void's; give it one meaning")

    @property
    def numbered_label_set(self) -> LabelSet:
        """The label set with the ids of the label files; of several ids of a class the first."""
        if self.kind != "ids" or not all(self.ids):
            return self.label_set
        return self.label_set.with_file_ids([ids[0] for ids in self.ids])

    @property
    def id_table(self) -> dict[int, int]:
        """Id in the file -> class id or `VOID`."""
        classes = {i: class_id for class_id, ids in enumerate(self.ids) for i in ids}
        return classes | dict.fromkeys(self.void_ids, VOID)

    @property
    def colour_table(self) -> dict[Colour, int]:
        """Colour in the file -> class id or `VOID`."""
        classes = {colour: class_id for class_id, colour in enumerate(self.label_set.colours)}
        return classes | dict.fromkeys(self.void_colours, VOID)


def read_labels_toml(path: Path) -> LabelFile:
    """Reads and checks a `labels.toml`.

    Raises:
        DataError: missing, or not TOML.
        LabelError: an unknown key (names the nearest), a value of another form, or classes that contradict each other.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; `segnet data init {path.parent}` writes one")
    try:
        record = parse_toml(read_text(path))
    except tomllib.TOMLDecodeError as cause:
        raise DataError(f"{path} cannot be read as TOML: {cause}") from cause
    try:
        return _label_file(record, path.parent.resolve().name)
    except LabelError as cause:
        raise LabelError(f"{path}: {cause}") from None


def write_labels_toml(path: Path, labels: LabelFile, comment: str = "") -> None:
    """Writes a `labels.toml` that `read_labels_toml` reads as the same; it appears whole or not at all.

    Args:
        path: replaced where it exists.
        labels: what to write.
        comment: lines put at the top.

    Raises:
        DataError: the file cannot be written.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [f"name = {toml_value(labels.label_set.name)}", f'labels = "{labels.kind}"']
    lines += ["snap = true"] if labels.snap else []
    lines += [f"void_ids = {list(labels.void_ids)}", f"void_colours = {[list(c) for c in labels.void_colours]}"]
    for name, colour, ids in zip(labels.label_set.names, labels.label_set.colours, labels.ids, strict=True):
        lines += ["", "[[class]]", f"name = {toml_value(name)}", f"colour = {list(colour)}"]
        lines += [f"ids = {list(ids)}"] if labels.kind == "ids" else []
    with whole_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _label_file(record: Mapping[str, object], folder: str) -> LabelFile:
    _known_keys(record, _TOP_KEYS, "")
    classes = record.get("class", [])
    if not isinstance(classes, list) or not classes or not all(isinstance(c, dict) for c in classes):
        raise LabelError("expected at least one [[class]] with a name and a colour")
    for number, entry in enumerate(classes):
        _known_keys(entry, _CLASS_KEYS, f"[[class]] {number}: ")
        for key in ("name",) if record.get("labels", "ids") == "ids" else ("name", "colour"):
            if key not in entry:
                raise LabelError(f"[[class]] {number} has no {key}")
    names, colours = [entry["name"] for entry in classes], _colours(classes)
    return LabelFile(
        LabelSet.from_dict({"name": record.get("name", folder), "names": names, "colours": colours}),
        str(record.get("labels", "ids")),
        tuple(_ids(entry.get("ids", [number]), f"ids of '{entry['name']}'") for number, entry in enumerate(classes)),
        _void_ids(record),
        tuple(_colour(c) for c in _list(record.get("void_colours", []), "void_colours")),
        record.get("snap", False) is True,
    )


def _colours(classes: list[dict[str, object]]) -> list[object]:
    """The colour of each class; those left out get ones that no other class has."""
    given = [list(colour) for entry in classes if isinstance(colour := entry.get("colour"), list)]
    free = iter([list(c) for c in distinct_colours(2 * len(classes)) if list(c) not in given])
    return [entry["colour"] if "colour" in entry else next(free) for entry in classes]


def _void_ids(record: Mapping[str, object]) -> tuple[int, ...]:
    """Those of the file; left out, 255, unless a class claims that id by name."""
    if "void_ids" in record:
        return _ids(record["void_ids"], "void_ids")
    classes = record["class"]
    assert isinstance(classes, list)
    claimed = any(VOID in entry["ids"] for entry in classes if isinstance(entry.get("ids"), list))
    return () if claimed else (VOID,)


def _known_keys(record: Mapping[str, object], keys: tuple[str, ...], where: str) -> None:
    for key in record:
        if key not in keys:
            raise LabelError(f"{where}unknown key '{key}'; {nearest(key, keys)}")


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise LabelError(f"{what} = {value!r}: expected a list")
    return value


def _ids(value: object, what: str) -> tuple[int, ...]:
    ids = tuple(i for i in _list(value, what) if isinstance(i, int) and not isinstance(i, bool))
    if len(ids) != len(_list(value, what)):
        raise LabelError(f"{what} = {value!r}: expected a list of integers 0..{HIGHEST_ID}")
    return ids


def _colour(value: object) -> Colour:
    """Three integers 0..255; by way of a label set, which holds the check."""
    return LabelSet.from_dict({"name": "void", "names": ["void"], "colours": [value]}).colours[0]
