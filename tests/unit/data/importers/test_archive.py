"""ZIP and TAR archives: what is unpacked, and what is refused before anything is written outside."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from segnet.data.importers import archive
from segnet.data.importers.archive import archive_stem, is_archive, unpack
from segnet.errors import DataError


def zip_of(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            file.writestr(info, data)
    return path


def tar_of(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data) if kind == tarfile.REGTYPE else 0, kind, "/etc/passwd"
            file.addfile(info, io.BytesIO(data))
    return path


FILES = {"export/a.txt": b"one", "export/b/c.txt": b"two", "__MACOSX/export/._a.txt": b"x", "export/.DS_Store": b"x"}


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.TGZ", "x.tar.xz"])
def test_the_files_come_out_without_the_clutter_of_macos(name: str, tmp_path: Path) -> None:
    if name.endswith("zip"):
        path = zip_of(tmp_path / name, FILES)
    else:
        path = tar_of(tmp_path / name, FILES, mode={"x.tar": "w", "x.tar.xz": "w:xz"}.get(name, "w:gz"))
    assert is_archive(path)
    assert archive_stem(path) == "x"
    (tmp_path / "out").mkdir()
    unpack(path, tmp_path / "out")
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"export/a.txt": b"one", "export/b/c.txt": b"two"}


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_paths_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "out").mkdir(parents=True)
    with pytest.raises(DataError, match="which leads out of the archive; nothing was imported"):
        unpack(tar_of(tmp_path / "x.tar", {name: b"evil"}), tmp_path / "in" / "out")
    if not name.startswith("/"):  # zipfile itself strips a leading slash
        with pytest.raises(DataError, match="which leads out of the archive"):
            unpack(zip_of(tmp_path / "x.zip", {name: b"evil"}), tmp_path / "in" / "out")
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 'x', which is a link or a device"):
        unpack(tar_of(tmp_path / "x.tar", {"x": b""}, kind), tmp_path / "out")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "x.zip", {"x": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    with pytest.raises(DataError, match="holds 'x', which is a link or a device"):
        unpack(path, tmp_path / "out")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segnet.data.reading.archives.FREE_BYTES", 1000)
    monkeypatch.setattr("segnet.data.reading.archives.MOST_EXPANSION", 10)
    path = zip_of(tmp_path / "x.zip", {"x": bytes(1_000_000)})
    with pytest.raises(DataError, match=r"x\.zip would unfold to 0\.0 GiB; if you trust it, unpack it"):
        unpack(path, tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_FILES", 1)
    with pytest.raises(DataError, match="holds 2 files, the limit is 1"):
        unpack(zip_of(tmp_path / "y.zip", {"x": b"", "y": b""}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_what_is_no_archive_or_broken_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"not an archive")
    with pytest.raises(DataError, match="is not a ZIP or TAR file"):
        unpack(path, tmp_path / "out")
    whole = zip_of(path, FILES) if name == "x.zip" else tar_of(path, FILES, mode="w:gz" if "gz" in name else "w")
    data = bytearray(whole.read_bytes())
    path.write_bytes(data[:513] if name == "x.tar" else data[: len(data) // 2])  # of a TAR, behind a header
    with pytest.raises(DataError, match=r"cannot be unpacked|is not a ZIP or TAR"):
        unpack(path, tmp_path / "out")


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be unpacked"):
        path = tmp_path / "x.tar"
        with tarfile.open(path, "w") as file:
            for data in (b"one", b"two"):
                info = tarfile.TarInfo("a")
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
        unpack(path, tmp_path / "out")
