"""The service under attack: how long a normal client waits meanwhile, whether /livez answers, and the memory.

Attackers and the normal client run on the same machine and say by X-Forwarded-For that they are different clients.
"""

import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from io import BytesIO
from socket import create_connection, socket
from time import monotonic, perf_counter
from typing import Any

from PIL import Image

from segnet.benchmark.measure.service_load import peak_mib, quantiles, reset_peak, served, texts
from segnet.benchmark.paper_tables.tables import TableText
from segnet.data.street.scenes import Street

_TIMEOUT_S = 180
_LIVE_EVERY_S = 0.05
_JPEG = {"Content-Type": "image/jpeg"}
_ATTACKER = {"X-Forwarded-For": "192.0.2.1"}
_NORMAL = {"X-Forwarded-For": "198.51.100.1"}
_HALF = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
_SLOW = b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n"

Attack = Callable[[int, threading.Event], None]
"""Attacks the service on a port until the event is set; run in several threads."""


@dataclass(frozen=True)
class UnderAttack:
    """What a normal client sees, which sends one request after the other.

    Attributes:
        attack: its name.
        answered: requests of the normal client that were answered with 200.
        others: its other answers, by status or type of error.
        latency_ms: p50, p95 and maximum of the answered requests.
        live_ms: p50, p99 and maximum of GET /livez meanwhile.
        peak_mib: peak of the server's resident memory, without its decoders; None where the system does not report it.
    """

    attack: str
    answered: int
    others: dict[str, int]
    latency_ms: tuple[float, float, float] | None
    live_ms: tuple[float, float, float] | None
    peak_mib: float | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_attacks(
    weights: str, seconds: float, size_px: tuple[int, int], options: Sequence[str] = ()
) -> list[UnderAttack]:
    """Starts `segnet serve`, and measures a normal client without an attack and under each.

    Args:
        weights: as for `segnet serve`; those of a Bayesian model are attacked by sampling too.
        seconds: of each measurement.
        size_px: (height, width) of the normal client's image.
        options: further options of `segnet serve`.

    Raises:
        ConfigError: the server does not start; the message has its output.
    """
    image = _jpeg(size_px)
    with served(weights, options) as (process, port):
        _post(port, image, _NORMAL)  # warm-up
        results = []
        for name, (threads, attack) in _attacks(_is_bayesian(port)).items():
            with _attacked(port, threads, attack):
                results.append(_measure(name, process.pid, port, image, seconds))
        return results


def attack_table(results: Sequence[UnderAttack], size_px: tuple[int, int], seconds: float) -> TableText:
    """The table of `segnet benchmark serve --attacks`."""
    rows = []
    for result in results:
        others = ", ".join(f"{count} {kind}" for kind, count in result.others.items()) or "0"
        memory = "-" if result.peak_mib is None else f"{result.peak_mib:.0f}"
        live = texts(result.live_ms)[1:]
        rows.append((result.attack, str(result.answered), *texts(result.latency_ms), others, *live, memory))
    columns = (
        "attack",
        "answered",
        "p50 ms",
        "p95 ms",
        "longest",
        "not answered",
        "livez p99 ms",
        "longest",
        "peak MiB",
    )
    height, width = size_px
    notes = (
        f"One normal client that sends a drawn street of {height}x{width} as JPEG again and again, {seconds:g} s under "
        "each attack; attackers on the same machine take part of its cores.",
    )
    return TableText("serve-attacks", "The service under attack", columns, tuple(rows), notes)


def _attacks(bayesian: bool) -> dict[str, tuple[int, Attack]]:
    """Number of threads and attack, by name."""
    photo = _jpeg((300, 300))
    attacks: dict[str, tuple[int, Attack]] = {
        "none": (0, lambda *_: None),
        "progressive JPEG, 100 scans": (6, _sending(_scans(_jpeg((1000, 1000), progressive=True), 90))),
        "progressive JPEG, 2000 scans": (6, _sending(_scans(_jpeg((1000, 1000), progressive=True), 2000))),
        "PNG of a million chunks": (6, _sending(_chunks(1_000_000))),
        "half-sent headers": (4, _holding(_HALF, 400)),
        "slow bodies": (4, _holding(_SLOW + b"X-Forwarded-For: 192.0.2.1\r\n\r\n\x89PN", 32)),
        "clients that leave": (12, _leaving(photo)),
    }
    if bayesian:
        attacks["40 samples"] = (4, _sending(photo, "?samples=40"))
    return attacks


