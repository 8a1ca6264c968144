"""`segnet predict` on videos: what a player finds in the result, and what is said of broken files."""

import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.errors import ConfigError, DataError
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11
from segnet.palette import overlay
from segnet.video.overlay import predict_video
from segnet.video.reading import Frame, VideoReader
from segnet.video.writing import VideoWriter

av: Any = pytest.importorskip("av")

Run = Callable[..., tuple[int, str, str]]
TIMES = [0, 40, 80, 200, 240, 280, 320, 400]  # milliseconds: frames that are not evenly spaced


def write_video(path: Path, images: list[np.ndarray], *, sound: bool = False, rotation: int = 0) -> Path:
    """A video of those frames at `TIMES`, with half a second of a tone."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0", "g": "4"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = file.add_stream("aac", rate=16000, layout="mono") if sound else None
        for image, milliseconds in zip(images, TIMES, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if tone:
            samples = np.sin(np.arange(8000) * 0.2).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
            file.mux(tone.encode(frame))
            file.mux(tone.encode(None))
    return path


def read_video(path: Path) -> tuple[list[np.ndarray], list[float], list[bytes]]:
    """Frames, their times in seconds, packets of sound."""
    with VideoReader(path) as video:
        items = list(video)
        frames = [item for item in items if isinstance(item, Frame)]
        sound = [bytes(item) for item in items if not isinstance(item, Frame)]
        return [f.image for f in frames], [float(f.pts * video.time_base) for f in frames], sound


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    streets = Street(2, (48, 64))
    return [np.roll(streets[0].image, 3 * shift, axis=1) for shift in range(len(TIMES))]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor("segnet-basic-camvid", backend="eager", device="cpu", precision="float32")


def test_frames_timestamps_and_audio_are_kept(
    run: Run, images: list[np.ndarray], tmp_path: Path, predictor: Predictor
) -> None:
    source = write_video(tmp_path / "street.mp4", images, sound=True)
    code, out, err = run(
        "predict", source, "--out", tmp_path / "o" / "out.mp4", "--frames", "--precision", "float32", "--opacity", 1
    )
    assert code == 0, err
    assert "8 frames at " in out
    assert " frames/s" in out
    before, times, sound = read_video(source)
    after, new_times, new_sound = read_video(tmp_path / "o" / "out.mp4")
    assert new_times == pytest.approx(times)
    assert times == pytest.approx([t / 1000 for t in TIMES])
    assert len(sound) > 3
    assert new_sound == sound
    for number, (image, shown) in enumerate(zip(before, after, strict=True), start=1):
        classes = predictor(image).classes
        with Image.open(tmp_path / "o" / "street-frames" / f"{number:06}.png") as kept:
            assert np.array_equal(np.array(kept), classes)
        expected = overlay(image, classes, CAMVID_11, 1.0).astype(int)
        assert np.abs(shown - expected).mean() < 25  # H.264 halves the resolution of colours; see the next test
        assert np.abs(shown - image.astype(int)).mean() > 40
    lines = (tmp_path / "o" / "street-frames" / "times.csv").read_text().splitlines()
    assert lines[:3] == ["frame,seconds", "1,0.000000", "2,0.040000"]
    assert len(lines) == 9


def test_colours_and_odd_sides(tmp_path: Path) -> None:
    image = np.zeros((33, 63, 3), np.uint8)
    image[:, :21], image[:, 21:42], image[:, 42:] = (250, 10, 10), (20, 130, 40), (30, 60, 220)
    source = write_video(tmp_path / "in.mp4", [np.zeros((16, 16, 3), np.uint8)] * 3)
    for suffix in ("mp4", "mkv", "webm"):
        with VideoReader(source) as reader, VideoWriter(tmp_path / f"out.{suffix}", reader) as writer:
            for pts in range(3):
                writer.write(image, pts * 40)
        frames, _, _ = read_video(tmp_path / f"out.{suffix}")
        assert len(frames) == 3
        assert frames[0].shape == (34, 64, 3)
        for column in (10, 31, 52):  # inside a colour
            assert np.abs(frames[2][16, column].astype(int) - image[16, column]).max() < 12


def test_rotation_is_applied(images: list[np.ndarray], tmp_path: Path) -> None:
    source = write_video(tmp_path / "phone.mp4", images[:2], rotation=90)
    frames, _, _ = read_video(source)
    assert frames[0].shape == (64, 48, 3)
    turned = [np.rot90(images[0], turns).astype(int) for turns in (1, 3)]
    differences = [np.abs(frames[0] - image).mean() for image in turned]
    assert min(differences) < 12
    with av.open(str(source)) as file:
        rotation = next(file.decode(video=0)).rotation  # counter-clockwise, as FFmpeg says
    assert differences.index(min(differences)) == (0 if rotation == 90 else 1)


def test_smoothing_is_the_running_mean(images: list[np.ndarray], tmp_path: Path, predictor: Predictor) -> None:
    source = write_video(tmp_path / "street.mp4", images[:3])
    predict_video(predictor, source, tmp_path / "out.mp4", smoothing=0.6, frames=tmp_path / "frames")
    first, second, third = (predictor.probability([image])[0] for image in read_video(source)[0])
    mean = 0.6 * (0.6 * first + 0.4 * second) + 0.4 * third
    kept = np.array(Image.open(tmp_path / "frames" / "000003.png"))
    assert (kept == mean.argmax(0).numpy()).mean() > 0.999  # one rounding may decide a tie
    assert (kept != third.argmax(0).numpy()).any()
    with pytest.raises(ConfigError, match="0 <= s < 1, got 1"):
        predict_video(predictor, source, tmp_path / "o.mp4", smoothing=1)


def test_a_damaged_stream_keeps_the_frames_so_far(run: Run, images: list[np.ndarray], tmp_path: Path) -> None:
    source = write_video(tmp_path / "street.mkv", images)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    with VideoReader(source) as reader:
        readable = sum(isinstance(item, Frame) for item in reader)
    assert 0 < readable < 8
    run("predict", source, "--out", tmp_path / "o")
    assert len(read_video(tmp_path / "o" / "street-overlay.mp4")[0]) == readable


def test_ctrl_c_keeps_the_frames_so_far(images: list[np.ndarray], tmp_path: Path, predictor: Predictor) -> None:
    source = write_video(tmp_path / "street.mp4", images)

    class Stopped(Predictor):
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, image: Any, **_: Any) -> Any:
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return predictor(image)

        @property
        def label_set(self) -> Any:
            return CAMVID_11

    result = predict_video(Stopped(), source, tmp_path / "out.mp4")
    assert (result.num_frames, result.ended_early, result.interrupted) == (3, "stopped by Ctrl-C", True)
    assert len(read_video(tmp_path / "out.mp4")[0]) == 3
    assert not predict_video(predictor, source, tmp_path / "whole.mp4").interrupted


def test_ctrl_c_before_the_first_frame_is_raised(
    images: list[np.ndarray], tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict_video(predictor, write_video(tmp_path / "street.mp4", images), tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["street.mp4"]


def test_an_error_of_the_model_or_the_disk_writes_nothing(
    images: list[np.ndarray], tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_video(tmp_path / "street.mp4", images)
    (tmp_path / "o").mkdir()

    def fails(*_: Any) -> None:
        raise DataError("the disk is full")

    monkeypatch.setattr(VideoWriter, "write", fails)
    with pytest.raises(DataError, match="the disk is full"):
        predict_video(predictor, source, tmp_path / "o" / "out.mp4")
    assert list((tmp_path / "o").iterdir()) == []


def test_other_files_are_refused(run: Run, images: list[np.ndarray], tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.avi"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    (tmp_path / "one.mp4").write_bytes(b"x")
    (tmp_path / "empty.mp4").touch()
    Image.fromarray(images[0]).save(tmp_path / "p.png")
    for name, words in (
        ("sound.avi", "sound.avi has no video stream that can be decoded, only audio; expected a video"),
        ("one.mp4", "one.mp4 cannot be read as a video"),
        ("empty.mp4", "empty.mp4 cannot be read as a video"),
        ("none.mp4", "none.mp4 does not exist"),
    ):
        code, out, err = run("predict", tmp_path / name, tmp_path / "p.png", "--out", tmp_path / "o")
        assert code == 2
        assert words in err
        assert "1 of 2 files" in out
        assert not list((tmp_path / "o").glob("*.mp4"))
    source = write_video(tmp_path / "street.mp4", images[:2], sound=True)
    for arguments, words in (
        (("--out", tmp_path / "o.avi"), "a video is written as one of .mp4, .m4v, .mov, .mkv, .webm"),
        (("--out", tmp_path / "o.webm"), "a .webm file cannot hold aac audio; write .mkv, which can"),
        ((tmp_path / "p.png", "--out", tmp_path / "o.mp4"), "expected a folder for images or several files"),
        (("--confidence", "--out", tmp_path / "o"), "a video has no --as, --probabilities"),
    ):
        code, _, err = run("predict", source, *arguments)
        assert code == 2
        assert words in err
        assert not list(tmp_path.glob("o.*"))


def test_mutated_videos_end_cleanly(images: list[np.ndarray], tmp_path: Path) -> None:
    data = write_video(tmp_path / "street.mp4", images, sound=True).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "mutated.mp4"
    opened = 0
    for _ in range(40):
        mutated = bytearray(data)
        for place in rng.integers(0, len(data), 20):
            mutated[place] = rng.integers(256)
        path.write_bytes(bytes(mutated))
        try:
            frames, times, _ = read_video(path)
        except DataError as error:
            assert "mutated.mp4" in str(error)
            continue
        opened += 1
        assert times == sorted(set(times))
        assert len({frame.shape for frame in frames}) <= 1
    assert opened > 5
