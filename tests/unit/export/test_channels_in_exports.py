"""Models of other channels in the runtimes: the same answers as PyTorch, and the channels in the files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from segnet.device import choose_device
from segnet.export import export_weights
from segnet.labels import LabelSet
from segnet.models import create_model
from segnet.nn.normalisation import ChannelStatistics
from segnet.runtime.create import choose_backend
from segnet.weights.file import WeightsCard, load_weights, save_weights

LABELS = LabelSet("two", ("a", "b"), ((255, 0, 0), (0, 255, 0)))


@pytest.fixture(scope="module", params=[1, 6])
def weights(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    torch.manual_seed(0)
    channels = request.param
    statistics = ChannelStatistics((0.4,) * channels, (0.2,) * channels)
    model = create_model("segnet-basic", 2, channels, statistics=statistics)
    path = tmp_path_factory.mktemp("weights") / f"{channels}.safetensors"
    save_weights(path, model, WeightsCard("segnet-basic", LABELS))
    return path


@pytest.mark.parametrize("target", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def test_exports(weights: Path, target: str, tmp_path: Path) -> None:
    path = tmp_path / ("model.onnx" if target == "onnx" else "model.xml")
    exported = export_weights(weights, target, path, size_px=(24, 32))  # compared with PyTorch before it is kept
    channels = int(weights.stem)
    assert exported.run is not None
    assert exported.run(np.zeros((1, channels, 24, 32), np.float32)).shape == (1, 2, 24, 32)
    assert f"{channels} channels in [0, 1], float32 (1, {channels}, H, W)" in path.read_bytes().decode("latin-1")


@pytest.mark.parametrize("backend", ["eager", pytest.param("openvino", marks=pytest.mark.slow)])
def test_backends(weights: Path, backend: str) -> None:
    model, card = load_weights(weights)
    image = torch.randint(0, 256, (1, card.in_channels, 33, 40), dtype=torch.uint8)
    run = choose_backend(model, backend, choose_device("cpu").device, "float32")  # type: ignore[arg-type]
    with torch.inference_mode():
        expected = model(image.float() / 255)
    torch.testing.assert_close(run.logits(image), expected, rtol=1e-3, atol=1e-3)
