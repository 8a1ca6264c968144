"""Load test of the service on this machine: requests per second, latency, refusals, memory, health checks.

The server runs in its own process, started by `segnet serve`. The clients are threads of this process and share the
CPU with it, so the figures include both sides.
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
    """Results of clients that send requests without pause; a refused client waits as long as Retry-After says.

    Attributes:
        clients: concurrent clients.
        seconds: duration of the measurement.
        answered: requests answered with 200.
        refused: requests refused with 429.
        errors: other outcomes, by status or type of error.
        latency_ms: p50, p95 and p99 of the answered requests.
        health_ms: p50, p99 and maximum of GET /healthz meanwhile.
        peak_mib: peak of the server's resident memory; None where the system does not report it.
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
    """Starts `segnet serve` and sends requests from several clients.

    Args:
        weights: as for `segnet serve`.
        clients: numbers of concurrent clients, one measurement each.
        seconds: duration of each measurement.
        size_px: (height, width) of the image, a drawn street as JPEG.
        options: further options of `segnet serve`.

    Raises:
        ConfigError: the server does not start; the message has its output.
    """
    file = BytesIO()
    Image.fromarray(Street(1, size_px, 3)[0].image).save(file, format="JPEG", quality=90)
    with served(weights, ("--per-client", "1", *options)) as (process, port):  # all clients are one address
        with closing(HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)) as connection:
            _request(connection, file.getvalue())  # warm-up
        return [_measure(process.pid, port, count, seconds, file.getvalue()) for count in clients]


def load_table(results: Sequence[Load], size_px: tuple[int, int]) -> TableText:
    """The table of `segnet benchmark serve`."""
    rows = []
    for load in results:
        errors = ", ".join(f"{count} {kind}" for kind, count in load.errors.items()) or "0"
        memory = "-" if load.peak_mib is None else f"{load.peak_mib:.0f}"
        figures = [str(load.refused), errors, *texts(load.health_ms)[1:], memory]
        rows.append((str(load.clients), f"{load.answered / load.seconds:.2f}", *texts(load.latency_ms), *figures))
    waits = ("p50 ms", "p95 ms", "p99 ms")
    columns = ("clients", "requests/s", *waits, "refused (429)", "errors", "health p99 ms", "longest", "peak MiB")
    height, width = size_px
    notes = (
        f"A drawn street of {height}x{width} as JPEG, JSON summaries, clients on the same machine; a refused client "
        "waits as long as Retry-After says.",
    )
    return TableText("serve", "The service under load", columns, tuple(rows), notes)


def texts(values: tuple[float, float, float] | None) -> tuple[str, ...]:
    """Three figures for a table; dashes where there are none."""
    return tuple(f"{value:.0f}" for value in values) if values else ("-", "-", "-")


@contextmanager
def served(weights: str, options: Sequence[str]) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Starts `segnet serve` and yields its process and port; it is stopped at the end.

    Raises:
        ConfigError: it does not start; the message has its output.
    """
    command = [
        sys.executable,
        "-m",
        "segnet",
        "serve",
        "--weights",
        weights,
        "--port",
        "0",
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    watchdog = threading.Timer(_START_S, process.kill)
    watchdog.start()
    try:
        output = ""
        for line in process.stdout:
            output += line
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                watchdog.cancel()
                yield process, int(found[1])
                return
        raise ConfigError(f"segnet serve did not start: {output.strip()[-400:] or 'it printed nothing'}")
    finally:
        watchdog.cancel()
        process.terminate()
        process.communicate()


def _measure(pid: int, port: int, clients: int, seconds: float, image: bytes) -> Load:
    reset_peak(pid)
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
                status, retry_s = _request(connection, image)
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

    def check_health() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        while monotonic() < until:
            begun = perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            health.append(1000 * (perf_counter() - begun))
            sleep(_HEALTH_EVERY_S)
        connection.close()

    begun = perf_counter()
    threads = [threading.Thread(target=check_health), *(threading.Thread(target=client) for _ in range(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(
        clients,
        perf_counter() - begun,  # includes requests that end after the time
        len(latencies),
        len(refused),
        errors,
        quantiles(latencies, (50, 95, 99)),
        quantiles(health, (50, 99, 100)),
        peak_mib(pid),
    )


def _request(connection: HTTPConnection, image: bytes) -> tuple[str, float]:
    """Returns the status and the seconds of Retry-After."""
    connection.request("POST", "/v1/segment", image, _TYPE)
    response = connection.getresponse()
    answer = response.read()
    if response.status == 200:
        json.loads(answer)
    return str(response.status), float(response.headers.get("Retry-After", 0))


def quantiles(values: Sequence[float], percents: tuple[float, float, float]) -> tuple[float, float, float] | None:
    """Three percentiles; None without values."""
    if not values:
        return None
    first, second, third = np.percentile(values, percents).tolist()
    return first, second, third


def reset_peak(pid: int) -> None:
    """Resets the peak resident size of a process; only Linux has this file."""
    path = Path(f"/proc/{pid}/clear_refs")
    if path.exists():
        path.write_text("5")


def peak_mib(pid: int) -> float | None:
    """Peak of the resident size since `reset_peak`; None where the system does not report it."""
    path = Path(f"/proc/{pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", path.read_text()) if path.exists() else None
    return int(found[1]) / 1024 if found else None
