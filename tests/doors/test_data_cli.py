"""`segnet data ...` from outside, and the way from a labelling tool's files to predictions in four commands."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.datasets.folder import Folder
from segnet.data.exporters.annotation_files import write_coco, write_labelme
from segnet.data.sample import Dataset
from segnet.data.street.scenes import Street
from segnet.labels import CAMVID_11

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(("tool", "write"), [("labelme", write_labelme), ("coco", write_coco)])
def test_import_check_train_and_predict_are_four_commands(
    run: Run, tool: str, write: Callable[[Path, Dataset], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "labelled", Street(8, (48, 64), seed=1))

    code, out, err = run("data", "import", "labelled", "--from", tool, "--out", "mine", "--rest", "void")
    assert (code, err) == (0, "")
    assert "8 images in " in out and "road 8" in out
    code, out, _ = run("data", "check", "mine")
    assert code == 0
    assert re.search(r"\d images: ok", out)
    code, out, err = run("train", "--data", "mine", "--set", "train.epochs=1", "--set", "data.workers=0")
    assert (code, err) == (0, "")
    assert "model: segnet-basic, started from the weights segnet-basic-camvid; keeps what it learnt of " in out
    assert f"({CAMVID_11.num_classes} of {CAMVID_11.num_classes} classes)" in out
    assert 'start = "segnet-basic-camvid"' in (tmp_path / "runs" / "mine" / "config.toml").read_text()
    code, out, _ = run("predict", "mine/images", "--weights", "runs/mine/best.safetensors", "--out", "predictions")
    assert code == 0
    assert "8 of 8 images" in out

    with Image.open("predictions/street-1-0000-classes.png") as classes:
        assert classes.size == (64, 48)
        assert np.asarray(classes).max() < CAMVID_11.num_classes


def test_import_says_what_a_person_should_know_and_nothing_stays_of_what_fails(run: Run, tmp_path: Path) -> None:
    write_labelme(tmp_path / "labelled", Street(2, (24, 32), seed=1))
    path = tmp_path / "labelled" / "street-1-0000.json"
    path.write_text(path.read_text().replace('"label": "void"', '"label": "gap"'))
    code, out, _ = run("data", "import", tmp_path / "labelled", "--from", "labelme", "--out", tmp_path / "data")
    assert code == 0
    for words in (
        "background 0",
        "pixels that no shape covers are background (--rest)",
        "there later shapes are drawn over earlier ones",
    ):
        assert words in out
    path.write_text(path.read_text().replace(', "imagePath"', ', "x"'))
    code, out, err = run("data", "import", tmp_path / "labelled", "--from", "labelme", "--out", tmp_path / "again")
    assert (code, err.count("\n")) == (2, 1)
    assert "street-1-0000.json is not a LabelMe file: imagePath: Field required" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "labelled"]


def test_split_keeps_groups_together_and_says_how(run: Run, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in [f"{place}-{number}" for place in "abcde" for number in range(4)]:
        noise = np.random.default_rng(len(list((tmp_path / "images").iterdir()))).integers(0, 256, (16, 16, 3))
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "images" / f"{name}.png")
    code, out, _ = run("data", "split", tmp_path)
    assert code == 0
    assert "20 images in 5 groups (the name without the number at its end); the largest: a 4, b 4, c 4" in out
    assert "train: 16 images, 80%" in out
    val = (tmp_path / "val.txt").read_text().split()
    assert len(val) == 4 and len({name[0] for name in val}) == 1
    code, _, err = run("data", "split", tmp_path)
    assert code == 2
    assert "train.txt exists" in err
    code, out, _ = run("data", "split", tmp_path, "--overwrite", "--by", r".-(\d)", "--test", 0.25, "--val", 0.25)
    assert code == 0
    assert "20 images in 4 groups (the pattern '.-(\\d)')" in out
    assert (tmp_path / "test.txt").is_file()


@pytest.mark.parametrize("suffix", [".html", ".png"])
def test_show_writes_a_sheet_of_images_and_labels(run: Run, suffix: str, tmp_path: Path) -> None:
    run("data", "draw", tmp_path / "d", "--count", 12, "--size", "24x32")
    sheet = tmp_path / f"sheet{suffix}"
    code, out, _ = run("data", "show", tmp_path / "d", "--count", 3, "--out", sheet)
    assert code == 0
    assert f"3 of 12 images (train, val) in {sheet}" in out
    if suffix == ".html":
        page = sheet.read_text()
        assert page.count("<img ") == 9
        assert "d, train, val: 3 of 12 images" in page
        assert re.search(r"road \d+\.\d%", page)
        assert "http" not in page.replace("http-equiv", "")
    else:
        with Image.open(sheet) as image:
            colours = {tuple(c) for c in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
        assert CAMVID_11.colours[CAMVID_11.names.index("road")] in colours  # in the legend


def test_show_of_one_split_says_which(run: Run, tmp_path: Path) -> None:
    run("data", "draw", tmp_path / "d", "--count", 12, "--size", "24x32")
    code, out, _ = run("data", "show", tmp_path / "d", "--split", "val", "--out", tmp_path / "x.png")
    assert code == 0
    assert "4 of 4 images (val) in " in out


def test_check_reads_every_split_by_name(run: Run, tmp_path: Path) -> None:
    run("data", "draw", tmp_path, "--count", 6, "--size", "24x32")
    parts = {split: Folder(tmp_path, split).names for split in ("train", "val")}
    for split, names in parts.items():
        label = tmp_path / "labels" / f"{names[0]}.png"
        whole = label.read_bytes()
        label.write_bytes(whole[:60])
        code, out, _ = run("data", "check", tmp_path)
        assert code == 2
        blocks = dict(zip(("train", "val"), re.split(r"^train:\n|^val:\n", out, flags=re.MULTILINE)[1:], strict=True))
        for other, block in blocks.items():
            assert (label.name in block) == (other == split)
            verdict = "not ok: see above" if other == split else "ok"
            block_alone = block.partition("leak: ")[0]
            assert block_alone.endswith(f"\n{len(parts[other])} images: {verdict}\n")
            code, out, _ = run("data", "check", tmp_path, "--split", other)
            assert (code, out) == (2 if other == split else 0, block_alone)
        label.write_bytes(whole)
    (tmp_path / "test").mkdir()  # of no meaning in this layout
    assert run("data", "check", tmp_path)[0] == 0


def test_check_reads_every_list_that_is_there(run: Run, tmp_path: Path) -> None:
    run("data", "draw", tmp_path, "--count", 6, "--size", "24x32")
    names = sorted(path.stem for path in (tmp_path / "images").iterdir())
    (tmp_path / "train.txt").write_text("\n".join(names[:4]))
    code, out, _ = run("data", "check", tmp_path)
    assert code == 0
    assert re.findall(r"^\w+:$", out, flags=re.MULTILINE) == ["train:"]
    (tmp_path / "test.txt").write_text("\n".join(names[4:]))
    code, out, _ = run("data", "check", tmp_path)
    assert code == 0
    assert re.findall(r"^\w+:$", out, flags=re.MULTILINE) == ["train:", "test:"]
    (tmp_path / "val.txt").write_text(f"{names[0]}\n{names[0]}\n")
    code, out, _ = run("data", "check", tmp_path)
    assert code == 2
    assert out.splitlines()[-1] == f"val: not ok: {tmp_path}/val.txt names '{names[0]}' twice; leave one out"
    code, _, err = run("data", "show", tmp_path, "--out", tmp_path / "x.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "twice; leave one out" in err


def test_check_of_cityscapes_leaves_its_test_split_alone(run: Run, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for kind, suffix in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
            (tmp_path / kind / split / "ulm").mkdir(parents=True)
            image = Image.new("RGB" if kind == "leftImg8bit" else "L", (4, 4), "#000000" if kind[0] == "l" else 7)
            image.putpixel((0, 0), 0 if kind == "leftImg8bit" else 8)
            image.save(tmp_path / kind / split / "ulm" / f"ulm_0_{suffix}.png")
    code, out, _ = run("data", "check", tmp_path)
    assert code == 0
    assert re.findall(r"^\w+:$", out, flags=re.MULTILINE) == ["train:", "val:"]


def test_check_and_show_without_any_split(run: Run, tmp_path: Path) -> None:
    run("data", "draw", tmp_path, "--count", 2, "--size", "24x32")
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    for command in ("check", "show"):
        code, _, err = run("data", command, tmp_path)
        assert (code, err.count("\n")) == (2, 1)
        assert f"no image in the split 'train' of {tmp_path}" in err
    code, _, err = run("data", "check", tmp_path, "--split", "test")
    assert code == 2
    assert "no split 'test'" in err


def test_words_that_cannot_be(run: Run, tmp_path: Path) -> None:
    run("data", "draw", tmp_path / "d", "--count", 6, "--size", "24x32")
    for arguments, words in (
        (["draw", tmp_path / "x", "--as", "yolo"], "unknown form 'yolo'"),
        (["show", tmp_path / "d", "--out", tmp_path / "x.gif"], "a contact sheet is .html or .png"),
        (["import", tmp_path / "d", "--from", "lableme", "--out", tmp_path / "x"], "did you mean 'labelme'?"),
        (["split", tmp_path / "d", "--by", "(street"], "not a regular expression"),
    ):
        code, _, err = run("data", *arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert words in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d"]


def test_suggesting_what_to_label_next(run: Run, tmp_path: Path) -> None:
    for folder, count, seed in (("new", 3, 1), ("done", 1, 9)):
        (tmp_path / folder).mkdir()
        scenes = Street(count, (48, 64), seed)
        for index in range(count):
            Image.fromarray(scenes[index].image).save(tmp_path / folder / f"{index}.png")
    (tmp_path / "new" / "broken.png").write_bytes(b"")
    command = ("data", "suggest", tmp_path / "new", "--weights", "segnet-basic-camvid", "--count", 2)
    code, out, err = run(*command, "--labelled", tmp_path / "done", "--out", tmp_path / "list.json")
    assert code == 2  # for the broken file
    assert "skipped" in err and "broken.png" in err
    assert [line[:2] for line in out.splitlines() if line[:1].isdigit()] == ["1.", "2."]
    assert "entropy 0." in out
    assert len(json.loads((tmp_path / "list.json").read_text())) == 2
    code, _, err = run(*command, "--out", tmp_path / "list.txt")
    assert code == 2
    assert "ends in .csv or .json" in err
