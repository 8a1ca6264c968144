"""Label images of very many colours."""

from pathlib import Path

import numpy as np

from segnet.data.reading.targets import colours_to_target


def test_the_nearest_colour_of_an_image_of_very_many_colours() -> None:
    """As many as there are pixels: what snaps must neither take seconds nor gigabytes."""
    codes = np.arange(1 << 17, dtype=np.uint32).reshape(256, 512) * 97
    rgb = np.stack([codes >> 16 & 255, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)
    ids = {(0, 0, 0): 0, (255, 255, 255): 1, (128, 0, 0): 2}
    target = colours_to_target(rgb, ids, Path("x.png"), snap=True)
    distances = ((rgb[:, :, None].astype(int) - np.array(list(ids))) ** 2).sum(axis=3)
    assert (target == distances.argmin(axis=2)).all()
    assert set(np.unique(target)) == {0, 1, 2}
