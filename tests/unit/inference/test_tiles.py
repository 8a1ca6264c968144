from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from segnet.crf.dense_crf import CRFParameters
from segnet.data.reading.windows import WholeImage
from segnet.data.street.scenes import Street
from segnet.errors import ConfigError, DataError, ShapeError
from segnet.inference.bands import save_bands
from segnet.inference.prediction import Prediction
from segnet.inference.predictor import Predictor
from segnet.inference.tiles import GRID_PX, OVERLAP_PX, Tiling, predict_in_tiles, tile_px_of, tile_px_within
from segnet.inference.uncertainty import Uncertainty
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.weights.file import WeightsCard, save_weights


class PixelByPixel:
    """Stands in for a model that looks at single pixels: in tiles or whole, it says the same."""

    label_set = CAMVID_11
    crf = None

    def probability(self, images: list[np.ndarray]) -> Tensor:
        image = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        weights = torch.linspace(-3, 3, 33).view(11, 3, 1, 1)
        return torch.nn.functional.conv2d(image, weights).softmax(1)

    def sample(self, images: list[np.ndarray], num_samples: int) -> Uncertainty:
        probability = self.probability(images)
        return Uncertainty(probability, probability[:, 0], probability[:, 1], probability[:, 2] * num_samples)


def image(height: int, width: int) -> WholeImage:
    return WholeImage(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def joined(bands: list[Prediction], name: str) -> np.ndarray:
    return np.concatenate([getattr(band, name) for band in bands])


@pytest.mark.parametrize("size_px", [(1, 1), (1, 500), (333, 65), (96, 96), (97, 96), (160, 255), (301, 290)])
def test_a_model_of_single_pixels_says_the_same_in_tiles(size_px: tuple[int, int]) -> None:
    model: Any = PixelByPixel()
    whole = image(*size_px)
    tiles = []
    bands = list(
        predict_in_tiles(
            model,
            whole,
            Tiling(size_px, 96, 32),
            confidence=True,
            uncertainty_samples=2,
            on_tile=lambda: tiles.append(1),
        )
    )
    expected = model.probability([whole.image])[0]
    assert np.array_equal(joined(bands, "image"), whole.image)
    # float32 sums of up to four weighted probabilities
    assert np.allclose(joined(bands, "confidence"), expected.amax(0).numpy(), atol=1e-6)
    second = expected.topk(2, dim=0).values
    clear = (second[0] - second[1] > 1e-5).numpy()
    assert np.array_equal(joined(bands, "classes")[clear], expected.argmax(0).numpy()[clear])
    assert clear.mean() > 0.99
    for plane, name in enumerate(("variance", "entropy", "mutual_information")):
        found = np.concatenate([band.uncertainty[name] for band in bands if band.uncertainty])
        assert np.allclose(found, expected[plane].numpy() * (2 if plane == 2 else 1), atol=1e-6)
    assert len(tiles) == len(Tiling(size_px, 96, 32))


@pytest.mark.parametrize("length", [1, 95, 96, 97, 128, 129, 160, 161, 500, 1001])
def test_tiles_cover_a_side_overlap_enough_and_begin_on_the_grid(length: int) -> None:
    rows = Tiling((length, 1), 96, 32).rows
    assert rows[0][0] == 0
    assert rows[-1][1] == length
    for (start, stop), (next_start, next_stop) in pairwise(rows):
        assert next_start % GRID_PX == 0
        assert start < next_start <= stop - 32
        assert next_stop > stop
    assert all(min(96 - GRID_PX, length - 1) < stop - start <= 96 for start, stop in rows)


def save_basic(path: Path, name: str = "segnet-basic") -> Path:
    torch.manual_seed(0)
    save_weights(path, create_model(name, 11, normalisation="mean_std"), WeightsCard(model=name, label_set=CAMVID_11))
    return path


def test_a_street_in_tiles_is_the_street_whole() -> None:
    predictor = Predictor("segnet-basic-camvid", backend="eager", device="cpu", precision="float32")
    image = Street(1, (256, 640))[0].image
    whole = predictor(image, confidence=True)
    # Tiles of 512 overlap from 256 to 512, a row of two: what the model sees beyond a tile's edge has a small weight.
    bands = list(predict_in_tiles(predictor, WholeImage(image), Tiling((256, 640), 512, 192), confidence=True))
    difference = np.abs(joined(bands, "confidence") - whole.confidence)
    # Left of 128 and right of 512 there is one tile, and its edge is farther than the model sees (105 px): rounding
    # only.
    assert difference[:, :128].max() < 1e-4
    assert difference[:, 520:].max() < 1e-4
    assert difference.max() < 0.1
    assert (joined(bands, "classes") == whole.classes).mean() > 0.998
    coarse = list(predict_in_tiles(predictor, WholeImage(image), Tiling((256, 640), 512, 32)))
    assert (joined(coarse, "classes") == whole.classes).mean() < (joined(bands, "classes") == whole.classes).mean()


def test_memory_chooses_the_tile() -> None:
    sides = [tile_px_within(gib, (10_000, 10_000), 11, 300_000_000) for gib in (2, 4, 8)]
    assert sides == sorted(set(sides))
    assert all(side % GRID_PX == 0 and side > 2 * OVERLAP_PX for side in sides)
    assert tile_px_within(4, (10_000, 10_000), 37, 300_000_000) < sides[1]
    assert (
        sides[1] > tile_px_within(4, (10_000, 10_000), 11, 300_000_000, largest_scale=1.5) >= sides[1] // 1.5 - GRID_PX
    )
    assert tile_px_within(4, (10_000, 10_000), 11, 300_000_000, largest_scale=0.5) == sides[1]
    with pytest.raises(ConfigError, match=r"10000x10000 cannot be predicted within 1 GiB .* allow at least 1\.\d"):
        tile_px_within(1, (10_000, 10_000), 11, 300_000_000)


def test_a_file_goes_whole_where_it_fits(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((500, 700, 3), np.uint8)).save(tmp_path / "p.png")
    predictor = Predictor(save_basic(tmp_path / "w.safetensors"), device="cpu")
    assert tile_px_of(tmp_path / "p.png", predictor, 4.0) == 0
    assert tile_px_of(tmp_path / "p.png", predictor, 4.0, tile_px=416) == 416
    assert tile_px_of(tmp_path / "p.png", predictor, 4.0, tile_px=704) == 0
    assert tile_px_of(tmp_path / "none.png", predictor, 4.0) == 0  # reading it says why
    side_px = tile_px_of(tmp_path / "p.png", predictor, 1.3)
    assert 416 <= side_px < 592 and side_px % GRID_PX == 0  # 592 squared is all its pixels
    resized = Predictor(tmp_path / "w.safetensors", device="cpu", longest_side_px=64)
    assert tile_px_of(tmp_path / "p.png", resized, 4.0) == 0
    with pytest.raises(ConfigError, match=r"probabilities at its own size take 0\.043 GiB"):
        tile_px_of(tmp_path / "p.png", resized, 0.04)


def test_wrong_tilings(tmp_path: Path) -> None:
    for tile_px, overlap_px in ((100, 32), (96, 20), (64, 32), (96, 0)):
        with pytest.raises(ConfigError, match="multiples of 32"):
            Tiling((9, 9), tile_px, overlap_px)
    model: Any = PixelByPixel()
    with pytest.raises(ShapeError, match=r"\(9, 9\) does not fit an image of \(8, 9\)"):
        next(predict_in_tiles(model, image(8, 9), Tiling((9, 9), 96, 32)))
    predictor = Predictor(save_basic(tmp_path / "w.safetensors"), crf=CRFParameters())
    with pytest.raises(ConfigError, match="a CRF needs the whole image"):
        next(predict_in_tiles(predictor, image(9, 9), Tiling((9, 9), 96, 32)))
    predictor = Predictor(tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="no dropout to sample"):
        next(predict_in_tiles(predictor, image(9, 9), Tiling((9, 9), 96, 32), uncertainty_samples=2))


def test_files_of_bands_are_the_files_of_the_whole(tmp_path: Path) -> None:
    model: Any = PixelByPixel()
    whole = image(150, 130)
    tiling = Tiling((150, 130), 96, 32)
    bands = list(predict_in_tiles(model, whole, tiling, confidence=True, uncertainty_samples=1))
    save_bands(bands, (150, 130), tmp_path, "p", opacity=0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"p-{name}.png" for name in ("classes", "confidence", "entropy", "mutual-information", "overlay", "variance")
    ]
    one = Prediction(whole.image, joined(bands, "classes"), CAMVID_11, joined(bands, "confidence"))
    with Image.open(tmp_path / "p-classes.png") as classes:
        assert classes.mode == "P"
        assert np.array_equal(np.array(classes), one.classes)
    overlay = np.array(Image.open(tmp_path / "p-overlay.png"))
    assert np.array_equal(overlay[:150, :130], np.array(one.overlay())[:150, :130])
    assert (overlay[:150, 130:] == 255).all()  # beside the image, above its legend
    assert overlay.shape[0] > 150
    assert np.array_equal(np.array(Image.open(tmp_path / "p-confidence.png")), one.grey_maps()["confidence"])


def test_an_image_that_breaks_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    class Breaking(WholeImage):
        def read(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
            if bottom > 200:
                raise DataError("p.tif is broken near row 200")
            return super().read(top, left, bottom, right)

    model: Any = PixelByPixel()
    bands = predict_in_tiles(model, Breaking(image(300, 100).image), Tiling((300, 100), 96, 32))
    with pytest.raises(DataError, match="near row 200"):
        save_bands(bands, (300, 100), tmp_path, "p", opacity=0.5)
    assert list(tmp_path.iterdir()) == []
