"""Label sets: names and colours of the classes, and the id of ignored pixels.

Inside the package a target holds class ids `0..K-1` and `VOID` (255). Files on disk may number their classes
differently (CamVid's void is 11, SUN RGB-D's is 0); the reader of each dataset converts them when it reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from segnet.errors import LabelError

VOID = 255
VOID_COLOUR = (0, 0, 0)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """The classes of a dataset, in the order of their ids.

    Args:
        name: of the set, for example `camvid-11`.
        names: one name per class; the position is the class id.
        colours: one RGB colour per class, each channel 0..255.
        file_ids: the id of each class in the label files of the dataset, 0..65535, where those are not 0..K-1; else
            empty. Predictions are written with them. Two sets that differ in nothing else are equal.

    Raises:
        LabelError: no class, more than 255, a name, colour or id used twice, or lists of different length.
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    file_ids: tuple[int, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= VOID:
            raise LabelError(f"label set '{self.name}': expected 1 to {VOID} classes, got {len(self.names)}")
        if len(self.names) != len(self.colours):
            raise LabelError(
                f"label set '{self.name}': {len(self.names)} names but {len(self.colours)} colours; give each one"
            )
        if self.file_ids and len(self.file_ids) != len(self.names):
            raise LabelError(f"label set '{self.name}': {len(self.names)} names but {len(self.file_ids)} ids of files")
        for what, values in (("name", self.names), ("colour", self.colours), ("id of files", self.file_ids)):
            twice = {str(v) for v in values if values.count(v) > 1}
            if twice:
                raise LabelError(f"label set '{self.name}': {what} used twice: {', '.join(sorted(twice))}")

    @property
    def num_classes(self) -> int:
        """K, the number of classes; void is not one of them."""
        return len(self.names)

    def to_dict(self) -> dict[str, object]:
        """The set as plain lists, for JSON inside weights and results."""
        record: dict[str, object] = {"name": self.name, "names": list(self.names)}
        record["colours"] = [list(c) for c in self.colours]
        return record | ({"file_ids": list(self.file_ids)} if self.file_ids else {})

    def with_file_ids(self, ids: Sequence[int]) -> "LabelSet":
        """The same classes, of which the label files have these ids; ids 0..K-1 need no mention."""
        return replace(self, file_ids=() if tuple(ids) == tuple(range(len(self.names))) else tuple(ids))

    @classmethod
    def from_dict(cls, record: dict[str, object]) -> "LabelSet":
        """The inverse of `to_dict`.

        Raises:
            LabelError: a field is missing or is not of the form that `to_dict` writes.
        """
        try:
            name, names, colours = record["name"], record["names"], record["colours"]
        except KeyError as missing:
            raise LabelError(f"label set record: expected name, names and colours, got none for {missing}") from None
        if not isinstance(name, str) or not isinstance(names, list) or not isinstance(colours, list):
            raise LabelError(f"label set record: expected a name and two lists, got {record!r:.80}")
        file_ids = record.get("file_ids", [])
        if not isinstance(file_ids, list) or not all(isinstance(i, int) for i in file_ids):
            raise LabelError(f"label set record: expected integers as file_ids, got {file_ids!r:.80}")
        return cls(name, tuple(str(n) for n in names), tuple(_colour(c) for c in colours), tuple(file_ids))


def _colour(value: object) -> Colour:
    """Three integers 0..255 from a JSON or TOML list.

    Raises:
        LabelError: anything else.
    """
    if isinstance(value, Sequence) and len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        return (value[0], value[1], value[2])
    raise LabelError(f"colour {value!r}: expected three integers 0..255 (red, green, blue)")


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """`count` different colours, none of them black: class id bits spread over the high bits of R, G and B.

    Returns:
        `count` RGB colours.

    Source:
        The scheme of the PASCAL VOC development kit, which numbers its 21 classes this way.
    """
    colours = []
    for class_id in range(1, count + 1):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= ((class_id >> (3 * bit + channel)) & 1) << (7 - bit)
        colours.append((channels[0], channels[1], channels[2]))
    return tuple(colours)


def _label_set(name: str, **colours: Colour) -> LabelSet:
    return LabelSet(name, tuple(key.replace("_", " ") for key in colours), tuple(colours.values()))


CAMVID_11 = _label_set(
    "camvid-11",
    sky=(128, 128, 128),
    building=(128, 0, 0),
    pole=(192, 192, 128),
    road=(128, 64, 128),
    pavement=(60, 40, 222),
    tree=(128, 128, 0),
    sign=(192, 128, 128),
    fence=(64, 64, 128),
    car=(64, 0, 128),
    pedestrian=(64, 64, 0),
    bicyclist=(0, 128, 192),
)

CITYSCAPES_19 = _label_set(
    "cityscapes-19",
    road=(128, 64, 128),
    sidewalk=(244, 35, 232),
    building=(70, 70, 70),
    wall=(102, 102, 156),
    fence=(190, 153, 153),
    pole=(153, 153, 153),
    traffic_light=(250, 170, 30),
    traffic_sign=(220, 220, 0),
    vegetation=(107, 142, 35),
    terrain=(152, 251, 152),
    sky=(70, 130, 180),
    person=(220, 20, 60),
    rider=(255, 0, 0),
    car=(0, 0, 142),
    truck=(0, 0, 70),
    bus=(0, 60, 100),
    train=(0, 80, 100),
    motorcycle=(0, 0, 230),
    bicycle=(119, 11, 32),
)

_VOC_NAMES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()
VOC_21 = LabelSet("voc-21", tuple(_VOC_NAMES), ((0, 0, 0), *distinct_colours(20)))

_SUN_NAMES = (
    "wall floor cabinet bed chair sofa table door window bookshelf picture counter blinds desk shelves curtain dresser "
    "pillow mirror floor_mat clothes ceiling books fridge tv paper towel shower_curtain box whiteboard person "
    "night_stand toilet sink lamp bathtub bag"
).split()
SUN_37 = LabelSet("sun-37", tuple(n.replace("_", " ") for n in _SUN_NAMES), distinct_colours(37))

LABEL_SETS = {s.name: s for s in (CAMVID_11, SUN_37, VOC_21, CITYSCAPES_19)}
