"""What is written for a labelling tool comes back through the importer of that tool."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.exporters.preannotations import FORMS, PreAnnotations
from segnet.data.importers import import_dataset
from segnet.data.reading.label_file import read_labels_toml
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError
from segnet.labels import CAMVID_11, VOID, LabelSet

STREETS = Street(3, (120, 160), seed=3)
TOOLS = [form for form in FORMS if form != "geojson"]


def predicted(target: np.ndarray) -> np.ndarray:
    """As a model gives it: every pixel has a class."""
    return np.where(target == VOID, 3, target).astype(np.uint8)


def written(root: Path, form: str, suffix: str = ".png") -> Path:
    annotations = PreAnnotations(root / "out", form, CAMVID_11)
    (root / "photos").mkdir()
    for index in range(len(STREETS)):
        sample, path = STREETS[index], root / "photos" / f"scene {index} é{suffix}"
        Image.fromarray(sample.image).save(path)
        annotations.add(path, path.stem, sample.image, predicted(sample.target))
    annotations.finish()
    return root / "out"


def accepted(out: Path) -> None:
    """As Label Studio exports predictions that a person accepted."""
    tasks = json.loads((out / "tasks.json").read_text())
    for number, task in enumerate(tasks):
        task["id"] = number
        task["annotations"] = [{"result": task.pop("predictions")[0]["result"]}]
    (out / "tasks.json").write_text(json.dumps(tasks))


@pytest.mark.parametrize("form", TOOLS)
def test_what_is_written_comes_back(tmp_path: Path, form: str) -> None:
    out = written(tmp_path, form)
    if form == "label-studio":
        accepted(out)
    import_dataset(out, tmp_path / "back", data_format=form)
    names = read_labels_toml(tmp_path / "back" / "labels.toml").label_set.names
    ids = np.full(256, VOID, np.uint8)
    for place, name in enumerate(names):
        ids[place] = CAMVID_11.names.index(name) if name in CAMVID_11.names else VOID
    labels = sorted((tmp_path / "back" / "labels").iterdir())
    assert len(labels) == 3
    both, either = 0, 0
    for path in labels:
        expected = predicted(STREETS[int(path.stem.split()[1])].target)
        with Image.open(path) as label:
            agree = int((ids[np.asarray(label)] == expected).sum())
        both, either = both + agree, either + 2 * expected.size - agree
    assert both / either > 0.98  # intersection over union of all pixels


def test_images_are_copied_and_those_that_tools_cannot_open_become_png(tmp_path: Path) -> None:
    out = written(tmp_path, "coco", ".tif")
    names = sorted(path.name for path in (out / "images").iterdir())
    assert names == ["scene 0 é.png", "scene 1 é.png", "scene 2 é.png"]
    (tmp_path / "b").mkdir()
    out = written(tmp_path / "b", "yolo", ".bmp")
    assert (out / "images" / "scene 1 é.bmp").read_bytes() == (tmp_path / "b" / "photos" / "scene 1 é.bmp").read_bytes()
    assert '  3: "road"\n' in (out / "data.yaml").read_text()


def test_geojson_has_holes_and_rings_that_turn_as_the_standard_asks(tmp_path: Path) -> None:
    classes = np.zeros((9, 10), np.uint8)
    classes[2:7, 3:8] = 1
    label_set = LabelSet("two", ("grass", "house"), ((0, 255, 0), (255, 0, 0)))
    annotations = PreAnnotations(tmp_path, "geojson", label_set)
    annotations.add(tmp_path / "x.png", "x", np.zeros((9, 10, 3), np.uint8), classes)
    annotations.finish()
    grass, house = json.loads((tmp_path / "x.geojson").read_text())["features"]
    assert (grass["properties"]["class"], house["properties"]["color"]) == ("grass", [255, 0, 0])
    outer, hole = (np.array(ring) for ring in grass["geometry"]["coordinates"])
    assert outer.tolist()[0] == outer.tolist()[-1]
    assert sorted(map(tuple, hole[:-1].tolist())) == [(3, 2), (3, 7), (8, 2), (8, 7)]

    def area(ring: np.ndarray) -> float:
        return float((ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]).sum() / 2)

    assert (area(outer), area(hole)) == (90, -25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.geojson"]


def test_forms_and_tolerances_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown form 'lableme' of annotations; did you mean 'labelme'"):
        PreAnnotations(tmp_path, "lableme", CAMVID_11)
    with pytest.raises(ConfigError, match="tolerance -1: expected pixels"):
        PreAnnotations(tmp_path, "coco", CAMVID_11, -1)
