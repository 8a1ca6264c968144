"""The web demo in headless Chromium: every control does what it says, on the server and with the model in the
browser."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_server import live_server
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.errors import ConfigError
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.palette import overlay, to_rgb
from segnet.serve.app import create_app
from segnet.serve.assets import Offer, site_assets
from segnet.serve.browser_runtime import find_runtime
from segnet.serve.limits import Limits
from segnet.serve.models import load_models
from segnet.serve.static_site import write_site
from segnet.weights.file import WeightsCard, load_weights, save_weights

pytestmark = pytest.mark.browser
IMAGE = Street(1, (61, 83), seed=3)[0].image
OPTIONS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
SLOW_SERVER = """
    const quick = window.fetch;
    window.fetch = async (url, wishes) => {
        const answer = await quick(url, wishes);
        if (wishes?.method === "POST") await new Promise((wake) => setTimeout(wake, 800));
        return answer;
    };"""
SLOW_CAMERA = """
    const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
    window.streams = [];
    devices.getUserMedia = async (wishes) => {
        await new Promise((wake) => setTimeout(wake, 200));
        streams.push(await open(wishes));
        return streams.at(-1);
    };"""


@pytest.fixture(scope="module")
def runtime() -> Path:
    try:
        return find_runtime("npm")
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor("segnet-basic-camvid", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def site(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as static files."""
    out = tmp_path_factory.mktemp("web") / "site"
    write_site("segnet-basic-camvid", out, runtime=str(runtime))
    return out


