"""Batch normalisation in parts against PyTorch's on the whole batch; two threads stand for two processes."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor, nn

from segnet.models import create_model
from segnet.training.distributed import Processes
from segnet.training.sync_batch_norm import WholeBatchNorm, normalise_over, normalising_alone

BARRIER = Barrier(2, timeout=60)
TABLE: list[Tensor] = [torch.empty(0), torch.empty(0)]


class Threads(Processes):
    """Two processes that add up through a table in memory."""

    def sum(self, values: Tensor) -> Tensor:
        TABLE[self.rank] = values
        BARRIER.wait()
        total = TABLE[0] + TABLE[1]
        BARRIER.wait()
        return total


def batch_norm(momentum: float | None = 0.1) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(3, momentum=momentum)
    norm.weight.data = torch.tensor([1.0, -2.0, 0.5])
    norm.bias.data = torch.tensor([0.0, 1.0, -1.0])
    return norm


@pytest.mark.parametrize("momentum", [0.1, None])
def test_parts_of_different_size_are_normalised_as_one_batch(momentum: float | None) -> None:
    torch.manual_seed(0)
    image = 5 + 2 * torch.randn(4, 3, 6, 7)
    slope = torch.randn(4, 3, 6, 7)

    whole, whole_image = batch_norm(momentum), image.clone().requires_grad_()
    output = whole(whole_image)
    (output * slope).sum().backward()

    def learn(rank: int) -> tuple[WholeBatchNorm, Tensor, Tensor]:
        norm = WholeBatchNorm(batch_norm(momentum), Threads(rank, 2))
        part = slice(0, 1) if rank == 0 else slice(1, 4)
        own = image[part].clone().requires_grad_()
        own_output = norm(own)
        (own_output * slope[part]).sum().backward()
        return norm, own_output, own.grad

    with ThreadPoolExecutor(2) as threads:
        parts = list(threads.map(learn, (0, 1)))
    assert torch.allclose(torch.cat([p[1] for p in parts]), output, atol=1e-5)
    assert torch.allclose(torch.cat([p[2] for p in parts]), whole_image.grad, atol=1e-5)
    for name in ("weight", "bias"):  # sums over the parts, as the loop makes them
        total = sum(getattr(p[0], name).grad for p in parts)
        assert torch.allclose(total, getattr(whole, name).grad, rtol=1e-4, atol=1e-4)
    for norm, _, _ in parts:
        assert torch.allclose(norm.running_mean, whole.running_mean, atol=1e-6)
        assert torch.allclose(norm.running_var, whole.running_var, rtol=1e-5)
        assert norm.num_batches_tracked == 1


def test_gradients_are_exact_in_float64() -> None:
    norm = WholeBatchNorm(batch_norm().double(), Processes())
    image = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)

    def normalise(features: Tensor) -> Tensor:
        return norm(features) * torch.arange(36.0, dtype=torch.float64).view(2, 3, 2, 3)

    assert torch.autograd.gradcheck(normalise, image)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_what_it_is_with_statistics_in_float32(dtype: torch.dtype) -> None:
    norm = WholeBatchNorm(batch_norm(), Processes())
    image = torch.randn(2, 3, 4, 4).to(dtype).requires_grad_()
    output = norm(image)
    output.float().square().sum().backward()
    assert output.dtype == image.grad.dtype == dtype
    assert torch.allclose(norm.running_mean, 0.1 * image.detach().float().mean((0, 2, 3)))


def test_a_model_keeps_its_state_and_says_the_same_in_evaluation() -> None:
    torch.manual_seed(0)
    model = create_model("segnet-basic", 11).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        logits = model(image)
        normalise_over(Processes(0, 2), model)
        assert torch.equal(model(image), logits)
    assert list(model.state_dict()) == list(before)
    assert {type(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {WholeBatchNorm}


def test_one_process_keeps_the_model_as_it_is() -> None:
    model = create_model("segnet-basic", 11)
    normalise_over(Processes(), model)
    assert {type(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {nn.BatchNorm2d}


@pytest.mark.parametrize(("low_memory", "kind"), [(False, nn.SyncBatchNorm), (True, WholeBatchNorm)])
def test_on_a_gpu_it_is_that_of_pytorch_unless_maps_are_recomputed(low_memory: bool, kind: type) -> None:
    model = create_model("segnet-basic", 11)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    normalise_over(Processes(0, 2), model, torch.device("cuda"), low_memory=low_memory)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert {type(norm) for norm in norms} == {kind}
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_alone_inside_a_context_it_is_a_plain_one(device: str) -> None:
    model = nn.Sequential(batch_norm())
    plain, image = batch_norm(), torch.randn(2, 3, 4, 5)
    normalise_over(Processes(0, 2), model, torch.device(device))
    with normalising_alone(model):
        assert torch.equal(model(image), plain(image))
    assert torch.equal(model[0].running_mean, plain.running_mean)
    assert "forward" not in vars(model[0])
