"""Whoever visits, with whatever screen: sizes, colour schemes, keyboard, screen reader (axe-core), touch."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from page_actions import open_page, view, wait_for_told

from segnet.io.files import cache_folder

pytestmark = pytest.mark.browser
AXE = "4.14.1"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "wcag2aaa", "best-practice"]
TARGETS = """() => [...document.querySelectorAll("button, select, summary, label, input[type=range], #divider span")]
    .filter((element) => element.checkVisibility() && !element.matches("label:has([type=range]), label:has(select)"))
    .map((element) => [element.id || element.textContent, element.getBoundingClientRect()])
    .filter(([, box]) => box.width < 44 || box.height < 44)
    .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, fetched once by npm into the cache folder."""
    kept = cache_folder() / f"axe-core-{AXE}.min.js"
    if not kept.is_file():
        npm = shutil.which("npm")
        if not npm:
            pytest.skip("no npm")
        kept.parent.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", "--silent", f"axe-core@{AXE}"]
        told = subprocess.run(command, cwd=kept.parent, capture_output=True, text=True, check=False, timeout=120)
        if told.returncode:
            pytest.skip(f"npm does not fetch axe-core: {told.stderr.strip()[:200]}")
        packed = kept.parent / told.stdout.split()[-1]
        with tarfile.open(packed) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            kept.write_bytes(member.read())
        packed.unlink()
    return Path(kept).read_text(encoding="utf-8")


def violations(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)["violations"]
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Any, web_server: str, axe: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    open_page(page, web_server, compare=True)
    assert violations(page, axe) == []
    view(page, "uncertainty")
    page.click("#card summary")
    page.click("#keys summary")
    page.locator("#legend button").first.click()
    page.evaluate("document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: new DataTransfer() }))")
    page.wait_for_selector("#message:visible")
    assert violations(page, axe) == []


@pytest.mark.parametrize("size", [(320, 640), (768, 1024), (1280, 800), (3840, 2160)])
def test_nothing_sticks_out_and_everything_can_be_touched(page: Any, web_server: str, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    open_page(page, web_server, compare=True)
    page.click("#card summary")
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert page.evaluate(TARGETS) == []
    stage = page.locator("#stage").bounding_box()
    assert stage["width"] > 0.55 * size[0]
    assert stage["y"] + stage["height"] <= size[1]  # the image is seen whole
    cut = """() => [...document.querySelectorAll("#legend span, #legend b")]
        .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth)
        .map((element) => element.textContent)"""
    assert page.evaluate(cut) == []
    text = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    assert text >= (24 if size[0] == 3840 else 16)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(page: Any, web_server: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(web_server)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    values = json.loads(colour.replace("rgb(", "[").replace(")", "]"))
    assert (max(values) < 60) == (scheme == "dark")


def test_forced_colours_keep_swatches_and_choices(page: Any, web_server: str) -> None:
    page.emulate_media(forced_colors="active")
    open_page(page, web_server)
    colour_of = "element => getComputedStyle(element).backgroundColor"
    row = page.locator("#legend button", has_text="road")
    assert row.locator("i").evaluate(colour_of) == "rgb(128, 64, 128)"
    assert row.locator("u").evaluate(colour_of) == "rgb(128, 64, 128)"
    chosen = page.locator("input[name=view]:checked + span").evaluate(colour_of)
    other = page.locator("input[name=view][value=image] + span").evaluate(colour_of)
    assert chosen != other


def test_the_keyboard_reaches_everything_in_order(page: Any, web_server: str) -> None:
    open_page(page, web_server, compare=True)
    page.evaluate("document.body.focus()")
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name || ''"))
    expected = "canvas divider zoom-out zoom-in zoom-fit file camera view compare opacity all none model where detail"
    expected += " save-classes save-overlay save-json save-zip copy-link"
    places = [reached.index(name) for name in expected.split()]
    assert places == sorted(places)
    page.focus("#canvas")
    outline = page.evaluate("getComputedStyle(document.getElementById('canvas')).outlineStyle")
    assert outline == "none" or page.evaluate("document.activeElement.id") == "canvas"


def test_a_result_is_spoken(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    assert page.get_attribute("#spoken", "role") == "status"
    assert str(page.text_content("#spoken")).startswith("drawn street 1: road ")
    page.locator("#sample-strip button").nth(1).click()
    wait_for_told(page, "px")
    assert str(page.text_content("#spoken")).startswith("drawn street 2: ")


def test_touch_points_and_pinches(chromium: Any, web_server: str) -> None:
    context = chromium.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    open_page(page, web_server)
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.touchscreen.tap(x, y)
    assert "probability" in str(page.text_content("#readout"))
    session = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": across, "y": down, "id": i} for i, (across, down) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 60, y), (x + 60, y))
    touch("touchMove", (x - 80, y), (x + 80, y))
    touch("touchEnd")
    page.wait_for_selector("#canvas.zoomed")
    context.close()
