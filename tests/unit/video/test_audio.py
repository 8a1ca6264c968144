"""Sound of other containers, kept in an .mp4 or sent to an .mkv."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segnet.errors import ConfigError
from segnet.video import overlay_suffix
from segnet.video.reading import Frame, VideoReader
from segnet.video.writing import VideoWriter

av: Any = pytest.importorskip("av")


def write(path: Path, codec: str | None, layout: str = "stereo") -> Path:
    """Ten black images, and a rising tone of 0.4 seconds."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tone = file.add_stream(codec, rate=44100, layout=layout) if codec else None
        if tone:
            tone.bit_rate = 128_000
        for _ in range(10):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
        if tone:
            wave = np.arange(tone.layout.nb_channels * 17640, dtype=np.int16)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
            file.mux(tone.encode(frame))
            file.mux(tone.encode(None))
    return path


def copy(source: Path, target: Path) -> Path:
    with VideoReader(source) as reader, VideoWriter(target, reader) as writer:
        for item in reader:
            if isinstance(item, Frame):
                writer.write(item.image, item.pts)
            else:
                writer.pass_on(item)
    return target


def sound(path: Path) -> bytes:
    with VideoReader(path) as reader:
        return b"".join(bytes(item) for item in reader if not isinstance(item, Frame))


def test_the_suffix_is_one_that_holds_the_audio(tmp_path: Path) -> None:
    source = write(tmp_path / "old.avi", "pcm_u8")
    assert overlay_suffix(source) == ".mkv"
    with pytest.raises(ConfigError, match=r"a \.mp4 file cannot hold pcm_u8 audio; write \.mkv, which can"):
        copy(source, tmp_path / "out.mp4")
    assert sound(copy(source, tmp_path / "out.mkv")) == sound(source) != b""


@pytest.mark.parametrize(("name", "codec"), [("old.avi", "adpcm_ms"), ("old.wmv", "wmav2"), ("old.avi", "pcm_mulaw")])
@pytest.mark.parametrize(("suffix", "new"), [(".mp4", "aac"), (".mkv", "aac"), (".webm", "opus")])
def test_audio_that_neither_holds_is_re_encoded(name: str, codec: str, suffix: str, new: str, tmp_path: Path) -> None:
    source = write(tmp_path / name, codec)
    assert overlay_suffix(source) == ".mp4"
    with av.open(str(copy(source, tmp_path / f"out{suffix}"))) as file:
        assert file.streams.audio[0].codec_context.codec.canonical_name == new
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
    seconds = sum(frame.shape[-1] for frame in frames) / 48000
    assert 0.3 < seconds < 0.5  # encoders add and lose a block or two
    assert max(np.abs(frame).max() for frame in frames) > 0.1


@pytest.mark.parametrize("codec", [None, "mp2", "pcm_s16le"])
def test_an_mp4_holds_the_usual_codecs(codec: str | None, tmp_path: Path) -> None:
    source = write(tmp_path / "v.avi", codec)
    assert overlay_suffix(source) == ".mp4"
    assert sound(copy(source, tmp_path / "out.mp4")) == sound(source)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"RIFF")
    assert overlay_suffix(tmp_path / "broken.avi") == overlay_suffix(tmp_path / "none.mkv") == ".mp4"


@pytest.mark.parametrize("layout", ["mono", "stereo", "quad"])
def test_channel_layouts_that_an_avi_does_not_state(layout: str, tmp_path: Path) -> None:
    source = write(tmp_path / "v.avi", "pcm_s16le", layout)
    assert sound(copy(source, tmp_path / "out.mp4")) == sound(source) != b""
