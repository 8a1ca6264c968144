"""The web page in headless Chromium, with one image: what it shows, and every control of how it shows it."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from page_actions import (
    IMAGE,
    downloaded,
    drawn,
    drop,
    drop_image,
    message,
    open_page,
    png,
    run_in,
    seen,
    static_files,
    view,
    wait_for_told,
)
from PIL import Image

from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11
from segnet.palette import overlay, to_rgb

pytestmark = pytest.mark.browser
HEIGHT, WIDTH = IMAGE.shape[:2]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor("segnet-basic-camvid", device="cpu", precision="float32")


def test_the_views_of_an_image(page: Any, web_server: str, predictor: Predictor) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE)
    expected = predictor(IMAGE, confidence=True)
    view(page, "classes")
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH)[..., :3], to_rgb(expected.classes, CAMVID_11))
    view(page, "overlay")
    page.locator("#opacity").fill("50")
    assert page.text_content("#opacity-text") == "50 %"
    mixed = overlay(IMAGE, expected.classes, CAMVID_11, 0.5).astype(int)
    assert np.abs(seen(page, HEIGHT, WIDTH)[..., :3] - mixed).max() <= 2  # the canvas mixes in 8 bits
    view(page, "image")
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH)[..., :3], IMAGE)
    assert page.is_disabled("#compare")


def test_the_divider_compares_image_and_result(page: Any, web_server: str, predictor: Predictor) -> None:
    open_page(page, web_server, compare=True)
    drop_image(page, IMAGE)
    view(page, "classes")
    classes = to_rgb(predictor(IMAGE).classes, CAMVID_11)

    def image_columns() -> int:
        """How many columns show the image; the others show the classes."""
        shown = seen(page, HEIGHT, WIDTH)[..., :3]
        columns = int((shown == IMAGE).all((0, 2)).sum())
        np.testing.assert_array_equal(shown[:, columns + 1 :], classes[:, columns + 1 :])
        return columns

    assert image_columns() in (WIDTH // 2, WIDTH // 2 + 1)
    page.focus("#divider")
    page.keyboard.press("End")
    assert page.get_attribute("#divider", "aria-valuenow") == "100"
    assert image_columns() == WIDTH
    page.keyboard.press("Home")
    assert image_columns() == 0
    page.keyboard.press("Shift+ArrowRight")
    assert page.get_attribute("#divider", "aria-valuenow") == "10"
    handle, stage = page.locator("#divider span").bounding_box(), page.locator("#stage").bounding_box()
    page.mouse.move(handle["x"] + 22, handle["y"] + 22)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 2, handle["y"])
    page.mouse.up()
    assert page.get_attribute("#divider", "aria-valuenow") == "50"
    page.uncheck("#compare")
    assert page.is_hidden("#divider")
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH)[..., :3], classes)


def test_the_legend_shows_shares_and_hides_classes(page: Any, web_server: str, predictor: Predictor) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE)
    view(page, "classes")
    expected = predictor(IMAGE)
    names = page.locator("#legend span").all_text_contents()
    assert names == list(expected.shares())  # largest first
    shares = list(expected.shares().values())
    assert page.locator("#legend b").first.text_content() == f"{100 * shares[0]:.1f} %"
    widths = page.locator("#legend u").evaluate_all("bars => bars.map((bar) => bar.getBoundingClientRect().width)")
    assert widths[1] / widths[0] == pytest.approx(shares[1] / shares[0], abs=0.01)
    first = page.locator("#legend button").first
    first.click()
    page.mouse.move(0, 0)
    assert first.get_attribute("aria-pressed") == "false"
    gone = expected.classes == CAMVID_11.names.index(names[0])
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH)[..., 3] == 0, gone)
    page.click("#none")
    assert not seen(page, HEIGHT, WIDTH)[..., 3].any()
    page.click("#all")
    assert seen(page, HEIGHT, WIDTH)[..., 3].all()


def test_pointing_at_a_class_highlights_it_everywhere(page: Any, web_server: str, predictor: Predictor) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE)
    view(page, "classes")
    expected = predictor(IMAGE)
    names = list(expected.shares())
    page.locator("#legend button").nth(1).hover()
    bright = seen(page, HEIGHT, WIDTH)[..., 3] == 255
    np.testing.assert_array_equal(bright, expected.classes == CAMVID_11.names.index(names[1]))
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    pointed = expected.classes[HEIGHT // 2, WIDTH // 2]
    bright = seen(page, HEIGHT, WIDTH)[..., 3] == 255
    np.testing.assert_array_equal(bright, expected.classes == pointed)
    assert page.text_content("#legend button.hot span") == CAMVID_11.names[pointed]
    assert str(page.text_content("#readout")).startswith(f"{CAMVID_11.names[pointed]}, probability ")
    page.mouse.move(0, 0)
    assert (seen(page, HEIGHT, WIDTH)[..., 3] == 255).all()


def test_downloads_have_the_size_of_the_image(page: Any, web_server: str, predictor: Predictor) -> None:
    open_page(page, web_server)
    mask = Image.open(BytesIO(downloaded(page, "#save-classes")))
    assert mask.size == (480, 360)  # the model saw 163 x 122
    drop_image(page, IMAGE, "street.png")
    expected = predictor(IMAGE)
    mask = Image.open(BytesIO(downloaded(page, "#save-classes")))
    assert mask.mode == "P"
    np.testing.assert_array_equal(np.array(mask), expected.classes)
    np.testing.assert_array_equal(np.array(mask.convert("RGB")), to_rgb(expected.classes, CAMVID_11))
    summary = json.loads(downloaded(page, "#save-json"))
    assert (summary["image"], summary["width"], summary["height"]) == ("street.png", WIDTH, HEIGHT)
    assert {c["name"]: c["share"] for c in summary["classes"]} == pytest.approx(expected.shares())
    page.locator("#opacity").fill("50")
    laid = np.array(Image.open(BytesIO(downloaded(page, "#save-overlay"))).convert("RGB")).astype(int)
    assert np.abs(laid - overlay(IMAGE, expected.classes, CAMVID_11, 0.5)).max() <= 2
    assert page.text_content("#save-zip") == "All 2 as ZIP"
    with ZipFile(BytesIO(downloaded(page, "#save-zip"))) as archive:
        assert archive.testzip() is None
        parts = ["mask.png", "overlay.png", "summary.json"]
        assert archive.namelist() == [f"{name}-{part}" for name in ("street", "drawn street 1") for part in parts]
        np.testing.assert_array_equal(np.array(Image.open(archive.open("street-mask.png"))), expected.classes)


def test_a_mask_is_enlarged_with_smooth_borders(page: Any, web_server: str) -> None:
    page.goto(web_server)
    page.wait_for_selector("body[data-ready]")
    made = page.evaluate(
        """async () => {
            const { enlarged } = await import("./result.js");
            const [classes, confidence] = [new Uint8Array(16), new Uint8Array(16).fill(255)];
            for (let i = 0; i < 16; i++) classes[i] = i % 4 > Math.floor(i / 4) ? 7 : 2;  // a diagonal border
            return [...enlarged({ classes, confidence, width: 4, height: 4 }, 32, 32)];
        }"""
    )
    mask = np.array(made).reshape(32, 32)
    assert set(np.unique(mask)) == {2, 7}  # no class between the two
    steps = np.abs(np.diff((mask == 7).argmax(1)[:24]))
    assert steps.max() <= 3  # nearest neighbour would step by 8
    np.testing.assert_array_equal(mask[::31, ::31], [[2, 7], [2, 2]])


def test_zoom_and_pan(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE)
    view(page, "image")
    whole = seen(page, HEIGHT, WIDTH)
    box = page.locator("#canvas").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def pointed() -> tuple[int, int]:
        """The image's pixel under the middle of the stage."""
        page.mouse.move(middle[0] + 1, middle[1])
        page.mouse.move(*middle)
        x, y = str(page.text_content("#readout")).partition("(x ")[2].rstrip(")").split(", y ")
        return int(x), int(y)

    at = pointed()
    page.click("#zoom-in", click_count=3)
    assert pointed() == at
    assert page.get_attribute("#canvas", "class") == "zoomed"
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 30, steps=4)
    page.mouse.up()
    moved = pointed()
    assert moved[0] < at[0]
    assert moved[1] < at[1]
    page.click("#zoom-fit")
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH), whole)
    page.mouse.move(*middle)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_selector("#canvas.zoomed")
    page.click("#zoom-out", click_count=3)
    page.wait_for_selector("#canvas:not(.zoomed)")
    page.mouse.dblclick(*middle)
    page.wait_for_selector("#canvas.zoomed")
    page.focus("#canvas")
    page.keyboard.press("0")
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH), whole)


