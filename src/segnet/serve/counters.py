"""What the service has done so far, in the text form that Prometheus reads."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Counters:
    """Counts of one running service; nothing is shared with another in the same process.

    Args:
        places_taken: asked for whenever the numbers are read.
    """

    def __init__(self, places_taken: Callable[[], int]) -> None:
        registry = CollectorRegistry()
        self._requests = Counter("segnet_requests", "Answers to POST /v1/segment", ["status"], registry=registry)
        self._seconds = Histogram(
            "segnet_request_seconds", "Time from a request to its answer", buckets=_SECONDS, registry=registry
        )
        self._images = Counter("segnet_images", "Images that a model has seen", ["model"], registry=registry)
        self._model_seconds = Counter("segnet_model_seconds", "Time that a model took", ["model"], registry=registry)
        self._batch = Histogram("segnet_batch_images", "Images of a batch", buckets=(1, 2, 4, 8, 16), registry=registry)
        taken = Gauge("segnet_places_taken", "Images that are read, wait, run or are written", registry=registry)
        taken.set_function(places_taken)
        self._registry = registry

    def batch(self, model: str, images: int, seconds: float) -> None:
        """A model has seen a batch."""
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
