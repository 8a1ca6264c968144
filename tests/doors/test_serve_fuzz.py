"""The service against what nobody meant: requests made from its own OpenAPI, and images with broken bytes."""

import struct
from collections.abc import Iterator
from io import BytesIO

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from live_server import live_server
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.serve import decoding
from segnet.serve.app import create_app
from segnet.serve.decoding import FORMATS, ImageLimits, decode_image
from segnet.serve.limits import Limits
from segnet.serve.models import load_models
from segnet.serve.refusal import RefusalError


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    models = load_models(["segnet-basic-camvid"], device="cpu")
    with live_server(create_app(models, Limits(max_pixels=10_000), {})) as address:
        yield address


def test_requests_made_from_the_own_openapi(address: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    checks = schemathesis.checks
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    expected = [
        checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
    ]
    statuses: set[int] = set()

    for operation in (result.ok() for result in schema.get_all_operations()):

        @given(case=operation.as_strategy())
        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        def ask(case: object) -> None:
            response = case.call()  # type: ignore[attr-defined]
            statuses.add(response.status_code)
            case.validate_response(response, checks=expected)  # type: ignore[attr-defined]

        ask()
    assert {200, 400} <= statuses
    assert httpx.get(f"{address}/healthz").status_code == 200


def images() -> dict[str, bytes]:
    image, made, exif = Image.fromarray(Street(1, (24, 32), seed=1)[0].image), {}, Image.Exif()
    exif[274], exif[282], exif[306] = 6, 72.0, "2026"  # orientation, resolution, date
    for kind in FORMATS:
        file = BytesIO()
        image.save(file, format=kind, exif=exif)
        made[kind] = file.getvalue()
    return made


IMAGES = images()
LIMITS = ImageLimits(1_000_000, 8192, 100, 10_000)


@pytest.mark.filterwarnings("ignore::UserWarning")  # what Pillow says of broken tags, to nobody's use here
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(FORMATS),
    cut=st.floats(0, 1),
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
)
def test_an_image_with_broken_bytes_is_an_image_or_a_refusal(
    kind: str, cut: float, places: list[tuple[float, int]]
) -> None:
    data = bytearray(IMAGES[kind])
    for place, value in places:
        data[int(place**2 * len(data))] = value  # more often near the beginning, where headers are
    if cut < 0.5:
        del data[int(2 * cut * len(data)) :]
    try:
        image = decode_image(bytes(data), LIMITS)
    except RefusalError as refusal:
        assert refusal.status in (400, 413)
    else:
        assert image.dtype == np.uint8 and image.shape[2] == 3 and image.size


@pytest.mark.parametrize(
    "cause", [struct.error("4 bytes"), AttributeError("no tag"), MemoryError(), KeyError(6)], ids=repr
)
def test_whatever_fails_in_decoding_is_a_broken_image(cause: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Image.Image) -> np.ndarray:
        raise cause

    monkeypatch.setattr(decoding, "as_rgb", fails)
    with pytest.raises(RefusalError) as refusal:
        decode_image(IMAGES["PNG"], LIMITS)
    assert (refusal.value.status, refusal.value.error) == (400, "broken_image")
    assert refusal.value.got == f"a broken one: {cause if str(cause) else 'MemoryError'}"
