"""The service on a free port of this machine, in a thread of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

from fastapi import FastAPI

from segnet.serve.connections import ConnectionLimits
from segnet.serve.run import ServiceServer, listen


@contextmanager
def live_server(app: FastAPI, *, grace_s: float = 60, connections: ConnectionLimits | None = None) -> Iterator[str]:
    """Gives its address; ends as the command does: what was taken is answered first."""
    with listen("127.0.0.1", 0) as listener:
        server = ServiceServer(app, grace_s=grace_s, connections=connections)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until = monotonic() + 30
        while not server.started:
            assert thread.is_alive() and monotonic() < until, "the server does not start"
            sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
