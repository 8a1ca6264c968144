"""Many images on the web page, and everything that can go wrong with one: nothing fails in silence."""

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
from page_actions import (
    IMAGE,
    SEGMENT,
    drop,
    drop_image,
    hold_answers,
    message,
    open_page,
    paste,
    png,
    seen,
    size_of,
    view,
    wait_for_told,
)

pytestmark = pytest.mark.browser
HEIGHT, WIDTH = IMAGE.shape[:2]
STATES = "#own-strip span"
UNREADABLE = {
    "a.tif": (b"II*\0" + bytes(60), "browsers do not show TIFF"),
    "a.heic": (b"\0\0\0\x18ftypheic" + bytes(60), "this browser does not read HEIC"),
    "a.svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is a drawing without pixels"),
    "a.pdf": (b"%PDF-1.7 and more", "PDF is a document"),
    "a.zip": (b"PK\x03\x04" + bytes(30), "this is an archive"),
    "a.txt": (b"a letter of some length, as text", "this is text, not an image"),
    "none.png": (b"", "the file has no bytes"),
    "cut.png": (png(IMAGE)[:60], "the file is damaged, cut short or too large"),
    "a.bin": (bytes(range(1, 40)), "this is no image that the browser reads"),
}


def fulfil(status: int, content_type: str, body: str, route: Any) -> None:
    route.fulfill(status=status, content_type=content_type, body=body)


def states(page: Any) -> list[str]:
    return [text.removeprefix(", ") for text in page.locator(STATES).all_text_contents()]


def wait_for_states(page: Any, *expected: str) -> None:
    page.wait_for_function(
        "([all, expected]) => [...document.querySelectorAll(all)].map((s) => s.textContent).join() === expected",
        arg=[STATES, ",".join(f", {state}" for state in expected)],
    )


