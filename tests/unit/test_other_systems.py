"""What Windows and macOS lack: modules of Unix, and folders that can be opened as files."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from segnet.benchmark.measure.training_step import process_mib
from segnet.device import choose_device
from segnet.io.files import whole_file

UNIX_MODULES = ("fcntl", "grp", "pwd", "resource", "termios")


def test_files_are_written_where_folders_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def open_files_only(path: Path, flags: int, *mode: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", open_files_only)
    with whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_peak_memory_is_not_a_number_without_the_resource_module(monkeypatch: pytest.MonkeyPatch) -> None:
    device_spec = choose_device("cpu", "float32")
    assert device_spec.device == torch.device("cpu") and process_mib(device_spec) > 1
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(process_mib(device_spec))


@pytest.mark.slow
def test_every_module_can_be_imported_without_unix() -> None:
    """In a process of its own, after this package's dependencies, which guard themselves."""
    root = Path(__file__).parents[2] / "src"
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in sorted(root.rglob("*.py"))]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = f"""
import importlib.abc, sys
class NoUnix(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        frame, caller = sys._getframe(1), ""
        while frame and not caller:
            if frame.f_code.co_filename.endswith(".py"):
                caller = frame.f_code.co_filename
            frame = frame.f_back
        if name in {UNIX_MODULES!r} and "/segnet/" in caller:
            raise ImportError(name)
for module in {UNIX_MODULES!r}:
    sys.modules.pop(module, None)
sys.meta_path.insert(0, NoUnix())
failed = []
for name in {names!r}:
    for module in {UNIX_MODULES!r}:
        sys.modules.pop(module, None)
    try:
        importlib.import_module(name)
    except ImportError as cause:
        if str(cause) in {UNIX_MODULES!r}:
            failed.append(f"{{name}}: {{cause}}")
print(failed)
"""
    done = subprocess.run(
        [sys.executable, "-c", "import importlib\n" + code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
