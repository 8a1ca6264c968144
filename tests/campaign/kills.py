"""Commands stopped at random moments, and run again: nothing half on the disk, and the result of an unbroken run.

A moment is drawn from the seed: a time within the length of an unbroken run, or the n-th time that the command is about
to create, rename or remove a file in its folder. The second kind repeats exactly, and is where files are at risk.

Every command runs in a fork of one process that has imported the library, so that a stop costs a second, not ten.
"""

import ctypes
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from PIL import Image

TEMPORARY = r".*.[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*"  # of segnet.io.files
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
CODES = {"SIGTERM": 143, "SIGINT": 130}


@dataclass(frozen=True)
class Job:
    """A command, and what counts as its result.

    Attributes:
        name: for tables.
        arguments: of `segnet`, given the folder for results.
        is_begun: whether what a stopped run left is to be continued by `--resume`; None for commands without it.
        all_equal: whether every file that bears its final name must be that of the unbroken run at any moment; if not,
            it must be whole.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    is_begun: Callable[[Path], bool] | None = None
    all_equal: bool = True


@dataclass
class Reference:
    """An unbroken run: its length, its changes of files, and what it leaves."""

    seconds: float
    changes: int
    digests: dict[str, str]
    stable: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Stop:
    """One stop of one command, and what was wrong after it."""

    job: str
    signal: str
    moment: str
    stopped: bool
    problems: tuple[str, ...]


def files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def temporaries(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.match(TEMPORARY)]


def digest(path: Path) -> str:
    """Of a file's bytes; of a checkpoint's values, which PyTorch writes differently after they were read."""
    if path.suffix != ".pt" or path.match(TEMPORARY):
        return sha256(path.read_bytes()).hexdigest()
    import torch

    found = sha256()

    def add(value: object) -> None:
        if isinstance(value, torch.Tensor):
            found.update(f"{value.dtype} {tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes())
        elif isinstance(value, dict):
            for key, inner in value.items():
                found.update(repr(key).encode())
                add(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                add(inner)
        else:
            found.update(repr(value).encode())

    add(torch.load(path, weights_only=True))
    return found.hexdigest()


def digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): digest(path) for path in files_in(folder)}


def whole(path: Path) -> str:
    """Why a file is not whole; empty if it is."""
    from segnet.training.checkpoint import load_checkpoint
    from segnet.weights.file import load_weights

    def log_lines() -> None:
        for line in path.read_text().splitlines()[:-1]:  # the last may be cut; reading a log knows that
            json.loads(line)

    def image() -> None:
        with Image.open(path) as opened:
            opened.load()

    checks: dict[str, Callable[[], object]] = {
        ".safetensors": lambda: load_weights(path),
        ".pt": lambda: load_checkpoint(path),
        ".toml": lambda: tomllib.loads(path.read_text()),
        ".json": lambda: json.loads(path.read_text()),
        ".jsonl": log_lines,
        ".png": image,
    }
    try:
        checks.get(path.suffix, lambda: None)()
    except Exception as error:
        return f"{path.name} is half: {type(error).__name__}: {error}"
    if path.suffix == ".html" and not path.read_text().rstrip().endswith("</html>"):
        return f"{path.name} is half"
    return ""


def run_in_child(
    arguments: list[str], room: Path, *, signal_number: int = 0, at: int = 0, spare_mib: int = 0, step_back_s: float = 0
) -> int:
    """Starts `segnet ARGUMENTS` in a fork; its output goes to `room/said.txt`. Returns the process id.

    Args:
        arguments: of the command.
        room: folder that holds everything of this run; changes of files below it count.
        signal_number: sent to itself before change `at`; 0 for none.
        at: 1 is the first change.
        spare_mib: address space that it may take beyond what it begins with; 0 for any.
        step_back_s: the clock of the day goes back by this each time that it is read; 0 for the true one.
    """
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setsid()
        said = os.open(room / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1), os.dup2(said, 2)
        (room / "tmp").mkdir(exist_ok=True)
        os.environ["TMPDIR"] = str(room / "tmp")
        import tempfile

        tempfile.tempdir = None
        signal.signal(signal.SIGINT, signal.default_int_handler)
        count = [0]
        inside = str(room / "out")

        def hook(event: str, args: tuple[object, ...]) -> None:
            if event == "open":
                if not isinstance(args[2], int) or not args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                    return
            elif event not in CHANGES:
                return
            if not str(args[0]).startswith(inside):
                return
            count[0] += 1
            if count[0] == at and signal_number:
                os.kill(os.getpid(), signal_number)

        sys.addaudithook(hook)
        from segnet import cli

        sys.argv = ["segnet", *arguments]
        if step_back_s:
            _let_the_clock_go_back(step_back_s)
        if spare_mib:
            most = (int(Path("/proc/self/statm").read_text().split()[0]) * 4096) + spare_mib * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except Exception:
            traceback.print_exc()  # as Python would
        if spare_mib:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sys.stdout.flush(), sys.stderr.flush()
        (room / "changes.txt").write_text(str(count[0]))
        if hasattr(ctypes.CDLL(None), "disk_calls"):  # under faults.py
            (room / "disk.txt").write_text(str(ctypes.CDLL(None).disk_calls()))
    except KeyboardInterrupt:  # in the lines of this function around the command
        code = 130
    finally:
        os._exit(code)


def _let_the_clock_go_back(by_s: float) -> None:
    true, reads = time.time, [0]

    def earlier() -> float:
        reads[0] += 1
        return true() - by_s * reads[0]

    time.time, time.time_ns = earlier, lambda: int(earlier() * 1e9)


def wait_for(process: int, limit_s: float) -> int | None:
    """The exit code (negative for a signal), or None after the limit: it is then killed."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def unbroken(job: Job, room: Path) -> Reference:
    """Two unbroken runs: files that are equal in both are compared bit by bit later, the others by name."""
    found = []
    for number in (1, 2):
        shutil.rmtree(room, ignore_errors=True)
        (room / "out").mkdir(parents=True)
        begun = time.monotonic()
        code = wait_for(run_in_child(job.arguments(room / "out"), room), 300)
        seconds = time.monotonic() - begun
        assert code == 0, f"{job.name}, run {number}: {code}: {(room / 'said.txt').read_text()}"
        found.append(digests(room / "out"))
    changes = int((room / "changes.txt").read_text())
    assert found[0].keys() == found[1].keys(), found
    stable = {name for name in found[0] if found[0][name] == found[1][name]}
    return Reference(seconds, changes, found[0], stable)


