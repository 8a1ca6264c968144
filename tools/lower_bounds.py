"""Installs the lowest versions that pyproject.toml allows into a new environment and tries them.

    python tools/lower_bounds.py                 # the package itself
    python tools/lower_bounds.py video serve     # and extras

Each `name>=X` becomes `name==X`. The trial trains on drawn streets, evaluates, predicts and runs the quick unit tests,
so a bound that passes is one that was installed and tried. Deprecation warnings of old versions are no failure here.
The exit code is not 0 where anything fails.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/unit/test_config.py",
    "tests/unit/test_pooling.py",
    "tests/unit/nn",
    "tests/unit/metrics",
    "tests/unit/io",
)
TRIAL = (
    ("-m", "segnet", "--help"),
    ("-m", "segnet", "doctor"),
    (
        "-m",
        "segnet",
        "train",
        "--recipe",
        "street",
        "--out",
        "run",
        "--set",
        "train.epochs=1",
        "--set",
        "data.workers=0",
    ),
    ("-m", "segnet", "data", "draw", "drawn", "--count", "2"),
    ("-m", "segnet", "predict", "drawn/images", "--weights", "run/best.safetensors", "--out", "out"),
)


def lowest(requirements: list[str]) -> list[str]:
    """`name>=X` as `name==X`; anything else stays as it is."""
    return [re.sub(r">=", "==", requirement, count=1) for requirement in requirements]


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = lowest(project["dependencies"])
    for extra in sys.argv[1:]:
        pinned += lowest(project["optional-dependencies"][extra])
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder)
        venv.create(trial / "env", with_pip=True)
        python = str(trial / "env/bin/python")
        print("installing", *pinned, flush=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pinned, "pytest", "hypothesis"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(ROOT)], check=True)
        failed = [step for step in TRIAL if subprocess.run([python, *step], cwd=trial, check=False).returncode]
        tests = [
            python,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-o",
            "addopts=",
            "-o",
            "filterwarnings=",
            *(str(ROOT / test) for test in TESTS),
            f"--ignore={ROOT / 'tests/unit/metrics/test_running.py'}",  # compares with torchmetrics, not installed here
        ]
        if subprocess.run(tests, cwd=ROOT, check=False).returncode:
            failed.append(("pytest",))
    for step in failed:
        print("failed:", *step)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
