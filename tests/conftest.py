"""Fixtures that several rooms share: the real data beside the checkout, and a tiny CamVid written on the spot."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real datasets beside the checkout; the test is skipped where there are none."""
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not root.is_dir():
        pytest.skip("no real data beside the checkout")
    return root


def write_camvid(root: Path, *, train: int, val: int, size_px: tuple[int, int], seed: int = 0) -> Path:
    """A tiny CamVid in the released layout: sky above, a building or a car in front, road below, some void.

    Each class has its own colour (with noise), so a model can learn it.
    """
    rng = np.random.default_rng(seed)
    height, width = size_px
    colours = rng.integers(0, 256, (12, 3))
    for split, count in (("train", train), ("val", val)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        lines = []
        for number in range(count):
            target = np.zeros(size_px, np.uint8)
            target[height // 2 :] = 3
            top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
            target[top : top + height // 3, left : left + width // 3] = 1
            target[height - height // 4 :, left : left + width // 4] = 8
            target[0, 0] = 11
            image = (colours[target] + rng.integers(-10, 11, (height, width, 3))).clip(0, 255).astype(np.uint8)
            name = f"{split}{number}.png"
            Image.fromarray(image).save(root / split / name)
            Image.fromarray(target).save(root / f"{split}annot" / name)
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}\n")
        (root / f"{split}.txt").write_text("".join(lines))
    return root


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """The store of `memory://`, empty before and after."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture(scope="session")
def tiny_camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training and two validation images of 24x32 in CamVid's layout. Read only: it serves the whole session."""
    return write_camvid(tmp_path_factory.mktemp("camvid"), train=6, val=2, size_px=(24, 32))
