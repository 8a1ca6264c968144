"""A file appears whole or not at all, and every refusal is one line that names the path."""

import errno
import os
from pathlib import Path

import pytest

from segnet.errors import ConfigError, DataError, WeightsError
from segnet.io.files import cache_folder, is_file, require_apart, whole_file, whole_files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_at_the_end_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "scores.json"
    with whole_file(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".json" and not temporary.exists()
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["scores.json"]


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("failure", [ValueError("half way"), KeyboardInterrupt()])
def test_a_failing_block_leaves_nothing_and_its_error_goes_on(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "scores.json"
    path.write_text("old")
    with pytest.raises(type(failure)) as caught, whole_file(path) as temporary:
        temporary.write_text("ha")
        raise failure
    assert caught.value is failure
    assert path.read_text() == "old" and names(tmp_path) == ["scores.json"]


def test_our_own_errors_pass_unchanged(tmp_path: Path) -> None:
    failure = WeightsError("no network")
    with pytest.raises(WeightsError) as caught, whole_file(tmp_path / "w"):
        raise failure
    assert caught.value is failure


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "scores.json"
    path.write_text("old")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(DataError) as caught, whole_file(path) as temporary:
        temporary.write_text("new")
    assert str(caught.value) == f"{path} cannot be written: No space left on device; free some space and run again"
    assert path.read_text() == "old" and names(tmp_path) == ["scores.json"]


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    path = tmp_path / "runs" / "x" / "log"
    expected = r"runs/x/log cannot be written.*a part of the path is a file"
    with pytest.raises(DataError, match=expected), whole_file(path) as temporary:
        temporary.write_text("")
    assert names(tmp_path) == ["runs"]


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    path = tmp_path / "log"
    with pytest.raises(DataError, match="a folder has that name"), whole_file(path) as temporary:
        temporary.write_text("")
    assert names(tmp_path) == ["log"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"), whole_file(tmp_path / "log"):
        pass


def test_files_of_one_stem_appear_together(tmp_path: Path) -> None:
    path = tmp_path / "a" / "model.xml"
    for turn in ("old", "new"):
        with whole_files(path) as temporary:
            assert temporary.name == "model.xml" and list(temporary.parent.iterdir()) == []
            temporary.write_text(turn)
            temporary.with_suffix(".bin").write_text(turn + " weights")
            assert path.exists() == (turn == "new")
    assert path.read_text() == "new"
    assert path.with_suffix(".bin").read_text() == "new weights"
    assert names(path.parent) == ["model.bin", "model.xml"]


def test_a_folder_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    for turn in ("old", "new"):
        with whole_files(tmp_path / "model.mlpackage") as temporary:
            (temporary / "data").mkdir(parents=True)
            (temporary / "data" / turn).write_text(turn)
    assert names(tmp_path) == ["model.mlpackage"]
    assert names(tmp_path / "model.mlpackage" / "data") == ["new"]


def test_a_folder_and_a_file_of_one_name_never_replace_each_other(tmp_path: Path) -> None:
    precious = tmp_path / "model.bin" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    (tmp_path / "model.xml").write_text("old")
    in_the_way = pytest.raises(DataError, match=r"model\.xml cannot be written: .*a folder has that name")
    with in_the_way, whole_files(tmp_path / "model.xml") as temporary:
        temporary.write_text("new")
        temporary.with_suffix(".bin").write_text("new weights")
    assert precious.read_text() == "mine"
    assert (tmp_path / "model.xml").read_text() == "old"
    with (
        pytest.raises(DataError, match="a part of the path is a file"),
        whole_files(tmp_path / "model.xml") as temporary,
    ):
        temporary.mkdir()
    assert names(tmp_path) == ["model.bin", "model.xml"]


def test_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with whole_files(Path()) as temporary:
        (temporary / "images").mkdir(parents=True)
        (temporary / "labels.toml").write_text("new")
    assert names(Path()) == ["images", "labels.toml"]
    with pytest.raises(DataError, match="is the working directory"), whole_files(Path()) as temporary:
        temporary.mkdir()
        (temporary / "other").write_text("")
    assert names(Path()) == ["images", "labels.toml"]


@pytest.mark.parametrize("out", ["a.mp4", "./a.mp4", "folder/../a.mp4", "link.mp4"])
def test_what_is_read_is_not_written_over(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("a.mp4").write_text("")
    Path("link.mp4").symlink_to("a.mp4")
    require_apart([Path("b.mp4"), Path("new/a.mp4")], [Path("a.mp4")])
    with pytest.raises(ConfigError, match=f"{Path(out)} would be overwritten"):
        require_apart([Path("b.mp4"), Path(out)], [tmp_path / "a.mp4"])


def test_a_machine_that_stops_between_two_files_leaves_no_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.xml"
    path.write_text("old")
    path.with_suffix(".bin").write_text("old weights")
    monkeypatch.setattr(Path, "replace", lambda self, place: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), whole_files(path) as temporary:
        temporary.write_text("new")
        temporary.with_suffix(".bin").write_text("new weights")
    assert names(tmp_path) == ["model.bin"]  # the new weights never meet the old graph


@pytest.mark.parametrize("failure", [ValueError("half way"), KeyboardInterrupt()])
def test_a_failing_block_leaves_all_files_as_they_were(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "model.xml"
    path.write_text("old")
    with pytest.raises(type(failure)), whole_files(path) as temporary:
        temporary.write_text("ha")
        raise failure
    assert path.read_text() == "old" and names(tmp_path) == ["model.xml"]


def test_files_in_a_place_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a part of the path is a file"), whole_files(tmp_path / "file" / "model.xml"):
        raise AssertionError


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert not is_file(cache_folder() / "weights.safetensors")
    with pytest.raises(DataError, match="a part of the path is a file"), whole_file(cache_folder() / "fastest.json"):
        raise AssertionError


def test_a_file_in_a_closed_folder_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").write_text("")
    assert is_file(tmp_path / "weights")

    def closed(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", closed)  # root, who may run the tests, can open any
    assert not is_file(tmp_path / "weights")


# ------------------------------------------------------------------------------------------------ killed processes


@pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX only")
def test_what_a_killed_process_left_of_this_file_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = (".scores.0a1b2c3d.txt", ".notes.20260101.json", "scores.0a1b2c3d.json", ".scores.0a1b2c3.json")
    for name in (*kept, ".scores.0a1b2c3d.json", ".scores.ffffffff.json"):
        (tmp_path / name).write_text("half")
    with whole_file(tmp_path / "scores.json") as temporary:
        temporary.write_text("{}")
    assert names(tmp_path) == sorted([*kept, "scores.json"])


@pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX only")
def test_what_a_killed_process_left_of_a_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".data.0a1b2c3d" / "data" / "images").mkdir(parents=True)
    (tmp_path / ".data.0a1b2c3d" / "data" / "images" / "a.png").write_text("half")
    with whole_files(tmp_path / "data") as room:
        room.mkdir()
    assert names(tmp_path) == ["data"]


@pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX only")
def test_a_file_that_another_process_is_writing_is_not_taken_for_left_over(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.json") as first:
        first.write_text("first")
        with whole_file(tmp_path / "a.json") as second:  # as another process would: the folder is locked
            second.write_text("second")
        assert (tmp_path / "a.json").read_text() == "second" and first.exists()
    assert (tmp_path / "a.json").read_text() == "first"
