"""A video file as a sequence of frames, turned upright, and packets of sound between them."""

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

_PROMISING = ("avi", "matroska", "mov")  # FFmpeg guesses the length of others from what is there


@dataclass(frozen=True)
class Frame:
    """One image of a video.

    Attributes:
        image: RGB uint8 (H, W, 3), as a player shows it.
        pts: when to show it, in units of the video's time base; grows from frame to frame.
    """

    image: Image8
    pts: int


class VideoReader:
    """Reads one video stream, the first, and passes the first stream of sound through.

    Args:
        path: of the file.

    Attributes:
        time_base: seconds per unit of time stamps.
        rate: frames per second, on average.
        num_frames: about how many there are, for a progress bar; 0 when the file does not say.
        audio: PyAV's stream of sound; None where there is none.
        ended_early: why reading stopped before the end; None while it has not.

    Raises:
        DataError: missing, not a video, or without a stream of images.
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
            raise DataError(f"{path} cannot be read as a video: {_words(cause)}") from None
        cover = self._av.stream.Disposition.attached_pic  # of an album: one image, no video
        images = [s for s in self._container.streams.video if not s.disposition & cover]
        if not images or images[0].codec_context is None:
            kinds = ", ".join(stream.type for stream in self._container.streams) or "nothing"
            self._container.close()
            raise DataError(f"{path} has no stream of images that can be decoded, only {kinds}; expected a video")
        self._stream = images[0]
        self._stream.thread_type = "AUTO"
        sounds = [s for s in self._container.streams.audio if s.codec_context is not None]
        self.audio: Any = sounds[0] if sounds else None
        self.time_base: Fraction = self._stream.time_base or Fraction(1, 90_000)
        self.rate: Fraction = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        duration_s = float((self._stream.duration or 0) * self.time_base)
        self.num_frames: int = self._stream.frames or round(duration_s * self.rate)
        context = self._stream.codec_context
        require_pixels(path, (context.height, context.width), PIXEL_LIMIT)

    def __iter__(self) -> Iterator[Frame | Any]:
        """Frames, and packets of sound in the order of the file.

        A stream that breaks ends here, and `ended_early` says why. So it does where clearly less comes than the header
        of an .mp4, .mov, .mkv, .webm or .avi promises; FFmpeg itself takes a file that was cut for a whole one. Other
        containers, and those that were written to a pipe, promise nothing.
        """
        step = max(round(1 / (self.rate * self.time_base)), 1)
        last, size = None, None
        ends_s = dict.fromkeys(range(len(self._container.streams)), 0.0)
        try:
            for packet in self._container.demux():
                if packet.dts is not None:  # the last packet of a stream is an empty one
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
                        raise DataError(f"the size changes to {image.shape[1]}x{image.shape[0]}")
                    last, size = pts, image.shape
                    yield Frame(image, pts)
            self.ended_early = self._what_lacks(ends_s)
        except (self._av.error.FFmpegError, OSError, ValueError) as cause:
            self.ended_early = _words(cause)

    def _what_lacks(self, ends_s: Mapping[int, float]) -> str | None:
        """In words, where more than two frames and 2 % of the promised time did not come.

        Time, not frames: an .avi counts frames that it leaves out, and an .mp4 those that its edit list hides.

        Args:
            ends_s: number of a stream -> end of its last packet, in seconds.
        """
        kind, stream, whole = self._container.format.name, self._stream, self._container.duration
        got_s, promised_s = ends_s[stream.index], 0.0
        if kind == "avi":  # whose duration FFmpeg shortens to the size of the file
            promised_s = float(stream.frames / self.rate)
        elif stream.duration:
            promised_s = float(stream.duration * self.time_base)
        elif whole:  # of the longest stream
            got_s, promised_s = max(ends_s.values()), whole / self._av.time_base
        if not kind.startswith(_PROMISING) or promised_s - got_s <= max(2 / float(self.rate), 0.02 * promised_s):
            return None
        return f"the file is cut: it promises {promised_s:.1f} s and holds {got_s:.1f} s"

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()


def _upright(decoded: Any) -> Image8:
    """A decoded frame as RGB, turned as the phone that took it was held."""
    image = np.rot90(decoded.to_ndarray(format="rgb24"), round(decoded.rotation / 90) % 4)
    return np.ascontiguousarray(image)


def _words(cause: Exception) -> str:
    return getattr(cause, "strerror", None) or str(cause)
