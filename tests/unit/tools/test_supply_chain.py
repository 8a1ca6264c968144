"""What is pinned, under which licences, and what is known of it."""

import importlib.util
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[3] / "tools"


def tool(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_everything_that_the_tests_need_is_pinned_and_torch_is_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tool("lock_versions", monkeypatch)
    pinned = lock.pinned(lock.CONSTRAINTS.read_text())
    needed = lock.closure(["segnet[video,serve]", "pytest", "hypothesis"], {"video": ["av"], "serve": ["httpx"]})
    assert {"av", "anyio", "pluggy", "sortedcontainers"} <= needed.keys() <= pinned.keys()
    assert pinned["torch"] == "2.13.0"
    assert len(pinned) > 100


def test_a_lock_with_a_gap_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tool("lock_versions", monkeypatch)

    def nothing(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(lock, "distribution", nothing)
    with pytest.raises(SystemExit, match=r"av>=14 is required, and is not installed"):
        lock.closure(["av>=14"], {})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", []),
        ("Mozilla Public License 2.0 (MPL 2.0)", []),
        ("GPL-3.0-only OR BSD-3-Clause", []),
        ("MIT AND GPL-3.0-only", ["GPL-3.0-only"]),
        ("MIT AND (Zlib OR GPL-2.0-only)", ["GPL-2.0-only"]),
        ("GNU Affero General Public License v3", ["GNU Affero General Public License v3"]),
        ("not stated", ["not stated"]),
    ],
)
def test_licences(expression: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert tool("licences", monkeypatch).refused(expression) == expected


def test_a_package_that_could_not_be_asked_for_is_not_taken_for_a_safe_one(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = tool("audit", monkeypatch).verdict
    safe = {"name": "a", "version": "1", "vulns": []}
    skipped = {"name": "b", "skip_reason": "not found"}
    bad = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
    assert verdict([safe]) == (0, ["1 of 1 packages asked for, 0 known vulnerabilities"])
    code, lines = verdict([safe, skipped])
    assert code == 3 and lines[-1].startswith("nothing is known of the others, such as b")
    code, lines = verdict([safe, skipped, bad])
    assert code == 1 and lines[:2] == ["c 2: CVE-1; mended in 3", "2 of 3 packages asked for, 1 known vulnerabilities"]
    assert verdict([])[0] == 3


@pytest.mark.slow
def test_two_builds_give_the_same_wheel() -> None:
    done = subprocess.run([sys.executable, TOOLS / "wheel_twice.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (line.split() for line in done.stdout.splitlines())
    assert first == second and first[1].startswith("segnet-") and int(first[2]) > 1_000_000
