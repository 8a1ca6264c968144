"""What a visitor does on the web page, and what is seen of it, for the tests of the page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segnet.data.street.scenes import Street

IMAGE = Street(1, (61, 83), seed=3)[0].image
SEGMENT = "**/v1/segment?*"
SLOW_SERVER = """
    const quick = window.fetch;
    window.fetch = async (url, wishes) => {
        const answer = await quick(url, wishes);
        if (wishes?.method === "POST") await new Promise((wake) => setTimeout(wake, 800));
        return answer;
    };"""


def hold_answers(page: Any) -> None:
    """The server answers no image from now on; `page.unroute(SEGMENT)` ends that for the images that follow."""
    page.route(SEGMENT, lambda _: None)


def png(image: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def drop(page: Any, *files: tuple[str, bytes]) -> None:
    """Drops files onto the page."""
    page.evaluate(
        """(files) => {
            const data = new DataTransfer();
            for (const [name, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
        }""",
        [[name, list(content)] for name, content in files],
    )


def drop_image(page: Any, image: np.ndarray, name: str = "a.png") -> None:
    """Drops an image, and waits for its result."""
    drop(page, (name, png(image)))
    wait_for_told(page, size_of(image))


def paste(page: Any, text: str = "", image: bytes = b"") -> None:
    page.evaluate(
        """([text, bytes]) => {
            const data = new DataTransfer();
            if (text) data.setData("text/plain", text);
            if (bytes.length) data.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        [text, list(image)],
    )


def size_of(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]} px"


def wait_for_told(page: Any, words: str) -> None:
    page.wait_for_function("words => document.getElementById('told').textContent.includes(words)", arg=words)


def open_page(page: Any, address: str, *, compare: bool = False) -> None:
    """Opens the page and waits for the result of the first sample."""
    page.goto(address)
    wait_for_told(page, "px")
    if not compare:
        page.uncheck("#compare")


def message(page: Any) -> str:
    """The message, as soon as there is one."""
    page.wait_for_selector("#message:visible")
    return str(page.text_content("#message-text"))


def drawn(page: Any) -> None:
    """Waits until what was asked for is on the screen."""
    page.evaluate("new Promise((wake) => requestAnimationFrame(() => requestAnimationFrame(wake)))")


def seen(page: Any, height: int, width: int) -> np.ndarray:
    """The stage at the middle of each pixel of an image that is fitted into it, RGBA (height, width, 4)."""
    drawn(page)
    values = page.evaluate(
        """([high, wide]) => {
            const canvas = document.getElementById("canvas");
            const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            const scale = Math.min(canvas.width / wide, canvas.height / high);
            const [left, top] = [(canvas.width - wide * scale) / 2, (canvas.height - high * scale) / 2];
            const made = [];
            for (let y = 0; y < high; y++) for (let x = 0; x < wide; x++) {
                const [across, down] = [Math.floor(left + (x + 0.5) * scale), Math.floor(top + (y + 0.5) * scale)];
                const at = 4 * (down * canvas.width + across);
                made.push(all[at], all[at + 1], all[at + 2], all[at + 3]);
            }
            return made;
        }""",
        [height, width],
    )
    return np.array(values, np.uint8).reshape(height, width, 4)


def view(page: Any, name: str) -> None:
    page.locator(f"input[name=view][value={name}]").check(force=True)


def run_in(page: Any, place: str) -> None:
    page.locator(f"input[name=where][value={place}]").check(force=True)


def downloaded(page: Any, button: str) -> bytes:
    with page.expect_download() as waited:
        page.click(button)
    return Path(waited.value.path()).read_bytes()


@contextmanager
def static_files(folder: Path) -> Iterator[str]:
    """The address of a plain web server for a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    files = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=files.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{files.server_port}/"
    finally:
        files.shutdown()
        thread.join()
        files.server_close()
