"""What a model costs: parameters, time forward and backward, memory in training and inference, and file size.

Time is measured on one random image, after a warm-up, on a clock that waits for the device: median and range.
Memory is the peak of live tensors (`memory.py`), the same number on any device. The peak of the process or the
GPU's allocator is reported next to it.

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

from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.benchmark.measure.timing import Timing, measure
from segnet.benchmark.measure.training_step import process_mib
from segnet.benchmark.paper_tables.storage import meta_model, require_size
from segnet.device import DeviceSpec
from segnet.errors import lacks_memory
from segnet.models import create_model
from segnet.nn.losses import cross_entropy

TRAINING_BATCH = 4


@dataclass(frozen=True)
class PassMemory:
    """Peak memory of one pass, in MiB.

    Attributes:
        batch_size: N.
        weights_mib: parameters and BN statistics.
        gradients_mib: of the parameters; 0 in inference.
        activations_mib: the rest of the peak of live tensors: maps, indices, and temporary outputs of operators.
        process_mib: peak of the process on a CPU (PyTorch itself included), of the allocator on a GPU; None where the
            process measured other models too.
    """

    batch_size: int
    weights_mib: float
    gradients_mib: float
    activations_mib: float
    process_mib: float | None

    @property
    def total_mib(self) -> float:
        """Peak of live tensors, weights included."""
        return self.weights_mib + self.gradients_mib + self.activations_mib


@dataclass
class Cost:
    """Cost of one model on one device. What could not be measured is None, and `failures` says why.

    Attributes:
        model_name: name.
        size_px: (height, width).
        device_spec: device and precision.
        parameters: how many.
        file_mb: size of the weights file in float32, in 10^6 bytes, without its header of some kB.
        forward: of inference on one image.
        backward: of one image, the forward pass not counted.
        inference: memory at batch 1.
        training: memory at batch 4, forward and backward, without the optimiser's own.
        failures: part -> one line.
    """

    model_name: str
    size_px: tuple[int, int]
    device_spec: str
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
    model_name: str,
    size_px: tuple[int, int],
    device_spec: DeviceSpec,
    *,
    num_classes: int = 11,
    training: bool = True,
    repeats: int = 9,
    alone: bool = False,
) -> Cost:
    """Measures a model in this process.

    Args:
        model_name: a key of `MODELS`.
        size_px: (height, width).
        device_spec: device and precision.
        num_classes: K.
        training: also the backward pass and the memory of training.
        repeats: timed calls per measurement.
        alone: this process measures nothing else, so its peak is the model's.

    Raises:
        ConfigError: unknown model.
        ShapeError: too small for the model, with `training`.
    """
    if training:
        require_size(model_name, size_px, 1, num_classes)
    cost = _uncosted(model_name, size_px, device_spec, num_classes)
    torch.manual_seed(0)
    try:
        model = device_spec.ready(create_model(model_name, num_classes))
    except (MemoryError, RuntimeError) as cause:
        if not lacks_memory(cause):
            raise
        cost.failures["model"] = f"{model_name}: out of memory for its weights alone, {cost.file_mb:.0f} MB"
        return cost

    def example(batch_size: int) -> tuple[Tensor, Tensor]:
        image = torch.rand(batch_size, 3, *size_px).to(device_spec.device, memory_format=torch.channels_last)
        return image, torch.randint(0, num_classes, (batch_size, *size_px)).to(device_spec.device)

    def attempt(part: str, batch_size: int, work: Callable[[Tensor, Tensor], object]) -> None:
        """Measures one part of the result; if memory runs out, only that part is missing."""
        try:
            setattr(cost, part, work(*example(batch_size)))
        except (MemoryError, RuntimeError) as cause:
            if not lacks_memory(cause):
                raise
            cost.failures[part] = out_of_memory(model_name, part, batch_size)
        model.zero_grad(set_to_none=True)

    attempt("forward", 1, lambda image, _: _time_forward(model, image, device_spec, repeats))
    attempt("inference", 1, lambda image, _: _inference_memory(model, image, device_spec, alone=alone))
    if training:
        attempt("backward", 1, lambda image, target: _time_backward(model, image, target, device_spec, repeats))
        attempt(
            "training",
            TRAINING_BATCH,
            lambda image, target: _training_memory(model, image, target, device_spec, alone=alone),
        )
    return cost


def measure_cost_alone(model_name: str, size_px: tuple[int, int], device_spec: DeviceSpec, **options: Any) -> Cost:
    """`measure_cost` in its own process, so that peak memory is the model's and a killed process costs one cell only.

    Args:
        model_name: a key of `MODELS`.
        size_px: (height, width).
        device_spec: device and precision.
        options: the keywords of `measure_cost`.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure_cost, model_name, size_px, device_spec, alone=True, **options).result()
        except BrokenProcessPool:
            cost = _uncosted(model_name, size_px, device_spec, options.get("num_classes", 11))
            cost.failures["process"] = (
                f"{model_name}: the process was killed, most likely for lack of memory; "
                "use a smaller --size, or more memory"
            )
            return cost


