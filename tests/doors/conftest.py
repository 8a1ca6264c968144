"""How tests run a command, in this process and with lines that are not wrapped; and a browser with the web page."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segnet import cli
from segnet.cli import console

BROWSER_OPTIONS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--enable-unsafe-webgpu",  # a graphics processor in software, which the page uses only where it is told to
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `segnet ARGUMENTS`: exit code, standard output, standard error."""
    monkeypatch.setattr(console.out_console, "width", 300)
    monkeypatch.setattr(console.error_console, "width", 300)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segnet", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
            raise SystemExit(0)
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.fixture(scope="session")
def web_runtime() -> Path:
    """The folder of onnxruntime-web's files, fetched once by npm."""
    from segnet.errors import ConfigError
    from segnet.serve.browser_runtime import find_runtime

    try:
        return find_runtime("npm")
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def web_site(web_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The web demo as static files."""
    from segnet.serve.static_site import write_site

    out = tmp_path_factory.mktemp("web") / "site"
    write_site("segnet-basic-camvid", out, runtime=str(web_runtime))
    return out


@pytest.fixture(scope="session")
def browser_model(web_site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Gives `web_server` the model for the browser, whose export takes longer than most tests of the page."""
    (tmp_path_factory.getbasetemp() / "browser-model.onnx").write_bytes((web_site / "models/0.onnx").read_bytes())


@pytest.fixture(scope="session")
def web_server(web_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `segnet serve` with two models, one of them Bayesian; the page scales images to 20,000 pixels."""
    from live_server import live_server

    from segnet.labels import CAMVID_11
    from segnet.models import create_model
    from segnet.serve.app import create_app
    from segnet.serve.assets import Offer, site_assets
    from segnet.serve.limits import Limits
    from segnet.serve.models import load_models
    from segnet.weights.file import WeightsCard, load_weights, save_weights

    model, card = load_weights("segnet-basic-camvid")
    bayesian = create_model("bayesian-segnet-basic", 11, normalisation=card.normalisation)
    bayesian.load_state_dict(model.state_dict())
    path = tmp_path_factory.mktemp("weights") / "bayesian.safetensors"
    save_weights(path, bayesian, WeightsCard("bayesian-segnet-basic", CAMVID_11))
    models = load_models(["segnet-basic-camvid", str(path)], device="cpu", precision="float32")
    limits = Limits(max_pixels=20_000)  # small images keep these tests quick
    offers = [Offer(m.name, m.weights, m.predictor.card, str(m.predictor), m.bayesian) for m in models.values()]
    assets = site_assets(offers, samples=None, runtime=web_runtime, max_pixels=limits.max_pixels)
    exported = tmp_path_factory.getbasetemp() / "browser-model.onnx"  # of the fixture `browser_model`
    assets["models/0.onnx"] = assets["models/0.onnx"]._replace(read=exported.read_bytes)
    with live_server(create_app(models, limits, assets)) as address:
        yield address


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser with a camera that shows a test card."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=BROWSER_OPTIONS)
        yield opened
        opened.close()


@pytest.fixture
def page(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fresh page; an error in it, or a request to another host, fails the test.

    Tests that break the server on purpose are marked with `@pytest.mark.usefixtures("requests_may_fail")`.
    """
    context = chromium.new_context(accept_downloads=True)
    opened, wrong = context.new_page(), []
    opened.set_default_timeout(60_000)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    opened.on(
        "request", lambda r: wrong.append(r.url) if "//127.0.0.1:" not in r.url and r.url[:5] != "blob:" else None
    )
    yield opened
    context.close()
    if "requests_may_fail" in request.fixturenames:
        wrong = [text for text in wrong if "Failed to load resource" not in text]
    assert not wrong


@pytest.fixture
def requests_may_fail() -> None:
    """The browser's own complaints about requests that fail are not errors of the page."""
