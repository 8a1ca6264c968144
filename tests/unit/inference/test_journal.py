"""The journal of a long prediction: what counts as done, and what a crash may leave."""

import json
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from segnet.errors import DataError
from segnet.inference import published_journal
from segnet.inference.item import Item, local_items
from segnet.inference.journal import JOURNAL_FILE, Journal

A, B = Item("/in/a.png", "a", "1-1"), Item("/in/b.png", "b", "2-2")


def test_what_is_done_stays_done_until_image_name_or_settings_change(tmp_path: Path) -> None:
    with Journal(tmp_path / "o", {"opacity": 0.5}) as journal:
        assert (journal.is_new, journal.is_done(A)) == (True, False)
        journal.add(A, pixels={"road": 3})
        journal.add(B, failed="broken")
    with Journal(tmp_path / "o", {"opacity": 0.5}) as journal:
        assert (journal.is_new, journal.changed) == (False, [])
        assert [journal.is_done(item) for item in (A, B)] == [True, False]
        assert not journal.is_done(A._replace(version="1-2"))
        assert not journal.is_done(A._replace(stem="in-a"))
        journal.add(A, failed="it was changed, and is broken now")
    with Journal(tmp_path / "o", {"opacity": 0.5}) as journal:
        assert not journal.is_done(A)
        journal.add(A, pixels={})
    with Journal(tmp_path / "o", {"opacity": 0.6, "ids": "files"}) as journal:
        assert (journal.changed, journal.is_done(A)) == (["ids", "opacity"], False)
    lines = (tmp_path / "o" / JOURNAL_FILE).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"settings": {"opacity": 0.6, "ids": "files"}}]


def test_a_line_that_a_crash_cut_off_is_ignored_and_the_next_one_is_not_glued_to_it(tmp_path: Path) -> None:
    with Journal(tmp_path, {}) as journal:
        journal.add(A, pixels={})
        journal.add(B, pixels={})
    path = tmp_path / JOURNAL_FILE
    path.write_text('{"settings": {"x": 1}}\n' + path.read_text().partition("\n")[2][:-9])
    for done in ([True, False], [True, True]):
        with Journal(tmp_path, {"x": 1}) as journal:
            assert [journal.is_done(item) for item in (A, B)] == done
            journal.add(B, pixels={})


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with (
        Journal(tmp_path, {}),
        pytest.raises(DataError, match="gets the results of another run just now; wait for it"),
    ):
        Journal(tmp_path, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Journal(tmp_path / "file", {})


def test_the_version_of_a_file_is_its_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"abc")
    (item,) = local_items({path: "a"})
    assert item == Item(str(path), "a", f"3-{path.stat().st_mtime_ns}")
    path.write_bytes(b"abcd")
    assert local_items({path: "a"})[0].version != item.version
    path.unlink()
    with pytest.raises(DataError, match="has gone since the folder was listed"):
        local_items({path: "a"})


@pytest.mark.parametrize(
    ("latest", "now"),
    [
        ("20261126T204500123456", "20261126T204500123456"),  # two runs at one moment
        ("20261126T204500123456", "20261126T203000000000"),  # the clock of another machine was ahead
        ("20261126T204500", "20261126T204500000000"),
        ("20261126T204500123456", "20261126T204500123457"),
    ],
)
def test_parts_of_a_later_run_sort_after_those_before(latest: str, now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.strptime(now, "%Y%m%dT%H%M%S%f")

    monkeypatch.setattr(published_journal, "datetime", Clock)
    before = [f"predictions-{latest}-ffff-{number:04}.jsonl" for number in (0, 1)]
    after = f"predictions-{published_journal._moment_after(before)}-0000-0000.jsonl"
    assert sorted([after, *before]) == [*before, after]
    assert published_journal._PART.fullmatch(after)
