"""The model on the browser's graphics processor: used where it is right, and left alone where it is not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from page_actions import IMAGE, drop_image, seen, static_files, view, wait_for_told

from segnet.compression.channels import find_groups
from segnet.compression.prune import remove_groups
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.palette import to_rgb
from segnet.serve.static_site import write_site
from segnet.weights.file import WeightsCard, save_weights

pytestmark = pytest.mark.browser
HEIGHT, WIDTH = IMAGE.shape[:2]
# onnxruntime-web whose graphics processor gives the negative of each value, or refuses the model.
BROKEN = """
import * as real from "./ort.wasm.min.mjs";
export const { env, Tensor } = real;
export const InferenceSession = {
  async create(bytes, options) {
    const session = await real.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    if (options.executionProviders[0] === "wasm") return session;
    if (REFUSES) throw new Error("no such shader");
    return {
      release: () => session.release(),
      async run(images) {
        const { logits } = await session.run(images);
        return { logits: new real.Tensor("float32", logits.data.map((value) => -value), logits.dims) };
      },
    };
  },
};"""


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of SegNet-Basic with eight channels: software draws its convolutions in seconds."""
    torch.manual_seed(3)
    model = create_model("segnet-basic", 11)
    groups = find_groups(model)
    model = remove_groups(model, groups, [group for block in groups.blocks for group in block[8:]])
    path = tmp_path_factory.mktemp("weights") / "lean.safetensors"
    save_weights(path, model, WeightsCard("segnet-basic", CAMVID_11, widths=model.widths))
    return path


@pytest.fixture(scope="module")
def site(lean: Path, web_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("web") / "site"
    write_site(str(lean), out, runtime=str(web_runtime))
    return out


def classes_agree(page: Any, lean: Path) -> bool:
    view(page, "classes")
    expected = to_rgb(Predictor(lean, device="cpu", precision="float32")(IMAGE).classes, CAMVID_11)
    return bool((seen(page, HEIGHT, WIDTH)[..., :3] != expected).any(-1).mean() <= 0.001)


def open_site(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.uncheck("#compare")
    drop_image(page, IMAGE)


def test_webgpu_gives_the_classes_of_python(page: Any, site: Path, lean: Path) -> None:
    page.set_default_timeout(240_000)  # software compiles each shader
    with static_files(site) as address:
        open_site(page, f"{address}?webgpu=any")
        wait_for_told(page, "in this browser (WebGPU)")
        assert classes_agree(page, lean)


@pytest.mark.parametrize(("refuses", "words"), [("true", "no such shader"), ("false", "it gives other classes")])
def test_a_graphics_processor_that_fails(page: Any, site: Path, lean: Path, refuses: str, words: str) -> None:
    module = BROKEN.replace("REFUSES", refuses)
    binary = (site / "ort/ort-wasm-simd-threaded.wasm").read_bytes()
    page.route("**/ort.webgpu.min.mjs", lambda r: r.fulfill(body=module, content_type="text/javascript"))
    page.route("**/*.asyncify.wasm", lambda r: r.fulfill(body=binary, content_type="application/wasm"))
    with static_files(site) as address:
        open_site(page, f"{address}?webgpu=any")
        wait_for_told(page, f"WebGPU failed: {words}")
        assert classes_agree(page, lean)


def test_software_that_stands_in_for_one_is_left_alone(page: Any, site: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with static_files(site) as address:
        open_site(page, address)
        wait_for_told(page, "in this browser (WebAssembly, 1 thread)")
    assert not [url for url in asked if "webgpu" in url or "asyncify" in url]
