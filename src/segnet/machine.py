"""The machine of a measurement: date, versions, processor, cores, GPU."""

import os
import platform
from datetime import date
from pathlib import Path

import numpy as np
import PIL
import torch

from segnet.version import __version__


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_facts() -> dict[str, str]:
    """Returns today's date, software versions and hardware, by name."""
    facts = {
        "Date": date.today().isoformat(),
        "SegNet": __version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "NumPy": np.__version__,
        "Pillow": PIL.__version__,
        "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Processor": f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
    }
    if torch.cuda.is_available():
        facts["GPU"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    """The processor's name if the system reports it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
