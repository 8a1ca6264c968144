"""How the tests of a reader call it: all problems of the source are raised, as an import would."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from segnet.data.importers.annotations import Annotations
from segnet.data.importers.imported import Imported, merge
from segnet.data.importers.problems import ImportContext, Problems


@dataclass(frozen=True)
class Read:
    """What a reader found, merged into a dataset called `mine`."""

    images: Imported
    splits: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


@pytest.fixture
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Read]:
    """`read(read_coco, src, rest="background", order=None, tolerance=0)`."""

    def call(
        reader: Callable[[Path, ImportContext], Annotations],
        src: Path,
        rest: str = "background",
        order: str | None = None,
        tolerance: int = 0,
    ) -> Read:
        context = ImportContext(tmp_path_factory.mktemp("scratch"), Problems(), tolerance)
        found = reader(src, context)
        data = merge([("src", found)], "mine", rest, order, context.problems)  # type: ignore[arg-type]
        context.problems.raise_any()
        splits: dict[str, tuple[str, ...]] = {}
        for entry in data.entries:
            if entry.image.split:
                splits[entry.image.split] = (*splits.get(entry.image.split, ()), entry.name)
        return Read(data, splits, found.notes)

    return call
