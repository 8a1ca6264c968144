"""Pictures and packets of sound to a video file that appears whole or not at all."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from segnet.data.sample import Image8
from segnet.errors import ConfigError, DataError
from segnet.files import whole_file
from segnet.runtime.backend import require
from segnet.video.reading import VideoReader

_CODECS = {
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv"), ("libx264", {"crf": "20", "preset": "veryfast"})),
    ".webm": ("libvpx-vp9", {"crf": "32", "b:v": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}),
}


class VideoWriter:
    """Writes a video with the time base of another, and its sound as it was.

    Args:
        path: of the file; H.264 in .mp4, .m4v, .mov and .mkv, VP9 in .webm.
        source: the video whose time base and sound are kept.

    Raises:
        ConfigError: another suffix, or one that cannot hold the sound.
    """

    def __init__(self, path: Path, source: VideoReader) -> None:
        av = require("av", "video")
        self._av, self._path, self._source = av, path, source
        self._early: list[Any] = []  # sound before the first picture: its size belongs into the header
        if path.suffix.lower() not in _CODECS:
            raise ConfigError(f"{path}: a video is written as one of {', '.join(_CODECS)}")
        with ExitStack() as files:
            temporary = files.enter_context(whole_file(path))
            self._container = files.enter_context(av.open(str(temporary), "w"))
            name, options = _CODECS[path.suffix.lower()]
            self._stream: Any = self._container.add_stream(name, rate=source.rate, options=options)
            self._sound = self._kept_sound(source)
            self._files = files.pop_all()

    def _kept_sound(self, source: VideoReader) -> Any:
        if source.audio is None:
            return None
        codec = source.audio.codec_context.codec.canonical_name
        try:
            return self._container.add_stream_from_template(source.audio)
        except (self._av.error.FFmpegError, ValueError):
            raise ConfigError(
                f"{self._path}: a {self._path.suffix} file cannot hold sound as {codec}; write .mkv, which can"
            ) from None

    def write(self, image: Image8, pts: int) -> None:
        """Appends a picture, RGB uint8 (H, W, 3) of one size throughout; a row or column is added where a side is odd.

        Raises:
            DataError: the file cannot be written.
        """
        height, width = image.shape[:2]
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")  # players want even sides
        context = self._stream.codec_context
        if not context.is_open:
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            context.time_base = self._source.time_base
            # BT.709, as players take for granted when nothing is said
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 1
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = pts, self._source.time_base
        self._mux(self._stream.encode(frame))
        while self._early:
            self._mux(self._early.pop(0))

    def pass_on(self, packet: Any) -> None:
        """Appends a packet of sound."""
        packet.stream = self._sound
        if self._stream.codec_context.is_open:
            self._mux(packet)
        else:
            self._early.append(packet)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._files.__exit__(kind, error, trace)
            return
        with self._files:
            if self._stream.codec_context.is_open:
                self._mux(self._stream.encode(None))

    def _mux(self, packets: Any) -> None:
        try:
            self._container.mux(packets)
        except self._av.error.FFmpegError as cause:
            raise DataError(f"{self._path} cannot be written: {cause}") from None
