"""The service as those who run it see it: health, logs, keys, headers, files, several processes."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
from live_server import live_server
from test_serve_load import Slow, png, post, slow_app, until

from segnet.errors import ConfigError
from segnet.serve.app import create_app
from segnet.serve.assets import Asset
from segnet.serve.keys import read_keys
from segnet.serve.limits import Limits
from segnet.serve.logs import RateLimit
from segnet.serve.models import Loaded

TYPE = "urn:segnet:error:"
SCRIPT = b"// a script\n" * 500
KEY = "a-key-of-more-than-16"


class Files:
    """Assets that count how often they are read; one waits for `go`, one fails."""

    def __init__(self) -> None:
        self.go, self.reads = threading.Event(), dict.fromkeys(("app.js", "slow.onnx", "broken.onnx"), 0)
        self.assets = {
            "index.html": Asset("text/html", lambda: b"<p>page</p>"),
            "app.js": Asset("text/javascript", lambda: self.read("app.js")),
            "photo.png": Asset("image/png", lambda: png(300, 300)),
            "slow.onnx": Asset("application/octet-stream", lambda: self.read("slow.onnx")),
            "broken.onnx": Asset("application/octet-stream", lambda: self.read("broken.onnx")),
        }

    def read(self, name: str) -> bytes:
        self.reads[name] += 1
        if name == "slow.onnx":
            assert self.go.wait(30)
        if name == "broken.onnx":
            raise ValueError("no exporter in /secret/folder")
        return SCRIPT


@pytest.fixture
def quick() -> Slow:
    slow = Slow()
    slow.go.set()
    return slow


@pytest.fixture
def files(quick: Slow) -> Iterator[tuple[str, Files]]:
    files = Files()
    models = {"slow": Loaded("slow", "", quick, False, False)}  # type: ignore[arg-type]
    with live_server(create_app(models, Limits(), files.assets)) as address:
        yield address, files
        files.go.set()


def test_files_have_an_etag_and_are_compressed_once(files: tuple[str, Files]) -> None:
    address, read = files
    plain = httpx.get(f"{address}/app.js", headers={"Accept-Encoding": "identity"})
    assert (plain.content, plain.headers["cache-control"]) == (SCRIPT, "no-cache")
    assert "content-encoding" not in plain.headers
    packed = httpx.get(f"{address}/app.js", headers={"Accept-Encoding": "br, gzip"})
    assert (packed.content, packed.headers["content-encoding"]) == (SCRIPT, "gzip")
    assert int(packed.headers["content-length"]) < len(SCRIPT) / 10
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    refused = httpx.get(f"{address}/app.js", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers
    for answer in (plain, packed):
        headers = {"If-None-Match": f'"other", W/{answer.headers["etag"]}'}
        headers["Accept-Encoding"] = answer.request.headers["accept-encoding"]
        again = httpx.get(f"{address}/app.js", headers=headers)
        assert (again.status_code, again.content) == (304, b"")
    fixed = httpx.get(f"{address}/app.js?v={plain.headers['etag'].strip(chr(34))}")
    assert fixed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert httpx.get(f"{address}/app.js?v=older").headers["cache-control"] == "no-cache"
    assert "content-encoding" not in httpx.get(f"{address}/photo.png").headers
    assert read.reads["app.js"] == 1


def test_head_answers_as_get_without_the_body(files: tuple[str, Files]) -> None:
    address, _ = files
    for path in ("/", "/app.js", "/livez", "/v1/models"):
        head, get = httpx.head(address + path), httpx.get(address + path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
    assert httpx.post(f"{address}/app.js").status_code == 405
    assert httpx.post(f"{address}/nowhere").status_code == 404


def test_many_first_requests_make_a_file_once_and_the_page_is_served_meanwhile(files: tuple[str, Files]) -> None:
    address, read = files
    threads = [threading.Thread(target=httpx.get, args=(f"{address}/slow.onnx",), kwargs={"timeout": 60})]
    threads += [threading.Thread(target=httpx.get, args=(f"{address}/slow.onnx",)) for _ in range(59)]
    for thread in threads:
        thread.start()
    until(lambda: read.reads["slow.onnx"] == 1)
    assert httpx.get(f"{address}/app.js").content == SCRIPT
    read.go.set()
    for thread in threads:
        thread.join()
    assert httpx.get(f"{address}/slow.onnx").content == SCRIPT
    assert read.reads["slow.onnx"] == 1


def test_a_file_that_cannot_be_made_is_remembered_and_shows_no_folder(
    files: tuple[str, Files], caplog: pytest.LogCaptureFixture
) -> None:
    address, read = files
    for _ in range(3):
        answer = httpx.get(f"{address}/broken.onnx")
        assert (answer.status_code, answer.json()["type"]) == (503, f"{TYPE}not_made")
        assert "secret" not in answer.text
    assert read.reads["broken.onnx"] == 1
    assert caplog.text.count("no exporter in /secret/folder") == 1


def test_every_answer_has_its_headers_and_a_request_id(files: tuple[str, Files]) -> None:
    address, _ = files
    for answer in (httpx.get(f"{address}/"), httpx.get(f"{address}/nowhere"), post(address, b"")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
        assert "server" not in answer.headers
    given = httpx.get(f"{address}/livez", headers={"X-Request-ID": "abc-1.2_3"})
    assert given.headers["x-request-id"] == "abc-1.2_3"
    for bad in ("a b", "x" * 65, '"'):
        assert httpx.get(f"{address}/livez", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


def test_while_models_load_it_lives_and_is_not_ready(quick: Slow) -> None:
    models: dict[str, Loaded] = {}
    assets: dict[str, Asset] = {}
    go, told = threading.Event(), []

    def load() -> None:
        assert go.wait(30)
        models["slow"] = Loaded("slow", "", quick, False, False)  # type: ignore[arg-type]
        assets["index.html"] = Asset("text/html", lambda: b"<p>page</p>")

    with live_server(create_app(models, Limits(), assets, load=load, on_loaded=told.append)) as address:
        assert httpx.get(f"{address}/livez").status_code == 200
        for answer in (
            httpx.get(f"{address}/readyz"),
            httpx.get(f"{address}/v2/health/ready"),
            httpx.get(f"{address}/"),
            post(address, png(4, 4)),
        ):
            assert (answer.status_code, answer.json()["type"]) == (503, f"{TYPE}loading")
            assert answer.headers["retry-after"] == "5"
        go.set()
        until(lambda: httpx.get(f"{address}/readyz").status_code == 200)
        assert post(address, png(4, 4)).status_code == 200
        assert httpx.get(f"{address}/").text == "<p>page</p>"
    assert told == [None]


def test_what_fails_in_loading_is_told() -> None:
    told: list[BaseException | None] = []

    def load() -> None:
        raise ConfigError("no such weights")

    with live_server(create_app({}, Limits(), {}, load=load, on_loaded=told.append)) as address:
        until(lambda: told)
        assert httpx.get(f"{address}/readyz").status_code == 503
    assert [str(error) for error in told] == ["no such weights"]


def test_a_stuck_model_is_noticed(quick: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    app = slow_app(quick)
    with live_server(app) as address:
        assert httpx.get(f"{address}/readyz").status_code == 200
        worker = app.state.service.workers["slow"]
        monkeypatch.setattr(worker, "_running_since", worker._running_since or monotonic() - 1000)
        for path in ("/livez", "/readyz", "/healthz"):
            answer = httpx.get(address + path)
            assert (answer.status_code, answer.json()["type"]) == (503, f"{TYPE}stuck")


def test_keys(quick: Slow, tmp_path: Path) -> None:
    models = {"slow": Loaded("slow", "", quick, False, False)}  # type: ignore[arg-type]
    with live_server(create_app(models, Limits(), {}, keys=[KEY, "another-key-of-16-characters"])) as address:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-API-Key": KEY[:-1]}, {"Authorization": KEY}):
            answer = httpx.get(f"{address}/v1/models", headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (401, f"{TYPE}no_key")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert httpx.get(f"{address}/v2").status_code == 401
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}):
            assert httpx.get(f"{address}/v1/models", headers=headers).status_code == 200
        assert httpx.get(f"{address}/readyz").status_code == 200
        described = httpx.get(f"{address}/openapi.json").json()["paths"]
        assert "401" in described["/v1/models"]["get"]["responses"]
        assert "401" not in described["/livez"]["get"]["responses"]
    (tmp_path / "keys").write_text(f"# mine\n\n{KEY}\n")
    assert read_keys(tmp_path / "keys") == [KEY]
    for text, words in (("", "there is none"), (f"{KEY}\nshort\n", "key 2 is shorter")):
        (tmp_path / "keys").write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_keys(tmp_path / "keys")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(tmp_path / "nowhere")


def test_other_pages_may_use_it_only_if_allowed(quick: Slow) -> None:
    origin = {"Origin": "https://example.org"}
    with live_server(slow_app(quick)) as address:
        assert "access-control-allow-origin" not in httpx.get(f"{address}/livez", headers=origin).headers
    models = {"slow": Loaded("slow", "", quick, False, False)}  # type: ignore[arg-type]
    with live_server(create_app(models, Limits(), {}, allowed_origins=["https://example.org"])) as address:
        allowed = httpx.get(f"{address}/livez", headers=origin)
        assert allowed.headers["access-control-allow-origin"] == "https://example.org"
        other = httpx.get(f"{address}/livez", headers={"Origin": "https://example.com"})
        assert "access-control-allow-origin" not in other.headers


def test_the_access_log_has_one_object_a_request(quick: Slow, caplog: pytest.LogCaptureFixture) -> None:
    with live_server(slow_app(quick)) as address:
        httpx.get(f"{address}/livez")
        with caplog.at_level(logging.INFO, "segnet.serve.access"):
            httpx.get(f"{address}/nowhere?secret=1", headers={"X-Request-ID": "abc"})
            until(lambda: caplog.records)
    (record,) = [json.loads(each.message) for each in caplog.records if each.name == "segnet.serve.access"]
    assert record.pop("ms") >= 0
    assert record.pop("bytes") > 100
    expected = {"method": "GET", "path": "/nowhere", "status": 404, "client": "127.0.0.1", "request_id": "abc"}
    assert record == expected


def test_log_lines_of_one_kind_are_at_most_one_in_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    logger, limit = logging.getLogger("segnet.test"), RateLimit(0.2)
    logger.addFilter(limit)
    try:
        for number in range(100):
            logger.warning("trouble of %d", number)
        logger.warning("other")
        sleep(0.25)
        logger.warning("trouble of %d", 100)
    finally:
        logger.removeFilter(limit)
    assert caplog.messages == ["trouble of 0", "other", "trouble of 100 (99 more of these)"]


def test_the_page_of_the_api_needs_no_script(quick: Slow) -> None:
    with live_server(slow_app(quick)) as address:
        page = httpx.get(f"{address}/docs").text
    assert "POST /v1/segment" in page and "/v2/models/{name}/infer" in page
    assert "longest_side" in page and "integer from 0 to 16384" in page
    assert "<script" not in page and "http://" not in page.replace("http://127.0.0.1:8000", "")


@pytest.mark.slow
def test_several_processes_answer_and_one_that_dies_is_replaced() -> None:
    command = [sys.executable, "-m", "segnet", "serve", "--port", "0", "--device", "cpu", "--processes", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            until(lambda: len(children(process.pid)) >= 3)  # and the one that minds shared resources
            assert post(found[0], png(32, 32)).status_code == 200
            before = children(process.pid)
            os.kill(int(before[-1]), signal.SIGKILL)
            until(lambda: len(children(process.pid)) == len(before) and before[-1] not in children(process.pid))
            assert post(found[0], png(32, 32)).status_code == 200  # by the other one
        finally:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode == 0


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
