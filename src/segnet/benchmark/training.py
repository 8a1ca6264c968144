"""What a training step costs in pictures per second and in memory: the naive port, ours, and ours in low memory."""

import resource
import sys
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from segnet.benchmark.memory import peak_live_bytes
from segnet.benchmark.naive import NaivePort
from segnet.benchmark.timing import Timing, measure
from segnet.engine.device import Place
from segnet.losses import cross_entropy
from segnet.models import create_model
from segnet.recompute import recomputing

Form = Literal["naive", "ours", "low memory"]
FORMS: tuple[Form, ...] = get_args(Form)
NUM_CLASSES = 11


@dataclass(frozen=True)
class TrainingResult:
    """One net in one form, at one size.

    Attributes:
        net: name.
        form: `naive` is the port of `naive.py`; `ours` and `low memory` are the net without and with `recomputing()`.
        batch_size: N.
        size_px: (height, width).
        place: device and precision.
        step: time of forward, loss, backward and SGD step.
        pictures_per_s: by the median step.
        live_memory_mib: peak of maps and gradients alive at once in a step, counted tensor by tensor; weights and
            momentum, which live on, are left out.
        process_memory_mib: peak of the whole process on a CPU since it began, of the allocator on a GPU.
    """

    net: str
    form: Form
    batch_size: int
    size_px: tuple[int, int]
    place: str
    step: Timing
    pictures_per_s: float
    live_memory_mib: float
    process_memory_mib: float

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure_training(
    net: str, form: Form, batch_size: int, size_px: tuple[int, int], place: Place, steps: int = 5
) -> TrainingResult:
    """Times training steps on random pictures after one that warms up.

    Args:
        net: a key of `MODELS`.
        form: one of `FORMS`.
        batch_size: N.
        size_px: (height, width) of the pictures.
        place: device and precision.
        steps: that are timed.

    Raises:
        ConfigError: unknown net.
    """
    torch.manual_seed(0)
    model, layout = _net(net, form, place)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    image = torch.rand(batch_size, 3, *size_px).to(place.device, memory_format=layout)
    target = torch.randint(0, NUM_CLASSES, (batch_size, *size_px)).to(place.device)

    def loss() -> Tensor:
        with place.autocast(), recomputing(form == "low memory"):
            logits = model(image)
        return cross_entropy(logits, target)

    def step() -> None:
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        value.item()  # waits for a GPU

    timing = measure(step, repeats=steps, warmup=1)
    process_peak = process_mib(place)
    return TrainingResult(
        net,
        form,
        batch_size,
        size_px,
        str(place),
        timing,
        batch_size / timing.median_ms * 1e3,
        peak_live_bytes(step) / 2**20,
        process_peak,
    )


def _net(name: str, form: Form, place: Place) -> tuple[nn.Module, torch.memory_format]:
    """The net in training mode on its device, and the order of axes that its pictures have."""
    net = create_model(name, NUM_CLASSES)
    if form == "naive":
        return NaivePort(net).to(place.device).train(), torch.contiguous_format
    return place.ready(net).train(), torch.channels_last


def process_mib(place: Place) -> float:
    """Peak memory of this process since it began on a CPU, of PyTorch's allocator on a GPU, in MiB."""
    if place.device.type == "cuda":
        return torch.cuda.max_memory_allocated(place.device) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
