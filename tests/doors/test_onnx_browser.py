"""The ONNX file in a real browser: onnxruntime-web in headless Chromium says the same classes as Python."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue

import numpy as np
import pytest

from segnet.data.street.scenes import Street
from segnet.data.transforms import image_to_tensor
from segnet.errors import ConfigError
from segnet.export import export_weights
from segnet.serve.browser_runtime import find_runtime

PAGE = Path(__file__).with_name("onnx_in_browser.html")
TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}


@pytest.fixture(scope="module")
def runtime_files() -> Path:
    """The folder of onnxruntime-web's files, fetched once into the cache folder by npm."""
    try:
        return find_runtime("npm")
    except ConfigError as error:
        pytest.skip(str(error))


@contextmanager
def served(files: dict[str, Path | bytes], folder: Path) -> Iterator[tuple[str, "Queue[bytes]"]]:
    """A server on this machine: the files, `/ort/...` from the folder, and a queue of what is posted."""
    answers: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            expected = files.get(self.path, folder / Path(self.path).name)
            if isinstance(expected, Path) and not expected.is_file():
                self.send_error(404)
                return
            body = expected.read_bytes() if isinstance(expected, Path) else expected
            self.send_response(200)
            suffix = expected.suffix if isinstance(expected, Path) else ""
            self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            answers.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.browser
@pytest.mark.parametrize("size", [None, (61, 83)])
def test_the_browser_says_the_same_classes(runtime_files: Path, size: tuple[int, int] | None, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium")
    for tool in ("onnxscript", "onnxruntime"):
        pytest.importorskip(tool)
    model = tmp_path / "model.onnx"
    exported = export_weights("segnet-basic-camvid", "onnx", model, size_px=size, answer="classes")
    image = image_to_tensor(Street(1, (61, 83), seed=3)[0].image)[None].numpy()
    assert exported.run is not None
    expected = exported.run(image)
    files = {"/": PAGE, "/model.onnx": model, "/image": image.tobytes(), "/size": json.dumps([61, 83]).encode()}
    with served(files, runtime_files) as (address, answers):
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        process = subprocess.Popen([browser, *options, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            answer = answers.get(timeout=120)
        except Empty:
            pytest.fail("the page said nothing within 120 s")
        finally:
            process.terminate()
            process.wait()
    assert not answer.startswith(b"error"), answer.decode()
    assert len(np.unique(expected)) >= 3
    np.testing.assert_array_equal(np.frombuffer(answer, np.uint8).reshape(expected.shape), expected)
