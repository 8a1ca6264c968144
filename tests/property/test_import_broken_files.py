"""Files of labelling tools with one thing broken: they are imported whole, or refused with an error of this package."""

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_samples import SAMPLES
from PIL import Image

from segnet.data.datasets.folder import Folder
from segnet.data.exporters.annotation_files import write_coco, write_labelme
from segnet.data.importers import import_dataset
from segnet.data.street.scenes import Street
from segnet.errors import SegNetError

WRONG = (None, True, -1, 0, 10**30, 1e300, float("nan"), "", "x", "../../x.png", "\x00", [], {}, [[]], [0], [[0, 0]])
CVAT = """<annotations><meta><labels><label><name>a</name><color>#ff0000</color></label></labels></meta>
<image id="0" name="x.png" width="32" height="24" subset="train">
<polygon label="a" points="1,1;9,1;9,9" z_order="0"/><box label="a" xtl="0" ytl="0" xbr="9" ybr="9" rotation="5"/>
<mask label="a" rle="1, 2, 1" left="2" top="2" width="2" height="2"/><ellipse label="a" cx="9" cy="9" rx="4" ry="3"/>
</image></annotations>"""


def paths_in(record: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys that lead to every value inside a record."""
    inner = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    return [found for key, value in inner for found in ((*above, key), *paths_in(value, (*above, key)))]


def with_one_value_changed(text: str, rng: random.Random) -> str:
    record = json.loads(text)
    *above, last = rng.choice(paths_in(record))
    inside = record
    for key in above:
        inside = inside[key]
    if rng.random() < 0.2:
        del inside[last]
    else:
        inside[last] = rng.choice(WRONG)
    return json.dumps(record)


def with_some_characters_changed(text: str, rng: random.Random) -> str:
    characters = list(text)
    for _ in range(rng.randint(1, 3)):
        characters[rng.randrange(len(characters))] = rng.choice('0-;,"<&>e x')
    return "".join(characters)


def is_imported(tool: str, src: Path, out: Path, size_px: tuple[int, int] = (24, 32)) -> bool:
    """Whether the source is imported; if not, it was refused with one line and left nothing."""
    try:
        import_dataset(src, out, data_format=tool)
    except SegNetError as error:
        assert len(str(error).splitlines()) == 1
        assert not out.exists()
        return False
    split = "train" if (out / "train.txt").exists() else "val"
    if split == "val" or (out / "train.txt").read_text():
        assert Folder(out, split)[0].target.shape == size_px
    shutil.rmtree(out)
    return True


@pytest.mark.parametrize(
    "tool",
    ["label-studio", "via", "supervisely", "coco-panoptic", "mapillary", "yolo", "roboflow-masks", "colours", "voc"],
)
def test_a_wrong_value_or_wrong_characters_in_any_text_file_of_a_format(tool: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    SAMPLES[tool](tmp_path / "src")
    texts = [p for p in sorted((tmp_path / "src").rglob("*")) if p.suffix in (".json", ".txt", ".csv", ".yaml")]
    imported = 0
    for seed in range(24):
        path = texts[seed % len(texts)]
        text = path.read_text()
        by_value = path.suffix == ".json" and seed % 3
        change = with_one_value_changed if by_value else with_some_characters_changed
        path.write_text(change(text, random.Random(seed)))
        imported += is_imported(tool, tmp_path / "src", tmp_path / "out")
        path.write_text(text)
    assert 0 < imported < 24


@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_json_with_a_wrong_value_or_wrong_characters(tool: str, tmp_path: Path) -> None:
    (write_labelme if tool == "labelme" else write_coco)(tmp_path / "src", Street(1, (24, 32)))
    (path,) = (tmp_path / "src").glob("*.json")
    text = path.read_text()
    assert is_imported(tool, tmp_path / "src", tmp_path / "out")
    imported = 0
    for seed in range(60):
        change = with_one_value_changed if seed % 3 else with_some_characters_changed
        path.write_text(change(text, random.Random(seed)))
        imported += is_imported(tool, tmp_path / "src", tmp_path / "out")
    assert 0 < imported < 60


def test_xml_with_wrong_characters(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / "src" / "x.png")
    path = tmp_path / "src" / "annotations.xml"
    path.write_text(CVAT)
    assert is_imported("cvat", tmp_path / "src", tmp_path / "out")
    imported = 0
    for seed in range(60):
        path.write_text(with_some_characters_changed(CVAT, random.Random(seed)))
        imported += is_imported("cvat", tmp_path / "src", tmp_path / "out")
    assert 0 < imported < 60


@pytest.mark.parametrize("tool", SAMPLES)
def test_a_number_of_thousands_of_digits(tool: str, tmp_path: Path) -> None:
    """Python's `int` has an error of its own for more than 4300."""
    SAMPLES[tool](tmp_path / "src")
    texts = [p for p in sorted((tmp_path / "src").rglob("*")) if p.suffix in (".json", ".txt", ".csv", ".yaml", ".xml")]
    for path in {p.suffix: p for p in texts}.values():
        text = path.read_text()
        numbers = list(re.finditer(r"\b\d+\b", text))
        for match in (numbers[0], numbers[-1], numbers[len(numbers) // 3]) if numbers else ():
            path.write_text(text[: match.start()] + "9" * 5000 + text[match.end() :])
            is_imported(tool, tmp_path / "src", tmp_path / "out")
        path.write_text(text)
