"""Looking at data before training: write a first `labels.toml`, and find what is wrong with a dataset."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from segnet.data.class_weights import ClassFrequencies
from segnet.data.reading.images import open_image
from segnet.data.reading.label_file import LABELS_TOML, LabelFile, write_labels_toml
from segnet.data.sample import Dataset
from segnet.errors import DataError, LabelError, SegNetError, ShapeError
from segnet.labels import VOID, VOID_COLOUR, Colour, LabelSet, distinct_colours

_COMMENT = """Written by `segnet data init` from the images in labels/. Give the classes their names.
labels = "ids": the numbers in grey or palette images; "colours": images painted in RGB.
Ids under void_ids, and colours under void_colours, count for nothing in training and scores."""


@dataclass
class _Found:
    """What the label images hold."""

    ids: set[int] = field(default_factory=set)
    colours: set[Colour] = field(default_factory=set)
    palette: dict[int, Colour] = field(default_factory=dict)
    one_palette: bool = True
    kinds: dict[str, Path] = field(default_factory=dict)


def init_folder(root: Path, overwrite: bool = False) -> Path:
    """Looks at every image in `root/labels` and writes `root/labels.toml` from what it finds.

    Grey images give ids, with colours made up. Palette images give ids and keep their colours, unless their
    palettes disagree on an id: then the colours are what counts. RGB images give colours. Id 255, and black where
    labels are painted in colours, are taken as void; but where 0 and 255 are the only ids, they are two classes, as in
    a mask. Classes are called `class-<id>`, or counted where there are no
    ids; a person gives them names afterwards.

    Args:
        root: the folder of a dataset, as `folder.py` draws it.
        overwrite: replace a `labels.toml` that is there.

    Returns:
        The path of the file written.

    Raises:
        DataError: there is a `labels.toml` already, no label image, or one that cannot be read.
        LabelError: images of ids and of colours are mixed, 16-bit ids, or more than 255 colours.
    """
    path = root / LABELS_TOML
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists; delete it, or ask to overwrite it")
    folder = root / "labels"
    paths = sorted(p for p in folder.rglob("*.png") if p.is_file()) if folder.is_dir() else []
    if not paths:
        raise DataError(f"no label image: expected PNG files in {folder}")
    found = _Found()
    for label_path in paths:
        _look(label_path, found)
    name = root.resolve().name or "my-data"
    write_labels_toml(
        path, _from_colours(name, found) if "colours" in found.kinds else _from_ids(name, found), _COMMENT
    )
    return path


def _look(path: Path, found: _Found) -> None:
    image = open_image(path)
    if image.mode in ("L", "P", "1"):
        ids = np.array(image.convert("L") if image.mode == "1" else image)
        present: list[int] = np.unique(ids).tolist()
        found.ids.update(present)
        found.kinds.setdefault("ids", path)
        if image.mode == "P":
            for i, colour in _palette_colours(image, present).items():
                found.one_palette &= found.palette.setdefault(i, colour) == colour
                found.colours.add(colour)
    elif image.mode in ("RGB", "RGBA"):
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.uint32), -1, 0)
        for code in np.unique(red << 16 | green << 8 | blue).tolist():
            found.colours.add((code >> 16, code >> 8 & 255, code & 255))
        found.kinds.setdefault("colours", path)
    else:
        raise LabelError(f"{path} holds mode {image.mode} pixels; expected 8-bit grey, palette or RGB labels")
    if len(found.kinds) == 2:
        raise LabelError(
            f"{found.kinds['ids']} holds class ids but {found.kinds['colours']} holds colours; "
            "expected one kind in labels/"
        )
    if len(found.colours) > VOID + 1:
        raise LabelError(
            f"{path}: {len(found.colours)} different colours up to here, expected at most {VOID + 1}; "
            "is it a photograph, or a label that was saved as JPEG or resized with smoothing?"
        )


def _palette_colours(image: Image.Image, ids: list[int]) -> dict[int, Colour]:
    flat = image.getpalette("RGB") or []
    flat += [0] * (768 - len(flat))
    return {i: (flat[3 * i], flat[3 * i + 1], flat[3 * i + 2]) for i in ids}


def _from_ids(name: str, found: _Found) -> LabelFile:
    if found.palette and not found.one_palette:
        return _from_colours(name, found)
    void_ids = () if found.ids == {0, VOID} else (VOID,)
    ids = sorted(found.ids - set(void_ids))
    if not ids:
        raise LabelError(f"all pixels of all label images are {VOID}, which is void; expected at least one class")
    colours = [found.palette.get(i) for i in ids]
    usable = len(set(colours)) == len(colours) and None not in colours
    chosen = tuple(c for c in colours if c is not None) if usable else distinct_colours(len(ids))
    label_set = LabelSet(name, tuple(f"class-{i}" for i in ids), chosen)
    return LabelFile(label_set, "ids", tuple((i,) for i in ids), void_ids)


def _from_colours(name: str, found: _Found) -> LabelFile:
    colours = tuple(sorted(found.colours - {VOID_COLOUR}))
    if not colours:
        raise LabelError("all pixels of all label images are black, which is void; expected at least one class")
    label_set = LabelSet(name, tuple(f"class-{i}" for i in range(len(colours))), colours)
    return LabelFile(label_set, "colours", tuple((i,) for i in range(len(colours))), (VOID,), (VOID_COLOUR,))


@dataclass(frozen=True)
class Check:
    """What `check` found.

    Attributes:
        num_images: in the dataset.
        unreadable: a message for each image or label that is missing or broken.
        size_mismatches: a message for each label of another size than its image.
        unknown_labels: a message for each file with class ids or colours that are not known, with their pixels.
        all_void: names of the images without a labelled pixel.
        frequencies: of the classes, over the images that could be read.
    """

    num_images: int
    unreadable: tuple[str, ...]
    size_mismatches: tuple[str, ...]
    unknown_labels: tuple[str, ...]
    all_void: tuple[str, ...]
    frequencies: ClassFrequencies

    @property
    def missing_classes(self) -> tuple[str, ...]:
        """Names of the classes that no readable image contains."""
        names = self.frequencies.label_set.names
        return tuple(n for n, pixels in zip(names, self.frequencies.pixels[:-1].tolist(), strict=True) if not pixels)

    @property
    def ok(self) -> bool:
        """Whether one can train on it: every file reads and fits, and there is a labelled pixel.

        Single images that are all void, and classes that never occur, are worth a look but harm nothing.
        """
        broken = self.unreadable or self.size_mismatches or self.unknown_labels
        return not broken and bool(self.frequencies.pixels[:-1].any())

    def lines(self) -> list[str]:
        """The check as plain lines: what is wrong, then the classes, then the verdict."""
        found = [
            *_group("missing or unreadable files", self.unreadable),
            *_group("labels of another size", self.size_mismatches),
            *_group("files with unknown labels", self.unknown_labels),
            *_group("images without a labelled pixel", self.all_void),
        ]
        if self.missing_classes:
            found.append(f"classes that never occur: {', '.join(self.missing_classes)}")
        frequencies = self.frequencies
        total = max(int(frequencies.pixels.sum()), 1)
        names = (*frequencies.label_set.names, "void")
        wide = max(len(n) for n in names)
        counts = zip(names, frequencies.pixels.tolist(), frequencies.images.tolist(), strict=True)
        table = [f"{name:<{wide}}  {pixels / total:>8.3%}  {images:>8}" for name, pixels, images in counts]
        verdict = "ok" if self.ok else "not ok: see above" if found else "not ok: no labelled pixel"
        return [
            *found,
            f"{'class':<{wide}}  {'pixels':>8}  {'images':>8}",
            *table,
            f"{self.num_images} images: {verdict}",
        ]


def check(dataset: Dataset) -> Check:
    """Reads every sample and notes what is wrong; goes on over files that are missing or broken.

    Args:
        dataset: may be empty; opened with `allow_missing`, else a missing file is refused there already.
    """
    unreadable, sizes, unknown, all_void = [], [], [], []
    frequencies = ClassFrequencies.none(dataset.label_set)
    for index, name in enumerate(dataset.names):
        try:
            target = dataset[index].target
        except ShapeError as problem:
            sizes.append(str(problem))
        except LabelError as problem:
            unknown.append(str(problem))
        except (SegNetError, OSError) as problem:
            unreadable.append(str(problem))
        else:
            frequencies = frequencies.add(target)
            if (target == VOID).all():
                all_void.append(name)
    return Check(len(dataset), tuple(unreadable), tuple(sizes), tuple(unknown), tuple(all_void), frequencies)


def _group(what: str, messages: tuple[str, ...]) -> list[str]:
    if not messages:
        return []
    return [f"{what}: {len(messages)}", *(f"  {m}" for m in messages)]