def _sending(data: bytes, query: str = "") -> Attack:
    def attack(port: int, stop: threading.Event) -> None:
        while not stop.is_set():
            with suppress(OSError, HTTPException):
                status = _post(port, data, _ATTACKER, query)
                if status == "429":
                    stop.wait(0.05)

    return attack


def _leaving(data: bytes) -> Attack:
    def attack(port: int, stop: threading.Event) -> None:
        while not stop.is_set():
            with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("POST", "/v1/segment", data, _JPEG | _ATTACKER)
                stop.wait(0.3)

    return attack


def _holding(sent: bytes, count: int) -> Attack:
    """Keeps so many connections open that have sent only a part; another one is opened for each that is closed."""

    def attack(port: int, stop: threading.Event) -> None:
        held: list[socket] = []
        try:
            while not stop.wait(0.1):
                held = [connection for connection in held if not _closed(connection)]
                with suppress(OSError):
                    while len(held) < count and not stop.is_set():
                        held.append(create_connection(("127.0.0.1", port), timeout=5))
                        held[-1].sendall(sent)
                        held[-1].setblocking(False)
        finally:
            for connection in held:
                connection.close()

    return attack


def _closed(connection: socket) -> bool:
    try:
        closed = connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        closed = True
    if closed:
        connection.close()
    return closed


@contextmanager
def _attacked(port: int, threads: int, attack: Attack) -> Iterator[None]:
    stop = threading.Event()
    attackers = [threading.Thread(target=attack, args=(port, stop)) for _ in range(threads)]
    for attacker in attackers:
        attacker.start()
    stop.wait(0.5)  # until the attack has begun
    try:
        yield
    finally:
        stop.set()
        for attacker in attackers:
            attacker.join()


def _measure(name: str, pid: int, port: int, image: bytes, seconds: float) -> UnderAttack:
    reset_peak(pid)
    latencies: list[float] = []
    live: list[float] = []
    others: dict[str, int] = {}
    done = threading.Event()

    def check_live() -> None:
        while not done.wait(_LIVE_EVERY_S):
            begun = perf_counter()
            with suppress(OSError, HTTPException), closing(_connect(port)) as connection:
                connection.request("GET", "/livez")
                connection.getresponse().read()
            live.append(1000 * (perf_counter() - begun))

    checker = threading.Thread(target=check_live)
    checker.start()
    until = monotonic() + seconds
    while monotonic() < until or (not latencies and monotonic() < until + _TIMEOUT_S):
        begun = perf_counter()
        try:
            status = _post(port, image, _NORMAL)
        except (OSError, HTTPException) as error:
            status = type(error).__name__
        if status == "200":
            latencies.append(1000 * (perf_counter() - begun))
        else:
            others[status] = others.get(status, 0) + 1
            done.wait(0.05)
    done.set()
    checker.join()
    return UnderAttack(
        name, len(latencies), others, quantiles(latencies, (50, 95, 100)), quantiles(live, (50, 99, 100)), peak_mib(pid)
    )


def _connect(port: int) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)


def _post(port: int, data: bytes, headers: dict[str, str], query: str = "") -> str:
    with closing(_connect(port)) as connection:
        connection.request("POST", f"/v1/segment{query}", data, _JPEG | headers)
        response = connection.getresponse()
        response.read()
        return str(response.status)


def _is_bayesian(port: int) -> bool:
    with closing(_connect(port)) as connection:
        connection.request("GET", "/v1/models")
        return bool(json.loads(connection.getresponse().read())[0]["bayesian"])


def _jpeg(size_px: tuple[int, int], *, progressive: bool = False) -> bytes:
    file = BytesIO()
    Image.fromarray(Street(1, size_px, 3)[0].image).save(file, format="JPEG", quality=90, progressive=progressive)
    return file.getvalue()


def _scans(data: bytes, count: int) -> bytes:
    """A progressive JPEG that ends with so many scans of 14 bytes, none of which changes anything."""
    header = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x3f\x3f\x00"  # the highest frequency of the first band
    return data[:-2] + count * (header + bytes(4)) + data[-2:]


def _chunks(count: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, format="PNG")
    data, empty = file.getvalue(), struct.pack(">I", 0) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    return data[:33] + count * empty + data[33:]
