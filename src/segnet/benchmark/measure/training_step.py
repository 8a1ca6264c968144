"""Speed and memory of a training step: the naive port, our model, and our model in low memory."""

import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.benchmark.measure.naive import NaivePort
from segnet.benchmark.measure.timing import Timing, measure
from segnet.benchmark.paper_tables.tables import TableText
from segnet.device import DeviceSpec
from segnet.models import create_model
from segnet.nn.losses import cross_entropy
from segnet.nn.recompute import recomputing

Form = Literal["naive", "ours", "low memory"]
FORMS: tuple[Form, ...] = get_args(Form)
NUM_CLASSES = 11


@dataclass(frozen=True)
class TrainingResult:
    """One model in one form, at one size.

    Attributes:
        model_name: name.
        form: `naive` is the port of `naive.py`; `ours` and `low memory` are our model without and with `recomputing()`.
        batch_size: N.
        size_px: (height, width).
        device_spec: device and precision.
        step: time of forward, loss, backward and SGD step.
        images_per_s: from the median step.
        live_memory_mib: peak of feature maps and gradients alive at once in a step, counted by tensor; weights and
            momentum are not included.
        process_memory_mib: peak of the whole process since its start on a CPU, of the allocator on a GPU.
    """

    model_name: str
    form: Form
    batch_size: int
    size_px: tuple[int, int]
    device_spec: str
    step: Timing
    images_per_s: float
    live_memory_mib: float
    process_memory_mib: float

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure_training(
    model_name: str, form: Form, batch_size: int, size_px: tuple[int, int], device_spec: DeviceSpec, steps: int = 5
) -> TrainingResult:
    """Times training steps on random images after one warm-up step.

    Args:
        model_name: a key of `MODELS`.
        form: one of `FORMS`.
        batch_size: N.
        size_px: (height, width) of the images.
        device_spec: device and precision.
        steps: timed steps.

    Raises:
        ConfigError: unknown model.
    """
    torch.manual_seed(0)
    model, layout = _model(model_name, form, device_spec)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    image = torch.rand(batch_size, 3, *size_px).to(device_spec.device, memory_format=layout)
    target = torch.randint(0, NUM_CLASSES, (batch_size, *size_px)).to(device_spec.device)

    def loss() -> Tensor:
        with device_spec.autocast(), recomputing(form == "low memory"):
            logits = model(image)
        return cross_entropy(logits, target)

    def step() -> None:
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        value.item()  # synchronises a GPU

    timing = measure(step, repeats=steps, warmup=1)
    process_peak = process_mib(device_spec)
    return TrainingResult(
        model_name,
        form,
        batch_size,
        size_px,
        str(device_spec),
        timing,
        batch_size / timing.median_ms * 1e3,
        peak_live_bytes(step) / 2**20,
        process_peak,
    )


def measure_all_forms(
    models: Sequence[str], batch_size: int, size_px: tuple[int, int], device_spec: DeviceSpec, steps: int = 5
) -> list[TrainingResult]:
    """Measures every model in every form, each in its own process; arguments and errors as in `measure_training`."""
    results = []
    for model in models:
        for form in FORMS:
            # a new process: the peak of its memory is then that of this model and form alone
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                measured = pool.submit(measure_training, model, form, batch_size, size_px, device_spec, steps)
                results.append(measured.result())
    return results


def training_table(results: Sequence[TrainingResult]) -> TableText:
    """The results as a table; ratios are to the naive port of the same model, which must be among them."""
    naive = {r.model_name: r for r in results if r.form == "naive"}
    rows = []
    for r in results:
        port = naive[r.model_name]
        rows.append(
            (
                *(r.model_name, r.form),
                *(f"{r.images_per_s:.2f}", f"{r.images_per_s / port.images_per_s:.2f}"),
                *(f"{r.live_memory_mib:.0f}", f"{r.live_memory_mib / port.live_memory_mib:.2f}"),
                f"{r.process_memory_mib:.0f}",
            )
        )
    columns = ("model", "form", "images/s", "x naive", "tensors MiB", "x naive", "process MiB")
    first = results[0]
    size = f"{first.size_px[0]}x{first.size_px[1]}"
    title = f"training step, {size}, batch {first.batch_size}, {first.device_spec}"
    return TableText("training", title, columns, tuple(rows))


def _model(name: str, form: Form, device_spec: DeviceSpec) -> tuple[nn.Module, torch.memory_format]:
    """Returns the model in training mode on its device, and the memory format of its images."""
    model = create_model(name, NUM_CLASSES)
    if form == "naive":
        return NaivePort(model).to(device_spec.device).train(), torch.contiguous_format
    return device_spec.ready(model).train(), torch.channels_last


def process_mib(device_spec: DeviceSpec) -> float:
    """Peak memory in MiB: of this process since its start on a CPU, of PyTorch's allocator on a GPU; NaN on Windows."""
    if device_spec.device.type == "cuda":
        return torch.cuda.max_memory_allocated(device_spec.device) / 2**20
    try:
        import resource  # noqa: PLC0415 (Windows does not have it)
    except ImportError:
        return math.nan
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
