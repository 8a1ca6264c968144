"""The HTTP service as programs see it: every form of answer, and every way to be refused."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from httpx import Client, Response
from live_server import live_server
from PIL import Image

from segnet import palette
from segnet.data.street.scenes import Street
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.serve.app import create_app
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded, load_models
from segnet.weights.file import WeightsCard, load_weights, save_weights

URL = "/v1/segment"
IMAGE = Street(1, (48, 64), seed=3)[0].image


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, format=kind)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds next to nothing."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b""), b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, chunks))


def chunk(content: bytes) -> bytes:
    """A chunk of a PNG: four letters and what they hold, framed."""
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """The model that ships, and a Bayesian one with the same numbers."""
    model, card = load_weights("segnet-basic-camvid")
    bayesian = create_model("bayesian-segnet-basic", 11, normalisation=card.normalisation)
    bayesian.load_state_dict(model.state_dict())
    path = tmp_path_factory.mktemp("weights") / "bayesian.safetensors"
    save_weights(path, bayesian, WeightsCard("bayesian-segnet-basic", CAMVID_11))
    return load_models(["segnet-basic-camvid", str(path)], device="cpu", precision="float32")


@pytest.fixture(scope="module")
def client(models: dict[str, Loaded]) -> Iterator[Client]:
    limits = Limits(max_bytes=100_000, max_pixels=40_000, max_samples=4)
    with live_server(create_app(models, limits, {})) as address, Client(base_url=address, timeout=60) as client:
        yield client


def post(client: Client, query: str = "", data: bytes | None = None, **headers: str) -> Response:
    form = {"image": ("../../etc/passwd", encoded(IMAGE) if data is None else data, "image/png")}
    return client.post(URL + query, files=form, headers=headers)


# ------------------------------------------------------------------------------------------------ answers


def test_the_summary_says_what_the_predictor_says(client: Client, models: dict[str, Loaded]) -> None:
    answer = post(client, "?maps=classes&maps=confidence").json()
    expected = models["segnet-basic-camvid"].predictor(IMAGE, confidence=True)
    assert (answer["model"], answer["label_set"]) == ("segnet-basic-camvid", "camvid-11")
    assert answer["backend"] == "eager, cpu, float32"
    assert (answer["width"], answer["height"]) == (64, 48)
    assert {c["name"]: c["share"] for c in answer["classes"]} == expected.shares()
    assert all(CAMVID_11.names[c["id"]] == c["name"] for c in answer["classes"])
    classes = Image.open(BytesIO(base64.b64decode(answer["maps"]["classes"])))
    assert classes.mode == "P"
    np.testing.assert_array_equal(np.array(classes), expected.classes)
    confidence = np.array(Image.open(BytesIO(base64.b64decode(answer["maps"]["confidence"]))))
    np.testing.assert_allclose(confidence / 255, expected.confidence, atol=0.5 / 255 + 1e-6)  # 8 bits


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_raw_bytes_are_as_good_as_a_form(client: Client, kind: str) -> None:
    image = np.array(Image.fromarray(IMAGE).quantize(200).convert("RGB"))  # for GIF
    data = encoded(image, kind) if kind != "WEBP" else b""
    if kind == "WEBP":
        file = BytesIO()
        Image.fromarray(image).save(file, format=kind, lossless=True)
        data = file.getvalue()
    raw = client.post(URL, content=data, headers={"Content-Type": f"image/{kind.lower()}"})
    form = post(client, data=encoded(image))
    assert raw.status_code == form.status_code == 200
    assert raw.json()["classes"] == form.json()["classes"]


def test_accept_and_query_choose_the_answer(client: Client, models: dict[str, Loaded]) -> None:
    expected = models["segnet-basic-camvid"].predictor(IMAGE, probabilities=True)
    answer = post(client, Accept="image/png")
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(answer.content))), expected.classes)
    answer = post(client, "?answer=overlay&opacity=0.25", Accept="application/json")  # the query goes first
    overlay = palette.overlay(IMAGE, expected.classes, CAMVID_11, 0.25)
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(answer.content))), overlay)
    for answer in (post(client, "?answer=probabilities"), post(client, Accept="text/html, application/x-npy;q=0.9")):
        assert answer.headers["content-type"] == "application/x-npy"
        np.testing.assert_array_equal(np.load(BytesIO(answer.content)), expected.probability)
    assert post(client, Accept="text/html,*/*;q=0.8").json()["width"] == 64


def test_a_bayesian_model_tells_its_uncertainty(client: Client) -> None:
    answer = post(client, "?model=bayesian&samples=3&maps=entropy&maps=variance").json()
    maps = {name: np.array(Image.open(BytesIO(base64.b64decode(data)))) for name, data in answer["maps"].items()}
    assert answer["model"] == "bayesian"
    assert set(maps) == {"entropy", "variance"}
    assert maps["entropy"].shape == (48, 64)
    assert maps["entropy"].max() > 20  # of 255: the model is unsure somewhere


def test_models_health_and_metrics(client: Client) -> None:
    models = client.get("/v1/models").json()
    assert [(model["name"], model["bayesian"]) for model in models] == [
        ("segnet-basic-camvid", False),
        ("bayesian", True),
    ]
    assert models[0]["class_names"] == list(CAMVID_11.names)
    assert models[0]["scores"]["mean_iou"] > 0.5
    assert client.get("/healthz").json() == {"status": "ok"}
    before = counted(client, 'segnet_requests_total{status="200"}')
    images = counted(client, 'segnet_images_total{model="segnet-basic-camvid"}')
    refused = counted(client, 'segnet_requests_total{status="422"}')
    assert post(client).status_code == 200
    assert post(client, "?opacity=2").status_code == 422
    assert counted(client, 'segnet_requests_total{status="200"}') == before + 1
    assert counted(client, 'segnet_images_total{model="segnet-basic-camvid"}') == images + 1
    assert counted(client, 'segnet_requests_total{status="422"}') == refused + 1
    assert counted(client, "segnet_slots_taken") == 0


def counted(client: Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name)


def test_openapi_shows_the_bodies_and_an_example(client: Client) -> None:
    described = client.get("/openapi.json").json()
    segment = described["paths"][URL]["post"]
    assert {"multipart/form-data", "image/png", "image/jpeg"} <= set(segment["requestBody"]["content"])
    assert segment["responses"]["200"]["content"]["application/json"]["example"]["classes"][0]["name"] == "road"
    assert {"400", "404", "406", "408", "413", "415", "422", "429", "503"} <= set(segment["responses"])
    assert "curl -F image=@street.jpg" in segment["description"]


def test_every_answer_carries_the_security_headers(client: Client) -> None:
    for answer in (client.get("/healthz"), client.get("/nowhere"), post(client)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert "access-control-allow-origin" not in answer.headers


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("data", "status", "error", "words"),
    [
        (b"", 400, "not_an_image", "no bytes"),
        (b"x", 400, "not_an_image", "1 byte that begins with 78"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "not_an_image", "bytes that begin with"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 400, "not_an_image", "bytes that begin with"),
        (encoded(IMAGE)[:400], 400, "broken_image", "whole"),
        (png_header(50_000, 50_000), 413, "too_many_pixels", "at most 40,000 pixels"),
        (png_header(300, 200), 413, "too_many_pixels", "300 x 200"),
        (b"\x00" * 120_000, 413, "too_many_bytes", "at most 100,000 bytes"),
    ],
    ids="empty one-byte svg postscript cut bomb large many-bytes".split(),
)
def test_what_is_no_image_is_refused(client: Client, data: bytes, status: int, error: str, words: str) -> None:
    answer = post(client, data=data)
    assert refusal(answer, status, error)
    assert words in answer.text
    assert post(client).status_code == 200  # the server lives


@pytest.mark.parametrize(
    "exif",
    [b"", b"garbage", b"II*\0", b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x0111, 2, 1, 6) + bytes(4)],
    ids="empty garbage cut wrong-type".split(),
)
def test_exif_of_garbage_is_left_aside(client: Client, exif: bytes) -> None:
    data = encoded(IMAGE)
    answer = post(client, data=data[:33] + chunk(b"eXIf" + exif) + data[33:])  # 33: behind the header
    assert answer.status_code == 200, answer.text
    assert answer.json()["classes"] == post(client, data=data).json()["classes"]


@pytest.mark.parametrize(
    ("query", "status", "error", "words"),
    [
        ("?model=segnet-basic-camvit", 404, "unknown_model", "did you mean 'segnet-basic-camvid'?"),
        ("?model=../../etc/passwd", 404, "unknown_model", "/v1/models"),
        ("?answers=overlay", 422, "unknown_parameter", "'answers'"),
        ("?answer=everything", 422, "wrong_parameter", "answer"),
        ("?opacity=nan", 422, "wrong_parameter", "opacity"),
        ("?opacity=1.5", 422, "wrong_parameter", "less than or equal to 1"),
        ("?maps=depth", 422, "wrong_parameter", "maps"),
        ("?samples=5&model=bayesian", 422, "wrong_parameter", "less than or equal to 4"),
        ("?samples=2", 422, "not_bayesian", "no dropout"),
        ("?maps=entropy", 422, "maps_without_samples", "add samples=8"),
        ("?maps=classes&answer=overlay", 422, "maps_without_summary", "answer=summary"),
    ],
)
def test_parameters_that_do_not_fit(client: Client, query: str, status: int, error: str, words: str) -> None:
    answer = post(client, query)
    assert refusal(answer, status, error)
    assert words in answer.text


@pytest.mark.parametrize(
    ("content_type", "status", "error"),
    [
        ("application/x-www-form-urlencoded", 415, "wrong_content_type"),
        ("text/plain", 415, "wrong_content_type"),
        ("", 415, "wrong_content_type"),
        ("multipart/form-data", 400, "broken_form"),
        ("multipart/form-data; boundary=b", 400, "missing_field"),
        ("multipart/form-data; boundary=b; charset=\x7f", 400, "missing_field"),
        ("image/png", 200, ""),
    ],
)
def test_content_types(client: Client, content_type: str, status: int, error: str) -> None:
    body = b"--b--\r\n" if "boundary" in content_type else encoded(IMAGE)
    answer = client.post(URL, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert not error or refusal(answer, status, error)


@pytest.mark.parametrize(
    ("form", "error", "words"),
    [
        ({"files": {"file": ("a.png", encoded(IMAGE))}}, "missing_field", "fields: file"),
        ({"files": {"x": ("a.png", b"")}, "data": {"image": "text"}}, "missing_field", "fields: image, x"),
        ({"files": [("image", ("a", b"x")), ("image", ("b", b"x"))]}, "broken_form", "Too many files"),
    ],
)
def test_forms_without_the_image(client: Client, form: dict[str, object], error: str, words: str) -> None:
    answer = client.post(URL, **form)  # type: ignore[arg-type]
    assert refusal(answer, 400, error)
    assert words in answer.text


def test_other_answers_methods_and_paths(client: Client) -> None:
    assert refusal(post(client, Accept="video/mp4"), 406, "no_such_answer")
    assert refusal(client.get(URL), 405, "method_not_allowed")
    assert client.get(URL).headers["allow"] == "POST"
    for path in (
        "/nowhere",
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "//etc/passwd",
        "/docs",
        "/static/../app.py",
    ):
        assert refusal(client.get(path), 404, "not_found")


def refusal(answer: Response, status: int, error: str) -> bool:
    """Whether it is one, of the form that every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.text)
    assert set(body) == {"type", "title", "status", "detail", "expected", "got", "do", "request_id"}
    assert all(body.values())
    assert body["type"] == f"urn:segnet:error:{error}"
    assert body["title"] == error.replace("_", " ").capitalize()
    assert body["status"] == status
    assert body["detail"] == f"expected {body['expected']}, got {body['got']}; {body['do']}"
    assert body["request_id"] == answer.headers["x-request-id"]
    return True
