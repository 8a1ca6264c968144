"""The service when much comes at once, slowly, or at its end: slots, batches, time-outs, shutdown."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import numpy as np
import pytest
from live_server import live_server
from PIL import Image

from segnet.benchmark.measure.service_attacks import _chunks, _jpeg, _scans, attack_table, measure_attacks
from segnet.benchmark.measure.service_load import load_table, measure_load
from segnet.errors import ConfigError
from segnet.inference.prediction import Prediction
from segnet.labels import CAMVID_11
from segnet.serve.app import create_app
from segnet.serve.image_caps import count_chunks, count_scans
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded
from segnet.serve.run import listen
from segnet.weights.file import WeightsCard

ROOT = Path(__file__).resolve().parents[2]


class Slow:
    """A predictor that waits for `go`, and remembers its batches."""

    label_set, longest_side_px = CAMVID_11, None
    card = WeightsCard("segnet-basic", CAMVID_11)

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.batches: list[list[tuple[int, ...]]] = []
        self.error: Exception | None = None

    def batch(self, images: list[np.ndarray], **_: Any) -> list[Prediction]:
        self.begun.set()
        assert self.go.wait(60)
        self.batches.append([image.shape[:2] for image in images])
        if self.error:
            raise self.error
        return [Prediction(p, np.full(p.shape[:2], p[0, 0, 0], np.uint8), CAMVID_11) for p in images]


def png(height: int, width: int, class_id: int = 0) -> bytes:
    file = BytesIO()
    Image.fromarray(np.full((height, width, 3), class_id, np.uint8)).save(file, format="PNG")
    return file.getvalue()


def post(address: str, data: bytes) -> httpx.Response:
    return httpx.post(f"{address}/v1/segment", content=data, headers={"Content-Type": "image/png"}, timeout=60)


def gauge(address: str, name: str) -> int:
    found = re.search(rf"^segnet_{name} (\d+)", httpx.get(f"{address}/metrics").text, flags=re.MULTILINE)
    assert found
    return int(found[1])


def at_model(address: str) -> int:
    return gauge(address, "waiting") + gauge(address, "running")


def until(condition: Any) -> None:
    end = monotonic() + 30
    while not condition():
        assert monotonic() < end, "it did not come to that"
        sleep(0.01)


def slow_app(slow: Slow, **limits: Any) -> Any:
    limits = {"per_client": 1.0, **limits}
    return create_app({"slow": Loaded("slow", "", slow, False, False)}, Limits(**limits), {})  # type: ignore[arg-type]


def test_images_of_one_size_run_together_and_each_gets_its_own_answer() -> None:
    slow = Slow()
    sizes = [(8, 9), (8, 9), (5, 5), (8, 9), (8, 9), (8, 9)]
    with live_server(slow_app(slow, batch_size=3)) as address, ThreadPoolExecutor(8) as clients:
        first = clients.submit(post, address, png(2, 2))
        slow.begun.wait(30)  # the model is busy: the others wait together
        answers = []
        for number, size in enumerate(sizes):
            answers.append(clients.submit(post, address, png(*size, number)))
            until(lambda number=number: at_model(address) == number + 2)
        slow.go.set()
        assert first.result().status_code == 200
        names = [answer.result().json()["classes"][0]["id"] for answer in answers]
        batches = [answer.result().json()["batch"] for answer in answers]
    assert names == [0, 1, 2, 3, 4, 5]
    assert slow.batches[0] == [(2, 2)]
    assert sorted(map(len, slow.batches[1:])) == [1, 2, 3]
    assert all(len(set(batch)) == 1 for batch in slow.batches)
    assert batches[2] == 1


def test_a_batch_has_no_more_pixels_than_one_image_may() -> None:
    slow = Slow()
    with live_server(slow_app(slow, batch_size=4, max_pixels=200)) as address, ThreadPoolExecutor(8) as clients:
        first = clients.submit(post, address, png(2, 2))
        slow.begun.wait(30)
        answers = [clients.submit(post, address, png(10, 10)) for _ in range(4)]
        until(lambda: at_model(address) == 5)
        slow.go.set()
        assert [answer.result().status_code for answer in [first, *answers]] == [200] * 5
    assert [len(batch) for batch in slow.batches] == [1, 2, 2]


def test_who_finds_no_slot_is_told_when_to_come_again_and_health_answers() -> None:
    slow = Slow()
    with live_server(slow_app(slow, slots=2)) as address, ThreadPoolExecutor(8) as clients:
        taken = [clients.submit(post, address, png(4, 4)) for _ in range(2)]
        until(lambda: gauge(address, "slots_taken") == 2)
        for _ in range(3):
            refused = post(address, png(4, 4))
            assert refused.status_code == 429
            assert refused.json()["type"].removeprefix("urn:segnet:error:") == "busy"
            assert int(refused.headers["Retry-After"]) >= 1
        assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}
        slow.go.set()
        assert [answer.result().status_code for answer in taken] == [200, 200]
        assert post(address, png(4, 4)).status_code == 200
    assert sum(map(len, slow.batches)) == 3


def test_a_client_that_is_still_sending_sees_the_refusal() -> None:
    with live_server(slow_app(Slow())) as address:
        connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
        connection.request("POST", "/v1/segment", bytes(20_000_000), {"Content-Type": "image/png"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["type"].removeprefix("urn:segnet:error:")) == (
            413,
            "too_many_bytes",
        )
        connection.close()


def test_a_model_that_takes_too_long_is_503_and_its_image_is_dropped() -> None:
    slow = Slow()
    with live_server(slow_app(slow, answer_s=3)) as address, ThreadPoolExecutor(8) as clients:
        running, waits = clients.submit(post, address, png(4, 4)), clients.submit(post, address, png(5, 5))
        for answer in (running.result(), waits.result()):
            assert (answer.status_code, answer.json()["type"].removeprefix("urn:segnet:error:")) == (503, "too_slow")
            assert int(answer.headers["Retry-After"]) >= 1
        slow.go.set()
        assert post(address, png(6, 6)).status_code == 200
    assert len(slow.batches) == 2  # the one that ran, and the last; the one that waited was not run for nobody


def test_an_error_of_the_model_is_500_and_the_service_lives() -> None:
    slow = Slow()
    slow.go.set()
    with live_server(slow_app(slow)) as address:
        slow.error = RuntimeError("out of memory at /secret/path")
        answer = post(address, png(4, 4))
        assert (answer.status_code, answer.json()["type"].removeprefix("urn:segnet:error:")) == (500, "failed")
        assert "secret" not in answer.text
        slow.error = None
        assert post(address, png(4, 4)).status_code == 200


def test_a_body_that_comes_too_slowly_is_408() -> None:
    with live_server(slow_app(Slow(), upload_s=0.3)) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            head = b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
            connection.sendall(head + b"\x89PNG")
            answer = b""
            while chunk := connection.recv(4096):  # ends: the connection is closed
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"slow_upload" in answer and b"4 bytes in 0.3 s" in answer
        assert gauge(address, "uploads") == 0


def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    def endless() -> Any:
        for _ in range(100):
            yield bytes(10_000)

    with live_server(slow_app(Slow(), max_bytes=50_000)) as address:
        answer = httpx.post(
            f"{address}/v1/segment", content=endless(), headers={"Content-Type": "image/png"}, timeout=60
        )
        assert (answer.status_code, answer.json()["type"].removeprefix("urn:segnet:error:")) == (413, "too_many_bytes")


def test_an_end_in_order_answers_what_was_taken() -> None:
    slow = Slow()
    with ThreadPoolExecutor(8) as clients:
        with live_server(slow_app(slow, batch_size=1)) as address:
            answers = [clients.submit(post, address, png(4, 4, number)) for number in range(3)]
            until(lambda: at_model(address) == 3)
            threading.Timer(0.3, slow.go.set).start()
        assert [answer.result().json()["classes"][0]["id"] for answer in answers] == [0, 1, 2]


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_stops_on_a_signal_after_what_it_took() -> None:
    command = [sys.executable, "-m", "segnet", "serve", "--port", "0", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        with ThreadPoolExecutor(4) as clients:
            answers = [clients.submit(post, found[0], png(200, 300 + i)) for i in range(3)]
            until(lambda: gauge(found[0], "slots_taken") == 3)
            os.kill(process.pid, signal.SIGTERM)
            assert [answer.result().status_code for answer in answers] == [200] * 3
        _, complaints = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, complaints) == (0, "")


def test_a_port_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be had .*give another --host or --port"):
            listen("127.0.0.1", port)


def test_limits_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ConfigError, match="slots: expected more than 0, and finite, got 0"):
        Limits(slots=0)
    for seconds in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"answer_s: expected more than 0, and finite, got {seconds}"):
            Limits(answer_s=seconds)


@pytest.mark.load
def test_the_benchmark_counts_answers_refusals_and_memory() -> None:
    results = measure_load("segnet-basic-camvid", (1, 3), 1.0, (32, 48), ("--slots", "1"))
    assert [load.clients for load in results] == [1, 3]
    alone, crowd = results
    assert (alone.refused, alone.errors, crowd.errors) == (0, {}, {})
    assert alone.answered >= 1
    assert crowd.refused >= 1
    assert alone.latency_ms and alone.health_ms
    assert 0 < alone.latency_ms[0] <= alone.latency_ms[1] <= alone.latency_ms[2]
    if alone.peak_mib is not None:  # where the system tells
        assert 50 < alone.peak_mib < 8000
    text = load_table(results, (32, 48)).to_markdown()
    assert "| 1 | " in text and "| 3 | " in text


@pytest.mark.load
def test_the_benchmark_of_attacks_answers_a_normal_client_under_each() -> None:
    results = measure_attacks("segnet-basic-camvid", 1.0, (32, 48))
    assert [result.attack for result in results][:2] == ["none", "progressive JPEG, 100 scans"]
    assert len(results) == 7  # the model is not Bayesian
    for result in results:
        assert result.answered >= 1, result
        assert result.live_ms
    assert "| slow bodies | " in attack_table(results, (32, 48), 1.0).to_markdown()


def test_the_files_of_the_attacks_are_what_they_say() -> None:
    files = [_scans(_jpeg((32, 32), progressive=True), 90), _chunks(1000)]
    assert count_scans(files[0], 1000) == 100
    assert count_chunks(files[1], 2000) == 1003
    for data in files:
        with Image.open(BytesIO(data)) as image:
            image.load()


def test_the_benchmark_says_why_the_server_did_not_start() -> None:
    with pytest.raises(ConfigError, match=r"(?s)did not start: .*--port"):
        measure_load("segnet-basic-camvid", (1,), 1.0, (32, 48), ("--port", "99999"))