def test_several_images_are_a_film_strip(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    flipped = np.ascontiguousarray(IMAGE[:, ::-1])
    tall = np.ascontiguousarray(IMAGE.transpose(1, 0, 2))
    drop(page, ("one.png", png(IMAGE)), ("two.png", png(flipped)), ("three.png", png(tall)))
    wait_for_states(page, "done", "done", "done")
    assert page.text_content("#save-zip") == "All 4 as ZIP"
    assert page.get_attribute("#own-strip li:nth-child(1) button", "aria-current") == "true"
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.locator("#own-strip button").nth(2).click()
    wait_for_told(page, size_of(tall))
    assert posts == []  # its result was there
    view(page, "image")
    np.testing.assert_array_equal(seen(page, WIDTH, HEIGHT)[..., :3], tall)
    page.click("#remove")
    wait_for_told(page, size_of(flipped))
    assert page.locator("#own-strip li").count() == 2
    page.select_option("#model", "bayesian")  # the one that is shown, and the one beside it
    wait_for_states(page, "done", "done")
    page.click("#remove-all")
    assert page.is_hidden("#own")
    wait_for_told(page, "480 x 360 px")
    assert page.get_attribute("#sample-strip li:nth-child(1) button", "aria-current") == "true"


def test_the_image_comes_at_once_and_the_old_result_goes(page: Any, web_server: str) -> None:
    held: list[Any] = []
    open_page(page, web_server)
    view(page, "image")
    page.route(SEGMENT, held.append)
    drop(page, ("a.png", png(IMAGE)))
    page.wait_for_selector("#progress:visible")
    page.wait_for_function("() => document.querySelectorAll('#own-strip li').length === 1")
    assert "The server runs the model" in str(page.text_content("#progress-text"))
    np.testing.assert_array_equal(seen(page, HEIGHT, WIDTH)[..., :3], IMAGE)
    assert page.text_content("#told") == ""
    assert page.locator("#legend li").count() == 0
    assert page.is_disabled("#save-classes")
    held[0].continue_()
    wait_for_told(page, size_of(IMAGE))
    assert page.is_hidden("#progress")
    assert page.is_enabled("#save-classes")


@pytest.mark.parametrize("how", ["button", "key"])
def test_cancel(page: Any, web_server: str, how: str) -> None:
    open_page(page, web_server)
    hold_answers(page)
    drop(page, ("a.png", png(IMAGE)), ("b.png", png(IMAGE)))
    wait_for_states(page, "working", "waiting")
    if how == "button":
        page.click("#cancel")
    else:
        page.keyboard.press("Escape")
    assert message(page) == "Cancelled."
    wait_for_states(page, "cancelled", "cancelled")
    assert page.is_hidden("#progress")
    assert page.text_content("#told") == ""
    page.unroute(SEGMENT)
    page.click("#retry")
    wait_for_told(page, size_of(IMAGE))


def test_files_that_cannot_be_shown_are_named_with_help(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    drop(page, ("good.png", png(IMAGE)), *((name, content) for name, (content, _) in UNREADABLE.items()))
    lines = message(page).split("\n")
    assert len(lines) == len(UNREADABLE)
    for line, (name, (_, words)) in zip(lines, UNREADABLE.items(), strict=True):
        assert line.startswith(f"{name}: {words}")
    wait_for_told(page, size_of(IMAGE))
    page.click("#dismiss")
    assert page.is_hidden("#message")


def test_what_is_pasted(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    paste(page, text="a few words")
    assert message(page).startswith("Text was pasted, not an image.")
    paste(page, text="https://example.org/street.jpg")
    assert message(page).startswith("An address was pasted, and this page does not load files from other sites.")
    paste(page)
    assert message(page).startswith("The clipboard holds no image.")
    paste(page, image=png(IMAGE))
    wait_for_told(page, size_of(IMAGE))
    assert page.is_hidden("#message")


def test_what_is_dropped_but_no_file(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    drop_text = """([type, text]) => {
        const data = new DataTransfer();
        data.setData(type, text);
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    }"""
    page.evaluate(drop_text, ["text/plain", "words"])
    assert message(page).startswith("Text was dropped, not an image.")
    page.evaluate(drop_text, ["text/uri-list", "https://example.org/a.jpg"])
    assert message(page).startswith("A link was dropped")


def test_the_file_button_takes_several(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    files = [{"name": f"{i}.png", "mimeType": "image/png", "buffer": png(IMAGE)} for i in range(2)]
    page.set_input_files("#file", files)
    wait_for_states(page, "done", "done")


@pytest.mark.usefixtures("requests_may_fail")
def test_a_server_that_is_gone(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    page.route("**/*", lambda route: route.abort())
    page.locator("#sample-strip button").nth(1).click()
    assert message(page).startswith("The sample 'drawn street 2' did not load: the server does not answer.")
    assert page.text_content("#told") == ""  # nothing of the sample before
    page.unroute("**/*")
    page.click("#retry")
    wait_for_told(page, "480 x 360 px")
    page.route("**/v1/*", lambda route: route.abort())
    drop(page, ("a.png", png(IMAGE)))
    assert message(page).startswith("The server does not answer. Check that it is running")
    page.unroute("**/v1/*")
    page.click("#retry")
    wait_for_told(page, size_of(IMAGE))
    assert page.is_hidden("#message")


@pytest.mark.usefixtures("requests_may_fail")
def test_errors_of_the_server_and_of_a_proxy(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    bodies = [
        (
            502,
            "text/html",
            "<html><h1>502 Bad Gateway</h1></html>",
            "The server answered 502 Bad Gateway. It sent a web",
        ),
        (200, "text/html", "<html>Sign in</html>", "The server answered 200 OK. It sent a web page instead of data"),
        (
            422,
            "application/problem+json",
            json.dumps({"detail": "expected a model, got none"}),
            "Expected a model, got",
        ),
        (500, "application/json", json.dumps({"expected": "x", "got": "y", "do": "z"}), "It expected x, and got y; z."),
    ]
    for status, content_type, body, words in bodies:
        page.route("**/v1/*", partial(fulfil, status, content_type, body))
        drop(page, ("a.png", png(IMAGE)))
        page.wait_for_function(
            "words => document.getElementById('message-text').textContent.includes(words)", arg=words
        )
        assert page.text_content("#told") == ""
        page.unroute("**/v1/*")


@pytest.mark.usefixtures("requests_may_fail")
def test_a_busy_server_is_asked_again(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    answers = [503, 429]

    def busy(route: Any) -> None:
        if answers:
            body = json.dumps({"detail": "all places are taken"})
            route.fulfill(status=answers.pop(), headers={"Retry-After": "1"}, body=body)
        else:
            route.continue_()

    page.route("**/v1/*", busy)
    drop(page, ("a.png", png(IMAGE)))
    page.wait_for_function("() => document.getElementById('progress-text').textContent.includes('Next try in 1 s')")
    wait_for_told(page, size_of(IMAGE))
    assert answers == []
    assert page.is_hidden("#message")


@pytest.mark.usefixtures("requests_may_fail")
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, "", "did not load: 404"),
        (200, "<html>", "is not what this page expects"),
        (200, '{"models": []}', "is not what this page expects"),
        (0, "", "Check that the server is running"),
    ],
)
def test_site_json_that_is_missing_or_another(page: Any, web_server: str, status: int, body: str, words: str) -> None:
    page.route("**/site.json", lambda r: r.fulfill(status=status, body=body) if status else r.abort())
    page.goto(web_server)
    assert words in message(page)
    assert words in str(page.text_content("#empty"))
    page.unroute("**/site.json")
    page.click("#retry")
    wait_for_told(page, "px")


@pytest.mark.usefixtures("requests_may_fail")
def test_a_failure_among_others_is_marked(page: Any, web_server: str) -> None:
    open_page(page, web_server)
    drop_image(page, IMAGE, "first.png")
    sent = 0

    def fails_once(route: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 2:
            route.fulfill(status=422, body=json.dumps({"detail": "too small"}))
        else:
            route.continue_()

    page.route("**/v1/*", fails_once)
    drop(page, ("second.png", png(IMAGE)), ("third.png", png(IMAGE)))
    wait_for_states(page, "done", "done", "failed")
    assert message(page) == "1 of your images failed. Choose one marked ! to see why."
    page.locator("#own-strip button").nth(2).click()
    page.wait_for_function("() => document.getElementById('told').textContent.includes('px')")
    assert states(page) == ["done", "done", "done"]