def stop_once(job: Job, reference: Reference, room: Path, rng: random.Random, name: str) -> Stop:
    """Runs a command, stops it at a drawn moment, looks at what it left, runs it again, and compares."""
    shutil.rmtree(room, ignore_errors=True)
    out = room / "out"
    out.mkdir(parents=True)
    if rng.random() < 0.5:
        at = rng.randint(1, max(1, reference.changes))
        moment = f"before change {at} of {reference.changes}"
        process = run_in_child(job.arguments(out), room, signal_number=SIGNALS[name], at=at)
    else:
        delay_s = rng.uniform(0, reference.seconds)
        moment = f"after {delay_s:.2f} s of {reference.seconds:.2f}"
        process = run_in_child(job.arguments(out), room)
        time.sleep(delay_s)
        os.kill(process, SIGNALS[name])
    code = wait_for(process, 120)
    problems = [*_of_the_end(code, name, room, moment), *of_the_files(job, reference, out)]
    problems += of_the_second_run(job, reference, room, had_ended=code == 0)
    return Stop(job.name, name, moment, code != 0, tuple(problems))


def _of_the_end(code: int | None, name: str, room: Path, moment: str) -> list[str]:
    """Whether the process ended as the signal says, in silence, and took its temporary files along."""
    if name == "SIGKILL":
        return [] if code in (0, -9) else [f"exit code {code}"]
    said = (room / "said.txt").read_text() if (room / "said.txt").exists() else ""
    by_itself = code == -SIGNALS[name]  # before Python has installed a handler, or after it has removed it
    problems = [] if by_itself or code in (0, CODES[name]) else [f"exit code {code}"]
    if by_itself and "change" in moment:
        problems.append(f"ended by {name} itself")
    if "Traceback" in said:
        problems.append(f"a traceback: {said.strip().splitlines()[-1]}")
    if not by_itself:
        problems += [f"left {path.relative_to(room)}" for path in temporaries(room / "out")]
        problems += [f"left tmp/{path.name}" for path in (room / "tmp").iterdir()]
    return problems


