"""Listening on a port until told to stop, and ending in order: what was taken is answered first."""

import math
import signal
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from segnet.errors import ConfigError


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound already, so that a port in use is said before models are loaded.

    Args:
        host: name or address.
        port: 0 takes any free one.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError, UnicodeError) as cause:  # the last: a name that no address can have
        raise ConfigError(f"serve: {host} port {port} cannot be had ({cause}); give another --host or --port") from None


def serve_until_stopped(app: FastAPI, listener: socket.socket, ready: Callable[[], None], grace_s: float) -> None:
    """Runs the service until Ctrl-C or SIGTERM.

    Args:
        app: of `create_app`.
        listener: of `listen`.
        ready: called when requests are answered.
        grace_s: seconds that requests have to end after the signal.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_keep_alive=10, timeout_graceful_shutdown=math.ceil(grace_s)
    )
    server = _Announced(config, ready)
    before = [(number, signal.signal(number, lambda *_: None)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        server.run(sockets=[listener])  # takes both signals itself, and at its end raises them once more
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class _Announced(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
