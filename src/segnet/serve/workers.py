"""Each model has a worker: a line of images, and a thread that runs them in small batches.

Images of one size and of the same options run together. The client that has waited longest for its turn is next, so
that one with many images does not keep the others waiting. An image whose client has left, or whose time is up, leaves
the line; if it runs already, the prediction stops at its next band, tile or sample.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter

from segnet.data.sample import Image8
from segnet.inference.prediction import Prediction
from segnet.runtime.stopping import stop_when
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded
from segnet.serve.predicting import PredictionOptions, predict

_STUCK_AFTER_S = 10  # beyond the time in which every image has been given up
_FIRST_S_PER_MEGAPIXEL = 3.0  # until it is measured


@dataclass(frozen=True)
class Answered:
    """A prediction, and its times.

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


@dataclass(eq=False)
class Job:
    """One image on its way through a model."""

    image: Image8
    options: PredictionOptions
    client: Hashable
    future: "Future[Answered]" = field(default_factory=Future)
    since: float = field(default_factory=perf_counter)
    dropped: bool = False

    @property
    def megapixels(self) -> float:
        """What it costs: pixels times samples, in millions."""
        height, width = self.image.shape[:2]
        return float(height * width * max(self.options.samples, 1)) / 1e6

    def fits(self, other: "Job") -> bool:
        """Whether both can be in one batch."""
        return self.image.shape == other.image.shape and self.options == other.options


class DroppedError(Exception):
    """No request waits for this batch any more."""


class ModelWorker:
    """The line of one model and the thread that runs it.

    Args:
        model: that runs.
        limits: of batches and time.
        observe: told of each batch: name of the model, images, seconds.
    """

    def __init__(
        self, model: Loaded, limits: Limits, observe: Callable[[str, int, float], None] = lambda *_: None
    ) -> None:
        self.model = model
        self._limits, self._observe = limits, observe
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._running_since: float | None = None
        self._turns: dict[Hashable, int] = {}  # of the clients that wait: when they were served last
        self._turn = 0
        self._changed = threading.Condition()
        self._closed = False
        self._s_per_megapixel = _FIRST_S_PER_MEGAPIXEL
        # A daemon: a prediction that cannot be stopped does not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=f"model {model.name}", daemon=True)

    def start(self) -> None:
        """Begins to run what is submitted."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Images in the line."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Images in the batch that runs."""
        return len(self._running)

    def is_stuck(self) -> bool:
        """Whether a batch runs long after all its images were given up: only a restart helps then."""
        since = self._running_since
        return since is not None and perf_counter() - since > self._limits.answer_s + _STUCK_AFTER_S

    def retry_after_s(self) -> int:
        """Whole seconds in which the images that are here will probably be done, at least 1."""
        with self._changed:
            megapixels = sum(job.megapixels for job in (*self._waiting, *self._running))
            since = self._running_since
        expected_s = megapixels * self._s_per_megapixel
        elapsed_s = perf_counter() - since if since is not None else 0
        return max(1, math.ceil(max(expected_s - elapsed_s, elapsed_s / 2)))  # slower than expected: half as long again

    def submit(self, image: Image8, options: PredictionOptions, client: Hashable = None) -> Job:
        """Puts an image into the line.

        Args:
            image: RGB uint8 (H, W, 3).
            options: of the prediction.
            client: who waits for it.

        Returns:
            A job whose future gets the answer; give it to `drop` when no request waits for it any more.
        """
        job = Job(image, options, client)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job

    def drop(self, job: Job) -> None:
        """Takes a job out of the queue, or stops it when no request waits for its batch; a finished one stays."""
        with self._changed:
            job.dropped = True
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self, timeout_s: float) -> bool:
        """Ends the thread; what is in the line or runs is dropped.

        Args:
            timeout_s: to wait for a batch that runs.

        Returns:
            Whether the thread has ended.
        """
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *self._running):
                job.dropped = True
            self._waiting.clear()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (jobs := self._next_batch()) is not None:
            if waiting := [job for job in jobs if job.future.set_running_or_notify_cancel()]:
                self._answer(waiting)
            with self._changed:
                self._running, self._running_since = [], None

    def _next_batch(self) -> list[Job] | None:
        """Waits for work; None is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            first = min(self._waiting, key=lambda job: self._turns.get(job.client, 0))  # the first of equals
            height, width, _ = first.image.shape
            most = max(1, min(self._limits.batch_size, self._limits.max_pixels // (height * width)))
            others = [job for job in self._waiting if job is not first and first.fits(job)][: most - 1]
            batch = [first, *others]
            self._turn += 1
            self._turns |= {job.client: self._turn for job in batch}
            for job in batch:
                self._waiting.remove(job)
            waiting = {job.client for job in self._waiting} | {job.client for job in batch}
            self._turns = {client: turn for client, turn in self._turns.items() if client in waiting}
            self._running, self._running_since = batch, perf_counter()
            return batch

    def _answer(self, jobs: list[Job]) -> None:
        begun = perf_counter()

        def require_waiting() -> None:
            if all(job.dropped for job in jobs):
                raise DroppedError

        try:
            with stop_when(require_waiting):
                predictions = predict(self.model.predictor, [job.image for job in jobs], jobs[0].options)
        except Exception as error:  # whatever the model raises belongs to these requests; the thread lives on
            for job in jobs:
                job.future.set_exception(error)
            return
        seconds = perf_counter() - begun
        self._s_per_megapixel += 0.2 * (seconds / sum(job.megapixels for job in jobs) - self._s_per_megapixel)
        self._observe(self.model.name, len(jobs), seconds)
        for job, prediction in zip(jobs, predictions, strict=True):
            job.future.set_result(Answered(prediction, begun - job.since, seconds, len(jobs)))
