"""Images in archives and stores: what is found, how results are called, and what is refused."""

import io
import tarfile
import zipfile
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from segnet.data.reading.archives import Archive, is_archive_name
from segnet.data.reading.elsewhere import images_of, open_source, tree_stems
from segnet.errors import ConfigError, DataError
from segnet.io import remote
from segnet.io.remote import RemoteFolder, copy_bounded, is_address


def png(colour: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (colour, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_the_images_of_an_archive_and_their_bytes(write: object, tmp_path: Path) -> None:
    members = {"b/ü 1.png": png(1), "a.png": png(2), "notes.txt": b"x", "__MACOSX/a.png": b"x", "b/._c.png": b"x"}
    path = write(tmp_path / ("x.zip" if write is write_zip else "x.tar.gz"), members)  # type: ignore[operator]
    source = open_source(str(path))
    assert [file.name for file in images_of(source)] == ["b/ü 1.png", "a.png"]
    for name in ("a.png", "b/ü 1.png", "a.png"):  # backwards in a compressed stream too
        source.fetch(name, tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == members[name]
    assert source.address_of("a.png") == f"{path}!/a.png"
    versions = {file.version for file in images_of(source)}
    assert len(versions) == 2 or write is write_tar
    source.close()


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "..\\a.png", "C:/a.png"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    for path in (write_zip(tmp_path / "x.zip", {name: png()}), write_tar(tmp_path / "x.tar", {name: png()}, "w")):
        archive = Archive(str(path))
        with pytest.raises(DataError, match="which leads out of it; nothing was read"):
            archive.files()
        archive.close()
    if not name.startswith("/"):
        memory.store[f"/bucket/{name}"] = memory.open("/bucket/x", "wb")
        with pytest.raises(DataError, match="which leads out of it"):
            RemoteFolder("memory://bucket").files()


def test_links_are_left_out_and_broken_archives_named(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    opened = Archive(str(path))
    with pytest.raises(DataError, match=r"no image in .*x\.tar"):
        images_of(opened)
    opened.close()
    (tmp_path / "y.zip").write_bytes(b"no archive")
    for name, words in (("y.zip", "cannot be read"), ("none.zip", "cannot be opened: No such file")):
        with pytest.raises(DataError, match=words):
            Archive(str(tmp_path / name))


def test_what_unfolds_too_far_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(str(write_zip(tmp_path / "x.zip", {"a.png": bytes(2_000_000)})))
    monkeypatch.setattr("segnet.data.reading.archives.FREE_BYTES", 1000)
    monkeypatch.setattr("segnet.data.reading.archives.MOST_EXPANSION", 100)
    with pytest.raises(DataError, match=r"a\.png would unfold to 0\.0 GiB; unpack it if you trust it"):
        archive.fetch("a.png", tmp_path / "got")
    archive.close()
    with pytest.raises(DataError, match="x has more than 0 GiB"):
        copy_bounded(io.BytesIO(bytes(11)), io.BytesIO(), 10, "x")


def test_a_folder_of_a_store_one_file_of_it_and_an_archive_in_it(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    memory.pipe_file("/bucket/in/a b.png", png(1))
    memory.pipe_file("/bucket/in/deep/ü.png", png(2))
    memory.pipe_file("/bucket/in/notes.txt", b"x")
    memory.pipe_file("/bucket/x.zip", write_zip(tmp_path / "x.zip", {"c.png": png(3)}).read_bytes())
    folder = open_source("memory://bucket/in/")
    assert isinstance(folder, RemoteFolder)
    assert [file.name for file in images_of(folder)] == ["a b.png", "deep/ü.png"]
    assert folder.address_of("deep/ü.png") == "memory://bucket/in/deep/ü.png"
    folder.fetch("deep/ü.png", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == png(2)
    one = open_source("memory://bucket/in/a b.png")
    (file,) = images_of(one)
    assert (file.name, file.size_bytes) == ("a b.png", len(png(1)))
    assert one.address_of(file.name) == "memory://bucket/in/a b.png"
    archive = open_source("memory://bucket/x.zip")
    assert [file.name for file in images_of(archive)] == ["c.png"]
    archive.close()  # type: ignore[union-attr]
    with pytest.raises(DataError, match="memory://bucket/none does not exist; check the names of bucket and file"):
        images_of(open_source("memory://bucket/none"))


def test_a_version_changes_with_the_content(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe_file("/bucket/a.png", png(1))
    (before,) = RemoteFolder("memory://bucket").files()
    memory.pipe_file("/bucket/a.png", png(2))
    (after,) = RemoteFolder("memory://bucket").files()
    assert (before.name, before.version != after.version) == (after.name, True)


def test_what_is_an_address() -> None:
    assert is_address("s3://b/x")
    assert not is_address("photos")
    assert not is_address("C:\\photos")
    assert is_archive_name("photos.tar.gz")
    assert not is_archive_name("photos")
    with pytest.raises(ConfigError, match=r"s4://b/x: unknown kind of address 's4'; did you mean"):
        RemoteFolder("s4://b/x")


def test_errors_of_stores_become_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCredentialsError(Exception):
        pass

    for raised, kind, words in (
        (
            ImportError("Install s3fs"),
            ConfigError,
            r"s3:// needs a package that is not installed; pip install 'segnet\[",
        ),
        (FileNotFoundError("NoSuchBucket"), DataError, "s3://b does not exist; check the names of bucket and file"),
        (PermissionError("AccessDenied"), DataError, "s3://b: permission denied; check the credentials"),
        (NoCredentialsError("x"), DataError, "s3://b: no credentials found; .* FSSPEC_S3_ANON=true"),
        (TimeoutError("connect\n timed out"), DataError, "s3://b cannot be read: connect timed out; check the address"),
    ):

        def fail(address: str, error: Exception = raised) -> None:
            raise error

        monkeypatch.setattr(remote, "_file_system", fail)
        with pytest.raises(kind, match=words):
            RemoteFolder("s3://b")


def test_stems_keep_folders_and_differ() -> None:
    assert tree_stems(["a.png", "x/a.png", "x/a.jpg"]) == {"a.png": "a", "x/a.png": "x/a-png", "x/a.jpg": "x/a-jpg"}
    assert tree_stems(["x/a.png"], flat=True) == {"x/a.png": "x-a"}
    with pytest.raises(ConfigError, match=r"results of x/a\.png would overwrite those of x-a\.png"):
        tree_stems(["x-a.png", "x/a.png"], flat=True)