def test_the_keyboard_moves_a_visible_point(page: Any, web_server: str, predictor: Predictor) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE)
    view(page, "image")
    expected = predictor(IMAGE, confidence=True)
    before = seen(page, HEIGHT, WIDTH)
    page.focus("#canvas")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    x, y = WIDTH // 2 + 3, HEIGHT // 2 - 1
    assert expected.confidence is not None
    probability = round(100 * round(255 * float(expected.confidence[y, x])) / 255)
    told = f"{CAMVID_11.names[expected.classes[y, x]]}, probability {probability} % (x {x}, y {y})"
    assert page.text_content("#readout") == told
    assert page.text_content("#spoken") == told
    changed = (seen(page, HEIGHT, WIDTH) != before).any(-1)
    assert changed[y - 4 : y + 5, x - 4 : x + 5].sum() >= 8  # a ring and a cross
    assert not changed[:, : x - 6].any()
    page.keyboard.press("Escape")
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH), before)


def test_uncertainty_has_a_colour_bar(page: Any, web_server: str, predictor: Predictor) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE)
    view(page, "uncertainty")
    assert "100 %" in str(page.text_content("#bar-high"))
    shown = seen(page, HEIGHT, WIDTH)[..., :3].astype(int).sum(-1)
    confidence = predictor(IMAGE, confidence=True).confidence
    assert confidence is not None
    assert np.corrcoef(shown.ravel(), 1 - confidence.ravel())[0, 1] > 0.9  # brighter is less certain
    page.select_option("#model", "bayesian")
    wait_for_told(page, size_of_image())
    page.wait_for_function("() => document.getElementById('bar-high').textContent.includes('2.40 nats')")
    assert "8 samples" in str(page.text_content("#bar-text"))
    assert np.ptp(seen(page, HEIGHT, WIDTH)[..., 0].astype(int)) > 20
    page.hover("#canvas")
    assert "nats" in str(page.text_content("#readout"))
    view(page, "overlay")
    assert page.is_hidden("#colour-bar")


