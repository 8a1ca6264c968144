"""Camera and video files on the web page."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_actions import IMAGE, SLOW_SERVER, drop, drop_image, message, open_page, wait_for_told

pytestmark = pytest.mark.browser
CAMERA_PX = "1280 x 720 px"
SLOW_CAMERA = """
    const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
    window.streams = [];
    devices.getUserMedia = async (wishes) => {
        await new Promise((wake) => setTimeout(wake, 200));
        streams.push(await open(wishes));
        return streams.at(-1);
    };"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of 64 x 48 pixels, from dark to light, WebM."""
    av = pytest.importorskip("av")
    path = tmp_path_factory.mktemp("film") / "film.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 12 * i, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_the_camera_runs_until_it_is_stopped(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    page.click("#camera")
    wait_for_told(page, CAMERA_PX)
    assert page.get_attribute("#camera", "aria-pressed") == "true"
    page.wait_for_function("() => /[0-9.]+ frames\\/s/.test(document.getElementById('told').textContent)")
    page.click("#snapshot")
    page.wait_for_function("() => document.querySelectorAll('#own-strip li').length === 1")
    page.click("#camera")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    page.wait_for_function("() => document.querySelectorAll('#own-strip li').length === 2")  # the last frame stays
    assert page.locator("#own-strip img").nth(1).get_attribute("alt") == "camera 2"
    assert "frames/s" not in str(page.text_content("#told"))
    page.select_option("#detail", "320")
    wait_for_told(page, CAMERA_PX)


def test_the_camera_off_and_on_while_an_answer_is_under_way(page: Any, web_server: str) -> None:
    page.add_init_script(SLOW_SERVER)
    open_page(page, web_server)
    page.click("#camera")
    wait_for_told(page, CAMERA_PX)
    with page.expect_request("**/v1/segment?*"):
        pass
    page.click("#camera")
    page.click("#camera")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.evaluate(
        """() => {
            window.answers = new Set();  // each names its own milliseconds
            const seen = new MutationObserver(([{ target }]) => answers.add(target.textContent));
            seen.observe(document.getElementById("told"), { childList: true });
        }"""
    )
    page.wait_for_function("() => answers.size >= 4")
    assert len(posts) <= 8  # two loops would throw each other's answers away


def test_clicks_on_the_camera_while_it_starts(page: Any, web_server: str) -> None:
    page.add_init_script(SLOW_CAMERA)
    open_page(page, web_server)
    page.dblclick("#camera")
    page.wait_for_function("() => streams.length === 1")
    alive = "() => streams.filter((stream) => stream.active).length"
    page.wait_for_function("() => streams.every((stream) => !stream.active)")
    assert page.get_attribute("#camera", "aria-pressed") == "false"
    page.click("#camera", click_count=3)  # on, off, on
    wait_for_told(page, CAMERA_PX)
    page.wait_for_function("() => streams.length === 3")
    assert page.evaluate(alive) == 1
    page.click("#camera")
    assert page.evaluate(alive) == 0
    assert page.is_hidden("#message")


def test_an_image_under_way_when_the_camera_starts(page: Any, web_server: str) -> None:
    page.add_init_script(SLOW_SERVER)
    page.goto(web_server)
    page.wait_for_selector("#progress:visible")
    page.click("#camera")
    wait_for_told(page, CAMERA_PX)
    assert page.is_hidden("#progress")
    page.locator("#sample-strip button").nth(1).click()  # ends the camera
    assert page.get_attribute("#camera", "aria-pressed") == "false"
    page.click("#camera")
    page.click("#camera")  # before it gave a frame: the image is there again
    wait_for_told(page, "480 x 360 px")
    assert page.is_hidden("#progress")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "The camera was refused. Allow it"),
        ("NotFoundError", "There is no camera here."),
        ("NotReadableError", "Another program uses the camera."),
    ],
)
def test_a_camera_that_does_not_start(page: Any, web_server: str, name: str, words: str) -> None:
    page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{name}'); }}"
    )
    open_page(page, web_server)
    page.click("#camera")
    assert message(page).startswith(words)
    assert page.get_attribute("#camera", "aria-pressed") == "false"
    wait_for_told(page, "480 x 360 px")  # the image before is there again


def test_a_camera_that_is_unplugged(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    page.click("#camera")
    wait_for_told(page, CAMERA_PX)
    page.evaluate("document.getElementById('video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    assert message(page).startswith("The camera was unplugged")
    assert page.get_attribute("#camera", "aria-pressed") == "false"


def test_a_video_plays_pauses_and_is_searched(page: Any, web_server: str, film: Path) -> None:
    open_page(page, web_server)
    drop(page, ("film.webm", film.read_bytes()))
    wait_for_told(page, "64 x 48 px")
    page.wait_for_function("() => /[0-9.]+ frames\\/s/.test(document.getElementById('told').textContent)")
    page.click("#play")
    assert page.text_content("#play") == "Play"
    page.wait_for_function("() => document.getElementById('video').paused")
    for place, clock in ((100, "0:00 of 0:02"), (900, "0:01 of 0:02")):
        page.locator("#seek").fill(str(place))
        page.wait_for_function("text => document.getElementById('clock').textContent === text", arg=clock)
    page.click("#snapshot")
    page.wait_for_function("() => document.querySelectorAll('#own-strip li').length === 2")
    page.select_option("#model", "bayesian")  # a video at rest is computed again
    wait_for_told(page, "64 x 48 px")
    drop_image(page, IMAGE)
    assert page.is_hidden("#player")
    assert page.evaluate("document.getElementById('video').src") == ""


def test_a_video_that_does_not_play(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    drop(page, ("film.mov", b"\0\0\0\x14ftypqt  " + bytes(200)))
    assert message(page).startswith("film.mov: this browser does not play this video. Convert it to MP4 with H.264")


def test_frames_per_second(page: Any, web_server: str) -> None:
    page.goto(web_server)
    page.wait_for_selector("body[data-ready]")
    told = page.evaluate(
        """async () => {
            const { rate } = await import("./live.js");
            const times = [0, 100, 200, 300, 9000, 9050];
            const meter = rate(() => times.shift());
            const told = [meter.tick(), meter.tick(), meter.tick(), meter.tick()];
            meter.rest();  // a pause does not count
            return [...told, meter.tick(), meter.tick()];
        }"""
    )
    assert told == pytest.approx([0, 10, 10, 10, 10, 1000 / 90])
