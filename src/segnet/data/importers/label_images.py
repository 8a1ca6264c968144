"""Images whose labels are images too, of class ids or of colours."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segnet.data.importers.source import means_void
from segnet.data.reading.images import read_image
from segnet.data.reading.targets import read_colours_target, read_ids_target, require_files, sample_of
from segnet.data.sample import Sample
from segnet.errors import DataError, LabelError
from segnet.io.text import read_text
from segnet.labels import VOID, Colour, LabelSet


class LabelImages:
    """A dataset of images with a label image each.

    Args:
        pairs: paths of image and label image; at least one.
        names: of the images, all different.
        label_set: of the classes.
        ids: id in the label images -> class id or `VOID`; None where they hold colours.
        colours: colour -> class id or `VOID`, in their place.

    Raises:
        DataError: a file is missing.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path]],
        names: tuple[str, ...],
        label_set: LabelSet,
        *,
        ids: Mapping[int, int] | None = None,
        colours: Mapping[Colour, int] | None = None,
    ) -> None:
        require_files(pairs, "expected an image and its labels")
        self.pairs, self.names, self.label_set = tuple(pairs), names, label_set
        self.paths = tuple(path for path, _ in pairs)
        self.ids, self.colours = ids, colours or {}

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample.

        Raises:
            DataError: a file is broken.
            ShapeError: image and labels differ in size.
            LabelError: an id or colour that is not known; which, how many pixels, and the file.
        """
        path, labels = self.pairs[index]
        target = read_colours_target(labels, self.colours) if self.ids is None else read_ids_target(labels, self.ids)
        return sample_of(read_image(path), target, self.names[index], path, labels)


def read_colour_table(path: Path) -> dict[str, Colour]:
    """Class names and colours from a text file, one class a line.

    Three forms are known: `name,red,green,blue` (commas; a first line without numbers is a heading), `red green blue
    name` (spaces; CamVid's `label_colors.txt`), and `name:red,green,blue:...` (CVAT's `labelmap.txt`; lines with # are
    comments).

    Raises:
        DataError: missing, empty, or not in UTF-8.
        LabelError: a line of another form, a name that is there twice, or a value outside 0..255.
    """
    found: dict[str, Colour] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.partition("#")[0].strip()
        heading = not found and not any(c.isdigit() for c in text)
        if not text or heading:
            continue
        name, colour = _entry(text, f"{path}, line {number}")
        if name in found:
            raise LabelError(f"{path}, line {number}: the class '{name}' is there twice; leave one out")
        found[name] = colour
    if not found:
        raise DataError(f"{path} names no class; expected a line such as road,128,64,128 for each")
    return found


def classes_of(table: Mapping[str, Colour], name: str) -> tuple[LabelSet, dict[Colour, int]]:
    """Class names and colours as a label set called `name`, and as colour -> class id; what means void is `VOID`.

    Raises:
        LabelError: no class, too many, or a colour that two of them share.
    """
    classes = {n: colour for n, colour in table.items() if not means_void(n)}
    label_set = LabelSet(name, tuple(classes), tuple(classes.values()))
    void = {colour: VOID for n, colour in table.items() if means_void(n)}
    return label_set, void | {colour: class_id for class_id, colour in enumerate(label_set.colours)}


def _entry(text: str, where: str) -> tuple[str, Colour]:
    if ":" in text:
        name, _, rest = text.partition(":")
        numbers = rest.split(":")[0].split(",")
    elif "," in text:
        name, *numbers = text.split(",")
    else:
        *numbers, name = text.split(maxsplit=3)
    values = [int(n) for n in map(str.strip, numbers) if n.isdecimal() and int(n) <= 255]
    if not name.strip() or len(values) != 3 or len(numbers) != 3:
        raise LabelError(f"{where} is '{text:.60}'; expected a name and a colour such as road,128,64,128 (each 0..255)")
    return name.strip(), (values[0], values[1], values[2])