@pytest.fixture(scope="module")
def server(site: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`segnet serve` with two models; the model for the browser is the one exported already."""
    model, card = load_weights("segnet-basic-camvid")
    bayesian = create_model("bayesian-segnet-basic", 11, normalisation=card.normalisation)
    bayesian.load_state_dict(model.state_dict())
    path = tmp_path_factory.mktemp("weights") / "bayesian.safetensors"
    save_weights(path, bayesian, WeightsCard("bayesian-segnet-basic", CAMVID_11))
    models = load_models(["segnet-basic-camvid", str(path)], device="cpu", precision="float32")
    limits = Limits(max_pixels=20_000)  # the page scales its images to that, which keeps these tests quick
    offers = [Offer(m.name, m.weights, m.predictor.card, str(m.predictor), m.bayesian) for m in models.values()]
    assets = site_assets(offers, samples=None, runtime=runtime, max_pixels=limits.max_pixels)
    assets["models/0.onnx"] = assets["models/0.onnx"]._replace(read=(site / "models/0.onnx").read_bytes)
    with live_server(create_app(models, limits, assets)) as address:
        yield address


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh page; anything that goes wrong in it, or goes to another host, fails the test."""
    context = browser.new_context(accept_downloads=True)
    opened, wrong = context.new_page(), []
    opened.set_default_timeout(60_000)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    opened.on(
        "request", lambda r: wrong.append(r.url) if "//127.0.0.1:" not in r.url and r.url[:5] != "blob:" else None
    )
    yield opened
    context.close()
    assert not wrong


def drop(page: Any, image: np.ndarray) -> None:
    """Drops a PNG onto the page as a person would, and waits for what the model says of it."""
    file = BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    page.evaluate(
        """([bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
        }""",
        [list(file.getvalue())],
    )
    page.wait_for_function("size => document.getElementById('told').textContent.startsWith(size)", arg=size_of(image))


def size_of(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def canvas(page: Any) -> np.ndarray:
    """What is on the canvas, RGBA (h, w, 4)."""
    width, height, values = page.evaluate(
        """() => { const c = document.getElementById('canvas');
            return [c.width, c.height, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]; }"""
    )
    return np.array(values, np.uint8).reshape(height, width, 4)


def view(page: Any, name: str) -> None:
    page.locator(f"input[name=view][value={name}]").check(force=True)


def downloaded(page: Any, button: str) -> bytes:
    with page.expect_download() as waited:
        page.click(button)
    return Path(waited.value.path()).read_bytes()


def test_an_image_dropped_and_every_control(page: Any, server: str, predictor: Predictor) -> None:
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")  # the first sample comes by itself
    assert len(page.query_selector_all("#samples button")) == 4
    drop(page, IMAGE)
    expected = predictor(IMAGE, confidence=True)
    view(page, "classes")
    np.testing.assert_array_equal(canvas(page)[..., :3], to_rgb(expected.classes, CAMVID_11))
    view(page, "both")
    page.locator("#opacity").fill("50")
    mixed = canvas(page)[..., :3].astype(int) - overlay(IMAGE, expected.classes, CAMVID_11, 0.5)
    assert np.abs(mixed).max() <= 1  # the half of an odd sum
    view(page, "image")
    np.testing.assert_array_equal(canvas(page)[..., :3], IMAGE)
    view(page, "side")
    assert canvas(page).shape == (61, 2 * 83 + 8, 4)
    np.testing.assert_array_equal(canvas(page)[:, :83, :3], IMAGE)

    view(page, "classes")
    names = page.locator("#legend span").all_text_contents()
    assert names == list(expected.shares())  # largest first
    share = expected.shares()[names[0]]
    assert page.locator("#legend b").first.text_content() == f"{100 * share:.1f} %"
    first = page.locator("#legend button").first
    first.click()
    assert first.get_attribute("aria-pressed") == "false"
    gone = expected.classes == CAMVID_11.names.index(names[0])
    np.testing.assert_array_equal(canvas(page)[..., 3] == 0, gone)
    page.click("#none")
    assert not canvas(page)[..., 3].any()
    page.click("#all")
    assert canvas(page)[..., 3].all()

    index = Image.open(BytesIO(downloaded(page, "#save-classes")))
    assert index.mode == "P"
    np.testing.assert_array_equal(np.array(index), expected.classes)
    np.testing.assert_array_equal(np.array(index.convert("RGB")), to_rgb(expected.classes, CAMVID_11))
    summary = json.loads(downloaded(page, "#save-json"))
    assert {c["name"]: c["share"] for c in summary["classes"]} == pytest.approx(expected.shares())
    laid = np.array(Image.open(BytesIO(downloaded(page, "#save-overlay"))).convert("RGB")).astype(int)
    assert np.abs(laid - overlay(IMAGE, expected.classes, CAMVID_11, 0.5)).max() <= 1


def test_the_keyboard_tells_the_class_and_how_sure(page: Any, server: str, predictor: Predictor) -> None:
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    drop(page, IMAGE)
    expected = predictor(IMAGE, confidence=True)
    page.focus("#canvas")
    page.keyboard.press("Shift+ArrowRight")
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    x, y = 83 // 2 + 1, 61 // 2 - 24
    assert expected.confidence is not None
    sure = round(100 * round(255 * float(expected.confidence[y, x])) / 255)
    told = page.text_content("#readout")
    assert told == f"{CAMVID_11.names[expected.classes[y, x]]}, {sure} % sure (x {x}, y {y})"
    for _ in range(200):  # from the canvas on, all that can be used is reached by Tab
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "save-json":
            break
    assert page.evaluate("document.activeElement.id") == "save-json"


def test_uncertainty_is_for_bayesian_models_on_the_server(page: Any, server: str) -> None:
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    assert page.is_disabled("input[value=uncertainty]")
    drop(page, IMAGE)
    page.select_option("#model", "bayesian")
    view(page, "uncertainty")
    page.wait_for_function("() => document.getElementById('busy').hidden")
    assert np.ptp(canvas(page)[..., 0]) > 20  # some of it is unsure
    page.hover("#canvas")
    assert "nats" in page.text_content("#readout")


def test_the_model_in_the_browser_says_what_the_server_says(page: Any, server: str, predictor: Predictor) -> None:
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    drop(page, IMAGE)
    view(page, "classes")
    on_server = canvas(page)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.locator("input[name=where][value=browser]").check(force=True)
    page.wait_for_function("() => document.getElementById('told').textContent.includes('in this browser')")
    assert posts == []  # no image leaves the machine
    differ = (canvas(page) != on_server).any(-1).mean()
    assert differ <= 0.001  # as an export may: a maximum that another one equals but for rounding
    assert page.evaluate("crossOriginIsolated")


def test_the_camera_runs_until_it_is_stopped(page: Any, server: str) -> None:
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    page.select_option("#detail", "320")
    page.click("#camera")
    page.wait_for_function(
        "() => document.getElementById('told').textContent.startsWith('163 x 122, scaled from 640 x 480')"
    )
    assert page.get_attribute("#camera", "aria-pressed") == "true"
    page.click("#camera")
    assert page.evaluate("document.getElementById('video').srcObject") is None


def busy_is(page: Any, busy: bool) -> None:
    page.wait_for_function("busy => document.getElementById('busy').hidden !== busy", arg=busy)


def wait_for_told(page: Any, words: str) -> None:
    page.wait_for_function("words => document.getElementById('told').textContent.includes(words)", arg=words)


def test_the_camera_off_and_on_while_an_answer_is_under_way(page: Any, server: str) -> None:
    page.add_init_script(SLOW_SERVER)
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    page.click("#camera")
    wait_for_told(page, "scaled from 640 x 480")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    with page.expect_request("**/v1/segment?*"):
        pass
    page.click("#camera")
    page.click("#camera")
    page.evaluate(
        """() => {
            window.answers = new Set();  // each names its own milliseconds
            const seen = new MutationObserver(([{ target }]) => answers.add(target.textContent));
            seen.observe(document.getElementById("told"), { childList: true });
        }"""
    )
    page.wait_for_function("() => answers.size >= 4")
    assert len(posts) <= 8  # two loops would throw each other's answers away


def test_clicks_on_the_camera_while_it_starts(page: Any, server: str) -> None:
    page.add_init_script(SLOW_CAMERA)
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    page.dblclick("#camera")
    page.wait_for_function("() => streams.length === 1")
    alive = "() => streams.filter((stream) => stream.active).length"
    assert page.evaluate(alive) == 0
    assert page.get_attribute("#camera", "aria-pressed") == "false"
    page.click("#camera", click_count=3)  # on, off, on
    wait_for_told(page, "scaled from 640 x 480")
    page.wait_for_function("() => streams.length === 3")
    assert page.evaluate(alive) == 1
    page.click("#camera")
    assert page.evaluate(alive) == 0
    assert page.is_hidden("#message")


def test_an_image_under_way_when_the_camera_starts(page: Any, server: str) -> None:
    page.add_init_script(SLOW_SERVER)
    page.goto(server)
    busy_is(page, True)
    page.click("#camera")
    wait_for_told(page, "scaled from 640 x 480")
    assert page.is_hidden("#busy")
    page.click("#camera")

    page.locator("#samples button").nth(1).click()
    busy_is(page, True)
    page.click("#camera")
    busy_is(page, False)  # the camera has begun
    page.click("#camera")
    wait_for_told(page, "scaled from 480 x 360")  # before it gave a frame: the image is there again
    assert page.is_hidden("#busy")


def test_the_last_frame_stays_the_image(page: Any, server: str) -> None:
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    page.click("#camera")
    wait_for_told(page, "163 x 122, scaled from 640 x 480")
    page.click("#camera")
    view(page, "image")
    before = canvas(page)
    page.evaluate("document.getElementById('told').textContent = ''")
    page.select_option("#detail", "640")
    wait_for_told(page, "163 x 122, scaled from 640 x 480")
    np.testing.assert_array_equal(canvas(page), before)


def test_what_goes_wrong_is_said(page: Any, server: str) -> None:
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); }"
    )
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    page.click("#camera")
    page.wait_for_selector("#message:visible")
    assert "The camera was refused. Allow it" in page.text_content("#message")
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no image"})
    page.wait_for_function("() => document.getElementById('message').textContent.includes('not an image')")
    drop(page, IMAGE)
    assert page.is_hidden("#message")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_sticks_out(page: Any, server: str, scheme: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme=scheme)
    page.goto(server)
    page.wait_for_selector("#told:not(:empty)")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#canvas").bounding_box()["width"] > 300
    red, green, blue = json.loads(
        page.evaluate("getComputedStyle(document.body).backgroundColor").replace("rgb(", "[").replace(")", "]")
    )
    assert (max(red, green, blue) < 60) == (scheme == "dark")


def test_static_files_are_enough(page: Any, site: Path, predictor: Predictor) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    files = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=files.serve_forever)
    thread.start()
    try:
        page.goto(f"http://127.0.0.1:{files.server_port}/")
        page.wait_for_selector("body[data-ready]")
        assert page.is_disabled("input[name=where][value=server]")
        drop(page, IMAGE)
        view(page, "classes")
        expected = to_rgb(predictor(IMAGE).classes, CAMVID_11)
        assert (canvas(page)[..., :3] != expected).any(-1).mean() <= 0.001
    finally:
        files.shutdown()
        thread.join()
        files.server_close()
