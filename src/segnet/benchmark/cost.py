"""What a net costs: parameters, time forward and backward, memory in training and in inference, and its file.

Time is measured on one random picture, after a warm-up, on a clock that waits for the device: median and range.
Memory is the peak of live tensors (`memory.py`), the same number on any device; what the process or the GPU's
allocator took at most stands beside it.

Source:
    SegNet, Table 6: batch 1 for time and inference memory, batch 4 for training memory.

Deviates:
    The paper reads memory from nvidia-smi, which adds the driver's own, cuDNN's workspaces and Caffe's copies.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor, nn

from segnet.benchmark.memory import peak_live_bytes
from segnet.benchmark.storage import meta_net, require_size
from segnet.benchmark.timing import Timing, measure
from segnet.benchmark.training import process_mib
from segnet.engine.device import Place
from segnet.losses import cross_entropy
from segnet.models import create_model

TRAINING_BATCH = 4
_NO_MEMORY = ("not enough memory", "out of memory", "can't allocate memory", "Cannot allocate memory")


@dataclass(frozen=True)
class PassMemory:
    """Peak memory of one pass, in MiB.

    Attributes:
        batch_size: N.
        weights_mib: parameters and BN statistics.
        gradients_mib: of the parameters; 0 in inference.
        activations_mib: the rest of the peak of live tensors: maps, indices, and what operators return for a moment.
        process_mib: peak of the process on a CPU (PyTorch itself included), of the allocator on a GPU; None where the
            process measured other nets too.
    """

    batch_size: int
    weights_mib: float
    gradients_mib: float
    activations_mib: float
    process_mib: float | None

    @property
    def total_mib(self) -> float:
        """The peak of live tensors with the weights."""
        return self.weights_mib + self.gradients_mib + self.activations_mib


@dataclass
class Cost:
    """One net on one device. What could not be measured is None, and `failures` says why.

    Attributes:
        net: name.
        size_px: (height, width).
        place: device and precision.
        parameters: how many.
        file_mb: size of the weights file in float32, in 10^6 bytes, without its header of some kB.
        forward: of inference on one picture.
        backward: of one picture, the forward pass not counted.
        inference: memory at batch 1.
        training: memory at batch 4, forward and backward, without the optimiser's own.
        failures: part -> one line.
    """

    net: str
    size_px: tuple[int, int]
    place: str
    parameters: int
    file_mb: float
    forward: Timing | None = None
    backward: Timing | None = None
    inference: PassMemory | None = None
    training: PassMemory | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_cost(
    net: str,
    size_px: tuple[int, int],
    place: Place,
    *,
    num_classes: int = 11,
    training: bool = True,
    repeats: int = 9,
    alone: bool = False,
) -> Cost:
    """Measures a net in this process.

    Args:
        net: a key of `MODELS`.
        size_px: (height, width).
        place: device and precision.
        num_classes: K.
        training: also the backward pass and the memory of training.
        repeats: of each time that is measured.
        alone: this process measures nothing else, so that its peak is the net's.

    Raises:
        ConfigError: unknown net.
        ShapeError: too small for the net, with `training`.
    """
    if training:
        require_size(net, size_px, 1, num_classes)
    cost = _uncosted(net, size_px, place, num_classes)
    torch.manual_seed(0)
    try:
        model = place.ready(create_model(net, num_classes))
    except (MemoryError, RuntimeError) as cause:
        if not lacks_memory(cause):
            raise
        cost.failures["model"] = f"{net}: out of memory for its weights alone, {cost.file_mb:.0f} MB"
        return cost

    def picture(batch_size: int) -> tuple[Tensor, Tensor]:
        image = torch.rand(batch_size, 3, *size_px).to(place.device, memory_format=torch.channels_last)
        return image, torch.randint(0, num_classes, (batch_size, *size_px)).to(place.device)

    def attempt(part: str, batch_size: int, work: Callable[[Tensor, Tensor], object]) -> None:
        """One part of the result; lack of memory ends that part alone."""
        try:
            setattr(cost, part, work(*picture(batch_size)))
        except (MemoryError, RuntimeError) as cause:
            if not lacks_memory(cause):
                raise
            cost.failures[part] = out_of_memory(net, part, batch_size)
        model.zero_grad(set_to_none=True)

    attempt("forward", 1, lambda image, _: _time_forward(model, image, place, repeats))
    attempt("inference", 1, lambda image, _: _inference_memory(model, image, place, alone=alone))
    if training:
        attempt("backward", 1, lambda image, target: _time_backward(model, image, target, place, repeats))
        attempt(
            "training",
            TRAINING_BATCH,
            lambda image, target: _training_memory(model, image, target, place, alone=alone),
        )
    return cost


def measure_cost_alone(net: str, size_px: tuple[int, int], place: Place, **options: Any) -> Cost:
    """`measure_cost` in a process of its own, so that peak memory is the net's and a killed process is one lost cell.

    Args:
        net: a key of `MODELS`.
        size_px: (height, width).
        place: device and precision.
        options: the keywords of `measure_cost`.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure_cost, net, size_px, place, alone=True, **options).result()
        except BrokenProcessPool:
            cost = _uncosted(net, size_px, place, options.get("num_classes", 11))
            cost.failures["process"] = (
                f"{net}: the process was killed, most likely for lack of memory; a smaller --size, or more memory"
            )
            return cost


