"""Builds the wheel twice, from two copies of the source in two folders, and compares them byte by byte.

    .venv/bin/python tools/wheel_twice.py

Each copy holds what git tracks. The exit code is 1 where the wheels differ. The build system is the one that is
installed and pinned, so it needs no network.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EPOCH = "1767225600"  # 2026-01-01: the time that every file in the wheel bears


def build(room: Path) -> Path:
    """Copies the source into a folder and builds its wheel there."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        target = room / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(room),
        str(room / "source"),
    ]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    return next(room.glob("*.whl"))


def main() -> int:
    """Prints both hashes."""
    with tempfile.TemporaryDirectory() as folder:
        wheels = []
        for name in ("a", "another-name"):
            room = Path(folder) / name
            room.mkdir()
            wheels.append(build(room))
            time.sleep(2)  # a time stamp of the clock would differ
        hashes = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
        for wheel, digest in zip(wheels, hashes, strict=True):
            print(f"{digest}  {wheel.name}, {wheel.stat().st_size} bytes")
    return 0 if hashes[0] == hashes[1] else 1


if __name__ == "__main__":
    sys.exit(main())
