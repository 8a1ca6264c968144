"""The short form of `make campaign`: a few stops of each command, at changes of files that the seed draws."""

import sys
from pathlib import Path

import pytest
import torch

if sys.platform == "win32":
    pytest.skip("forks and signals", allow_module_level=True)

from kills import Job, stop_once, unbroken, whole
from tiny_jobs import tiny_jobs, tiny_weights


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    return {job.name: job for job in tiny_jobs(tmp_path_factory.mktemp("inputs"))}


@pytest.fixture
def one_thread() -> object:
    """A fork has no other threads; those of PyTorch's pool would be waited for."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_a_half_file_of_each_kind_is_told(tmp_path: Path) -> None:
    weights = tiny_weights(tmp_path / "a.safetensors", 2)
    assert whole(weights) == ""
    for name, content in {
        "b.safetensors": weights.read_bytes()[:-1],
        "c.pt": b"PK",
        "d.toml": b"a = ",
        "e.json": b"{",
        "f.png": b"\x89PNG",
        "g.jsonl": b"{\n{}\n",
        "h.html": b"<html>",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert whole(tmp_path / name).startswith(f"{name} is half")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["predict", "data-import", "data-draw"])
def test_stopped_before_a_change_of_a_file_and_run_again(name: str, jobs: dict[str, Job], tmp_path: Path) -> None:
    import segnet.data.importers
    import segnet.inference.predictor  # noqa: F401 (once, not in every fork)

    reference = unbroken(jobs[name], tmp_path / "run")
    assert reference.stable == reference.digests.keys()
    for seed, signal_name in enumerate(("SIGKILL", "SIGTERM", "SIGINT")):
        at = (2 * seed + 1) * reference.changes // 6 + 1
        stop = stop_once(jobs[name], reference, tmp_path / "run", _Fixed(at), signal_name)
        assert stop.stopped and stop.problems == (), stop


class _Fixed:
    """Draws one change."""

    def __init__(self, at: int) -> None:
        self._at = at

    def random(self) -> float:
        return 0.0

    def randint(self, *_: int) -> int:
        return self._at
