import pytest

from segnet.serve.accept import preferred

OFFERED = ("application/json", "image/png", "application/x-npy")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("application/json;q=0.1, image/png;q=0.2", "image/png"),  # the weight decides, not the order
        ("image/*, application/json;q=0.9", "image/png"),
        ("*/*, application/json;q=0", "image/png"),  # everything but JSON
        ("application/*;q=0.5, application/json;q=0.1", "application/x-npy"),  # the specific range goes first
        ("text/html, */*;q=0.1", "application/json"),
        ("image/png; q=0.5 , application/x-npy ; q=0.4", "image/png"),
        ("image/png;q=abc", "image/png"),
        ("text/html", None),
        ("image/png;q=0", None),
        (",,", None),
    ],
)
def test_the_preferred_type(accept: str, expected: str | None) -> None:
    assert preferred(accept, OFFERED) == expected
