"""Images of many requests run in small batches, one batch at a time, so that they share the cores.

An image needs a place before its bytes are read: the places bound the memory of everything that reads, waits, runs or
is written. One thread takes the image that waits longest, and with it others of the same size, model and wishes.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter

from segnet.data.sample import Image8
from segnet.inference.prediction import Prediction
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded
from segnet.serve.refusal import overfull


@dataclass(frozen=True)
class Wishes:
    """What the model shall say beyond classes, as for `Predictor`."""

    confidence: bool = False
    probabilities: bool = False
    samples: int = 0


@dataclass(frozen=True)
class Answered:
    """A prediction, and how it came about.

    Attributes:
        prediction: of the image.
        waited_s: seconds until its batch began.
        model_s: seconds that the batch took.
        batch: images in it.
    """

    prediction: Prediction
    waited_s: float
    model_s: float
    batch: int


@dataclass(frozen=True, eq=False)
class _Job:
    model: Loaded
    image: Image8
    wishes: Wishes
    future: "Future[Answered]" = field(default_factory=Future)
    since: float = field(default_factory=perf_counter)

    def fits(self, other: "_Job") -> bool:
        return self.model is other.model and self.image.shape == other.image.shape and self.wishes == other.wishes


class Batches:
    """The places, the images that wait, and the thread that runs them.

    Args:
        limits: of places and batches.
        observe: told of each batch: name of the model, images, seconds.
    """

    def __init__(self, limits: Limits, observe: Callable[[str, int, float], None] = lambda *_: None) -> None:
        self.limits, self.taken = limits, 0
        self._observe = observe
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._mean_s = 0.5  # of one image, followed as they come
        self._thread = threading.Thread(target=self._run, name="batches")

    def start(self) -> None:
        """Begins to run what is submitted."""
        self._thread.start()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds one of the places; for use in one thread, the event loop's.

        Raises:
            RefusalError: 429, all are taken.
        """
        if self.taken >= self.limits.places:
            got = f"{self.taken} images already here"
            expected = f"at most {self.limits.places} images at one time"
            raise overfull(HTTPStatus.TOO_MANY_REQUESTS, expected, got, self.retry_after_s())
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    def retry_after_s(self) -> int:
        """Whole seconds in which the images that are here will probably be done, at least 1."""
        return max(1, math.ceil(self.taken * self._mean_s))

    def submit(self, model: Loaded, image: Image8, wishes: Wishes) -> "Future[Answered]":
        """Puts an image into the line.

        Args:
            model: that is to see it.
            image: RGB uint8 (H, W, 3).
            wishes: of the request.

        Returns:
            The answer to come; one that is cancelled before its batch begins costs nothing.
        """
        job = _Job(model, image, wishes)
        with self._changed:
            if self._closed:
                raise RuntimeError("an image after the end")  # the server takes no request then
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Runs all that waits, then ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._next_batch():
            running = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if running:
                self._answer(running)

    def _next_batch(self) -> list[_Job]:
        """Waits for work; an empty list is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return []
            first = self._waiting.popleft()
            height, width, _ = first.image.shape
            most = max(1, min(self.limits.batch_size, self.limits.max_pixels // (height * width)))
            others = [job for job in self._waiting if first.fits(job)][: most - 1]
            for job in others:
                self._waiting.remove(job)
            return [first, *others]

    def _answer(self, jobs: list[_Job]) -> None:
        begun, model, wishes = perf_counter(), jobs[0].model, jobs[0].wishes
        try:
            predictions = model.predictor.batch(
                [job.image for job in jobs],
                confidence=wishes.confidence,
                probabilities=wishes.probabilities,
                uncertainty_samples=wishes.samples,
            )
        except Exception as error:  # whatever the model raises belongs to these requests; the thread lives on
            for job in jobs:
                job.future.set_exception(error)
            return
        seconds = perf_counter() - begun
        self._mean_s += 0.2 * (seconds / len(jobs) - self._mean_s)
        self._observe(model.name, len(jobs), seconds)
        for job, prediction in zip(jobs, predictions, strict=True):
            job.future.set_result(Answered(prediction, begun - job.since, seconds, len(jobs)))
