"""Training throughput: pictures per second and peak memory of a net's own training step on random pictures."""

import resource
import sys
from dataclasses import asdict, dataclass

import torch

from segnet.benchmark.memory import peak_live_bytes
from segnet.benchmark.timing import measure
from segnet.engine.device import Place
from segnet.losses import cross_entropy
from segnet.models import create_model


@dataclass(frozen=True)
class TrainingResult:
    """One net, one size.

    Attributes:
        net: name.
        batch_size: N.
        size_px: (height, width).
        place: device and precision.
        pictures_per_s: forward, backward and SGD step; median over steps.
        live_memory_mib: peak of activations and gradients alive at once in a step, counted tensor by tensor.
        process_memory_mib: peak of the whole process on a CPU since it began, of the allocator on a GPU.
    """

    net: str
    batch_size: int
    size_px: tuple[int, int]
    place: str
    pictures_per_s: float
    live_memory_mib: float
    process_memory_mib: float

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure_training(
    net: str, batch_size: int, size_px: tuple[int, int], place: Place, steps: int = 5
) -> TrainingResult:
    """Times training steps after one that warms up.

    Args:
        net: a key of `MODELS`.
        batch_size: N.
        size_px: (height, width) of the pictures.
        place: device and precision.
        steps: that are timed.
    """
    torch.manual_seed(0)
    model = place.ready(create_model(net, 11)).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    image = torch.rand(batch_size, 3, *size_px).to(place.device, memory_format=torch.channels_last)
    target = torch.randint(0, 11, (batch_size, *size_px)).to(place.device)

    def step() -> None:
        with place.autocast():
            logits = model(image)
        optimiser.zero_grad(set_to_none=True)
        loss = cross_entropy(logits, target)
        loss.backward()
        optimiser.step()
        loss.item()  # waits for a GPU

    timing = measure(step, repeats=steps, warmup=1)
    process_peak = process_mib(place)
    return TrainingResult(
        net,
        batch_size,
        size_px,
        str(place),
        batch_size / timing.median_ms * 1e3,
        peak_live_bytes(step) / 2**20,
        process_peak,
    )


def process_mib(place: Place) -> float:
    """Peak memory of this process since it began on a CPU, of PyTorch's allocator on a GPU, in MiB."""
    if place.device.type == "cuda":
        return torch.cuda.max_memory_allocated(place.device) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