def _uncosted(model_name: str, size_px: tuple[int, int], device_spec: DeviceSpec, num_classes: int) -> Cost:
    """What is known about a model before anything is measured."""
    model = meta_model(model_name, num_classes)
    file_bytes = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    return Cost(model_name, size_px, str(device_spec), sum(p.numel() for p in model.parameters()), file_bytes / 1e6)


def out_of_memory(model_name: str, part: str, batch_size: int) -> str:
    """The line that says which model ran out of memory, at which batch, and what to try."""
    remedy = "a smaller --size" if batch_size == 1 else f"a smaller --size, or a batch below {batch_size}"
    return f"{model_name}, {part} at batch {batch_size}: out of memory; try {remedy}, or another --device"


# ------------------------------------------------------------------------------------------------ parts


def _time_forward(model: nn.Module, image: Tensor, device_spec: DeviceSpec, repeats: int) -> Timing:
    model.eval()
    with torch.inference_mode(), device_spec.autocast():
        return measure(lambda: model(image), repeats=repeats)


def _time_backward(model: nn.Module, image: Tensor, target: Tensor, device_spec: DeviceSpec, repeats: int) -> Timing:
    model.train()
    losses: list[Tensor] = []

    def forward() -> None:
        model.zero_grad(set_to_none=True)
        losses[:] = [_loss(model, image, target, device_spec)]

    def backward() -> None:
        losses[0].backward()

    return measure(backward, repeats=repeats, prepare=forward)


def _inference_memory(model: nn.Module, image: Tensor, device_spec: DeviceSpec, *, alone: bool) -> PassMemory:
    model.eval()
    weights = _mib(model.parameters()) + _mib(model.buffers())
    _forget_peak(device_spec)
    with torch.inference_mode(), device_spec.autocast():
        model(image)
        process = process_mib(device_spec) if alone or device_spec.device.type == "cuda" else None
        peak = peak_live_bytes(lambda: model(image)) / 2**20
    return PassMemory(1, weights, 0.0, peak, process)


def _training_memory(
    model: nn.Module, image: Tensor, target: Tensor, device_spec: DeviceSpec, *, alone: bool
) -> PassMemory:
    model.train()
    weights, gradients = _mib(model.parameters()) + _mib(model.buffers()), _mib(model.parameters())

    def step() -> None:
        model.zero_grad(set_to_none=True)
        _loss(model, image, target, device_spec).backward()

    _forget_peak(device_spec)
    step()
    process = process_mib(device_spec) if alone or device_spec.device.type == "cuda" else None
    model.zero_grad(set_to_none=True)
    peak = peak_live_bytes(step) / 2**20
    return PassMemory(image.shape[0], weights, gradients, max(peak - gradients, 0.0), process)


def _loss(model: nn.Module, image: Tensor, target: Tensor, device_spec: DeviceSpec) -> Tensor:
    with device_spec.autocast():
        logits = model(image)
    return cross_entropy(logits, target)


def _mib(tensors: Any) -> float:
    return float(sum(t.numel() * t.element_size() for t in tensors)) / 2**20


def _forget_peak(device_spec: DeviceSpec) -> None:
    if device_spec.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device_spec.device)
