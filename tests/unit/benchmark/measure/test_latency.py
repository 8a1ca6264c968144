"""The latency and memory tables, on an image that is small: what is measured, not how fast."""

import sys

import pytest
import torch

from segnet.benchmark.measure.inference_memory import InferenceMemory, measure_inference_memory, memory_table
from segnet.benchmark.measure.latency import Latency, latency_table, measure_latency
from segnet.benchmark.measure.naive import NaiveBackend
from segnet.benchmark.measure.peers import SMP_UNET
from segnet.benchmark.measure.timing import Timing
from segnet.errors import ConfigError
from segnet.models import create_model


@pytest.mark.parametrize("name", ["segnet", "bayesian-segnet-basic", "enet"])
def test_the_naive_port_has_the_logits_of_the_model(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 11).eval()
    image = torch.randint(0, 256, (1, 3, 37, 50), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(NaiveBackend(model).logits(image), model(image.float() / 255))


def test_ways_are_measured_beside_the_naive_port() -> None:
    results, failures = measure_latency("segnet-basic", ("naive", "eager float32"), (24, 32), repeats=1)
    assert [r.way for r in results] == ["naive", "eager float32"]
    assert failures == []
    assert results[0].ratio == 1
    assert results[1].ratio == pytest.approx(results[0].time.median_ms / results[1].time.median_ms)
    full_map_mb = 64 * 24 * 32 * 4 / 1e6
    # a convolution's input and output, the normalised output, and every level's indices
    assert 3 * full_map_mb < results[0].peak_live_mb < 4 * full_map_mb  # type: ignore[operator]
    assert results[0].file_mb == pytest.approx(2 * 1_416_075 / 1e6, rel=0.02)  # filters in 16 bits, a card
    with pytest.raises(ConfigError, match="unknown way 'fast' to run a model on cpu"):
        measure_latency("segnet-basic", ("fast",))
    with pytest.raises(
        ConfigError, match="unknown way 'openvino bfloat16' to run a model on cuda; known: naive, eager"
    ):
        measure_latency("segnet-basic", ("openvino bfloat16",), device=torch.device("cuda"))


def test_several_images_at_once() -> None:
    results, _ = measure_latency("segnet-basic", ("naive", "eager float32"), (24, 32), repeats=1, batch_size=3)
    assert [r.batch_size for r in results] == [3, 3]
    full_map_mb = 3 * 64 * 24 * 32 * 4 / 1e6
    assert 3 * full_map_mb < results[0].peak_live_mb < 4 * full_map_mb  # type: ignore[operator]
    text = latency_table(results, (24, 32))
    assert text.title.startswith("Latency of 3 images at once, 24x32, ")
    assert text.rows[0][4] == f"{3e3 / results[0].time.median_ms:.1f}"


def test_a_peer_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    words = "smp-unet-vgg16: not measured, segmentation_models_pytorch is not installed; pip install"
    assert measure_latency(SMP_UNET) == ([], [f"{words} segmentation_models_pytorch"])


def test_latency_table() -> None:
    time = Timing(50.0, 48.0, 61.5)
    text = latency_table(
        [Latency("segnet", "openvino float32", time, 900.0, 90.0, None, 59.2, 4.0)], (360, 480), ["lost"]
    )
    assert text.rows == (
        ("segnet", "openvino float32", "50.0", "48.0 to 61.5", "20.0", "-", "59.2", "900, 90", "4.0x"),
    )
    assert text.notes[-1] == "lost"


def test_memory_of_naive_whole_and_strips() -> None:
    result = measure_inference_memory("segnet-basic", "bfloat16", (144, 192))
    pooled_mb = 64 * 72 * 96 * (4 + 8) / 1e6  # the first pooled map in float32, and its indices in 64 bits
    assert result.naive_mb > 64 * 144 * 192 * 4 / 1e6 + pooled_mb
    assert result.small_strips_mb < 0.6 * result.whole_mb
    assert result.strips_mb <= result.whole_mb < result.naive_mb
    row = memory_table([InferenceMemory("segnet", "bfloat16", 180.0, 70.0, 30.0, 15.0)], (360, 480)).rows[0]
    assert row == ("segnet", "bfloat16", "180.0", "70.0", "30.0 (1/6.0)", "15.0 (1/12.0)")
