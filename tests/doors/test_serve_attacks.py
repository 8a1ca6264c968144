"""The service under attack: each test is an attack that worked once, and what a visitor sees meanwhile."""

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

import httpx
import numpy as np
import pytest
from live_server import live_server
from PIL import Image
from test_serve_load import Slow, at_model, gauge, png, post, slow_app, until

from segnet.serve import decoders
from segnet.serve.connections import ConnectionLimits

TYPE = "urn:segnet:error:"


@pytest.fixture
def quick() -> Slow:
    slow = Slow()
    slow.go.set()
    return slow


def jpeg_of_scans(scans: int, size: int = 64) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    file = BytesIO()
    Image.new("RGB", (size, size)).save(file, format="JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def png_of_chunks(chunks: int) -> bytes:
    data = png(4, 4)
    empty = struct.pack(">I", 0) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    return data[:33] + chunks * empty + data[33:]


# ------------------------------------------------------------------------------------------------ 1. slow decoders


@pytest.mark.parametrize(
    ("data", "error"), [(jpeg_of_scans(2000), "too_many_scans"), (png_of_chunks(50_000), "too_many_chunks")]
)
def test_small_files_that_are_slow_to_decode_are_refused_at_once(quick: Slow, data: bytes, error: str) -> None:
    with live_server(slow_app(quick)) as address:
        assert post(address, png(4, 4)).status_code == 200  # a decoder has started
        begun = perf_counter()
        answer = httpx.post(f"{address}/v1/segment", content=data, headers={"Content-Type": "image/jpg"}, timeout=60)
        assert (answer.status_code, answer.json()["type"]) == (413, TYPE + error)
        assert perf_counter() - begun < 2
        assert post(address, jpeg_of_scans(5)).status_code == 200  # many programs write ten scans


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders that never come back from an image of 7 x 7 pixels: a weakness that nobody knows yet."""
    (tmp_path / "stubborn.py").write_text(
        "import time\n"
        "from segnet.serve import decode_process, decoding\n"
        "as_rgb = decoding.as_rgb\n"
        "def stubborn(image):\n"
        "    while image.size == (7, 7): time.sleep(1)\n"
        "    return as_rgb(image)\n"
        "decoding.as_rgb = stubborn\n"
        "decode_process.main()\n"
    )
    monkeypatch.setattr(decoders, "_COMMAND", (sys.executable, str(tmp_path / "stubborn.py")))


@pytest.mark.slow
@pytest.mark.usefixtures("stubborn")
def test_a_decoder_that_does_not_come_back_is_killed_and_others_are_served(quick: Slow) -> None:
    with live_server(slow_app(quick, decode_s=4, decoders=2)) as address, ThreadPoolExecutor(8) as clients:
        assert post(address, png(4, 4)).status_code == 200
        attack = clients.submit(post, address, png(7, 7))
        for _ in range(3):
            assert post(address, png(4, 4)).status_code == 200  # by the other process
        assert not attack.done()
        answer = attack.result()
        assert (answer.status_code, answer.json()["type"]) == (400, f"{TYPE}slow_image")
        assert post(address, png(4, 4)).status_code == 200


@pytest.mark.usefixtures("stubborn")
def test_a_decoder_is_killed_when_its_client_leaves(quick: Slow) -> None:
    with live_server(slow_app(quick, decode_s=60, decoders=1)) as address:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/v1/segment", content=png(7, 7), headers={"Content-Type": "image/png"}, timeout=1)
        begun = perf_counter()
        assert post(address, png(4, 4)).status_code == 200
        assert perf_counter() - begun < 30
        assert gauge(address, "slots_taken") == 0


def test_decoders_need_no_pytorch() -> None:
    code = "import sys, segnet.serve.decode_process; assert not {'torch', 'pydantic', 'fastapi'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------ 2. and 5. the model


def test_a_client_that_left_is_taken_out_of_the_line() -> None:
    slow = Slow()
    with live_server(slow_app(slow, decoders=1)) as address, ThreadPoolExecutor(8) as clients:
        first = clients.submit(post, address, png(4, 4))
        slow.begun.wait(30)
        gone = [clients.submit(post_and_leave, address, png(5, 5)) for _ in range(3)]
        until(lambda: at_model(address) == 4)
        assert [left.result() for left in gone] == [True] * 3
        until(lambda: at_model(address) == 1)
        slow.go.set()
        assert first.result().status_code == 200
        assert post(address, png(6, 6)).status_code == 200
    assert slow.batches == [[(4, 4)], [(6, 6)]]


def post_and_leave(address: str, data: bytes) -> bool:
    """Whether the client lost its patience."""
    try:
        httpx.post(f"{address}/v1/segment", content=data, headers={"Content-Type": "image/png"}, timeout=3)
    except httpx.ReadTimeout:
        return True
    return False


# ------------------------------------------------------------------------------------------------ 3. connections


@pytest.fixture
def half_open() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


def connect(address: str, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=30)
    connection.sendall(sent)
    return connection


def test_half_sent_headers_are_closed_in_time(quick: Slow, half_open: list[socket.socket]) -> None:
    with live_server(slow_app(quick), connections=ConnectionLimits(header_s=0.5)) as address:
        for sent in (b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            half_open.append(connect(address, sent))
        for each in half_open:
            answer = read_all(each)
            assert answer.startswith(b"HTTP/1.1 408")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == f"{TYPE}slow_header"


def test_a_second_request_that_drips_is_closed_too(quick: Slow, half_open: list[socket.socket]) -> None:
    with live_server(slow_app(quick), connections=ConnectionLimits(header_s=1)) as address:
        half_open.append(connect(address, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert b"200 OK" in half_open[0].recv(4096)
        begun = monotonic()
        with pytest.raises(OSError):  # closed, while bytes come all the time
            while monotonic() - begun < 20:
                half_open[0].sendall(b"G")
                sleep(0.1)
        assert monotonic() - begun < 10


def test_half_open_connections_give_way_to_new_ones(quick: Slow, half_open: list[socket.socket]) -> None:
    limits = ConnectionLimits(total=20, per_client=10, header_s=60)
    with live_server(slow_app(quick), connections=limits) as address:
        for _ in range(60):
            half_open.append(connect(address, b"GET / HTTP/1.1\r\nX: "))
        for _ in range(5):
            assert httpx.get(f"{address}/livez").status_code == 200
        assert post(address, png(4, 4)).status_code == 200
        until(lambda: closed(half_open) >= 50)


def closed(connections: list[socket.socket]) -> int:
    count = 0
    for each in connections:
        each.setblocking(False)
        try:
            count += each.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            count += 1
    return count


def test_a_working_connection_does_not_give_way(half_open: list[socket.socket]) -> None:
    slow = Slow()
    limits = ConnectionLimits(total=4, per_client=4, header_s=60)
    with live_server(slow_app(slow), connections=limits) as address, ThreadPoolExecutor(2) as clients:
        working = clients.submit(post, address, png(4, 4))
        slow.begun.wait(30)
        for _ in range(20):
            half_open.append(connect(address, b"GET"))
        assert httpx.get(f"{address}/livez").status_code == 200
        slow.go.set()
        assert working.result().status_code == 200


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    while chunk := connection.recv(4096):
        answer += chunk
    return answer


# ------------------------------------------------------------------------------------------------ 4. shapes


def test_a_long_thin_image_is_refused(quick: Slow) -> None:
    with live_server(slow_app(quick)) as address:
        answer = post(address, png(1, 9000))
        assert (answer.status_code, answer.json()["type"]) == (413, f"{TYPE}too_long_side")
        assert "at most 8,192 pixels" in answer.text
        assert post(address, png(1, 8192)).status_code == 200


# ------------------------------------------------------------------------------------------------ 5. slow bodies


def test_slow_bodies_leave_the_slots_to_others(quick: Slow, half_open: list[socket.socket]) -> None:
    head = b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
    with live_server(slow_app(quick, slots=4)) as address:
        for _ in range(16):
            half_open.append(connect(address, head + b"\x89PN"))
        until(lambda: gauge(address, "uploads") == 16)
        assert post(address, png(4, 4)).status_code == 200
        begun = monotonic()
        answer = read_all(half_open[0])
        assert answer.startswith(b"HTTP/1.1 408") and b"slow_upload" in answer
        assert monotonic() - begun < 10  # not the 20 s of a whole body: three bytes are below the pace


def test_refused_slow_bodies_do_not_hold_their_connection(quick: Slow, half_open: list[socket.socket]) -> None:
    head = (
        b"POST /v1/segment?model=unknown HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
    )
    with live_server(slow_app(quick)) as address:
        half_open.append(connect(address, head + b"\x89PN"))
        begun = monotonic()
        assert half_open[0].recv(4096).startswith(b"HTTP/1.1 404")
        assert monotonic() - begun < 10  # 2 s of patience, not the 20 s of a whole body


def test_one_client_cannot_take_all_slots() -> None:
    slow = Slow()
    with live_server(slow_app(slow, slots=4, per_client=0.5)) as address, ThreadPoolExecutor(8) as clients:
        mine = [clients.submit(post, address, png(4, 4)) for _ in range(2)]
        until(lambda: gauge(address, "slots_taken") == 2)
        refused = post(address, png(4, 4))
        assert (refused.status_code, refused.json()["expected"]) == (429, "at most 2 images of one client at one time")
        other = clients.submit(
            httpx.post,
            f"{address}/v1/segment",
            content=png(4, 4),
            headers={"Content-Type": "image/png", "X-Forwarded-For": "192.0.2.7"},  # 127.0.0.1 may be a proxy
            timeout=60,
        )
        until(lambda: gauge(address, "slots_taken") == 3)
        slow.go.set()
        assert [answer.result().status_code for answer in (*mine, other)] == [200] * 3


# ------------------------------------------------------------------------------------------------ the end


@pytest.mark.slow
def test_the_end_comes_within_the_grace_period_and_nothing_is_lost_without_an_answer() -> None:
    slow = Slow()
    with ThreadPoolExecutor(8) as clients:
        with live_server(slow_app(slow), grace_s=4) as address:
            taken = [clients.submit(post, address, png(4, number)) for number in (4, 5, 6)]
            until(lambda: at_model(address) == 3)
            begun = monotonic()
        assert monotonic() - begun < 4 + 3  # the thread of the model is given two seconds more
        for answer in taken:
            assert (answer.result().status_code, answer.result().json()["type"]) == (503, f"{TYPE}shutting_down")
            assert answer.result().headers["Retry-After"]
        slow.go.set()  # so that the thread ends before the next test
    assert threading.active_count() < 20


@pytest.mark.slow
def test_sigterm_ends_a_prediction_that_would_take_minutes(tmp_path: Path) -> None:
    from segnet.labels import CAMVID_11
    from segnet.models import create_model
    from segnet.weights.file import WeightsCard, save_weights

    save_weights(
        tmp_path / "b.safetensors", create_model("bayesian-segnet", 11), WeightsCard("bayesian-segnet", CAMVID_11)
    )
    command = [sys.executable, "-m", "segnet", "serve", "--port", "0", "--device", "cpu", "--grace-s", "3"]
    command += ["--weights", str(tmp_path / "b.safetensors")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        address = process.stdout.readline().decode().split(" at ")[1].split()[0]
        file = BytesIO()
        Image.fromarray(np.zeros((700, 700, 3), np.uint8)).save(file, format="PNG")
        with ThreadPoolExecutor(1) as client:
            answer: Any = client.submit(
                httpx.post,
                f"{address}/v1/segment?samples=16",
                content=file.getvalue(),
                headers={"Content-Type": "image/png"},
                timeout=120,
            )
            until(lambda: gauge(address, "running") == 1)
            process.send_signal(signal.SIGTERM)
            begun = monotonic()
            process.wait(60)
            assert monotonic() - begun < 15  # 3 s of grace, a second or two for the band, and a busy machine
            assert answer.result().status_code == 503