def of_the_files(job: Job, reference: Reference, out: Path) -> list[str]:
    """Whether every file that bears its final name is whole, or that of the unbroken run."""
    problems = []
    hidden = {file for path in temporaries(out) for file in (path, *path.rglob("*"))}
    for path in files_in(out):
        if path in hidden:
            continue
        relative = path.relative_to(out).as_posix()
        if job.all_equal and relative not in reference.digests:
            problems.append(f"an unknown file {relative}")
        elif job.all_equal and relative in reference.stable:
            if digest(path) != reference.digests[relative]:
                problems.append(f"{relative} differs from the unbroken run's")
        elif why := whole(path):
            problems.append(why)
    return problems


def of_the_second_run(job: Job, reference: Reference, room: Path, *, had_ended: bool) -> list[str]:
    """Runs the command again, with --resume where it is to be, and compares everything with the unbroken run."""
    out, problems = room / "out", []
    resume = ["--resume"] if job.is_begun is not None and job.is_begun(out) else []
    code = wait_for(run_in_child([*job.arguments(out), *resume], room), 300)
    said = (room / "said.txt").read_text()
    if code != 0 and not (had_ended and "not empty" in said):
        problems.append(f"second run: exit code {code}: {said.strip()[-300:]}")
    after, before = digests(out), reference.digests
    problems += [f"second run leaves {name}" for name in sorted(after.keys() - before.keys())]
    problems += [f"second run lacks {name}" for name in sorted(before.keys() - after.keys())]
    differing = [name for name in sorted(reference.stable & after.keys()) if after[name] != before[name]]
    return problems + [f"second run: {name} differs" for name in differing]


def kind_of(problem: str) -> str:
    """A problem without what is random in it."""
    return re.sub(r"[0-9a-f]{8}", "HEX", re.sub(r"train/\S+|\S+\.png", "IMAGE", problem))[:160]


def run_jobs(jobs: list[Job], count: int, seed: int, room: Path, names: tuple[str, ...] = tuple(SIGNALS)) -> list[Stop]:
    """Stops every job `count` times by each signal."""
    stops = []
    for job in jobs:
        reference = unbroken(job, room / job.name)
        print(
            f"{job.name}: {reference.seconds:.1f} s, {reference.changes} changes, bit-equal: "
            f"{len(reference.stable)} of {len(reference.digests)} files",
            flush=True,
        )
        for name in names:
            for number in range(count if name == "SIGKILL" else (count + 2) // 3):
                rng = random.Random(f"{seed}:{job.name}:{name}:{number}")
                stops.append(stop_once(job, reference, room / job.name, rng, name))
        own = [stop for stop in stops if stop.job == job.name]
        kinds = Counter(kind_of(problem) for stop in own for problem in stop.problems)
        stopped, wrong = sum(s.stopped for s in own), sum(bool(s.problems) for s in own)
        print(f"  {len(own)} stops, {stopped} before the end, with problems {wrong}")
        for kind, times in kinds.most_common(12):
            print(f"    {times} x {kind}", flush=True)
    return stops
