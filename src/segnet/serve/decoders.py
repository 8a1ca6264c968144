"""A small pool of processes that decode images; one that takes too long is killed.

A decoder cannot be trusted with time: 29 KB of progressive JPEG can take seconds, and no thread can be stopped. The
deadline therefore holds for every format, also for those with unknown weaknesses.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from http import HTTPStatus

import numpy as np

from segnet.data.sample import Image8
from segnet.serve.decode_process import IMAGE, LENGTH, READY, SIZE, refusal_of, request
from segnet.serve.decoding import ImageLimits, broken_image
from segnet.serve.limits import Limits
from segnet.serve.refusal import RefusalError, shutting_down

_COMMAND = (sys.executable, "-m", "segnet.serve.decode_process")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # NumPy's threads would reserve much memory
_READ_BYTES = 2**22


class Decoders:
    """Processes that are started when they are needed first, and kept.

    Args:
        limits: of images; how many processes, and the deadline of each image.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._image_limits = ImageLimits(limits.max_pixels, limits.max_side_px, limits.max_scans, limits.max_chunks)
        self._idle: list[Process] = []
        self._running: set[Process] = set()
        self._waiting: deque[tuple[Hashable, asyncio.Future[None]]] = deque()
        self._busy: Counter[Hashable] = Counter()
        self._closed = False

    async def decode(self, data: bytes, client: Hashable = None) -> Image8:
        """Decodes an image in one of the processes; waits for one where all are busy.

        Args:
            data: bytes of the file.
            client: who sent it; the client with the fewest images in the pool is next.

        Returns:
            RGB uint8 (H, W, 3).

        Raises:
            RefusalError: 400 or 413 as `decode_image`, or 400 for an image that takes too long.
        """
        async with self._turn(client):
            process = self._alive() or await self._start()
            self._running.add(process)
            try:
                async with asyncio.timeout(self._limits.decode_s):
                    image = await _decoded(process, self._image_limits, data)
            except RefusalError:
                self._idle.append(process)
                raise
            except TimeoutError:
                await _end(process)
                raise _slow(self._limits.decode_s) from None
            except (EOFError, ConnectionError):  # it died: out of memory, or of a fault in a decoder
                await _end(process)
                if self._closed:
                    raise shutting_down() from None
                raise broken_image("one that stopped its decoder") from None
            except BaseException:  # cancelled: the client has left, and the process is in the middle of its image
                await _end(process)
                raise
            else:
                self._idle.append(process)
                return image
            finally:
                self._running.discard(process)

    async def warm(self) -> None:
        """Starts the processes before they are needed."""
        while len(self._idle) + len(self._running) < self._limits.decoders and not self._closed:
            self._idle.append(await self._start())

    async def close(self) -> None:
        """Ends all processes."""
        self._closed = True
        processes, self._idle = [*self._idle, *self._running], []
        await asyncio.gather(*(_end(process) for process in processes))

    def _alive(self) -> Process | None:
        while self._idle:
            if (process := self._idle.pop()).returncode is None:
                return process
        return None

    async def _start(self) -> Process:
        own_group = sys.platform != "win32"  # Ctrl-C is for the service: it ends its processes in order
        environment = os.environ | _ONE_THREAD
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=PIPE, stdout=PIPE, limit=_READ_BYTES, env=environment, start_new_session=own_group
        )
        assert process.stdout
        try:
            await process.stdout.readexactly(len(READY))  # its start does not count as time of an image
        except BaseException:
            await _end(process)
            raise
        return process

    @asynccontextmanager
    async def _turn(self, client: Hashable) -> AsyncIterator[None]:
        if self._closed:
            raise shutting_down()
        if self._busy.total() >= self._limits.decoders:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((client, turn))
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._leave(client)  # the turn came together with the end
                elif (client, turn) in self._waiting:
                    self._waiting.remove((client, turn))
                raise
        else:
            self._busy[client] += 1
        try:
            yield
        finally:
            self._leave(client)

    def _leave(self, client: Hashable) -> None:
        self._busy[client] -= 1
        self._busy += Counter()  # forgets clients with none
        waiting = [entry for entry in self._waiting if not entry[1].done()]  # done: cancelled, and about to leave
        if waiting:
            following = min(waiting, key=lambda entry: self._busy[entry[0]])  # the first of equals
            self._waiting.remove(following)
            self._busy[following[0]] += 1
            following[1].set_result(None)


async def _decoded(process: Process, limits: ImageLimits, data: bytes) -> Image8:
    assert process.stdin and process.stdout
    process.stdin.write(request(limits, data))
    process.stdin.write(data)
    await process.stdin.drain()
    if await process.stdout.readexactly(1) == IMAGE:
        height, width = SIZE.unpack(await process.stdout.readexactly(SIZE.size))
        pixels = await process.stdout.readexactly(height * width * 3)
        return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    raise refusal_of(await process.stdout.readexactly(length))


async def _end(process: Process) -> None:
    assert process.stdin
    if process.returncode is None:
        process.kill()
    process.stdin.close()
    await process.wait()


def _slow(seconds: float) -> RefusalError:
    expected, got = f"an image that decodes within {seconds:g} s", "one that takes longer"
    return RefusalError(HTTPStatus.BAD_REQUEST, "slow_image", expected, got, "save it as a baseline JPEG or a PNG")
