"""Checks a dataset before training: files, labels, class frequencies, and images that leak between splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segnet.data.class_weights import ClassFrequencies
from segnet.data.datasets.folder import Folder
from segnet.data.datasets.layout import images_in, label_index, other_files
from segnet.data.datasets.paired import PairedImages
from segnet.data.reading.images import header_of, pages_note
from segnet.data.reading.raster import has_raster
from segnet.data.reading.targets import require_labelled
from segnet.data.sample import Dataset
from segnet.data.similarity import Fingerprint, find_leaks, fingerprint
from segnet.data.value_range import measure_values
from segnet.errors import DataError, LabelError, SegNetError, ShapeError
from segnet.labels import VOID

_SHOWN = 10  # notes of one kind


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
        notes: what does not stop training, but is likely a mistake: pages, EXIF, the range of values.
        prints: place of an image -> its fingerprint, of the images that could be read.
        is_train: whether it is the split to train on.
    """

    num_images: int
    unreadable: tuple[str, ...]
    size_mismatches: tuple[str, ...]
    unknown_labels: tuple[str, ...]
    all_void: tuple[str, ...]
    frequencies: ClassFrequencies
    notes: tuple[str, ...] = ()
    prints: Mapping[int, Fingerprint] = field(default_factory=dict)
    is_train: bool = True

    @property
    def missing_classes(self) -> tuple[str, ...]:
        """Names of the classes that no readable image contains."""
        names = self.frequencies.label_set.names
        return tuple(n for n, pixels in zip(names, self.frequencies.pixels[:-1].tolist(), strict=True) if not pixels)

    @property
    def ok(self) -> bool:
        """Whether one can train on it: every file can be read and fits, and there are two classes to tell apart.

        Single images that are all void, and classes that never occur, do no harm. A split that is not trained on may
        hold one class.
        """
        broken = self.unreadable or self.size_mismatches or self.unknown_labels
        return not broken and bool(self.frequencies.pixels[:-1].any()) and not self.one_class

    @property
    def one_class(self) -> str:
        """Why there is nothing to learn; empty where there are two classes, or none."""
        problem = one_class_problem(self.frequencies)
        return problem if self.is_train or self.frequencies.label_set.num_classes == 1 else ""

    def lines(self) -> list[str]:
        """The check as plain lines: what is wrong, then the classes, then the verdict."""
        found = [
            *_group("missing or unreadable files", self.unreadable),
            *_group("labels of another size", self.size_mismatches),
            *_group("files with unknown labels", self.unknown_labels),
            *_group("images without a labelled pixel", self.all_void),
            *_group("notes", self.notes),
        ]
        if self.missing_classes:
            found.append(f"classes that never occur: {', '.join(self.missing_classes)}")
        if self.one_class:
            found.append(self.one_class)
        frequencies = self.frequencies
        if warning := ignored_warning(frequencies):
            found.append(f"WARNING: {warning}")
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


def check(dataset: Dataset, *, is_train: bool = True) -> Check:
    """Reads every sample and notes what is wrong; continues after files that are missing or broken.

    Args:
        dataset: may be empty; opened with `allow_missing`, else a missing file is refused there already.
        is_train: whether it is the split to train on, which must have two classes.
    """
    unreadable, sizes, unknown, all_void = [], [], [], []
    prints: dict[int, Fingerprint] = {}
    frequencies = ClassFrequencies.none(dataset.label_set)
    for index, name in enumerate(dataset.names):
        try:
            sample = dataset[index]
        except ShapeError as problem:
            sizes.append(str(problem))
        except LabelError as problem:
            unknown.append(str(problem))
        except (SegNetError, OSError) as problem:
            unreadable.append(str(problem))
        else:
            frequencies = frequencies.add(sample.target)
            prints[index] = fingerprint(sample.image)
            if (sample.target == VOID).all():
                all_void.append(name)
    notes = _notes(dataset) if isinstance(dataset, PairedImages) else ()
    return Check(
        len(dataset),
        tuple(unreadable),
        tuple(sizes),
        tuple(unknown),
        tuple(all_void),
        frequencies,
        notes,
        prints,
        is_train,
    )


def one_class_problem(frequencies: ClassFrequencies) -> str:
    """Why a dataset teaches nothing: it has, or labels, one class only; empty where that is not so."""
    label_set = frequencies.label_set
    occurring = np.flatnonzero(frequencies.pixels[:-1]).tolist()
    if label_set.num_classes == 1 or len(occurring) == 1:
        name = label_set.names[occurring[0] if occurring else 0]
        which = "it is the only one" if label_set.num_classes == 1 else "no other occurs"
        return (
            f"one class only, '{name}' ({which}): a model would reach a perfect score without learning anything. Is "
            "the background ignored that should be a class? See void_ids and void_colours in labels.toml"
        )
    return ""


