"""The files of the web demo, without a browser: samples, what site.json tells, and what it keeps to itself."""

import json
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import from_numpy

from segnet.data.street.scenes import Street
from segnet.inference.predictor import Predictor
from segnet.labels import CAMVID_11
from segnet.metrics.confusion import confusion_counts, mean_iou
from segnet.serve.assets import Offer, site_assets
from segnet.serve.browser_runtime import RUNTIME_FILES
from segnet.weights.file import WeightsCard

CARD = WeightsCard(
    "segnet-basic",
    CAMVID_11,
    scores={"mean_iou": 0.5, "boundary_f1": math.nan},
    class_iou={"road": 0.9, "sign": math.nan},
    trained_on="train of camvid-11",
    licence="Apache-2.0",
)


def site_of(samples: Path | None = None, runtime: Path | None = None) -> tuple[dict, dict]:
    """The files, and site.json."""
    assets = site_assets([Offer("basic", "segnet-basic-camvid", CARD, "eager")], samples=samples, runtime=runtime)
    return assets, json.loads(assets["site.json"].read())


def test_site_json_has_the_card_and_no_path_of_this_machine(tmp_path: Path) -> None:
    for name in RUNTIME_FILES:
        (tmp_path / name).write_bytes(b"")
    assets, site = site_of(runtime=tmp_path)
    (model,) = site["models"]
    assert model["card"] == {
        "trained_on": "train of camvid-11",
        "licence": "Apache-2.0",
        "scores": {"mean_iou": 0.5},
        "class_iou": {"road": 0.9},
    }
    wasm = {"module": "ort/ort.wasm.min.mjs", "binary": "ort/ort-wasm-simd-threaded.wasm"}
    assert site["runtime"] == {"wasm": wasm}  # WebGPU only where its files are there, too
    assert model["onnx"] == "models/0.onnx"
    text = assets["site.json"].read().decode()
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    assert "npm" not in text


def test_without_a_runtime_no_model_is_offered_to_the_browser() -> None:
    assets, site = site_of()
    assert site["runtime"] is None
    assert site["models"][0]["onnx"] is None
    assert not [name for name in assets if name.endswith((".onnx", ".wasm"))]


def test_samples_have_small_thumbnails_and_the_users_own_come_first(tmp_path: Path) -> None:
    Image.fromarray(np.full((1500, 3000, 3), 90, np.uint8)).save(tmp_path / "mine.png")
    assets, site = site_of(samples=tmp_path)
    assert [sample["name"] for sample in site["samples"]][:2] == ["mine", "drawn street 1"]
    first = site["samples"][0]
    assert Image.open(BytesIO(assets[first["url"]].read())).size == (1280, 640)
    for sample in site["samples"]:
        thumb = assets[sample["thumb"]]
        assert thumb.media_type == "image/jpeg"
        assert max(Image.open(BytesIO(thumb.read())).size) <= 240
        assert len(thumb.read()) < 20_000


@pytest.mark.slow
def test_the_first_sample_is_one_that_the_model_gets_right() -> None:
    assets, site = site_of()
    predictor = Predictor("segnet-basic-camvid", device="cpu", precision="float32")
    scores = []
    for sample, index in zip(site["samples"], (9, 59, 30, 73), strict=True):
        image = np.array(Image.open(BytesIO(assets[sample["url"]].read())))
        drawn = Street(index + 1, (360, 480), 11)[index]
        counts = confusion_counts(from_numpy(predictor(image).classes), from_numpy(drawn.target), 11)
        scores.append(mean_iou(counts)[0])
    assert scores[0] == max(scores)
    assert scores[0] > 0.5
    assert min(scores) > 0.38
