"""Names in annotations, and links in folders, that lead out of what was given to import."""

import json
from pathlib import Path

import numpy as np
import pytest
from export_samples import SAMPLES
from PIL import Image

from segnet.data.importers import import_dataset
from segnet.errors import SegNetError


def secret(tmp_path: Path) -> Path:
    """An image outside the export, of a colour that no image inside has."""
    path = tmp_path / "secret" / "secret.png"
    path.parent.mkdir()
    Image.fromarray(np.full((24, 32, 3), 201, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    "name", ["../secret/secret.png", "images/../../secret/secret.png", "{absolute}", "..\\secret\\secret.png"]
)
def test_an_image_outside_the_export_is_not_imported(name: str, tmp_path: Path) -> None:
    outside = secret(tmp_path)
    SAMPLES["coco"](tmp_path / "src")
    path = tmp_path / "src" / "annotations" / "instances_default.json"
    record = json.loads(path.read_text())
    record["images"][0]["file_name"] = name.format(absolute=outside)
    path.write_text(json.dumps(record))
    with pytest.raises(SegNetError, match="but there is none of that name below"):
        import_dataset(tmp_path / "src", tmp_path / "out", data_format="coco")
    assert not (tmp_path / "out").exists()


def test_names_of_images_never_become_paths_outside_the_new_folder(tmp_path: Path) -> None:
    SAMPLES["coco"](tmp_path / "in" / "src")
    path = tmp_path / "in" / "src" / "annotations" / "instances_default.json"
    text = path.read_text().replace('"a.jpg"', '"../images/a.jpg"')
    path.write_text(text)
    before = {file for file in tmp_path.rglob("*") if file.is_file()}
    import_dataset(tmp_path / "in" / "src", tmp_path / "in" / "out", data_format="coco")
    made = {file for file in tmp_path.rglob("*") if file.is_file()} - before
    assert made and all(file.is_relative_to(tmp_path / "in" / "out") for file in made)
