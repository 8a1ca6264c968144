"""Kinds beside those of `mutated_inputs.py`: videos, checkpoints, CRF files, archives."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from frames import boxes, tarred, zipped
from mutators import Mutator, blind, either, riff, tokens

MOST_FRAMES = 100
FURTHER = ("video-mp4", "video-avi", "video-mkv", "checkpoint", "crf", "archive-zip", "archive-tar")


def further(name: str, room: Path) -> tuple[dict[str, bytes], Mutator, Callable[[Path], object]]:
    """Seeds, mutator and reader of a kind."""
    room.mkdir(parents=True, exist_ok=True)
    if name.startswith("video"):
        mutate = {"video-mp4": boxes, "video-avi": riff, "video-mkv": blind}[name]
        return {f"a.{name[-3:]}": video(room / f"a.{name[-3:]}")}, either(mutate, mutate, blind), read_video
    if name == "checkpoint":
        return {"a.pt": checkpoint(room / "a.pt")}, zipped, read_checkpoint
    if name == "crf":
        from segnet.crf.dense_crf import CRFParameters
        from segnet.crf.file import read_crf, write_crf

        write_crf(room / "a.toml", CRFParameters(), ["a comment"])
        return {"a.toml": (room / "a.toml").read_bytes()}, either(tokens, tokens, blind), read_crf
    return archives(name[-3:], room), zipped if name == "archive-zip" else tarred, lambda path: read_archive(path, room)


def video(path: Path) -> bytes:
    """Eight frames of 32x24."""
    import av

    codec, pixels = {".mp4": ("mpeg4", "yuv420p"), ".avi": ("mjpeg", "yuvj420p"), ".mkv": ("libvpx", "yuv420p")}[
        path.suffix
    ]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, pixels
        for number in range(8):
            image = np.full((24, 32, 3), 20 * number, np.uint8)
            image[4:9, number : number + 9] = (200, 40, 90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


def read_video(path: Path) -> None:
    """Every frame, up to a number: a damaged header can ask for any."""
    from segnet.errors import DataError
    from segnet.video.reading import Frame, VideoReader

    with VideoReader(path) as reader:
        assert reader.rate > 0 and reader.time_base > 0 and reader.num_frames >= 0
        frames, last = 0, None
        for item in reader:
            if isinstance(item, Frame):
                assert item.image.dtype == np.uint8 and item.image.ndim == 3 and item.image.shape[2] == 3
                assert last is None or item.pts > last
                frames, last = frames + 1, item.pts
            if frames == MOST_FRAMES:
                return
    if reader.ended_early:
        raise DataError(reader.ended_early)


def checkpoint(path: Path) -> bytes:
    import torch

    from segnet.config import Config
    from segnet.training.checkpoint import save_checkpoint

    values = {"step": 3, "config": Config().to_toml(), "model": {"a": torch.ones(3)}, "optimiser": {"b": [1, 2.0]}}
    save_checkpoint(path, values)
    return path.read_bytes()


def read_checkpoint(path: Path) -> None:
    from segnet.training.checkpoint import load_checkpoint, settings_of

    settings_of(load_checkpoint(path), path)


def archives(kind: str, room: Path) -> dict[str, bytes]:
    """Exports of three tools, packed."""
    from export_samples import SAMPLES

    found = {}
    for tool in ("coco", "cvat", "masks"):
        src, packed = room / tool, io.BytesIO()
        SAMPLES[tool](src)
        files = [(p.relative_to(src).as_posix(), p) for p in sorted(src.rglob("*")) if p.is_file()]
        if kind == "zip":
            with zipfile.ZipFile(packed, "w") as file:
                for name, path in files:
                    file.write(path, name)
        else:
            with tarfile.open(fileobj=packed, mode="w:gz") as tar:
                for name, path in files:
                    tar.add(path, name)
        found[f"{tool}.{'zip' if kind == 'zip' else 'tar.gz'}"] = packed.getvalue()
    return found


def read_archive(path: Path, room: Path) -> None:
    """Imports it; it must leave nothing but the dataset, and nothing at all where it was refused."""
    from segnet.data.importers import import_dataset

    out, before = room / "out", set(room.parent.rglob("*"))
    try:
        import_dataset(path, out)
    finally:
        shutil.rmtree(out / "images", ignore_errors=True)
        shutil.rmtree(out / "labels", ignore_errors=True)
        left = {p.name for p in set(room.parent.rglob("*")) - before - {out}}
        shutil.rmtree(out, ignore_errors=True)
        assert left <= {"labels.toml", "train.txt", "val.txt", "test.txt"}, left
