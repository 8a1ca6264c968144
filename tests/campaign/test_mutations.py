"""Inputs that once broke something, and a few mutated ones of each kind that is quick to build."""

import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("timers of POSIX", allow_module_level=True)

import mutators
from mutated_inputs import Kind, kinds_of, mutated, outcome_of

from segnet.errors import SegNetError

KEPT = sorted(path for path in (Path(__file__).parent / "kept").iterdir())
QUICK = ("png", "jpeg", "tiff", "webp", "gif", "bmp", "ppm", "labels.toml", "recipe", "caffemodel", "prototxt")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_what_once_broke_something_is_answered_or_refused(path: Path, tmp_path: Path) -> None:
    kind = path.name.partition(".")[0]
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    assert outcome_of(kinds_of((kind,), tmp_path / "kinds")[kind], copy).what != "finding"


@pytest.mark.slow
@pytest.mark.parametrize("kind", QUICK)
def test_some_mutated_inputs(kind: str, tmp_path: Path) -> None:
    kinds = kinds_of((kind,), tmp_path / "kinds")
    outcomes = []
    for index in range(30):
        name, data = mutated(kinds, kind, 7, index)
        path = tmp_path / name
        path.write_bytes(data)
        outcomes.append(outcome_of(kinds[kind], path))
    assert [outcome for outcome in outcomes if outcome.what == "finding"] == []
    assert "refusal" in {outcome.what for outcome in outcomes}


def test_an_input_is_the_same_for_the_same_seed_and_index() -> None:
    kinds = {"text": Kind({"a": b"a = 1\nb = 2\n", "b": b"c = [1, 2]"}, mutators.tokens, Path.read_bytes)}
    drawn = [mutated(kinds, "text", 1, index) for index in range(20)]
    assert drawn == [mutated(kinds, "text", 1, index) for index in range(20)]
    assert len({data for _, data in drawn}) > 10


def test_what_counts_as_a_finding(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise SegNetError(path.read_text())

    def fail(_: Path) -> None:
        raise KeyError("no such thing")

    path = tmp_path / "a"
    path.write_text("one line")
    assert outcome_of(Kind({}, mutators.blind, Path.read_bytes), path).what == "answer"
    assert outcome_of(Kind({}, mutators.blind, refuse), path).what == "refusal"
    assert outcome_of(Kind({}, mutators.blind, fail), path).reason.startswith(
        "KeyError in mutated_inputs.py:outcome_of"
    )
    path.write_text("two\nlines")
    assert outcome_of(Kind({}, mutators.blind, refuse), path).what == "finding"
