"""`docs/formats.md` says what is true: every format of its table is recognised, imported to the right classes, and can
be trained on after at most three commands."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from export_samples import SAMPLES, scene

from segnet.data.datasets.folder import Folder
from segnet.data.importers import IMPORT_FORMATS

Run = Callable[..., tuple[int, str, str]]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
ROWS = re.findall(r"^\| `([a-z][\w-]*)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, flags=re.MULTILINE)
# The class of pixels without a label: a class of their own, or ignored as the published datasets define it.
VOID_ELSEWHERE = ("coco-panoptic", "cityscapes", "kitti", "ade20k", "mapillary")


def test_the_table_lists_every_format() -> None:
    assert {row[0] for row in ROWS} == set(IMPORT_FORMATS) == set(SAMPLES)


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


@pytest.mark.parametrize("name", ["coco", "yolo", "cvat", "labelme", "roboflow-masks"])
def test_three_commands_lead_from_an_export_to_training(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands stand on the page; the last one, which trains, runs in the test of the tutorial."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export").mkdir()
    SAMPLES[name](tmp_path / "export")
    (text,) = re.findall(r"^```bash\n(segnet data import export .*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line)[1:] for line in text.splitlines()]
    assert len(commands) == 3
    assert commands[-1] == ["train", "--data", "mine"]
    for command in commands[:-1]:
        assert run(*command)[0] == 0


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
