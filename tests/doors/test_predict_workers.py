"""`segnet predict --workers`: processes that share weights, are killed, and go on where they stopped."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.inference.images import ImageResults
from segnet.inference.item import local_items
from segnet.inference.many_images import predict_many
from segnet.inference.predictor import Predictor

Run = Callable[..., tuple[int, str, str]]
ON_CPU = {"weights": "segnet-basic-camvid", "backend": "eager", "device": "cpu", "precision": "float32"}


def photos(folder: Path, number: int) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"photo {n}.png" for n in range(number)]
    for n, path in enumerate(paths):
        Image.fromarray(Street(1, (24, 32 + 8 * (n % 2)), n)[0].image).save(path)
    return paths


def journal(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()][1:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "--again"], "--again belongs to --workers"),
        (
            ["street.mp4", "--workers", 1],
            "street.mp4 is a video, which one process predicts by itself; leave out --workers",
        ),
        (
            ["a.png", "--workers", 1, "--as", "coco"],
            "--as coco writes one file for all images, which needs files of this machine and no --workers",
        ),
        (["x/1/a.png", "x/2/1/a.png", "--workers", 1], "a.png would overwrite those of another image"),
    ],
)
def test_what_workers_do_not_do_is_said_before_any_work(
    arguments: list[object], words: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "x/1/a.png", "x/2/1/a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(name)
    code, _, err = run("predict", *arguments, "--out", "o")
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert not Path("o").exists()


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the processes do, in this one: starting them takes seconds."""
    threads = torch.get_num_threads()

    def run_here(
        items: Sequence[Any], num_workers: int, open_work: Callable[[], Any], *, batch_size: int, **_: object
    ) -> Iterator[tuple[Any, Any]]:
        work = open_work()
        for start in range(0, len(items), batch_size):
            batch = items[start : start + batch_size]
            yield from zip(batch, work(batch), strict=True)

    monkeypatch.setattr("segnet.inference.many_images.run_in_workers", run_here)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_process")
def test_a_folder_then_what_is_new_then_other_settings(run: Run, tmp_path: Path) -> None:
    paths = photos(tmp_path / "in", 5)
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    more = ("--workers", 2, "--batch-size", 2, "--backend", "eager", "--device", "cpu", "--precision", "float32")
    code, out, err = run("predict", tmp_path / "in", "--out", tmp_path / "o", *more)
    assert (code, err.count("\n")) == (2, 1)
    assert "broken.png is not an image" in err
    assert f"5 of 6 images in {tmp_path / 'o'}, " in out
    assert "images/s by 2 workers on eager, cpu, float32" in out
    assert len(list((tmp_path / "o").glob("*.png"))) == 10
    records = {Path(record["image"]).name: record for record in journal(tmp_path / "o")}
    assert len(records) == len(journal(tmp_path / "o")) == 6
    assert sum(records["photo 1.png"]["pixels"].values()) == 24 * 40
    assert "not an image" in records["broken.png"]["failed"]

    before = {path.name: path.stat().st_ino for path in (tmp_path / "o").glob("*.png")}
    paths[0].replace(tmp_path / "in" / "broken.png")
    Image.new("RGB", (16, 16)).save(paths[1])
    (tmp_path / "o" / "photo 2-overlay.png").unlink()
    code, out, err = run("predict", tmp_path / "in", "--out", tmp_path / "o", *more)
    assert (code, err) == (0, "")
    assert f"5 of 5 images in {tmp_path / 'o'}, 2 of them before, " in out
    after = {path.name: path.stat().st_ino for path in (tmp_path / "o").glob("*.png")}
    assert {name for name in after if after[name] != before.get(name)} == {
        f"{stem}-{kind}.png" for stem in ("photo 1", "photo 2", "broken") for kind in ("classes", "overlay")
    }
    code, out, _ = run("predict", tmp_path / "in", "--out", tmp_path / "o", *more)
    assert (code, "5 of them before" in out) == (0, True)
    _, out, _ = run("predict", tmp_path / "in", "--out", tmp_path / "o", *more, "--again")
    assert "before" not in out
    _, out, _ = run("predict", tmp_path / "in", "--out", tmp_path / "o", *more, "--opacity", 1)
    assert f"other settings than those of the last run in {tmp_path / 'o'}: opacity; all are predicted again" in out
    assert "before" not in out


@pytest.mark.slow
@pytest.mark.usefixtures("one_process")
def test_tiles_and_polygons_in_workers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(Street(1, (120, 660))[0].image).save(tmp_path / "in" / "wide.png")
    Image.fromarray(Street(1, (24, 32))[0].image).save(tmp_path / "in" / "small.png")
    code, _, err = run("predict", tmp_path / "in", "--out", tmp_path / "o", "--workers", 1, "--tile", 416)
    assert (code, err) == (0, "")
    assert {record["stem"]: sum(record["pixels"].values()) for record in journal(tmp_path / "o")} == {
        "small": 24 * 32,
        "wide": 120 * 660,
    }
    with Image.open(tmp_path / "o/wide-classes.png") as classes:
        assert classes.size == (660, 120)
    more = ("--workers", 1, "--tile", 416, "--as", "yolo")
    code, _, err = run("predict", tmp_path / "in", "--out", tmp_path / "y", *more)
    assert code == 2
    assert "wide.png goes in tiles, and has no --as then" in err
    assert {path.relative_to(tmp_path / "y").as_posix() for path in (tmp_path / "y").rglob("*.*")} == {
        "data.yaml",
        "images/small.png",
        "labels/small.txt",
        "predictions.jsonl",
    }
    code, out, _ = run("predict", tmp_path / "in" / "small.png", "--out", tmp_path / "y", *more)
    assert (code, "1 of them before" in out) == (0, True)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signals")
def test_killed_workers_lose_nothing_and_write_nothing_twice(tmp_path: Path) -> None:
    paths = photos(tmp_path / "in", 24)
    started: list[int] = []
    done: list[int] = []

    def kill(number: int, failed: str) -> None:
        done.append(number)
        assert not failed
        if sum(done) == 12:
            os.kill(started[-1], signal.SIGKILL)

    results = ImageResults(tmp_path / "o")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / ".photo 3-classes.0123abcd.png").write_bytes(b"of a run that was killed")
    items = local_items({path: path.stem for path in paths})
    predictor = Predictor(**ON_CPU)
    outcome = predict_many(predictor, ON_CPU, items, results, 2, on_done=kill, on_start=started.append)
    assert (outcome.num_images, outcome.num_done, outcome.failed) == (24, 24, {})
    assert len(started) == 3
    assert sum(done) == 24
    assert sorted(record["stem"] for record in journal(tmp_path / "o")) == sorted(path.stem for path in paths)
    names = {f"{path.stem}-{kind}.png" for path in paths for kind in ("classes", "overlay")}
    assert {path.name for path in (tmp_path / "o").iterdir()} == names | {"predictions.jsonl"}
    for path in paths:
        with Image.open(tmp_path / "o" / f"{path.stem}-classes.png") as classes:
            assert (np.array(classes) == predictor(path).classes).all()
