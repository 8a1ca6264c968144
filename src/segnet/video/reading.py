"""Reads a video file as a sequence of upright frames with audio packets between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from segnet.data.reading.images import PIXEL_LIMIT, require_pixels
from segnet.data.sample import Image8
from segnet.errors import DataError
from segnet.runtime.backend import require

_WITH_DURATION = ("avi", "matroska", "mov")  # containers that state it; FFmpeg guesses it for others


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        image: RGB uint8 (H, W, 3), rotated as a player shows it.
        pts: presentation timestamp in units of the video's time base; strictly increasing.
    """

    image: Image8
    pts: int


class VideoReader:
    """Reads the first video stream and passes the first audio stream through.

    Args:
        path: the video file.

    Attributes:
        time_base: seconds per timestamp unit.
        rate: average frames per second.
        num_frames: approximate number of frames, for a progress bar; 0 if the file does not state it.
        audio: PyAV's audio stream; None if there is none.
        ended_early: why reading stopped before the end; None otherwise.

    Raises:
        DataError: the file is missing, not a video, or has no video stream.
        ConfigError: the extra is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._av = require("av", "video")
        self._path = path
        self.ended_early: str | None = None
        try:
            self._container = self._av.open(str(path), metadata_errors="replace")
        except FileNotFoundError:
            raise DataError(f"{path} does not exist") from None
        except (self._av.error.FFmpegError, OSError, ValueError) as cause:
            raise DataError(f"{path} cannot be read as a video: {_message(cause)}") from None
        cover = self._av.stream.Disposition.attached_pic  # album art: a single image, not a video
        images = [s for s in self._container.streams.video if not s.disposition & cover]
        if not images or images[0].codec_context is None:
            kinds = ", ".join(stream.type for stream in self._container.streams) or "no streams"
            self._container.close()
            raise DataError(f"{path} has no video stream that can be decoded, only {kinds}; expected a video")
        self._stream = images[0]
        self._stream.thread_type = "AUTO"
        audio_streams = [s for s in self._container.streams.audio if s.codec_context is not None]
        self.audio: Any = audio_streams[0] if audio_streams else None
        self.time_base: Fraction = self._stream.time_base or Fraction(1, 90_000)
        self.rate: Fraction = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        duration_s = float((self._stream.duration or 0) * self.time_base)
        self.num_frames: int = self._stream.frames or round(duration_s * self.rate)
        context = self._stream.codec_context
        require_pixels(path, (context.height, context.width), PIXEL_LIMIT)

    def __iter__(self) -> Iterator[Frame | Any]:
        """Yields frames and audio packets in the order of the file.

        At a damaged stream the iteration ends and `ended_early` says why. It also says so where an .mp4, .mov, .mkv,
        .webm or .avi file is clearly shorter than its header states; FFmpeg itself does not report truncated files.
        Other containers, and files that were written to a pipe, state no duration.
        """
        step = max(round(1 / (self.rate * self.time_base)), 1)
        last, size = None, None
        ends_s = dict.fromkeys(range(len(self._container.streams)), 0.0)
        try:
            for packet in self._container.demux():
                if packet.dts is not None:  # the last packet of a stream is empty
                    shown = packet.dts if packet.pts is None else packet.pts
                    end_s = float((shown + (packet.duration or 0)) * packet.time_base)
                    ends_s[packet.stream.index] = max(end_s, ends_s[packet.stream.index])
                    if packet.stream is self.audio:
                        yield packet
                for decoded in packet.decode() if packet.stream is self._stream else ():
                    pts = decoded.pts
                    if pts is None or (last is not None and pts <= last):
                        pts = 0 if last is None else last + step
                    image = _upright(decoded)
                    if size not in (None, image.shape):
                        raise DataError(f"the frame size changes to {image.shape[1]}x{image.shape[0]}")
                    last, size = pts, image.shape
                    yield Frame(image, pts)
            self.ended_early = self._truncation(ends_s)
        except (self._av.error.FFmpegError, OSError, ValueError) as cause:
            self.ended_early = _message(cause)

    def _truncation(self, ends_s: Mapping[int, float]) -> str | None:
        """Returns a message if more than two frames and 2 % of the stated duration are missing, else None.

        It compares time, not frames: an .avi counts dropped frames, and an .mp4 those that its edit list hides.

        Args:
            ends_s: stream index -> end of its last packet, in seconds.
        """
        kind, stream, whole = self._container.format.name, self._stream, self._container.duration
        got_s, expected_s = ends_s[stream.index], 0.0
        if kind == "avi":  # FFmpeg shortens the duration of an .avi to the size of the file
            expected_s = float(stream.frames / self.rate)
        elif stream.duration:
            expected_s = float(stream.duration * self.time_base)
        elif whole:  # duration of the longest stream
            got_s, expected_s = max(ends_s.values()), whole / self._av.time_base
        if not kind.startswith(_WITH_DURATION) or expected_s - got_s <= max(2 / float(self.rate), 0.02 * expected_s):
            return None
        return f"the file is truncated: its header states {expected_s:.1f} s, got {got_s:.1f} s"

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()


def _upright(decoded: Any) -> Image8:
    """Converts a decoded frame to RGB and applies the rotation stored in the video."""
    image = np.rot90(decoded.to_ndarray(format="rgb24"), round(decoded.rotation / 90) % 4)
    return np.ascontiguousarray(image)


def _message(cause: Exception) -> str:
    return getattr(cause, "strerror", None) or str(cause)
