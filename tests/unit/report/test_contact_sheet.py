from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.sample import Sample
from segnet.errors import ConfigError
from segnet.labels import VOID, LabelSet
from segnet.report.contact_sheet import spread, write_contact_sheet


class Two:
    """A wide image all of <b>, and a high one that is half void."""

    label_set = LabelSet("two", ("a", "<b>"), ((250, 0, 0), (0, 0, 250)))
    names = ("wide", "high & thin")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        target = np.full(((4, 8), (8, 2))[index], 1, np.uint8)
        target[4:] = VOID
        return Sample(np.full((*target.shape, 3), 200, np.uint8), target, self.names[index])


@pytest.mark.parametrize(
    ("length", "count", "indices"), [(3, 5, [0, 1, 2]), (10, 1, [5]), (10, 2, [2, 7]), (9, 3, [1, 4, 7])]
)
def test_indices_are_evenly_spread(length: int, count: int, indices: list[int]) -> None:
    assert spread(length, count) == indices


def test_the_page_has_three_views_and_the_shares_of_the_classes(tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "s.html", Two(), [0, 1], "a <title>")
    page = (tmp_path / "s.html").read_text()
    assert page.count("<img ") == 6
    for words in ("a &lt;title&gt;", "high &amp; thin", "&lt;b&gt; 83.3%", "a 0.0%", "void (not labelled) 16.7%"):
        assert words in page


def test_the_sheet_shows_image_and_overlay_in_their_own_shape(tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "s.png", Two(), [0, 1], "two")
    with Image.open(tmp_path / "s.png") as image:
        sheet = np.asarray(image.convert("RGB"))
    wide, high = sheet[44:], sheet[44:, 14 + 2 * 240 + 14 :]
    assert wide[60, 14 + 120].tolist() == [200] * 3  # the image
    assert wide[60, 14 + 360].tolist() == [80, 80, 230]  # 0.6 of the class's colour over it
    assert high[479, 120].tolist() == [200] * 3
    assert high[470, 360].tolist() == [80, 80, 230]
    assert high[490, 360].tolist() == [200] * 3  # void


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"s\.pdf: a contact sheet is \.html or \.png"):
        write_contact_sheet(tmp_path / "s.pdf", Two(), [0], "two")
