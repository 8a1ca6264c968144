"""Truncated videos: complete files of many containers and rates, and the same files cut to a half."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segnet.video.reading import Frame, VideoReader

av: Any = pytest.importorskip("av")

EVEN = list(range(60))
UNEVEN = [*range(40), *range(100, 300, 10)]  # in frames of a steady rate
FRONT = {"movflags": "+faststart"}


def write(
    path: Path,
    times: list[int],
    rate: Fraction = Fraction(25),
    *,
    sound_s: float = 0,
    last: int = 1,
    codec: str = "mpeg4",
    **options: str,
) -> Path:
    """A video of noise with images at those times, the last one shown for `last`, and with noise to hear."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tone = (
            file.add_stream("mp2" if path.suffix == ".avi" else "aac", rate=48000, layout="mono") if sound_s else None
        )
        packets = []
        for time in times:
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, 1 / rate
            packets += stream.encode(frame)
        packets += stream.encode(None)
        packets[-1].duration = last
        if tone:
            samples = rng.integers(-3000, 3000, (1, round(sound_s * 48000)), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            tones = [*tone.encode(frame), *tone.encode(None)]
            packets = sorted(packets + tones, key=lambda packet: packet.pts * packet.time_base)
        file.mux(packets)
    return path


def read(path: Path) -> tuple[int, str | None]:
    with VideoReader(path) as reader:
        return sum(isinstance(item, Frame) for item in reader), reader.ended_early


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(2)])
@pytest.mark.parametrize("times", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("v.mkv", {}),
        ("v.avi", {}),
        ("v.mp4", FRONT),
        ("v.mov", FRONT),
        ("v.mkv", {"sound_s": 3}),
        ("v.mp4", {"sound_s": 3, **FRONT}),
        ("v.avi", {"sound_s": 2}),
    ],
)
def test_half_a_file_is_reported_as_truncated_and_a_complete_one_is_not(
    name: str, times: list[int], rate: Fraction, more: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / name, times, rate, **more)
    assert read(path) == (60, None)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames, why = read(path)
    assert 0 < frames < 60
    assert why
    assert "the file is truncated: its header states" in why


def test_the_message_gives_seconds(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", EVEN)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames, why = read(path)
    assert why == f"the file is truncated: its header states 2.4 s, got {frames / 25:.1f} s"


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4"])
def test_a_long_last_frame_is_not_truncation(name: str, tmp_path: Path) -> None:
    assert read(write(tmp_path / name, EVEN, last=250)) == (60, None)


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.avi"])
def test_audio_longer_than_the_frames_is_not_truncation(name: str, tmp_path: Path) -> None:
    assert read(write(tmp_path / name, EVEN, sound_s=12)) == (60, None)


def test_an_edit_list_is_not_truncation(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4", list(range(100)))
    with av.open(str(whole)) as source, av.open(str(tmp_path / "v.mp4"), "w", options={"use_editlist": "1"}) as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - 64 * packet.duration, packet.dts - 64 * packet.duration
                packet.stream = stream
                file.mux(packet)
    with VideoReader(tmp_path / "v.mp4") as reader:
        assert reader.num_frames == 100
    frames, why = read(tmp_path / "v.mp4")
    assert frames < 50
    assert why is None


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("v.ts", {"codec": "mpeg2video"}),
        ("v.mpg", {"codec": "mpeg2video"}),
        ("v.flv", {"codec": "flv1"}),
        ("v.wmv", {"codec": "wmv2"}),
        ("v.mkv", {"live": "1"}),
        ("v.mp4", {"movflags": "frag_keyframe+empty_moov"}),
    ],
)
def test_containers_without_a_duration_are_not_reported(name: str, more: dict[str, str], tmp_path: Path) -> None:
    assert read(write(tmp_path / name, EVEN, **more)) == (60, None)  # type: ignore[arg-type]