def ignored_warning(frequencies: ClassFrequencies) -> str:
    """Says that most pixels are ignored; empty where at most half of them are."""
    total, ignored = int(frequencies.pixels.sum()), int(frequencies.pixels[-1])
    if ignored * 2 <= total:
        return ""
    return (
        f"{ignored / total:.0%} of all pixels are ignored in training and evaluation. If they are background, make "
        "them a class: take their value out of void_ids or void_colours in labels.toml"
    )


def before_training(dataset: Dataset, most: int = 200) -> list[str]:
    """Looks at some samples before a training run.

    Args:
        dataset: to train on.
        most: samples that are read, evenly spread; all, where these hold one class only.

    Returns:
        Warnings, for the user.

    Raises:
        LabelError: no labelled pixel, or one class only.
        SegNetError: what reading a sample raises.
    """
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(most, len(dataset))).round().astype(int)).tolist()
    frequencies = ClassFrequencies.none(dataset.label_set)
    for index in chosen:
        frequencies = frequencies.add(dataset[index].target)
    rest = sorted(set(range(len(dataset))) - set(chosen))
    while rest and dataset.label_set.num_classes > 1 and (frequencies.pixels[:-1] > 0).sum() < 2:
        frequencies = frequencies.add(dataset[rest.pop()].target)
    if not frequencies.pixels[:-1].any():
        require_labelled(dataset)
    if problem := one_class_problem(frequencies):
        raise LabelError(problem)
    warning = ignored_warning(frequencies)
    return [warning] if warning else []


def leaks_between(splits: Mapping[str, Dataset], checks: Mapping[str, Check]) -> tuple[str, ...]:
    """Images of other splits that resemble one of `train`, as lines; empty where there are none."""
    names = {split: dataset.names for split, dataset in splits.items()}
    return find_leaks(names, {split: checked.prints for split, checked in checks.items()}).lines


def _notes(dataset: PairedImages) -> tuple[str, ...]:
    """What the headers of the images say that pixels do not."""
    turned, pages, cut = list[Path](), list[str](), list[Path]()
    for image, labels in dataset.pairs:
        pages += [note for path in (image, labels) if (note := pages_note(path))]
        try:
            header = header_of(image)
        except DataError:
            continue  # is among the unreadable ones
        height, width = header.size_px
        if header.is_turned and (height == width or header.orientation < 5):
            turned.append(image)
        if header.many_bits and not has_raster(image):
            cut.append(image)
    wide = measure_values([image for image, _ in dataset.pairs])
    folders = dict.fromkeys(folder for pair in dataset.pairs for folder in (pair[0].parent, pair[1].parent))
    others = [path for folder in folders for path in other_files(folder)]
    found = pages[:_SHOWN] + ([f"and {len(pages) - _SHOWN} more of several pages"] if len(pages) > _SHOWN else [])
    if cut:
        found.append(
            f"{len(cut)} images hold 16 bits in several bands, of which the upper 8 are read, such as {cut[0]}: where "
            "the values are small, install the extra: pip install segnet[tiff]"
        )
    if turned:
        found.append(
            f"{len(turned)} images are rotated by their EXIF orientation, such as {turned[0]}, and their size does not "
            "tell whether their labels are too: compare some in `segnet data show`"
        )
    if wide is not None:
        found.append(wide.describe(dataset.reading))
    if lonely := _labels_without_image(dataset):
        found.append(f"{len(lonely)} label images belong to no image, such as {lonely[0]}")
    if others:
        found.append(f"{len(others)} files are not read, for their suffix is not that of an image, such as {others[0]}")
    return tuple(found)


def _labels_without_image(dataset: PairedImages) -> list[Path]:
    """Label images in the folders of a dataset that fit none of the images there, whatever their split."""
    if not isinstance(dataset, Folder):  # other formats keep several files for each image
        return []
    found = list[Path]()
    used = {labels for _, labels in dataset.pairs}
    for images, labels in dict.fromkeys((image.parent, label.parent) for image, label in dataset.pairs):
        index = label_index(labels)
        rest = [path for path in index.paths if path not in used]
        if rest:
            others = {path for name in images_in(images) for path in index.of(name)}
            found += [path for path in rest if path not in others]
    return found


def _group(what: str, messages: tuple[str, ...]) -> list[str]:
    if not messages:
        return []
    return [f"{what}: {len(messages)}", *(f"  {m}" for m in messages)]
