from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data.importers.cvat import read_cvat
from segnet.errors import DataError, LabelError, SegNetError

Read = Callable[..., Any]

META = """<meta><task><labels>
<label><name>car</name><color>#ff0080</color></label><label><name>boat</name><color>#00ff00</color></label>
</labels></task></meta>"""


def save(root: Path, shapes: str, meta: str = META, image: str = 'name="x.png" width="5" height="4"') -> Path:
    (root / "images").mkdir(parents=True)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(root / "images" / "x.png")
    text = f'<?xml version="1.0"?><annotations><version>1.1</version>{meta}<image id="0" {image}>{shapes}</image>'
    (root / "annotations.xml").write_text(f"{text}</annotations>")
    return root


def test_every_kind_is_drawn_by_its_order_in_the_colours_of_the_tool(read: Read, tmp_path: Path) -> None:
    save(
        tmp_path,
        '<box label="boat" xtl="0" ytl="0" xbr="5" ybr="1" z_order="2"/>'
        '<polygon label="car" points="0.0,0.0;3.0,0.0;3.0,3.0;0.0,3.0" z_order="0"/>'
        '<mask label="boat" rle="1, 1, 1, 1" left="2" top="2" width="2" height="2" z_order="1"/>'
        '<ellipse label="car" cx="4.5" cy="3.5" rx="0.4" ry="0.4"/>'
        '<points label="car" points="1,1"/>',
    )
    source = read(read_cvat, tmp_path, "background")
    assert source.images[0].target.tolist() == [[2, 2, 2, 2, 2], [1, 1, 1, 0, 0], [1, 1, 1, 2, 0], [0, 0, 0, 2, 1]]
    assert source.images.label_set.names == ("background", "car", "boat")
    assert source.images.label_set.colours[1:] == ((255, 0, 128), (0, 255, 0))
    assert source.notes == ("1 shapes of kind 'points' enclose nothing and are left out",)
    assert source.splits == {}


def test_subsets_are_splits(read: Read, tmp_path: Path) -> None:
    save(tmp_path, "", image='name="x.png" subset="Train" width="5" height="4"')
    assert read(read_cvat, tmp_path / "annotations.xml", "background").splits == {"train": ("x",)}


@pytest.mark.parametrize(
    ("shapes", "error", "words"),
    [
        ('<polygon label="car" points="0,0;1,1"/>', LabelError, r"s\.xml: image 'x\.png': polygon 'car' has"),
        ('<polygon label="car" points="0,0;1,1;a,2"/>', LabelError, "expected at least three as x,y;x,y;x,y"),
        ('<polygon label="cat" points="0,0;1,1;1,0"/>', LabelError, "'cat' is not declared in <meta>; known: car"),
        ('<polygon points="0,0;1,1;1,0"/>', LabelError, "has no label"),
        ('<box label="car" xtl="0" ytl="0" xbr="nan" ybr="1"/>', LabelError, "xbr of <box> is 'nan'"),
        ('<mask label="car" rle="1,2" left="0" top="0" width="2" height="2"/>', LabelError, "run lengths of 3 pixels"),
        ('<mask label="car" rle="81" left="0" top="0" width="9" height="9"/>', LabelError, "9x9 in an image of 4x5"),
        ("<polygon", DataError, r"annotations\.xml cannot be read as XML"),
    ],
)  # fmt: skip
def test_what_cannot_be_names_the_file(
    read: Read, tmp_path: Path, shapes: str, error: type[SegNetError], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(read_cvat, save(tmp_path, shapes), "background")


@pytest.mark.parametrize(
    ("text", "words"),
    [("<html></html>", "begins with <html>"), ("<annotations/>", "holds no <image>"), ("", "cannot be read as XML")],
)
def test_another_file_is_refused(read: Read, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(read_cvat, tmp_path, "background")
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(DataError, match=words):
        read(read_cvat, tmp_path, "background")


def test_an_image_outside_the_folder_is_refused(read: Read, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of that name below"):
        read(read_cvat, save(tmp_path, "", image='name="../../y.png" width="5" height="4"'), "background")
