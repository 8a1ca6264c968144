"""`segnet predict` from and to stores, web servers and archives."""

import json
import random
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import numpy as np
import pytest
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.inference.predictor import Predictor

Run = Callable[..., tuple[int, str, str]]
ON_CPU = ("--backend", "eager", "--device", "cpu", "--precision", "float32")


@pytest.fixture
def street(tmp_path: Path) -> Path:
    path = tmp_path / "street.png"
    Image.fromarray(Street(1, (24, 32))[0].image).save(path)
    return path


def classes_of(street: Path) -> np.ndarray:
    predictor = Predictor("segnet-basic-camvid", backend="eager", device="cpu", precision="float32")
    return predictor(street).classes


@pytest.mark.slow
def test_from_a_store_to_a_store_and_on(
    run: Run, street: Path, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe_file("/in/a b.png", street.read_bytes())
    memory.pipe_file("/in/deep/ü.png", street.read_bytes())
    memory.pipe_file("/in/deep/broken.png", b"no image")
    code, out, err = run("predict", "memory://in", "--out", "memory://results/o", *ON_CPU)
    assert code == 2
    assert err.startswith("skipped: memory://in/deep/broken.png is not an image")
    assert err.count("\n") == 1
    assert "2 of 3 images in memory://results/o, " in out
    names = {path.removeprefix("/results/o/") for path in memory.find("/results/o")}
    parts = {name for name in names if name.startswith("predictions-")}
    assert names - parts == {f"{stem}-{kind}.png" for stem in ("a b", "deep/ü") for kind in ("classes", "overlay")}
    with memory.open("/results/o/deep/ü-classes.png") as file, Image.open(file) as classes:
        assert (np.array(classes) == classes_of(street)).all()
    lines = [json.loads(line) for part in sorted(parts) for line in memory.cat_file(f"/results/o/{part}").splitlines()]
    assert [line["image"] for line in lines if "failed" in line] == ["memory://in/deep/broken.png"]

    before = memory.info("/results/o/a b-classes.png")["created"]
    memory.pipe_file("/in/deep/broken.png", street.read_bytes())
    code, out, err = run("predict", "memory://in", "--out", "memory://results/o", *ON_CPU)
    assert (code, err) == (0, "")
    assert "3 of 3 images in memory://results/o, 2 of them before" in out
    assert memory.info("/results/o/a b-classes.png")["created"] == before
    memory.rm_file("/results/o/a b-overlay.png")
    _, out, _ = run("predict", "memory://in", "--out", "memory://results/o", *ON_CPU)
    assert "2 of them before" in out
    _, out, _ = run("predict", "memory://in", "--out", "memory://results/o", *ON_CPU, "--opacity", 1)
    assert "other settings than those of the last run in memory://results/o: opacity" in out


def test_what_cannot_be_is_refused_before_any_work(
    run: Run, street: Path, tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe_file("/in/a.png", street.read_bytes())
    memory.pipe_file("/both/a.png", street.read_bytes())
    memory.pipe_file("/both/a-classes.png", street.read_bytes())
    for arguments, words in (
        (("memory://in", "--workers", 2), "memory:// is the memory of one process; leave out --workers"),
        (
            ("memory://in", "memory://both/a.png"),
            "results of memory://both/a.png would overwrite those of memory://in/a",
        ),
        (("memory://none",), "memory://none does not exist"),
        (("memory://in", "--as", "coco"), "--as coco writes one file for all images"),
        (("s4://in",), "unknown kind of address 's4'"),
    ):
        code, _, err = run("predict", *arguments, "--out", tmp_path / "o")
        assert (code, err.count("\n")) == (2, 1)
        assert words in err
    assert not (tmp_path / "o").exists()
    code, _, err = run("predict", "memory://both", "--out", "memory://both")
    assert code == 2
    assert "memory://both/a-classes.png would be overwritten, but is also an input" in err
    assert set(memory.find("/both")) == {"/both/a.png", "/both/a-classes.png"}


def test_an_archive_to_a_folder_with_polygons_too(run: Run, street: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(street, "a/1.png")
        archive.write(street, "b/1.png")
    code, _, err = run("predict", tmp_path / "x.zip", "--out", tmp_path / "o", *ON_CPU)
    assert (code, err) == (0, "")
    assert {path.relative_to(tmp_path / "o").as_posix() for path in (tmp_path / "o").rglob("*.*")} == {
        "a/1-classes.png",
        "a/1-overlay.png",
        "b/1-classes.png",
        "b/1-overlay.png",
        "predictions.jsonl",
    }
    with Image.open(tmp_path / "o/b/1-classes.png") as classes:
        assert (np.array(classes) == classes_of(street)).all()
    code, _, err = run("predict", tmp_path / "x.zip", "--out", tmp_path / "y", *ON_CPU, "--as", "yolo")
    assert (code, err) == (0, "")
    assert {path.relative_to(tmp_path / "y").as_posix() for path in (tmp_path / "y").rglob("*.*")} == {
        *(f"images/{n}-1.png" for n in "ab"),
        *(f"labels/{n}-1.txt" for n in "ab"),
        "data.yaml",
        "predictions.jsonl",
    }


class SilentServer(ThreadingHTTPServer):
    """Says nothing where a client closes the connection early."""

    def handle_error(self, *_: object) -> None:
        pass


class Silent(SimpleHTTPRequestHandler):
    """A web server that writes no log."""

    def log_message(self, *_: object) -> None:
        pass


def test_over_http(run: Run, street: Path, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(street, "1.png")
        archive.writestr("notes.bin", random.Random(0).randbytes(6_000_000))  # more than is fetched at once
    with SilentServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        code, _, err = run("predict", f"{address}/street.png", f"{address}/x.zip", "--out", tmp_path / "o", *ON_CPU)
        assert (code, err) == (0, "")
        for stem in ("street", "1"):
            with Image.open(tmp_path / f"o/{stem}-classes.png") as classes:
                assert (np.array(classes) == classes_of(street)).all()
        code, _, err = run("predict", f"{address}/none.png", "--out", tmp_path / "o", *ON_CPU)
        assert (code, err.count("\n")) == (2, 1)
        assert f"{address}/none.png does not exist" in err
        server.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the packages that speak with the store
def test_a_real_s3_server_and_a_worker(run: Run, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs, moto = pytest.importorskip("s3fs"), pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        files = s3fs.S3FileSystem()
        files.mkdir("photos")
        for n in range(3):
            files.put_file(str(street), f"photos/in/{n} ü.png")
        with files.open("photos/in/broken.png", "wb") as broken:
            broken.write(b"half an image")
        code, out, err = run("predict", "s3://photos/in", "--out", "s3://photos/o", "--workers", 1, *ON_CPU)
        assert (code, err.count("\n")) == (2, 1)
        assert "s3://photos/in/broken.png" in err
        assert "3 of 4 images in s3://photos/o" in out
        names = {name.removeprefix("photos/o/") for name in files.find("photos/o", refresh=True)}
        kept = {f"{n} ü-{kind}.png" for n in range(3) for kind in ("classes", "overlay")}
        assert {name for name in names if not name.startswith("predictions-")} == kept
        with files.open("photos/o/2 ü-classes.png") as file, Image.open(file) as classes:
            assert (np.array(classes) == classes_of(street)).all()
        files.rm_file("photos/in/broken.png")
        code, out, _ = run("predict", "s3://photos/in", "--out", "s3://photos/o", *ON_CPU)
        assert (code, "3 of 3 images in s3://photos/o, 3 of them before" in out) == (0, True)
        for source, target, words in (
            ("s3://none/in", "o", "s3://none/in does not exist; check the names of bucket and file"),
            ("s3://photos/in", "s3://none/o", "does not exist; check the names of bucket and file"),
        ):
            code, _, err = run("predict", source, "--out", target, *ON_CPU)
            assert (code, err.count("\n")) == (2, 1)
            assert words in err
    finally:
        server.stop()
