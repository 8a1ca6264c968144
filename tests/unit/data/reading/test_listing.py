from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.reading.listing import find_images, groups_of_one_size, output_stems
from segnet.errors import ConfigError, DataError


def put(path: Path, size: tuple[int, int] = (4, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)
    return path


def test_folders_give_their_images_by_name_and_nothing_else(tmp_path: Path) -> None:
    b, a = put(tmp_path / "b.png"), put(tmp_path / "a.JPG")
    (tmp_path / "notes.txt").write_text("no image")
    put(tmp_path / "deeper" / "c.png")
    assert find_images([tmp_path, b]) == [a, b]


def test_paths_that_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        find_images([tmp_path / "none"])
    with pytest.raises(DataError, match="no image in the folder"):
        find_images([tmp_path])


def test_stems_stay_apart() -> None:
    paths = [Path("a/x.png"), Path("a/x.jpg"), Path("b/x.png"), Path("b/y.png")]
    assert output_stems(paths) == {
        Path("a/x.png"): "a-x",
        Path("a/x.jpg"): "x-jpg",
        Path("b/x.png"): "b-x",
        Path("b/y.png"): "y",
    }
    with pytest.raises(ConfigError, match="would overwrite"):
        output_stems([Path("1/a/x.png"), Path("2/a/x.png")])


def test_groups_keep_order_sizes_and_errors(tmp_path: Path) -> None:
    paths = [put(tmp_path / f"{i}.png", (4, 5) if i < 3 else (5, 5)) for i in range(4)]
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:20])
    groups = list(groups_of_one_size([paths[0], broken, *paths[1:]], batch_size=2))
    assert [group for group, _, _ in groups] == [paths[:2], [paths[2]], [paths[3]]]
    assert [images[0].shape for _, images, _ in groups] == [(4, 5, 3), (4, 5, 3), (5, 5, 3)]
    assert [len(errors) for _, _, errors in groups] == [1, 0, 0]
    assert "broken.png" in str(groups[0][2][0])
    only_broken = list(groups_of_one_size([broken], batch_size=2))
    assert len(only_broken) == 1
    assert only_broken[0][0] == []
