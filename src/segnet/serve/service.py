"""The path of one image through the service, and the state that all requests share.

upload      bytes counted, a pace kept, a slot among the uploads
decoders    a process decodes it, within its deadline
worker      of the model: the line, the batch
answer      written in a thread; the slot is held until the last byte is sent
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from segnet.data.sample import Image8
from segnet.serve.counters import Counters, Gauges
from segnet.serve.decoders import Decoders
from segnet.serve.decoding import require_size
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded
from segnet.serve.predicting import SAMPLED_WHOLE_PIXELS, PredictionOptions, seen_pixels
from segnet.serve.refusal import RefusalError, overloaded, shutting_down
from segnet.serve.slots import ByteBudget, Slots, client_of
from segnet.serve.upload import disconnected, read_body, read_upload
from segnet.serve.workers import Answered, ModelWorker

T = TypeVar("T")
HELD = "segnet.held"
"""Key of a request's scope: what is held until its answer has been sent, an `ExitStack`."""

_END_S = 2.0  # for a batch to stop at its next band


class Service:
    """Everything that requests share.

    Args:
        models: by name, in order; may be filled later, before `begin`.
        limits: of requests.
    """

    def __init__(self, models: dict[str, Loaded], limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.state: Literal["loading", "ready", "stopping"] = "loading"
        self.workers: dict[str, ModelWorker] = {}
        self.slots = Slots(limits.slots, limits.share_of(limits.slots), "images", self._retry_after_s)
        self.uploads = Slots(limits.uploads, limits.share_of(limits.uploads), "uploads")
        self.budget = ByteBudget(limits.slots * limits.max_bytes)
        self.decoders = Decoders(limits)
        waiting, running = (lambda: sum(w.waiting for w in self.workers.values())), self._count_running
        self.counters = Counters(Gauges(lambda: self.slots.taken, lambda: self.uploads.taken, waiting, running))
        self.has_ended = True
        self._requests: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """Starts a worker for each model; from now on images are accepted."""
        self.workers = {
            name: ModelWorker(model, self.limits, self.counters.batch) for name, model in self.models.items()
        }
        for worker in self.workers.values():
            worker.start()
        self.state = "ready"

    def require_ready(self) -> None:
        """Whether images are accepted.

        Raises:
            RefusalError: 503, the models are loading or the service is shutting down.
        """
        if self.state == "loading":
            expected, got, do = "loaded models", "models that are still loading", "try again in 5 s"
            headers = {"Retry-After": "5"}
            raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "loading", expected, got, do, headers)
        if self.state == "stopping":
            raise shutting_down()

    def stuck_models(self) -> list[str]:
        """Models whose worker does not come back from a batch."""
        return [name for name, worker in self.workers.items() if worker.is_stuck()]

    async def answer(
        self,
        request: Request,
        model: Loaded,
        options: PredictionOptions,
        write: Callable[[Answered], Response],
    ) -> Response:
        """Takes an image from its request to its answer.

        Args:
            request: whose body holds the image.
            model: that predicts it.
            options: of the prediction.
            write: makes the answer; called in a thread.

        Raises:
            RefusalError: 4xx for the request's own faults, 429 and 503 where there is no capacity.
        """
        (data,) = await self.read_images(request, most=1)
        return await self._with_slots(request, 1, lambda client: self._decoded(data, client, model, options, write))

    async def answer_many(
        self, request: Request, model: Loaded, options: PredictionOptions, write: Callable[[Answered], T]
    ) -> list[T | RefusalError]:
        """As `answer` for a form with several images: an answer or a refusal for each, in their order."""
        files = await self.read_images(request, most=self.limits.images_of_a_form)
        decoded = self._decoded

        async def all_of(client: str) -> list[T | RefusalError]:
            work = (decoded(data, client, model, options, write) for data in files)
            answers = await asyncio.gather(*work, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException) and not isinstance(answer, RefusalError):
                    raise answer
            return answers  # type: ignore[return-value] # the others were raised

        return await self._with_slots(request, len(files), all_of)

    async def answer_arrays(
        self, request: Request, model: Loaded, images: list[Image8], options: PredictionOptions
    ) -> list[Answered]:
        """As `answer`, for images that came as arrays: RGB uint8 (H, W, 3), of one size."""
        require_size(images[0].shape[:2], self.limits.max_pixels, self.limits.max_side_px)
        worker = self.workers[model.name]

        async def all_of(client: str) -> list[Answered]:
            async with self._in_time(worker):
                return await asyncio.gather(*(_predicted(worker, image, options, client) for image in images))

        return await self._with_slots(request, len(images), all_of)

    async def read_images(self, request: Request, most: int) -> list[bytes]:
        """The files of a request's body.

        Raises:
            RefusalError: as `read_upload`; 429 for too many uploads at one time, 503 when there is no service.
        """
        return await self._reading(request, lambda: read_upload(request, self.limits, self.budget, most))

    async def read_body(self, request: Request) -> bytes:
        """The whole body, whatever its type; raises as `read_images`."""
        return await self._reading(request, lambda: read_body(request, self.limits, self.budget))

    async def _reading(self, request: Request, read: Callable[[], Awaitable[T]]) -> T:
        client = client_of(request)
        with self._stoppable():
            self.slots.require_free(client)  # before the client sends megabytes in vain
            with self.uploads.take(client):
                return await read()

    async def _with_slots(self, request: Request, count: int, work: Callable[[str], Coroutine[Any, Any, T]]) -> T:
        client, held = client_of(request), request.scope[HELD]
        with self._stoppable():
            for _ in range(count):
                held.enter_context(self.slots.take(client))  # until the answer has been sent
            return await _while_connected(request, work(client))

    async def _decoded(
        self,
        data: bytes,
        client: str,
        model: Loaded,
        options: PredictionOptions,
        write: Callable[[Answered], T],
    ) -> T:
        worker = self.workers[model.name]
        async with self._in_time(worker):
            image = await self.decoders.decode(data, client)
            _require_affordable(image.shape[:2], options, self.limits)
            return await run_in_threadpool(write, await _predicted(worker, image, options, client))

    @asynccontextmanager
    async def _in_time(self, worker: ModelWorker) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.limits.answer_s):
                yield
        except TimeoutError:
            expected = f"an answer of the model within {self.limits.answer_s:g} s"
            retry = worker.retry_after_s()
            raise overloaded(HTTPStatus.SERVICE_UNAVAILABLE, expected, "none in that time", retry) from None

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Within the block, `stop` ends the request with an answer of 503."""
        self.require_ready()
        task = asyncio.current_task()
        assert task is not None
        self._requests.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self.state != "stopping":
                raise
            task.uncancel()
            raise shutting_down() from None
        finally:
            self._requests.discard(task)

    def stop(self) -> None:
        """Ends all requests that are under way with 503, and refuses further ones."""
        self.state = "stopping"
        for task in self._requests:
            task.cancel()

    async def close(self) -> None:
        """Ends processes and threads; `has_ended` says whether all threads did."""
        self.state = "stopping"
        await self.decoders.close()
        ended = [await asyncio.to_thread(worker.close, _END_S) for worker in self.workers.values()]
        self.has_ended = all(ended)

    def _retry_after_s(self) -> int:
        return max((worker.retry_after_s() for worker in self.workers.values()), default=1)

    def _count_running(self) -> int:
        return sum(worker.running for worker in self.workers.values())


async def _predicted(worker: ModelWorker, image: Image8, options: PredictionOptions, client: str) -> Answered:
    job = worker.submit(image, options, client)
    try:
        return await asyncio.wrap_future(job.future)
    finally:
        worker.drop(job)


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client closes its connection."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_closed(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise disconnected()
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _closed(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _require_affordable(size_px: tuple[int, ...], options: PredictionOptions, limits: Limits) -> None:
    """Whether pixels and samples together are within the limits.

    Raises:
        RefusalError: 413, they are not.
    """
    height, width = size_px
    pixels = seen_pixels(height, width, options.longest_side_px)
    most = limits.max_sampled_pixels
    if options.samples and options.probabilities:
        most = min(most, SAMPLED_WHOLE_PIXELS * options.samples)
    if pixels * options.samples > most:
        raise RefusalError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_much_sampling",
            f"at most {most:,} pixels times samples",
            f"{width} x {height} pixels and {options.samples} samples",
            f"take fewer samples, or scale the image to {most // options.samples:,} pixels",
        )
