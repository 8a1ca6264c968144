"""The service under load on this machine: requests a second, waiting times, refusals, memory, and whether it answers.

The server is a process of its own, started by the command that people use. Clients are threads here, so they share the
processor with it, as they do nowhere else: the figures are of this machine, both sides together.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from io import BytesIO
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

import numpy as np
from PIL import Image

from segnet.benchmark.paper_tables.tables import TableText
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError

_START_S, _ANSWER_S = 300, 180
_HEALTH_EVERY_S = 0.05
_TYPE = {"Content-Type": "image/jpeg"}


@dataclass(frozen=True)
class Load:
    """What clients that ask without pause saw; one that is refused waits as long as the server says.

    Attributes:
        clients: at one time.
        seconds: of measuring.
        answered: requests with 200.
        refused: with 429.
        errors: anything else, by status or kind of error.
        latency_ms: of those answered: p50, p95, p99.
        health_ms: of GET /healthz meanwhile: p50, p99, and the longest.
        peak_mib: of the server's resident memory meanwhile; None where the system does not tell.
    """

    clients: int
    seconds: float
    answered: int
    refused: int
    errors: dict[str, int]
    latency_ms: tuple[float, float, float] | None
    health_ms: tuple[float, float, float] | None
    peak_mib: float | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_load(
    weights: str, clients: Sequence[int], seconds: float, size_px: tuple[int, int], options: Sequence[str] = ()
) -> list[Load]:
    """Starts `segnet serve` and asks it from several clients.

    Args:
        weights: as for `segnet serve`.
        clients: numbers of clients, one measurement each.
        seconds: of each measurement.
        size_px: (height, width) of the image, a drawn street as JPEG.
        options: further ones of `segnet serve`.

    Raises:
        ConfigError: the server does not start; with what it said.
    """
    file = BytesIO()
    Image.fromarray(Street(1, size_px, 3)[0].image).save(file, format="JPEG", quality=90)
    with _served(weights, options) as (process, port):
        with closing(HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)) as connection:
            _ask(connection, file.getvalue())  # nothing is cold then
        return [_measure(process.pid, port, count, seconds, file.getvalue()) for count in clients]


def load_table(results: Sequence[Load], size_px: tuple[int, int]) -> TableText:
    """The table of `segnet benchmark serve`."""
    rows = []
    for load in results:
        errors = ", ".join(f"{count} {kind}" for kind, count in load.errors.items()) or "0"
        memory = "-" if load.peak_mib is None else f"{load.peak_mib:.0f}"
        figures = [str(load.refused), errors, *_texts(load.health_ms)[1:], memory]
        rows.append((str(load.clients), f"{load.answered / load.seconds:.2f}", *_texts(load.latency_ms), *figures))
    waits = ("p50 ms", "p95 ms", "p99 ms")
    columns = ("clients", "requests/s", *waits, "refused (429)", "errors", "health p99 ms", "longest", "peak MiB")
    height, width = size_px
    notes = (
        f"A street of {height}x{width} as JPEG, JSON summaries, clients on the same machine; one that is refused waits "
        "as long as Retry-After says.",
    )
    return TableText("serve", "The service under load", columns, tuple(rows), notes)


def _texts(values: tuple[float, float, float] | None) -> tuple[str, ...]:
    return tuple(f"{value:.0f}" for value in values) if values else ("-", "-", "-")


@contextmanager
def _served(weights: str, options: Sequence[str]) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    command = [sys.executable, "-m", "segnet", "serve", "--weights", weights, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    watchdog = threading.Timer(_START_S, process.kill)
    watchdog.start()
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                watchdog.cancel()
                yield process, int(found[1])
                return
        raise ConfigError(f"segnet serve did not start: {said.strip()[-400:] or 'it said nothing'}")
    finally:
        watchdog.cancel()
        process.terminate()
        process.communicate()


def _measure(pid: int, port: int, clients: int, seconds: float, image: bytes) -> Load:
    _forget_peak(pid)
    until = monotonic() + seconds
    latencies: list[float] = []
    refused: list[float] = []
    health: list[float] = []
    errors: dict[str, int] = {}
    lock = threading.Lock()

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        while monotonic() < until:
            begun = perf_counter()
            try:
                status, retry_s = _ask(connection, image)
            except (OSError, HTTPException) as error:
                connection.close()
                status, retry_s = type(error).__name__, 0.1
            took_ms = 1000 * (perf_counter() - begun)
            with lock:
                if status == "200":
                    latencies.append(took_ms)
                elif status == "429":
                    refused.append(took_ms)
                else:
                    errors[status] = errors.get(status, 0) + 1
            sleep(min(retry_s, max(until - monotonic(), 0)))
        connection.close()

    def look() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        while monotonic() < until:
            begun = perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            health.append(1000 * (perf_counter() - begun))
            sleep(_HEALTH_EVERY_S)
        connection.close()

    begun = perf_counter()
    threads = [threading.Thread(target=look), *(threading.Thread(target=client) for _ in range(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(
        clients,
        perf_counter() - begun,  # with the last answers, which come after the time
        len(latencies),
        len(refused),
        errors,
        _quantiles(latencies, (50, 95, 99)),
        _quantiles(health, (50, 99, 100)),
        _peak_mib(pid),
    )


def _ask(connection: HTTPConnection, image: bytes) -> tuple[str, float]:
    """Status, and the seconds after which the server wants to be asked again."""
    connection.request("POST", "/v1/segment", image, _TYPE)
    response = connection.getresponse()
    answer = response.read()
    if response.status == 200:
        json.loads(answer)
    return str(response.status), float(response.headers.get("Retry-After", 0))


def _quantiles(values: Sequence[float], percents: tuple[float, float, float]) -> tuple[float, float, float] | None:
    if not values:
        return None
    first, second, third = np.percentile(values, percents).tolist()
    return first, second, third


def _forget_peak(pid: int) -> None:
    """Linux forgets the highest resident size of a process when told; other systems have no such file."""
    path = Path(f"/proc/{pid}/clear_refs")
    if path.exists():
        path.write_text("5")


def _peak_mib(pid: int) -> float | None:
    path = Path(f"/proc/{pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", path.read_text()) if path.exists() else None
    return int(found[1]) / 1024 if found else None
