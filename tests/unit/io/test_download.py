"""Downloads from a real server on the loopback: they break off, go on, and appear whole or not at all."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, running_hub

from segnet.errors import WeightsError
from segnet.io import download as module
from segnet.io.download import download

DATA = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    with running_hub() as hub:
        hub.uploaded["w"] = DATA
        yield hub


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_download_checks_the_hash(tmp_path: Path) -> None:
    source, path = tmp_path / "source", tmp_path / "cache" / "weights"
    source.write_bytes(DATA)
    download(source.as_uri(), path, SHA256[:8])
    assert path.read_bytes() == DATA
    path.unlink()
    with pytest.raises(WeightsError, match=f"sha256 {SHA256[:16]}.*expected abcd.*discarded.*by hand at {path}"):
        download(source.as_uri(), path, "abcd")
    assert names(path.parent) == []


def test_download_without_a_network_says_where_to_put_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "weights"
    with pytest.raises(WeightsError, match=f"cannot be fetched.*put the file by hand at {path}"):
        download((tmp_path / "missing").as_uri(), path, "")
    assert names(path.parent) == []


def test_a_transfer_that_breaks_off_goes_on_where_it_was(server: Hub, tmp_path: Path) -> None:
    server.failures = 2
    download(f"{server.address}/plain/w", tmp_path / "w", SHA256)
    assert (tmp_path / "w").read_bytes() == DATA
    half = len(DATA) // 2
    assert server.log == ["GET /plain/w", f"GET /plain/w from {half}", f"GET /plain/w from {half + half // 2}"]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: Hub, tmp_path: Path) -> None:
    server.busy = 2
    download(f"{server.address}/plain/w", tmp_path / "w", SHA256)
    assert len(server.log) == 3
    with pytest.raises(WeightsError, match="404"):
        download(f"{server.address}/plain/missing", tmp_path / "m", SHA256)
    assert len(server.log) == 4
    assert names(tmp_path) == ["w"]


def test_a_server_that_always_breaks_off_is_given_up(server: Hub, tmp_path: Path) -> None:
    server.failures = 100
    with pytest.raises(WeightsError, match="cannot be fetched"):
        download(f"{server.address}/plain/w", tmp_path / "w", SHA256)
    assert len(server.log) == 4
    assert names(tmp_path) == []
