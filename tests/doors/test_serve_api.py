"""The HTTP service as programs see it: every form of answer, and every way to be refused."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
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


# ------------------------------------------------------------------------------------------------ shapes and batches


def test_ids_are_those_of_the_label_files_unless_others_are_asked_for(
    client: Client, models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = models["segnet-basic-camvid"].predictor
    classes, numbers = predictor(IMAGE).classes, [10 * i + 38 for i in range(11)]
    numbered = predictor.label_set.with_file_ids(numbers)
    monkeypatch.setattr(predictor, "card", replace(predictor.card, label_set=numbered))
    assert client.get("/v1/models").json()[0]["class_ids"] == numbers
    for query, known in (("", numbers), ("&ids=files", numbers), ("&ids=classes", list(range(11)))):
        image = Image.open(BytesIO(post(client, f"?answer=classes{query}").content))
        np.testing.assert_array_equal(np.array(image), np.array(known)[classes])
        assert json.loads(image.text["classes"])[str(known[3])] == CAMVID_11.names[3]  # type: ignore[attr-defined]
        names = {CAMVID_11.names[i]: known[i] for i in range(11)}
        for answer, key in (("summary", "classes"), ("polygons", "polygons"), ("rle", "masks")):
            records = post(client, f"?answer={answer}{query}").json()[key]
            assert records and all(names[record["name"]] == record["id"] for record in records)
        features = post(client, f"?answer=geojson{query}").json()["features"]
        assert all(names[f["properties"]["name"]] == f["properties"]["id"] for f in features)
    assert post(client, "?ids=mine").status_code == 422


def test_shapes_give_the_classes_back(client: Client, models: dict[str, Loaded]) -> None:
    classes = models["segnet-basic-camvid"].predictor(IMAGE).classes
    answer = post(client, "?answer=polygons")
    drawn = Image.new("L", (64, 48), 255)
    for polygon in answer.json()["polygons"]:
        assert CAMVID_11.names[polygon["id"]] == polygon["name"]
        mask = filled(polygon["points"], 64, 48)
        drawn.paste(polygon["id"], mask=Image.fromarray(mask))
    np.testing.assert_array_equal(np.array(drawn), classes)
    collection = post(client, Accept="application/geo+json")
    assert collection.headers["content-type"] == "application/geo+json"
    features = collection.json()["features"]
    assert [f["properties"]["area_px"] for f in features] == [p["area_px"] for p in answer.json()["polygons"]]
    assert all(f["geometry"]["coordinates"][0][0] == f["geometry"]["coordinates"][0][-1] for f in features)
    masks = post(client, "?answer=rle").json()["masks"]
    decoded = np.full((48, 64), 255, np.uint8)
    for mask in masks:
        assert mask["rle"]["size"] == [48, 64]
        values = np.repeat(np.arange(len(mask["rle"]["counts"])) % 2 == 1, mask["rle"]["counts"])
        decoded[values.reshape((48, 64), order="F")] = mask["id"]
    np.testing.assert_array_equal(decoded, classes)


def filled(points: list[list[int]], width: int, height: int) -> np.ndarray:
    """Pixels whose centre is inside, 255 (H, W), by counting the vertical edges to the left."""
    crossings = np.zeros((height, width + 1), int)
    for (x, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if x == x1:
            crossings[min(y0, y1) : max(y0, y1), x] += 1
    return (crossings.cumsum(1)[:, :width] % 2 * 255).astype(np.uint8)


def test_several_images_each_get_their_own_answer(client: Client, models: dict[str, Loaded]) -> None:
    flipped = IMAGE[:, ::-1].copy()
    files = [("image", ("a", data)) for data in (encoded(IMAGE), b"x", encoded(flipped))]
    first, broken, last = client.post("/v1/segment/batch?maps=classes", files=files).json()["images"]
    for answer, image in ((first, IMAGE), (last, flipped)):
        shares = models["segnet-basic-camvid"].predictor(image).shares()
        assert {c["name"]: c["share"] for c in answer["classes"]} == pytest.approx(shares)
        assert set(answer["maps"]) == {"classes"}
    assert (broken["type"], broken["status"]) == ("urn:segnet:error:not_an_image", 400)
    many = client.post("/v1/segment/batch", files=9 * files[:1])
    assert refusal(many, 400, "broken_form")
    assert "at most 8 files" in many.text


def test_longest_side_answers_at_the_own_size(client: Client, models: dict[str, Loaded]) -> None:
    predictor = models["segnet-basic-camvid"].predictor.with_longest_side(32)
    answer = post(client, "?longest_side=32&answer=classes")
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(answer.content))), predictor(IMAGE).classes)
    assert (predictor(IMAGE).classes != models["segnet-basic-camvid"].predictor(IMAGE).classes).any()


def test_sampling_is_bounded_by_pixels_times_samples(models: dict[str, Loaded]) -> None:
    with (
        live_server(create_app(models, Limits(max_sampled_pixels=6000), {})) as address,
        Client(base_url=address, timeout=60) as client,
    ):
        assert post(client, "?model=bayesian&samples=1").status_code == 200  # 64 x 48 are 3072
        refused = post(client, "?model=bayesian&samples=2")
        assert refusal(refused, 413, "too_much_sampling")
        assert "64 x 48 pixels and 2 samples" in refused.text
        assert post(client, "?model=bayesian&samples=2&longest_side=32").status_code == 200


def test_the_open_inference_protocol(client: Client, models: dict[str, Loaded]) -> None:
    name = "segnet-basic-camvid"
    classes = models[name].predictor(IMAGE).classes
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json()["ready"] is True
    assert client.get(f"/v2/models/{name}").json()["inputs"][0]["shape"] == [-1, -1, -1, 3]
    assert client.get(f"/v2/models/{name}/ready").json() == {"name": name, "ready": True}
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 48, 64, 3]}
    answer = client.post(
        f"/v2/models/{name}/infer", json={"id": "7", "inputs": [tensor | {"data": IMAGE[None].tolist()}]}
    ).json()
    assert (answer["id"], answer["outputs"][0]["shape"]) == ("7", [1, 48, 64])
    np.testing.assert_array_equal(np.reshape(answer["outputs"][0]["data"], (48, 64)), classes)
    header = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": IMAGE.size}}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    raw = client.post(f"/v2/models/{name}/infer", content=header + IMAGE.tobytes(), headers=headers)
    length = int(raw.headers["inference-header-content-length"])
    assert json.loads(raw.content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 48 * 64}
    np.testing.assert_array_equal(np.frombuffer(raw.content[length:], np.uint8).reshape(48, 64), classes)
    for wrong in ("9" * 5000, "-1", str(len(header) + IMAGE.size + 1)):
        headers = {"Inference-Header-Content-Length": wrong}
        refused = client.post(f"/v2/models/{name}/infer", content=header + IMAGE.tobytes(), headers=headers)
        assert (refused.status_code, "within the body" in refused.text) == (400, True)
    for change, words in (
        ({"shape": [1, 48, 64, 4]}, "one input"),
        ({"shape": [1, 48, 63, 3]}, "9072 values"),
        ({"data": [300]}, "whole numbers 0..255"),
        ({"data": [[1], [1, 2]]}, "whole numbers 0..255"),
        ({"datatype": "FP32"}, "FP32"),
    ):
        body = {"inputs": [tensor | {"data": IMAGE[None].tolist()} | change]}
        refused = client.post(f"/v2/models/{name}/infer", json=body)
        assert refusal(refused, 400, "wrong_inference_request")
        assert words in refused.text
    assert refusal(client.post(f"/v2/models/{name}/infer", content=b"["), 400, "wrong_inference_request")
    assert refusal(client.post("/v2/models/other/infer", content=b"{}"), 404, "unknown_model")
