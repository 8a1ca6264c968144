"""Connections that strangers open: few enough for the system's file descriptors, and none that waits for ever.

    header time-out    a request's head must be there so many seconds after the connection, or after its first byte
    write time-out     a client that does not read its answer is disconnected
    cap                when all connections are taken, the one that has been idle longest gives way to the new one

The server library is uvicorn, whose protocol class is an option: this file is a subclass of its h11 protocol.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from segnet.serve.problem import MEDIA_TYPE, problem_of
from segnet.serve.refusal import RefusalError
from segnet.serve.slots import client_name


@dataclass
class ConnectionLimits:
    """The connections of one server.

    Args:
        total: connections at one time.
        per_client: of one client.
        header_s: seconds for the head of a request.
        write_s: seconds in which a client must go on reading its answer.
    """

    total: int = 512
    per_client: int = 128
    header_s: float = 10
    write_s: float = 30
    idle: "dict[GuardedProtocol, None]" = field(default_factory=dict)  # in the order in which they became idle
    of_client: Counter[str] = field(default_factory=Counter)


class GuardedProtocol(H11Protocol):
    """One connection; `guarded` binds it to the limits of a server."""

    limits: ConnectionLimits
    _counted = False
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _client_name = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes the connection in, if need be in place of another one."""
        super().connection_made(transport)
        limits = self.limits
        self._client_name = client_name(self.client[0] if self.client else "")
        limits.of_client[self._client_name] += 1
        self._counted = True
        if limits.of_client[self._client_name] > limits.per_client:
            self._make_room(self._client_name)
        elif limits.of_client.total() > limits.total:
            self._make_room(None)
        if not transport.is_closing():
            self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; the first of them begin the time for its head."""
        waits = self._is_waiting()
        super().data_received(data)
        if not self._is_waiting():
            self._begin_request()
        elif waits and self._header_timer is None and not self.transport.is_closing():
            self._await_header()

    def on_response_complete(self) -> None:
        """The connection is idle again; the next request may have begun already."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._is_waiting():
            self.limits.idle[self] = None

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None

    def _is_waiting(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _await_header(self) -> None:
        self.limits.idle[self] = None
        self._header_timer = self.loop.call_later(self.limits.header_s, self._header_is_late)

    def _begin_request(self) -> None:
        self.limits.idle.pop(self, None)
        if self._header_timer:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_is_late(self) -> None:
        if not self._is_waiting() or self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE:
            self.transport.write(_too_late(self.limits.header_s))
        self.transport.close()

    def _make_room(self, client: str | None) -> None:
        """Closes the connection that has been idle longest, of a client or of all; this one if all others work."""
        others = (other for other in self.limits.idle if client in (None, other._client_name))
        gives_way = next(others, self)
        gives_way._leave()
        gives_way.transport.abort()

    def _leave(self) -> None:
        for timer in (self._header_timer, self._write_timer):
            if timer:
                timer.cancel()
        self.limits.idle.pop(self, None)
        if self._counted:
            self._counted = False
            self.limits.of_client[self._client_name] -= 1
            self.limits.of_client += Counter()  # forgets clients with none


def guarded(limits: ConnectionLimits) -> type[GuardedProtocol]:
    """A protocol class for `uvicorn.Config(http=...)` whose connections share these limits."""
    return type("GuardedProtocolOfServer", (GuardedProtocol,), {"limits": limits})


def _too_late(seconds: float) -> bytes:
    expected, got = f"the whole head of a request within {seconds:g} s", "a part of it"
    refusal = RefusalError(HTTPStatus.REQUEST_TIMEOUT, "slow_header", expected, got, "send the request again")
    body = problem_of(refusal).model_dump_json(exclude_none=True).encode()
    head = f"HTTP/1.1 408 Request Timeout\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
