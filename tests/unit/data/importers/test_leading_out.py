"""Names in annotations, and links in folders, that lead out of what was given to import."""

import io
import json
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from export_samples import SAMPLES
from PIL import Image

from segnet.data.importers import import_dataset
from segnet.errors import DataError, SegNetError


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


NAMES_OUTSIDE = (
    "../secret/secret.png",
    "images/../../secret/secret",
    "{absolute}",
    "..\\secret\\secret.png",
)
# The other formats go by the names of files alone; YOLO's data.yaml names folders, which are not looked up.
NAMING = {"coco", "yolo", "cvat", "labelme", "label-studio", "via", "voc", "coco-panoptic", "colours", "mapillary"}


def with_names_replaced(src: Path, name: str) -> int:
    """Puts a name in place of each word of the text files that names a file or a folder of the export."""
    inside = {part for path in src.rglob("*") for part in (path.name, path.stem)} - {"", "README"}
    replaced = 0
    for path in src.rglob("*"):
        if path.suffix not in (".json", ".xml", ".txt", ".csv", ".yaml"):
            continue
        text, new = path.read_text(), name.replace("\\", "\\\\") if path.suffix == ".json" else name

        def put(match: re.Match[str], new: str = new) -> str:
            nonlocal replaced
            named = Path(match[0]).name in inside and not match[0].startswith("class")
            replaced += named
            return new if named else match[0]

        path.write_text(re.sub(r"(?<![\w-])[\w./-]+(?![\w-])", put, text))
    return replaced


@pytest.mark.parametrize("tool", SAMPLES)
def test_no_name_in_any_format_leads_out_of_the_export(tool: str, tmp_path: Path) -> None:
    outside, nameless = secret(tmp_path), set(SAMPLES) - NAMING
    for number, name in enumerate(NAMES_OUTSIDE):
        room = tmp_path / f"{number}"
        SAMPLES[tool](room / "src")
        (room / "secret").symlink_to(outside.parent)
        assert (with_names_replaced(room / "src", name.format(absolute=outside)) == 0) == (tool in nameless)
        if tool in nameless:
            break
        before = {file for file in room.rglob("*") if file.is_file()}
        try:
            import_dataset(room / "src", room / "out", data_format=tool)
        except SegNetError:
            assert not (room / "out").exists()
            continue
        made = {file for file in room.rglob("*") if file.is_file()} - before
        assert made and all(file.is_relative_to(room / "out") for file in made)
        assert all(np.asarray(Image.open(file)).flat[0] != 201 for file in (room / "out" / "images").iterdir())


@pytest.mark.parametrize("tool", SAMPLES)
@pytest.mark.parametrize("form", ["above", "link"])
def test_an_archive_of_any_format_cannot_lead_out(form: str, tool: str, tmp_path: Path) -> None:
    outside = secret(tmp_path)
    SAMPLES[tool](tmp_path / "src")
    files = [path for path in sorted((tmp_path / "src").rglob("*")) if path.is_file()]
    bad = next((path for path in files if path.suffix in (".jpg", ".png")), files[0])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed, tarfile.open(tmp_path / "x.tar", "w") as tar:
        for path in files:
            name, data = path.relative_to(tmp_path / "src").as_posix(), path.read_bytes()
            name = f"../{path.name}" if path == bad and form == "above" else name
            info, member = zipfile.ZipInfo(name), tarfile.TarInfo(name)
            if path == bad and form == "link":
                info.external_attr, data = 0o120777 << 16, str(outside).encode()
                member.type, member.linkname = tarfile.SYMTYPE, str(outside)
            member.size = len(data) if member.isreg() else 0
            packed.writestr(info, data)
            tar.addfile(member, io.BytesIO(data))
    before = set(tmp_path.rglob("*"))
    for archive in (tmp_path / "x.zip", tmp_path / "x.tar"):
        with pytest.raises(DataError, match={"above": "leads out of the archive", "link": "is a link"}[form]):
            import_dataset(archive, tmp_path / "out", data_format=tool)
    assert set(tmp_path.rglob("*")) == before
