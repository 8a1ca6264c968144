"""Writes frames and audio packets to a video file, whole or not at all."""

from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from segnet.data.sample import Image8
from segnet.errors import ConfigError, DataError, SegNetError
from segnet.io.files import whole_file
from segnet.runtime.backend import require
from segnet.video.reading import VideoReader

_H264 = ("libx264", {"crf": "20", "preset": "veryfast"}, "aac")
_VP9 = ("libvpx-vp9", {"crf": "32", "b:v": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}, "libopus")
_CODECS = {**dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv"), _H264), ".webm": _VP9}
_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")  # FFmpeg's default layout by number of channels


def overlay_suffix(path: Path) -> str:
    """Returns `.mp4`, or `.mkv` where only that can hold the audio of a video.

    Args:
        path: the video; only its header is read. If that fails the result is `.mp4`, and reading it later says why.
    """
    try:
        with VideoReader(path) as source:
            mkv_only = source.audio and not _can_hold("mp4", source.audio) and _can_hold("matroska", source.audio)
            return ".mkv" if mkv_only else ".mp4"
    except SegNetError:
        return ".mp4"


def _can_hold(container: str, audio: Any) -> bool:
    """Returns whether a container, by FFmpeg's name, can hold an audio stream."""
    av = require("av", "video")
    try:
        with av.open(BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(audio)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


class VideoWriter:
    """Writes a video with the time base and the audio of another.

    Audio that an .mkv cannot hold either, such as that of a .wmv, is re-encoded.

    Args:
        path: the file to write; H.264 and AAC in .mp4, .m4v, .mov and .mkv, VP9 and Opus in .webm.
        source: the video whose time base and audio are kept.

    Raises:
        ConfigError: unsupported suffix, or one that cannot hold the audio while .mkv can.
    """

    def __init__(self, path: Path, source: VideoReader) -> None:
        av = require("av", "video")
        self._av, self._path, self._source = av, path, source
        self._early: list[Any] = []  # audio before the first frame: the header needs its size
        if path.suffix.lower() not in _CODECS:
            raise ConfigError(f"{path}: a video is written as one of {', '.join(_CODECS)}")
        with ExitStack() as files:
            temporary = files.enter_context(whole_file(path))
            self._container = files.enter_context(av.open(str(temporary), "w"))
            name, options, audio = _CODECS[path.suffix.lower()]
            self._stream: Any = self._container.add_stream(name, rate=source.rate, options=options)
            self._encodes_audio = False
            self._audio = self._audio_of(source, audio)
            self._files = files.pop_all()

    def _audio_of(self, source: VideoReader, encoder: str) -> Any:
        if source.audio is None:
            return None
        if not _can_hold(self._container.format.name, source.audio):
            if _can_hold("matroska", source.audio):
                codec = source.audio.codec_context.codec.canonical_name
                raise ConfigError(
                    f"{self._path}: a {self._path.suffix} file cannot hold {codec} audio; write .mkv, which can"
                )
            self._encodes_audio = True
            layout = "mono" if source.audio.layout.nb_channels == 1 else "stereo"
            return self._container.add_stream(encoder, rate=48000, layout=layout)
        kept, layout = self._container.add_stream_from_template(source.audio), source.audio.layout
        if layout.name == f"{layout.nb_channels} channels" and layout.nb_channels <= len(_LAYOUTS):
            kept.codec_context.layout = _LAYOUTS[layout.nb_channels - 1]  # .avi does not state it and .mp4 requires it
        return kept

    def write(self, image: Image8, pts: int) -> None:
        """Appends a frame, RGB uint8 (H, W, 3), all of one size; an odd side is padded by one row or column.

        Raises:
            DataError: the file cannot be written.
        """
        height, width = image.shape[:2]
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")  # H.264 in 4:2:0 needs even sides
        context = self._stream.codec_context
        if not context.is_open:
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            context.time_base = self._source.time_base
            # BT.709, the default of players for untagged video
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 1
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = pts, self._source.time_base
        self._mux(self._stream.encode(frame))
        while self._early:
            self._mux(self._early.pop(0))

    def pass_on(self, packet: Any) -> None:
        """Appends an audio packet."""
        packets = self._encoded(packet) if self._encodes_audio else [packet]
        for kept in packets:
            kept.stream = self._audio
        if self._stream.codec_context.is_open:
            self._mux(packets)
        else:
            self._early += packets

    def _encoded(self, packet: Any) -> list[Any]:
        try:
            return [new for frame in packet.decode() for new in self._audio.encode(frame)]
        except self._av.error.InvalidDataError:
            return []  # damaged packets are skipped, as players do

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._files.__exit__(kind, error, trace)
            return
        try:
            with self._files:
                if self._stream.codec_context.is_open:
                    self._mux(self._stream.encode(None))
                    if self._encodes_audio:
                        self._mux(self._audio.encode(None))
        except self._av.error.FFmpegError as cause:
            raise self._cannot_be_written(cause) from None

    def _mux(self, packets: Any) -> None:
        try:
            self._container.mux(packets)
        except self._av.error.FFmpegError as cause:
            raise self._cannot_be_written(cause) from None

    def _cannot_be_written(self, cause: Exception) -> DataError:
        return DataError(f"{self._path} cannot be written: {cause}")
