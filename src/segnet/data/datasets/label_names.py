"""Which label image belongs to an image, by their names.

In this order, and the first that fits counts:

1. the same name: `X.jpg` and `X.png`;
2. the name and one of `ENDINGS`: `X_mask.png`, `X_L.png`;
3. the name with its suffix: `X.jpg` and `X.jpg.png`;
4. the same name without words that say what a file is, in any case: `X_sat.jpg` and `X_Mask.png`, `image_7.jpg` and
   `label_7.png`, `X.jpg` and `X_label_ground-truth.png`.

Names are compared as text: an accent may be a character of its own, as macOS writes it, or part of its letter.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

ENDINGS = ("", "_mask", "_L", "_label", "_labels", "_labelIds", "_seg", "_gt", "-mask", ".mask")

_LABEL = (
    "mask|masks|l|label|labels|labelids|labeltrainids|seg|segmentation|gt|gtfine|ground|truth|groundtruth|annotation|"
    "annotated|semantic|target|colou?r|binary"
)
_IMAGE = "image|img|sat|rgb|photo|raw|orig|original|input|leftimg8bit"
_BEHIND_LABEL, _BEHIND_IMAGE = (re.compile(rf"[ _.-]+(?:{words})$", re.IGNORECASE) for words in (_LABEL, _IMAGE))
_BEFORE_LABEL = re.compile(r"^(?:mask|label|seg|gt|annotation|target)[ _.-]+", re.IGNORECASE)
_SUFFIX = re.compile(r"\.(?:png|jpe?g|tiff?|bmp|webp)$", re.IGNORECASE)
_BEFORE_IMAGE = re.compile(r"^(?:image|img|sat|rgb|photo)[ _.-]+", re.IGNORECASE)


class LabelIndex:
    """Label images, found by the names of their images.

    Args:
        paths: of the label images.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._by_stem: dict[str, list[Path]] = {}
        for path in paths:
            self._by_stem.setdefault(_as_text(path.stem), []).append(path)

    def __len__(self) -> int:
        return sum(map(len, self._by_stem.values()))

    @property
    def paths(self) -> list[Path]:
        """All label images."""
        return [path for paths in self._by_stem.values() for path in paths]

    def of(self, name: str, besides: Path | None = None) -> list[Path]:
        """The label images that fit a name equally well; empty for none.

        Args:
            name: of the image, without suffix.
            besides: the image itself, where it lies among the label images.
        """
        name = _as_text(name)
        for names in (*((self._by_stem, name + ending) for ending in ENDINGS), (self._by_image, name)):
            found = [path for path in names[0].get(names[1], ()) if path != besides]
            if found:
                return found
        return [path for path in self._by_plain_name.get(_plain_image(name), ()) if path != besides]

    @cached_property
    def _by_image(self) -> dict[str, list[Path]]:
        return {_SUFFIX.sub("", stem): paths for stem, paths in self._by_stem.items() if _SUFFIX.search(stem)}

    @cached_property
    def _by_plain_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for stem, paths in self._by_stem.items():
            found.setdefault(_plain_label(stem), []).extend(paths)
        return found


def _as_text(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _plain_label(stem: str) -> str:
    """A name in lower case without words for labels, and then without words for images."""
    return _plain_image(_without(stem, _BEHIND_LABEL, _BEFORE_LABEL))


def _plain_image(stem: str) -> str:
    return _without(stem, _BEHIND_IMAGE, _BEFORE_IMAGE).lower()


def _without(stem: str, behind: re.Pattern[str], before: re.Pattern[str]) -> str:
    while (match := behind.search(stem)) and match.start() > 0:
        stem = stem[: match.start()]
    rest = before.sub("", stem)
    return rest or stem
