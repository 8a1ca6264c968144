"""Counts and times of the service, in the text form that Prometheus reads."""

from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Gauges(NamedTuple):
    """Asked whenever the numbers are read.

    Attributes:
        slots_taken: images that wait, run or are being sent.
        uploads: bodies that are being received.
        waiting: images in the lines of the models.
        running: images in the batches that run.
    """

    slots_taken: Callable[[], int]
    uploads: Callable[[], int]
    waiting: Callable[[], int]
    running: Callable[[], int]


class Counters:
    """Counts of one running service; nothing is shared with another in the same process.

    Args:
        gauges: asked whenever the numbers are read.
    """

    def __init__(self, gauges: Gauges) -> None:
        registry = CollectorRegistry()
        self._requests = Counter("segnet_requests", "Answers to POST /v1/segment", ["status"], registry=registry)
        self._seconds = Histogram(
            "segnet_request_seconds", "Time from a request to its answer", buckets=_SECONDS, registry=registry
        )
        self._images = Counter("segnet_images", "Images that a model has predicted", ["model"], registry=registry)
        self._model_seconds = Counter("segnet_model_seconds", "Time in the model", ["model"], registry=registry)
        self._batch = Histogram("segnet_batch_images", "Images of a batch", buckets=(1, 2, 4, 8, 16), registry=registry)
        texts = {
            "slots_taken": "Images that wait, run or are being sent",
            "uploads": "Bodies that are being received",
            "waiting": "Images that wait for their model",
            "running": "Images in batches that run",
        }
        for name, ask in gauges._asdict().items():
            Gauge(f"segnet_{name}", texts[name], registry=registry).set_function(ask)
        self._registry = registry

    def batch(self, model: str, images: int, seconds: float) -> None:
        """A model has predicted a batch."""
        self._images.labels(model).inc(images)
        self._model_seconds.labels(model).inc(seconds)
        self._batch.observe(images)

    def request(self, status: int, seconds: float) -> None:
        """A request has been answered."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """All numbers, in `CONTENT_TYPE`."""
        return generate_latest(self._registry)
