"""Looking at data before training: write a first `labels.toml`, and find what is wrong with a dataset."""

from dataclasses import dataclass

from segnet.data.class_weights import ClassFrequencies
from segnet.data.sample import Dataset
from segnet.errors import LabelError, SegNetError, ShapeError
from segnet.labels import VOID


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
