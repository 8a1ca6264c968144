"""`segnet serve`, `segnet export --to web`, `segnet benchmark serve` from outside: how they refuse, what they leave."""

import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest

from segnet.serve import command as serve_command
from segnet.serve.browser_runtime import RUNTIME_FILES, VERSION, find_runtime
from segnet.serve.run import ServiceServer, listen, serve_until_stopped
from segnet.serve.static_site import write_site
from segnet.weights.file import find_weights

Run = Callable[..., tuple[int, str, str]]


def test_serve_says_a_port_in_use_before_it_loads_a_model(run: Run, tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        code, _, err = run("serve", "--port", port, "--weights", tmp_path / "nowhere.safetensors")
    assert (code, err.count("\n")) == (2, 1)
    assert f"127.0.0.1 port {port} cannot be had" in err and "give another --host or --port" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "segnet-basic-camvit"], "did you mean 'segnet-basic-camvid'?"),
        (["--weights", "segnet-basic-camvid", "--weights", "segnet-basic-camvid"], "expected weights, each once"),
        (["--slots", "0"], "slots: expected more than 0, and finite, got 0"),
        (["--max-megapixels", "-1"], "--max-megapixels -1: expected a number above 0"),
        (["--max-megapixels", "nan"], "--max-megapixels nan: expected a number above 0"),
        (["--max-megapixels", "1e-7"], "max_pixels: expected more than 0"),
        (["--max-megabytes", "inf"], "--max-megabytes inf: expected a number above 0"),
        (["--max-megabytes", "1e305"], "--max-megabytes inf: expected a number above 0"),
        (["--timeout-s", "nan", "--weights", "nowhere.safetensors"], "--timeout-s nan: expected a number above 0"),
        (["--host", "a" * 70 + ".com", "--weights", "nowhere.safetensors"], "give another --host or --port"),
        (["--runtime", "nowhere"], "is not in nowhere: no ort.wasm.min.mjs"),
        (["--backend", "tensorrt"], "unknown backend 'tensorrt'"),
        (["--samples", "nowhere"], "nowhere does not exist"),
    ],
)
def test_serve_refuses_in_one_line(run: Run, arguments: list[str], words: str) -> None:
    code, _, err = run("serve", "--port", 0, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "web", "--size", "360x480"], "--size has no effect with --to web"),
        (["--to", "web", "--answer", "classes"], "--answer has no effect with --to web"),
        (["--to", "onnx", "--runtime", "npm"], "--runtime has no effect with --to onnx"),
        (["--to", "web", "--runtime", "nowhere"], f"give --runtime npm to fetch {VERSION} by npm"),
    ],
)
def test_export_to_web_refuses_and_leaves_nothing(
    run: Run, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("export", "--out", "site", *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_export_to_web_keeps_a_folder_of_other_things(run: Run, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, _, err = run("export", "--to", "web", "--out", tmp_path)
    assert code == 2
    assert "holds other things than a demo of segnet" in err
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_the_runtime_is_missing_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=f"is not in {tmp_path}/cache/segnet/onnxruntime-web-{VERSION}: no "):
        find_runtime()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"--runtime npm: no npm here; install it, or copy"):
        find_runtime("npm")
    for name in RUNTIME_FILES[:-1]:
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=f"no {RUNTIME_FILES[-1]}; give"):
        find_runtime(str(tmp_path))
    (tmp_path / RUNTIME_FILES[-1]).write_text("")
    assert find_runtime(str(tmp_path)) == tmp_path


def test_a_site_that_fails_half_way_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segnet.serve import assets

    out = tmp_path / "site"
    out.mkdir()
    (out / "site.json").write_text("earlier")
    for name in RUNTIME_FILES:
        (tmp_path / name).write_text("")

    def fails(_: str) -> bytes:
        raise ValueError("no model")

    monkeypatch.setattr(assets, "_exported", fails)
    with pytest.raises(ValueError, match="no model"):
        write_site("segnet-basic-camvid", out, runtime=str(tmp_path))
    assert [path.name for path in out.iterdir()] == ["site.json"]
    assert (out / "site.json").read_text() == "earlier"


def test_benchmark_serve_wants_numbers_of_clients(run: Run) -> None:
    for clients in ("0", "1,many", "", "²", "1" * 5000):
        code, _, err = run("benchmark", "serve", "--clients", clients)
        assert code == 2
        assert "expected numbers from 1 with commas between" in err


def test_benchmark_serve_wants_seconds_that_end(run: Run) -> None:
    code, _, err = run("benchmark", "serve", "--seconds", "inf")
    assert (code, err.count("\n")) == (2, 1)
    assert "--seconds inf: expected a number above 0" in err


def serve_until_loaded(server: ServiceServer, listener: socket.socket) -> None:
    def stop() -> None:
        while server.service.state == "loading":
            sleep(0.01)
        server.should_exit = True

    threading.Thread(target=stop).start()
    serve_until_stopped(server, listener)


def test_serve_prints_names_as_they_are(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "o[" / "b]x"))
    weights = tmp_path / "o[bold]x.safetensors"
    weights.write_bytes(find_weights("segnet-basic-camvid").read_bytes())
    monkeypatch.setattr(serve_command, "serve_until_stopped", serve_until_loaded)
    code, out, err = run("serve", "--port", 0, "--weights", weights, "--device", "cpu")
    assert (code, err, out.count("\n")) == (0, "", 2)
    assert out.startswith("o[bold]x at http://127.0.0.1:")
    assert f"is not in {tmp_path}/o[/b]x/segnet/onnxruntime-web-" in out


def test_serve_says_which_extra_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    code, _, err = run("serve", "--port", 0)
    assert code == 2
    assert "prometheus_client is not installed; pip install 'segnet[serve]'" in err
