"""Segments one video: one thread decodes, the model runs, another thread encodes."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segnet import palette
from segnet.data.class_files import IdsOut
from segnet.data.sample import Image8
from segnet.errors import ConfigError, DataError
from segnet.inference.prediction import save_classes
from segnet.inference.predictor import Predictor
from segnet.io.files import whole_file
from segnet.video.reading import Frame, VideoReader
from segnet.video.threads import Behind, ahead
from segnet.video.writing import VideoWriter

_QUEUE_FRAMES = 8  # frames that wait between two threads


@dataclass(frozen=True)
class VideoResult:
    """Result of segmenting a video.

    Attributes:
        num_frames: number of frames written.
        seconds: wall time.
        ended_early: why reading stopped early; None when the video was read to its end.
        interrupted: whether Ctrl-C stopped it.
    """

    num_frames: int
    seconds: float
    ended_early: str | None
    interrupted: bool = False

    @property
    def frames_per_s(self) -> float:
        """Frames per second of wall time."""
        return self.num_frames / self.seconds


def predict_video(
    predictor: Predictor,
    source: Path,
    target: Path,
    *,
    opacity: float = 0.5,
    smoothing: float = 0.0,
    frames: Path | None = None,
    ids: IdsOut = "files",
    on_frame: Callable[[int], object] = lambda num_frames: None,
) -> VideoResult:
    """Draws the classes over every frame of a video.

    A damaged stream or Ctrl-C stops the work; the frames so far are written as a complete video. Ctrl-C before the
    first frame raises KeyboardInterrupt.

    Args:
        predictor: the model to use.
        source: any video that FFmpeg reads.
        target: .mp4, .m4v, .mov, .mkv or .webm, with the same timestamps and audio; audio that neither this format nor
            .mkv supports, such as that of a .wmv, is re-encoded.
        opacity: of the class colours, 0..1.
        smoothing: weight s of earlier frames in the probabilities, 0 <= s < 1: mean = s * mean + (1 - s) *
            probabilities of the frame. It reduces flicker and blurs motion; 0 predicts every frame independently.
        frames: folder for the class ids as palette PNG, `000001.png` ..., and `times.csv` with frame and seconds; None
            writes none.
        ids: in those, as for `Prediction.save`.
        on_frame: called after each frame with the number of frames in the file, 0 if it is unknown.

    Raises:
        DataError: the source is missing, not a video, or no frame can be decoded; the target cannot be written.
        ConfigError: unsupported target suffix, a target that cannot hold the audio, or smoothing out of range.
    """
    if not 0 <= smoothing < 1:
        raise ConfigError(f"smoothing: expected 0 <= s < 1, got {smoothing}")
    times: list[float] = []
    interrupted = False
    with VideoReader(source) as reader, VideoWriter(target, reader) as writer:

        def write(item: tuple[Frame, Image8] | Any) -> None:
            if not isinstance(item, tuple):
                writer.pass_on(item)
                return
            frame, classes = item
            writer.write(palette.overlay(frame.image, classes, predictor.label_set, opacity), frame.pts)
            times.append(float(frame.pts * reader.time_base))
            if frames is not None:
                save_classes(classes, predictor.label_set, frames / f"{len(times):06}.png", ids)
            on_frame(reader.num_frames)

        start = time.perf_counter()
        predict = _Smoothed(predictor, smoothing) if smoothing else lambda image: predictor(image).classes
        try:
            with Behind(write, _QUEUE_FRAMES) as behind, closing(ahead(reader, _QUEUE_FRAMES)) as items:  # type: ignore[type-var]
                for item in items:
                    behind.put((item, predict(item.image)) if isinstance(item, Frame) else item)
        except KeyboardInterrupt:
            if not times:
                raise
            interrupted = True
        ended_early = "stopped by Ctrl-C" if interrupted else reader.ended_early
        if not times:
            raise DataError(f"{source}: no frame can be decoded: {ended_early or 'the stream is empty'}")
    if frames is not None:
        with whole_file(frames / "times.csv") as temporary:
            lines = [f"{number},{seconds:.6f}" for number, seconds in enumerate(times, start=1)]
            temporary.write_text("\n".join(["frame,seconds", *lines]) + "\n")
    return VideoResult(len(times), time.perf_counter() - start, ended_early, interrupted)


class _Smoothed:
    """Predicts class ids from a running mean of probabilities."""

    def __init__(self, predictor: Predictor, smoothing: float) -> None:
        self._predictor = predictor
        self._smoothing = smoothing
        self._mean: torch.Tensor | None = None

    def __call__(self, image: Image8) -> np.ndarray:
        probability = self._predictor.probability([image])[0]  # (K, H, W)
        if self._mean is None:
            self._mean = probability
        else:
            self._mean = torch.lerp(probability, self._mean, self._smoothing)
        return self._mean.argmax(0).to(torch.uint8).numpy()
