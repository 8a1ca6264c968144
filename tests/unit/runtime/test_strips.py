"""Stages in strips give what whole maps give, and keep far less alive."""

import pytest
import torch
from torch import nn
from trained_models import random_images, trained

from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.models import MODELS
from segnet.runtime.fold import folded
from segnet.runtime.strips import PoolingStrips, UnpoolingStrips, in_strips

IN_STRIPS = {"segnet": (5, 5), "segnet-basic": (4, 4), "deconvnet": (5, 5), "fcn-32s": (5, 0), "enet": (0, 0)}


@pytest.mark.parametrize("name", IN_STRIPS)
def test_stages_are_found(name: str) -> None:
    modules = list(in_strips(folded(trained(name)), "logits").modules())
    found = [sum(isinstance(m, kind) for m in modules) for kind in (PoolingStrips, UnpoolingStrips)]
    assert tuple(found) == IN_STRIPS[name]


@pytest.mark.parametrize("name", ["segnet", "segnet-basic", "segnet-basic-encoder-addition", "unet", "enet"])
@pytest.mark.parametrize("size", [(1, 1), (37, 22), (64, 33)], ids=str)
def test_logits_equal_those_of_whole_maps(name: str, size: tuple[int, int]) -> None:
    model = folded(trained(name)).double()
    image = random_images(2, 3, *size).double()
    with torch.no_grad():
        whole, strips = model(image), in_strips(model, "logits", band_bytes=1)(image)  # bands of two rows
        classes = in_strips(model, "classes", band_bytes=1)(image)
    # in float64, so that another order of sums changes nothing that a pooling could see
    torch.testing.assert_close(strips, whole, rtol=0, atol=1e-11 * whole.abs().max().item())
    assert torch.equal(classes, whole.argmax(1).to(torch.uint8))


def test_a_stage_in_bands_of_any_height() -> None:
    torch.manual_seed(0)
    modules = [nn.Conv2d(3, 8, 3, padding=2, dilation=2), nn.ReLU(), nn.Conv2d(8, 4, (7, 3), padding=(3, 1))]
    image = torch.randn(1, 3, 23, 9, dtype=torch.float64)
    model = nn.Sequential(*modules).double()
    expected = torch.nn.functional.max_pool2d(model(image), 2, 2, ceil_mode=True)
    for rows in range(2, 26, 2):
        strips = PoolingStrips(modules, band_bytes=8 * 9 * 8 * rows)
        torch.testing.assert_close(strips(image)[0], expected, rtol=0, atol=1e-12)


def test_strips_need_less_memory() -> None:
    model = folded(trained("segnet-basic"))
    image = random_images(1, 3, 96, 128)
    with torch.no_grad():
        whole = peak_live_bytes(lambda: model(image))
        strips = peak_live_bytes(lambda: in_strips(model, "classes", band_bytes=2**16)(image))
    full_map = 64 * 96 * 128 * 4
    assert whole > 2 * full_map
    assert strips < 0.6 * full_map


def test_every_model_returns_classes() -> None:
    assert {"segnet", "unet"} <= set(MODELS)
    for name in ("fcn-32s", "unet"):
        model = folded(trained(name))
        image = random_images(1, 3, 20, 31)
        with torch.no_grad():
            assert torch.equal(in_strips(model, "classes")(image), model(image).argmax(1).to(torch.uint8))
