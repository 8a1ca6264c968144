import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest

from segnet.data.street.canvas import SKY
from segnet.data.street.scenes import Street, street_split
from segnet.errors import ConfigError, DataError
from segnet.labels import CAMVID_11, VOID


def digest(sample):
    return sha256(sample.image.tobytes() + sample.target.tobytes()).hexdigest()


def test_a_scene_has_the_size_and_types_asked_for():
    sample = Street(3, (61, 83), seed=5)[2]
    assert sample.image.shape == (61, 83, 3)
    assert sample.target.shape == (61, 83)
    assert sample.image.dtype == sample.target.dtype == np.uint8
    assert sample.name == "street-5-0002"


def test_a_scene_depends_on_seed_and_index_alone():
    first, second = Street(4, seed=1), Street(9, seed=1)
    assert digest(first[3]) == digest(second[3])
    assert digest(first[3]) != digest(first[2])
    assert digest(first[3]) != digest(Street(4, seed=2)[3])


def test_another_process_draws_the_same_scene():
    program = (
        "from segnet.data.street.scenes import Street; from hashlib import sha256; s = Street(2, (48, 64), 7)[1];"
        "print(sha256(s.image.tobytes() + s.target.tobytes()).hexdigest())"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == digest(Street(2, (48, 64), 7)[1])


def test_all_classes_and_void_appear_and_take_sensible_shares():
    targets = np.stack([sample.target for sample in map(Street(24).__getitem__, range(24))])
    share = np.bincount(targets.ravel(), minlength=256) / targets.size
    assert set(np.unique(targets).tolist()) == {*range(11), VOID}
    named = dict(zip(CAMVID_11.names, share.tolist(), strict=False))
    assert 0.2 < named["road"] < 0.5
    assert 0.05 < named["sky"] < 0.3
    assert 0.08 < named["building"] < 0.4
    assert min(named.values()) > 0.002
    assert 0.002 < share[VOID] < 0.1


def test_the_sky_is_above_the_road_and_brighter_by_day():
    brighter = 0
    for index in range(12):
        sample = Street(12, seed=3)[index]
        rows = np.arange(120)[:, None]
        sky, road = sample.target == SKY, sample.target == CAMVID_11.names.index("road")
        assert (rows * sky).sum() / sky.sum() < (rows * road).sum() / road.sum()
        brighter += sample.image[sky].mean() > sample.image[road].mean()
    assert brighter >= 9


def test_scenes_differ_in_light():
    means = [Street(12, seed=3)[index].image.mean() for index in range(12)]
    assert max(means) - min(means) > 30


def test_splits_share_no_scene():
    assert [len(street_split(None, split)) for split in ("train", "val", "test")] == [400, 60, 60]
    assert digest(street_split(None, "train")[0]) != digest(street_split(None, "val")[0])
    with pytest.raises(DataError, match=r"no split 'all'.*train, val, test"):
        street_split(None, "all")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="sides of at least 16"):
        Street(1, (8, 64))
    with pytest.raises(IndexError, match="scene 2 of 2"):
        Street(2)[2]
