"""Real processes, each with a part of every batch, learn what one process learns from the whole of it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from processes import in_processes
from torch import Tensor, nn

from segnet.config import FitConfig, LossSettings, TrainSettings
from segnet.nn.layers import ConvBN
from segnet.training.checkpoint import load_checkpoint
from segnet.training.distributed import ALONE, Processes
from segnet.training.log import read_log
from segnet.training.parallel import ParallelModel
from segnet.training.train import fit
from segnet.weights.file import read_card

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a safe fork")

# Sums of float32 in another order round otherwise, once per sum; ten steps carry it on.
TOLERANCE: dict[str, float] = {"rtol": 1e-4, "atol": 1e-5}
Found = dict[str, np.ndarray]


class Small(nn.Module):
    """Two convolutions with BN, one without, and a parameter that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(3))
        self.first, self.second = ConvBN(3, 8), ConvBN(8, 8)
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.second(self.first(image)))


class Areas(torch.utils.data.Dataset[Any]):
    """Three coloured areas; void in one image only, so that the parts of a batch count different pixels."""

    classes = ("a", "b", "c")

    def __init__(self, count: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.targets = rng.integers(0, 3, (count, 4, 4)).repeat(3, 1).repeat(4, 2)
        self.images = (np.eye(3)[self.targets] * 0.7 + rng.uniform(0, 0.3, (count, 12, 16, 3))).astype(np.float32)
        self.targets[0, :9] = 255

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.images[index]).permute(2, 0, 1), torch.from_numpy(self.targets[index])


def config(**train: Any) -> FitConfig:
    base: dict[str, Any] = {
        "epochs": 3, "batch_size": 4, "lr": 0.05, "device": "cpu", "precision": "float32", "checkpoint_every": 1,
    }  # fmt: skip
    weighed = LossSettings(class_weights="median_frequency", normalise_by="weights")
    return FitConfig(train=TrainSettings(**{**base, **train}), loss=weighed)


def trained(out: Path, processes: Processes = ALONE, *, resume: bool = False, **train: Any) -> Found:
    """The state of a run of three epochs of 12 images, after its last step, as arrays."""
    torch.manual_seed(processes.rank)  # other weights in every process: those of the first are taken
    fit(Small(), Areas(12), Areas(5, seed=1), config(**train), out=out, resume=resume, processes=processes)
    return {name: value.numpy() for name, value in load_checkpoint(out / "checkpoint.pt")["model"].items()}


def assert_close(got: Found, expected: Found, **tolerance: float) -> None:
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, **(tolerance or TOLERANCE), err_msg=name)


@pytest.mark.parametrize(
    ("count", "train"),
    [
        (1, {}),
        (2, {"accumulate": 2, "clip_grad_norm": 0.5, "average": 0.9}),
        pytest.param(4, {"statistics_pass": "last"}, marks=pytest.mark.slow),  # 3 batches: one process has none
        (2, {"statistics_pass": "every"}),
        (2, {"low_memory": True}),
    ],
)
def test_processes_learn_what_one_learns(count: int, train: dict[str, Any], tmp_path: Path) -> None:
    expected = trained(tmp_path / "one", **train)
    found = in_processes(count, lambda processes: trained(tmp_path / "several", processes, **train))
    for got in found:
        assert_close(got, expected)
    logs = [
        [(r["step"], r["mean_iou"]) for r in read_log(tmp_path / name / "log.jsonl") if "mean_iou" in r]
        for name in ("one", "several")
    ]
    assert len(logs[0]) == 3
    assert logs[1] == logs[0]
    cards = [read_card(tmp_path / name / "best.safetensors").scores for name in ("one", "several")]
    assert cards[1] == pytest.approx(cards[0], abs=0.01)  # filters are stored in float16


def test_bfloat16_learns_what_one_process_learns(tmp_path: Path) -> None:
    expected = trained(tmp_path / "one", precision="bfloat16", max_steps=2)
    for got in in_processes(2, lambda p: trained(tmp_path / "two", p, precision="bfloat16", max_steps=2)):
        assert_close(got, expected, rtol=0.02, atol=0.01)  # of 8 bits


@pytest.mark.slow
def test_four_processes_resume_bit_by_bit(tmp_path: Path) -> None:
    """The sums round alike in a resumed run: its gradients travel in the same buckets."""

    def run(processes: Processes) -> tuple[Found, Found]:
        whole = trained(tmp_path / "whole", processes)
        trained(tmp_path / "parts", processes, max_steps=4)
        return whole, trained(tmp_path / "parts", processes, resume=True)

    for whole, parts in in_processes(4, run):
        assert all(np.array_equal(parts[name], value) for name, value in whole.items())


class Weight(nn.Module):
    """One weight per class, the gradient of which is the sum of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.sometimes = nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        logits = self.weight[:, None, None] * image
        return logits * self.sometimes if image.mean() > 2 else logits


def gradients(processes: Processes, values: tuple[float, ...]) -> tuple[list[float], float | None]:
    """Of two accumulated passes over images of one pixel, which differ by process."""
    model = Weight()
    parallel = ParallelModel(model, processes)
    for number in range(2):
        image = torch.full((1, 1, 1, 1), values[processes.rank] * 10**number)
        with parallel.accumulating(number == 0):
            parallel.logits(image, 2).sum().backward()
    return model.weight.grad.tolist(), None if model.sometimes.grad is None else model.sometimes.grad.item()


def test_gradients_are_sums_of_all_passes_of_all_processes() -> None:
    assert (
        in_processes(2, lambda p: gradients(p, (0.1, 0.125)))
        == [([pytest.approx(0.1 + 1 + 0.125 + 1.25)] * 2, None)] * 2
    )  # nobody used the other parameter


def test_a_parameter_that_one_process_uses_learns_in_all() -> None:
    expected = [pytest.approx(0.1 + 1 + 0.5 + 5)] * 2
    assert in_processes(2, lambda p: gradients(p, (0.1, 0.5))) == [(expected, pytest.approx(2 * 5))] * 2


def test_an_overflow_in_one_process_is_one_in_all() -> None:
    for (first, second), _ in in_processes(2, lambda p: gradients(p, (float("inf"), 0.5))):
        assert first == second == float("inf")


def test_another_model_in_another_process_is_refused() -> None:
    def wrap(processes: Processes) -> None:
        ParallelModel(nn.Conv2d(3, 4 + processes.rank, 1), processes)

    _, second = in_processes(2, wrap)
    assert second[0] == "ConfigError"
    assert second[1].startswith("the Conv2d of process 1 differs from that of process 0; build the same model")


def test_alone_it_is_the_model_itself() -> None:
    model = nn.Conv2d(3, 2, 1)
    image = torch.rand(1, 3, 4, 5)
    parallel = ParallelModel(model, ALONE)
    assert torch.equal(parallel.logits(image, 2), model(image))
    with parallel.accumulating(True):
        F.mse_loss(parallel.logits(image, 2), torch.zeros(1, 2, 4, 5)).backward()
    assert model.weight.grad is not None