def size_of_image() -> str:
    return f"{WIDTH} x {HEIGHT} px"


@pytest.mark.usefixtures("browser_model")
def test_the_model_in_the_browser_says_what_the_server_says(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE)
    view(page, "classes")
    on_server = seen(page, HEIGHT, WIDTH)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    run_in(page, "browser")
    wait_for_told(page, "in this browser")
    assert posts == []  # no image leaves the machine
    assert "Your images stay on this device." in str(page.text_content("#note"))
    differ = (seen(page, HEIGHT, WIDTH) != on_server).any(-1).mean()
    assert differ <= 0.001  # as an export may: a maximum that another one equals but for rounding
    assert page.evaluate("crossOriginIsolated")


def test_a_link_keeps_the_settings(page: Any, web_server: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, web_server, compare=True)
    page.select_option("#model", "bayesian")
    view(page, "classes")
    page.locator("#opacity").evaluate("bar => { bar.value = 30; bar.dispatchEvent(new Event('input')); }")
    page.uncheck("#compare")
    page.select_option("#detail", "320")
    page.locator("#sample-strip button").nth(2).click()
    wait_for_told(page, "px")
    page.locator("#legend button", has_text="road").click()
    page.click("#copy-link")
    assert "The link is copied." in message(page)
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(web_server)
    other = page.context.new_page()
    other.goto(link)
    wait_for_told(other, "px")
    assert other.input_value("#model") == "bayesian"
    assert other.is_checked("input[name=view][value=classes]")
    assert not other.is_checked("#compare")
    assert (other.input_value("#opacity"), other.input_value("#detail")) == ("30", "320")
    assert other.get_attribute("#sample-strip li:nth-child(3) button", "aria-current") == "true"
    assert other.locator("#legend button", has_text="road").get_attribute("aria-pressed") == "false"
    other.goto(f"{web_server}#model=another&view=classes&opacity=999")
    other.reload()
    assert "The link asks for the model 'another', which is not offered here." in message(other)
    assert other.input_value("#opacity") == "65"  # a value out of range is not taken


def test_the_model_card(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    page.click("#card summary")
    card = str(page.inner_text("#card-body"))
    for words in ("segnet-basic", "train of camvid-11", "Apache-2.0", "Mean IoU", "57.5 %"):
        assert words in card
    page.select_option("#model", "bayesian")
    assert "No scores are stored with these weights." in page.inner_text("#card-body")


def test_the_stage_does_not_jump(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    before = page.locator("#stage").bounding_box()
    drop_image(page, np.ascontiguousarray(IMAGE.transpose(1, 0, 2)))
    drawn(page)
    assert page.locator("#stage").bounding_box() == before


def test_static_files_are_enough(page: Any, web_site: Path, predictor: Predictor) -> None:
    with static_files(web_site) as address:
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        page.uncheck("#compare")
        assert page.is_disabled("input[name=where][value=server]")
        drop_image(page, IMAGE)
        view(page, "classes")
        expected = to_rgb(predictor(IMAGE).classes, CAMVID_11)
        assert (seen(page, HEIGHT, WIDTH)[..., :3] != expected).any(-1).mean() <= 0.001
        drop(page, ("a.png", png(IMAGE)), ("b.png", png(IMAGE)))
        page.wait_for_selector("#progress:visible")
        page.click("#cancel")  # ends the worker; the next image begins another, from the bytes that were kept
        assert message(page) == "Cancelled."
        page.click("#retry")
        wait_for_told(page, "in this browser")
