"""`docs/formats.md` says what is true: every format of its table is recognised, imported to the right classes, and can
be trained on after at most three commands."""

import re
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from export_samples import SAMPLES, scene

from segnet.data.datasets.folder import Folder
from segnet.data.importers import IMPORT_FORMATS, import_dataset
from segnet.weights.file import read_card

Run = Callable[..., tuple[int, str, str]]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
ROWS = re.findall(
    r"^\| `([a-z][\w-]*)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, flags=re.MULTILINE
)
# The class of pixels without a label: a class of their own, or ignored as the published datasets define it.
VOID_ELSEWHERE = ("coco-panoptic", "cityscapes", "kitti", "ade20k", "mapillary")


def test_the_table_lists_every_format() -> None:
    assert {row[0] for row in ROWS} == set(IMPORT_FORMATS) == set(SAMPLES)
    assert {(row[4], row[6]) for row in ROWS} == {("every pixel", "3")}  # as the tests below find


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_is_recognised_and_gives_the_scene(name: str, run: Run, tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "export").mkdir()
    SAMPLES[name](tmp_path / "export")
    code, out, err = run("data", "import", tmp_path / "export", "--out", tmp_path / "mine")
    assert (code, err) == (0, "")
    assert re.search(rf"^{re.escape(str(tmp_path / 'export'))} is .* \({name}\): ", out, re.MULTILINE)
    code, out, _ = run("data", "check", tmp_path / "mine")
    assert code == 0, out
    for split in ("train", "val"):
        if (tmp_path / "mine" / "train.txt").exists() and not (tmp_path / "mine" / f"{split}.txt").exists():
            continue
        data = Folder(tmp_path / "mine", split)
        names = ["class-1", "class-2"] if name == "masks" else ["road", "car"]
        for sample in map(data.__getitem__, range(len(data))):
            for class_id, class_name in enumerate(names, 1):
                assert np.array_equal(sample.target == data.label_set.names.index(class_name), scene() == class_id)
            assert ((sample.target == 255) == ((scene() == 0) & (name in VOID_ELSEWHERE))).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_zip_from_a_mac_with_one_folder_in_it(name: str, tmp_path: Path) -> None:
    """It holds a `._` file for each file, beside it and in `__MACOSX`, and everything lies one folder deeper."""
    if name == "parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "export").mkdir()
    SAMPLES[name](tmp_path / "export")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in sorted(path for path in (tmp_path / "export").rglob("*") if path.is_file()):
            place = Path("my export") / path.relative_to(tmp_path / "export")
            archive.write(path, place)
            for beside in (place.parent, "__MACOSX" / place.parent):
                archive.writestr(str(beside / f"._{path.name}"), b"\0\5\26\7\0")
    lines = import_dataset(tmp_path / "export.zip", tmp_path / "mine")
    assert f"({name}): " in lines[0]
    assert len(list((tmp_path / "mine" / "labels").iterdir())) == 2


def commands_of_the_page() -> list[list[str]]:
    """Those that lead from an export to a trained model."""
    (text,) = re.findall(r"^```bash\n(segnet data import export .*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line)[1:] for line in text.splitlines()]
    assert len(commands) == 3 and commands[-1] == ["train", "--data", "mine"]
    return commands


@pytest.mark.slow
@pytest.mark.parametrize("name", ["roboflow-masks", "cvat", "label-studio", "labelme", "coco", "via"])
def test_three_commands_lead_from_an_export_to_a_trained_model(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of the page, on an export of each of the commonest tools; one epoch shows that it works."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export").mkdir()
    SAMPLES[name](tmp_path / "export")
    *prepare, train = commands_of_the_page()
    for command in prepare:
        assert run(*command)[0] == 0
    code, out, err = run(*train, "--set", "train.epochs=1", "--set", "data.workers=0")
    assert (code, err) == (0, ""), out
    card = read_card(tmp_path / "runs/mine/best.safetensors")
    assert {"road", "car"} <= set(card.label_set.names)
    assert (tmp_path / "runs/mine/report.html").is_file()


def test_every_problem_has_a_line_and_skip_broken_goes_on(run: Run, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    SAMPLES["yolo"](tmp_path / "export")
    path = tmp_path / "export" / "labels" / "train" / "a.txt"
    path.write_text(path.read_text() + "0 0.5 0.5 0.1 0.1\n7 0 0 1 0 1 1\n")
    code, out, err = run("data", "import", tmp_path / "export", "--out", tmp_path / "mine")
    assert code == 2
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["problem", "problem", "segnet"]
    assert "line 3 is a box" in lines[0] and "line 4 has the unknown class 7" in lines[1]
    assert "2 problems, the first: " in lines[2] and lines[2].endswith("with --skip-broken")
    assert not (tmp_path / "mine").exists()
    code, out, err = run("data", "import", tmp_path / "export", "--out", tmp_path / "mine", "--skip-broken")
    assert (code, err) == (0, "")
    assert out.count("left out: ") == 2
    assert f"next: segnet data check {tmp_path / 'mine'}, then segnet train --data {tmp_path / 'mine'}" in out
