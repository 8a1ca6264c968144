from pathlib import Path

import pytest

from segnet.errors import WeightsError
from segnet.weights.address import HubAddress, WebAddress, parse_address

SHA = "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://me/street", HubAddress("me/street")),
        (Path("hf://me/street"), HubAddress("me/street")),  # a Path has one slash less
        ("hf://me/street@v1.0", HubAddress("me/street", "v1.0")),
        ("hf://me/street@refs%2Fpr%2F3/a/b.safetensors", HubAddress("me/street", "refs/pr/3", "a/b.safetensors")),
        ("hf://me/street.v2/w.safetensors", HubAddress("me/street.v2", None, "w.safetensors")),
        (
            f"https://host:8/a%20b/w%20.safetensors#sha256={SHA.upper()}",
            WebAddress("https://host:8/a%20b/w%20.safetensors", "w .safetensors", SHA),
        ),
        ("segnet-camvid", None),
        ("hf/weights.safetensors", None),
        ("C:/w.safetensors", None),
    ],
)
def test_addresses(text: str | Path, expected: object) -> None:
    assert parse_address(text) == expected


def test_an_address_is_written_as_it_was_read() -> None:
    for text in ("hf://me/street", "hf://me/street@v1/w.safetensors", "hf://me/street/w.safetensors"):
        assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf://street", "expected hf://owner/repo"),
        ("hf://me/str eet", "expected hf://owner/repo"),
        ("hf://me/street@", "expected hf://owner/repo"),
        ("hf://me/street/pytorch_model.bin", "only .safetensors files are fetched; a pickle can run code"),
        ("https://host/w.safetensors", "expected https://host/W.safetensors#sha256=HEX, with the 64"),
        ("https://host/w.safetensors#sha256=abc", "#sha256=HEX, with the 64"),
        (f"https://host/#sha256={SHA}", "expected https://host/W"),
        (f"https://host/w.pth#sha256={SHA}", "only .safetensors"),
    ],
)
def test_what_is_no_address_says_the_form(text: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        parse_address(text)
