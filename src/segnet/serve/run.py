"""Listening on a port until told to stop, and ending in order: what was accepted is answered first."""

import asyncio
import math
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from segnet.errors import ConfigError
from segnet.serve.connections import ConnectionLimits, guarded
from segnet.serve.logs import limit_log_lines, unlimit_log_lines
from segnet.serve.service import Service

_ERROR_BODIES_S = 2.0
"""Before the end of the grace period: for answers of 503 to what cannot be finished."""

_SPARE_DESCRIPTORS = 64
_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound already, so that a port in use is reported before models are loaded.

    Args:
        host: name or address.
        port: 0 takes any free one.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as cause:  # the last: a name that no address can have
        raise ConfigError(f"serve: {host} port {port} cannot be had ({cause}); give another --host or --port") from None


class ServiceServer(uvicorn.Server):
    """A server of `create_app` with guarded connections; `should_exit` ends it in order.

    Args:
        app: of `create_app`.
        grace_s: seconds that requests have to end.
        connections: limits; no more than the system's file descriptors allow.
        proxies: addresses of proxies whose X-Forwarded-For is believed, with commas between; `*` for all.
        tls: certificate and key, PEM files.
        started: called when connections are accepted.
    """

    def __init__(
        self,
        app: FastAPI,
        *,
        grace_s: float = 25,
        connections: ConnectionLimits | None = None,
        proxies: str = "127.0.0.1,::1",
        tls: tuple[Path, Path] | None = None,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        certificate, key = tls or (None, None)
        config = uvicorn.Config(
            app,
            http=guarded(_within_descriptors(connections or ConnectionLimits())),
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=math.ceil(grace_s),
            forwarded_allow_ips=proxies,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        super().__init__(config)
        self.service: Service = app.state.service
        self._grace_s, self._started = grace_s, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts connections."""
        await super().startup(sockets)
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in order: what is not answered when the grace period is nearly over gets an answer of 503."""
        last_call_s = max(self._grace_s - _ERROR_BODIES_S, self._grace_s / 2)
        last_call = asyncio.get_running_loop().call_later(last_call_s, self.service.stop)
        try:
            await super().shutdown(sockets)
        finally:
            last_call.cancel()


def serve_until_stopped(server: ServiceServer, listener: socket.socket) -> None:
    """Runs the service until Ctrl-C or SIGTERM, or until its `should_exit` is set.

    A prediction that cannot be stopped does not keep the process: it ends without waiting for that thread.

    Args:
        server: to run.
        listener: of `listen`.
    """
    limit = limit_log_lines()
    try:
        with _signals_kept():
            server.run(sockets=[listener])  # handles both signals itself, and at its end raises them once more
    finally:
        unlimit_log_lines(limit)
    if not server.service.has_ended:
        os._exit(0)


@contextmanager
def _signals_kept() -> Iterator[None]:
    before = [(number, signal.signal(number, lambda *_: None)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _within_descriptors(limits: ConnectionLimits) -> ConnectionLimits:
    """The limits, lowered to what the system allows after its soft limit was raised to the hard one."""
    try:
        import resource  # noqa: PLC0415 # Windows has none
    except ImportError:
        return limits
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = limits.total + _SPARE_DESCRIPTORS + _BACKLOG
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    total = max(1, min(limits.total, soft - _SPARE_DESCRIPTORS - _BACKLOG))
    return replace(limits, total=total, per_client=min(limits.per_client, total))
