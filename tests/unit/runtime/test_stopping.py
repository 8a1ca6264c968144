import numpy as np
import pytest
import torch

from segnet.data.reading.windows import WholeImage
from segnet.inference.predictor import Predictor
from segnet.inference.tiles import Tiling, predict_in_tiles
from segnet.inference.uncertainty import DropoutSampler
from segnet.labels import CAMVID_11
from segnet.models import create_model
from segnet.runtime.eager import EagerBackend
from segnet.runtime.stopping import go_on, stop_when


class StoppedError(Exception):
    pass


class Check:
    """Raises at the given call."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise StoppedError


def test_nobody_asks_outside_the_block() -> None:
    go_on()
    check = Check(1)
    with stop_when(check), pytest.raises(StoppedError):
        go_on()
    go_on()
    assert check.calls == 1


def test_bands_ask() -> None:
    model = create_model("segnet-basic", 11).eval()
    backend = EagerBackend(model, torch.device("cpu"), "float32", band_bytes=64 * 64 * 4 * 8)
    check = Check(3)
    with stop_when(check), pytest.raises(StoppedError):
        backend.classes(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    assert check.calls == 3


def test_samples_ask() -> None:
    sampler = DropoutSampler(create_model("bayesian-segnet-basic", 11).eval())
    check = Check(4)
    with stop_when(check), pytest.raises(StoppedError):
        sampler(torch.zeros(1, 3, 32, 32), 8)
    assert check.calls == 4


def test_tiles_ask() -> None:
    class Tiny(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([image] * 4, 1)[:, :11]

    predictor = Predictor(Tiny(), CAMVID_11, device="cpu", precision="float32")
    tiling = Tiling((128, 256), 96, 32)
    check = Check(2)
    bands = predict_in_tiles(predictor, WholeImage(np.zeros((128, 256, 3), np.uint8)), tiling)
    with stop_when(check), pytest.raises(StoppedError):
        list(bands)
    assert check.calls == 2
