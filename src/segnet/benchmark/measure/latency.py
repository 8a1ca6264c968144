"""Inference latency: the naive port, our backends and precisions, and other models under the same conditions.

All ways to run a model alternate, A B C A B C ..., so that drift of the machine's speed affects all alike and their
ratio to the naive port stays valid. Timed from RGB uint8 to class ids, both in CPU memory; random weights.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from segnet.benchmark.measure.memory import peak_live_bytes
from segnet.benchmark.measure.naive import NaiveBackend
from segnet.benchmark.measure.peers import SMP_UNET, create_peer
from segnet.benchmark.measure.timing import Timing, measure_in_turn
from segnet.benchmark.paper_tables.tables import TableText
from segnet.errors import ConfigError
from segnet.labels import CAMVID_11
from segnet.runtime.create import choose_backend
from segnet.runtime.openvino import OpenVINOBackend

TABLE_MODELS = ("segnet", "segnet-basic", "unet", "enet", "fcn-8s", "deeplab-largefov", SMP_UNET)
NAIVE, INT8 = "naive", "openvino int8"
WAYS = (
    *(NAIVE, "eager float32", "eager bfloat16", "compiled bfloat16"),
    *("openvino float32", "openvino bfloat16", "onnxruntime float32"),
)
GPU_WAYS = (NAIVE, "eager float32", "eager float16", "eager bfloat16", "compiled float16", "compiled bfloat16")
CPU = torch.device("cpu")


class _Runs(Protocol):
    def classes(self, image: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Latency:
    """Latency of one model, run one way.

    Attributes:
        model_name: a key of `MODELS`, or `SMP_UNET`.
        way: `naive`, or backend and precision.
        time: wall time of one batch.
        start_up_ms: from the weights file to the first prediction, after importing PyTorch.
        again_ms: the same a second time, with the runtime's disk cache.
        peak_live_mb: peak of live activations, 10^6 bytes; None where the runtime does not expose it.
        file_mb: of the weights file, 10^6 bytes.
        ratio: speed relative to the naive port; None where that was not measured.
        batch_size: images at once.
    """

    model_name: str
    way: str
    time: Timing
    start_up_ms: float
    again_ms: float
    peak_live_mb: float | None
    file_mb: float
    ratio: float | None
    batch_size: int = 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_latency(
    model_name: str,
    ways: Sequence[str] = WAYS,
    size_px: tuple[int, int] = (360, 480),
    repeats: int = 9,
    quantised: Path | None = None,
    *,
    device: torch.device = CPU,
    batch_size: int = 1,
) -> tuple[list[Latency], list[str]]:
    """Measures one model in several ways.

    Args:
        model_name: a key of `MODELS`, or `SMP_UNET`.
        ways: of `WAYS`, or of `GPU_WAYS` for a GPU.
        size_px: (height, width).
        repeats: timed calls per way, after two warm-up calls.
        quantised: int8 file of the same model, measured too as `openvino int8`.
        device: where the model runs.
        batch_size: images at once.

    Returns:
        A record per way that runs here, and a message for each way that does not.

    Raises:
        ConfigError: unknown model or way.
    """
    known = ways_on(device)
    for way in ways:
        if way not in known:
            raise ConfigError(f"unknown way '{way}' to run a model on {device.type}; known: {', '.join(known)}")
    torch.manual_seed(0)
    image = torch.randint(0, 256, (batch_size, 3, *size_px), dtype=torch.uint8)
    runs: dict[str, _Runs] = {}
    start_up_ms: dict[str, list[float]] = {}
    file_mb: dict[str, float] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        try:
            state = create_peer(model_name, CAMVID_11.num_classes).state_dict()
        except ConfigError as cause:
            return [], [f"{model_name}: not measured, {cause}"]
        save_file({name: _stored(tensor) for name, tensor in state.items()}, path)
        files = dict.fromkeys(ways, path) | ({INT8: quantised} if quantised else {})
        for way, file in files.items():
            try:
                start_up_ms[way] = []
                for _ in range(2):
                    began = time.perf_counter()
                    runs[way] = _prepare(model_name, file, way, device)
                    runs[way].classes(image)
                    start_up_ms[way].append((time.perf_counter() - began) * 1e3)
            except (ConfigError, RuntimeError) as cause:  # not installed, or does not support the model
                failures.append(f"{model_name}, {way}: not measured, {str(cause).strip().splitlines()[0]}")
                runs.pop(way, None)
                continue
            file_mb[way] = file.stat().st_size / 1e6
    times = measure_in_turn({way: _call(run, image) for way, run in runs.items()}, repeats=repeats)
    baseline = times[NAIVE].median_ms if NAIVE in times else None
    results = []
    for way, run in runs.items():
        counted = way == NAIVE or way.startswith("eager")
        peak = peak_live_bytes(_call(run, image)) / 1e6 if counted else None
        ratio = baseline / times[way].median_ms if baseline else None
        first_ms, again_ms = start_up_ms[way]
        results.append(Latency(model_name, way, times[way], first_ms, again_ms, peak, file_mb[way], ratio, batch_size))
    return results, failures


def ways_on(device: torch.device) -> tuple[str, ...]:
    """The ways to run a model that a device supports."""
    return WAYS if device.type == "cpu" else GPU_WAYS


def _stored(tensor: Tensor) -> Tensor:
    """Converts filters to 16 bits, as weights files store them."""
    return tensor.half() if tensor.dim() > 1 else tensor


def _prepare(model_name: str, path: Path, way: str, device: torch.device) -> _Runs:
    if way == INT8:
        return OpenVINOBackend.from_quantised(path)
    model = create_peer(model_name, CAMVID_11.num_classes).eval()
    model.load_state_dict(load_file(path))
    if way == NAIVE:
        return NaiveBackend(model, device)
    backend, precision = way.split()
    return choose_backend(model, backend, device, precision, kept=path.parent / way)  # type: ignore[arg-type] # of WAYS


def _call(run: _Runs, image: Tensor) -> Any:
    return lambda: run.classes(image)


def latency_table(
    results: Sequence[Latency], size_px: tuple[int, int], failures: Sequence[str] = (), *, device: torch.device = CPU
) -> TableText:
    """The records as a table."""
    batch_size = results[0].batch_size if results else 1
    rows = tuple(
        (
            r.model_name,
            r.way,
            f"{r.time.median_ms:.1f}",
            f"{r.time.min_ms:.1f} to {r.time.max_ms:.1f}",
            f"{1e3 * r.batch_size / r.time.median_ms:.1f}",
            "-" if r.peak_live_mb is None else f"{r.peak_live_mb:.1f}",
            f"{r.file_mb:.1f}",
            f"{r.start_up_ms:.0f}, {r.again_ms:.0f}",
            "-" if r.ratio is None else f"{r.ratio:.1f}x",
        )
        for r in results
    )
    heads = (
        "model",
        "run by",
        "median ms",
        "spread",
        "images/s",
        "live MB",
        "file MB",
        "start-up ms, again",
        "to naive",
    )
    images = "one image" if batch_size == 1 else f"{batch_size} images at once"
    where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else torch.cuda.get_device_name(device)
    title = f"Latency of {images}, {size_px[0]}x{size_px[1]}, {where}"
    notes = (
        f"From RGB uint8 to class ids, batch {batch_size}, random weights; the ways to run a model alternated.",
        "`live MB`: peak of live activations, without weights; not measured inside other runtimes.",
        "`start-up ms`: from the weights file to the first prediction, with conversion and compilation; then again.",
        "`naive` for models other than SegNet: the unchanged PyTorch model, float32.",
        *failures,
    )
    return TableText("latency", title, heads, rows, notes)
