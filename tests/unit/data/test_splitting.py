import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data import similarity
from segnet.data.splitting import group, images_to_split, part, split_folder, usual_groups, write_splits
from segnet.errors import ConfigError, DataError

FRAMES = [f"{place}-{i:03}" for place, n in (("a", 10), ("b", 30), ("c", 20), ("d", 15), ("e", 25)) for i in range(n)]


def test_usual_groups_are_names_without_their_number() -> None:
    found = usual_groups(FRAMES, 2)
    assert {key: len(names) for key, names in found.groups.items()} == {"a": 10, "b": 30, "c": 20, "d": 15, "e": 25}
    assert "without the number" in found.rule


def test_one_group_alone_makes_each_image_its_own() -> None:
    found = usual_groups(["IMG_1", "IMG_2", "IMG_30"], 2)
    assert list(found.groups) == ["IMG_1", "IMG_2", "IMG_30"]
    assert found.rule == "each image by itself; frames of a video want --by sequence"


def test_a_pattern_groups_by_its_first_bracket_or_by_all_it_fits() -> None:
    assert group(["s1_left", "s1_right", "s2_left"], r"(s\d)_\w+").groups == {
        "s1": ("s1_left", "s1_right"),
        "s2": ("s2_left",),
    }
    assert list(group(["x", "y"], ".").groups) == ["x", "y"]


@pytest.mark.parametrize(
    ("pattern", "words"), [("(", "not a regular expression"), (r"(s\d)_left", "does not fit 's1_r'")]
)
def test_a_pattern_that_does_not_fit_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        group(["s1_left", "s1_r"], pattern)


@pytest.mark.parametrize("seed", range(10))
def test_groups_stay_together_and_every_image_has_one_split(seed: int) -> None:
    splits = part(usual_groups(FRAMES, 2), {"val": 0.2, "test": 0.15}, seed)
    assert list(splits) == ["train", "val", "test"]
    assert sorted(name for names in splits.values() for name in names) == sorted(FRAMES)
    homes = [{name[0] for name in names} for names in splits.values()]
    assert all(homes) and sum(map(len, homes)) == 5  # no letter in two splits
    assert 10 <= len(splits["val"]) <= 30 and 10 <= len(splits["test"]) <= 30


def test_a_seed_gives_one_answer_and_another_seed_another() -> None:
    grouping = group([f"p{i}" for i in range(100)], ".*")
    first, again, other = (part(grouping, {"val": 0.2}, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first["val"]) == len(other["val"]) == 20


def test_two_images_are_one_each_and_one_is_refused() -> None:
    assert {split: len(names) for split, names in part(group(["x", "y"], "."), {"val": 0.01}, 0).items()} == {
        "train": 1,
        "val": 1,
    }
    with pytest.raises(DataError, match="1 groups for 2 splits"):
        part(group(["x1", "x2"], r"(x)\d"), {"val": 0.5}, 0)


def test_training_keeps_a_group_whatever_the_others_ask_for() -> None:
    splits = part(group(["x", "y", "z"], "."), {"val": 0.6, "test": 0.39}, 0)
    assert {split: len(names) for split, names in splits.items()} == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"val": 0.0}, "val 0: expected shares above 0 and together below 1"),
        ({"val": -0.1}, "val -0.1: expected"),
        ({"val": 0.8, "test": 0.8}, "val 0.8, test 0.8: expected"),
        ({"val": 1.0}, "val 1: expected"),
        ({"val": 0.2, "test": float("nan")}, "val 0.2, test nan: expected"),
    ],
)
def test_shares_that_leave_nothing_to_a_split_are_refused(shares: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        part(group(["x", "y", "z"], "."), shares, 0)


@pytest.mark.parametrize("name", ["x ", " x", "x\u2028y", "x\n", ""])
def test_a_name_that_a_list_cannot_hold_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="begins or ends with a space, or breaks a line: a list cannot hold it"):
        write_splits(tmp_path, {"train": ["a b"], "val": [name]})
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / os.fsdecode(b"caf\xe9.png")).touch()
    with pytest.raises(DataError, match=r"images/caf\\udce9\.png': the name is not valid UTF-8; rename it"):
        images_to_split(tmp_path)


def test_lists_are_written_and_not_replaced_unless_asked(tmp_path: Path) -> None:
    write_splits(tmp_path, {"train": ["a", "b"], "val": ["c"]})
    assert (tmp_path / "train.txt").read_text() == "a\nb\n"
    with pytest.raises(DataError, match=r"train\.txt exists"):
        write_splits(tmp_path, {"train": ["a"], "val": ["b"]})
    write_splits(tmp_path, {"train": ["a"], "val": ["b"], "test": ["c"]}, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["test.txt", "train.txt", "val.txt"]
    with pytest.raises(DataError, match=r"test\.txt exists; delete it$"):  # its images would be in two splits
        write_splits(tmp_path, {"train": ["c"], "val": ["b"]}, overwrite=True)
    assert (tmp_path / "train.txt").read_text() == "a\n"


def test_what_is_split_already_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no image"):
        images_to_split(tmp_path)
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "images" / "x.png")
    assert list(images_to_split(tmp_path)) == ["x"]
    (tmp_path / "images" / "train").mkdir()
    with pytest.raises(DataError, match=r"no image in .*images/train"):
        images_to_split(tmp_path)
    (tmp_path / "images" / "val").mkdir()
    with pytest.raises(DataError, match="is a split already"):
        images_to_split(tmp_path)


def test_one_sequence_after_the_other_is_left_out(tmp_path: Path) -> None:
    """As for CamVid's 0001TP, 0006R0 and 0016E5: train on all sequences but one, score on that one."""
    (tmp_path / "images").mkdir()
    names = [f"{sequence}_{number:05d}" for sequence in ("0001TP", "0006R0", "0016E5") for number in (1, 2, 3)]
    for seed, name in enumerate(names):
        noise = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / f"{name}.png")
    for sequence in ("0001TP", "0006R0", "0016E5"):
        lines = split_folder(tmp_path, {"val": 0.5}, by=r"(.{6})_.*", hold_out=[sequence], overwrite=True)
        assert lines[0].startswith("9 images in 3 groups (the pattern '(.{6})_.*')")
        assert (tmp_path / "val.txt").read_text().split() == [name for name in names if name.startswith(sequence)]
        assert len((tmp_path / "train.txt").read_text().split()) == 6
    with pytest.raises(DataError, match=r"no group '0005VD' to hold out; the groups by .* are 0001TP, 0006R0, 0016E5"):
        split_folder(tmp_path, {"val": 0.5}, by=r"(.{6})_.*", hold_out=["0005VD"], overwrite=True)
    with pytest.raises(DataError, match="every group is held out"):
        split_folder(tmp_path, {}, by=r"(0).*", hold_out=["0"], overwrite=True)


def test_images_with_equal_hashes_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each part of the hash: that made 100,000 small images slow."""
    compared, correlate = [], similarity._correlate
    monkeypatch.setattr(similarity, "_correlate", lambda a, b: compared.append(len(a)) or correlate(a, b))
    ramp = np.linspace(0, 255, 18 * 16).reshape(16, 18, 1).astype(np.uint8)
    prints = [similarity.fingerprint(ramp) for _ in range(6)]
    assert len(similarity.near_duplicates(prints)) == 15 == sum(compared)