def _uncosted(net: str, size_px: tuple[int, int], place: Place, num_classes: int) -> Cost:
    """What is known of a net before anything is measured."""
    model = meta_net(net, num_classes)
    file_bytes = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    return Cost(net, size_px, str(place), sum(p.numel() for p in model.parameters()), file_bytes / 1e6)


def out_of_memory(net: str, part: str, batch_size: int) -> str:
    """The line that says which net ran out of memory, at which batch, and what to try."""
    remedy = "a smaller --size" if batch_size == 1 else f"a smaller --size, or a batch below {batch_size}"
    return f"{net}, {part} at batch {batch_size}: out of memory; try {remedy}, or another --device"


def lacks_memory(cause: BaseException) -> bool:
    """Whether an error says that memory did not suffice, on a processor or on a GPU."""
    return isinstance(cause, MemoryError) or any(words in str(cause) for words in _NO_MEMORY)


# ------------------------------------------------------------------------------------------------ parts


def _time_forward(model: nn.Module, image: Tensor, place: Place, repeats: int) -> Timing:
    model.eval()
    with torch.inference_mode(), place.autocast():
        return measure(lambda: model(image), repeats=repeats)


def _time_backward(model: nn.Module, image: Tensor, target: Tensor, place: Place, repeats: int) -> Timing:
    model.train()
    losses: list[Tensor] = []

    def forward() -> None:
        model.zero_grad(set_to_none=True)
        losses[:] = [_loss(model, image, target, place)]

    def backward() -> None:
        losses[0].backward()

    return measure(backward, repeats=repeats, prepare=forward)


def _inference_memory(model: nn.Module, image: Tensor, place: Place, *, alone: bool) -> PassMemory:
    model.eval()
    weights = _mib(model.parameters()) + _mib(model.buffers())
    _forget_peak(place)
    with torch.inference_mode(), place.autocast():
        model(image)
        process = process_mib(place) if alone or place.device.type == "cuda" else None
        peak = peak_live_bytes(lambda: model(image)) / 2**20
    return PassMemory(1, weights, 0.0, peak, process)


def _training_memory(model: nn.Module, image: Tensor, target: Tensor, place: Place, *, alone: bool) -> PassMemory:
    model.train()
    weights, gradients = _mib(model.parameters()) + _mib(model.buffers()), _mib(model.parameters())

    def step() -> None:
        model.zero_grad(set_to_none=True)
        _loss(model, image, target, place).backward()

    _forget_peak(place)
    step()
    process = process_mib(place) if alone or place.device.type == "cuda" else None
    model.zero_grad(set_to_none=True)
    peak = peak_live_bytes(step) / 2**20
    return PassMemory(image.shape[0], weights, gradients, max(peak - gradients, 0.0), process)


def _loss(model: nn.Module, image: Tensor, target: Tensor, place: Place) -> Tensor:
    with place.autocast():
        logits = model(image)
    return cross_entropy(logits, target)


def _mib(tensors: Any) -> float:
    return float(sum(t.numel() * t.element_size() for t in tensors)) / 2**20


def _forget_peak(place: Place) -> None:
    if place.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place.device)
