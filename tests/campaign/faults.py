"""Commands on a disk that fails: one clear line, exit code 2, earlier results whole, nothing temporary left.

It fails below the program: `failing_disk.c` stands before libc's write, fsync and rename (Linux, a C compiler); and
a small file system in memory is really full (Linux, root). Memory that runs out and a clock that goes back stand here
too.
"""

import ctypes
import errno
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kills import (
    Job,
    Reference,
    digests,
    of_the_files,
    of_the_second_run,
    run_in_child,
    temporaries,
    unbroken,
    wait_for,
)

FAULTS = {
    "ENOSPC from the n-th call on": (errno.ENOSPC, False),
    "EIO once": (errno.EIO, True),
    "EROFS from the n-th call on": (errno.EROFS, False),
    "short writes from the n-th call on": (0, False),
}


@dataclass(frozen=True)
class Fault:
    """One fault in one command, and what was wrong after it."""

    job: str
    fault: str
    moment: str
    failed: bool
    problems: tuple[str, ...]


def with_failing_disk(arguments: list[str]) -> None:
    """Starts this program again with the failing disk before libc; returns where it stands there already."""
    if hasattr(ctypes.CDLL(None), "disk_fails"):
        return
    library = Path(__file__).with_name("failing_disk.so")
    build = ["gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(library.with_suffix(".c")), "-ldl"]
    subprocess.run(build, check=True)
    os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, "LD_PRELOAD": str(library)})


def fail_once(job: Job, reference: Reference, room: Path, rng: random.Random, fault: str, calls: int) -> Fault:
    """Runs a command on a disk that fails at a drawn call, then on a whole one."""
    code, once = FAULTS[fault]
    shutil.rmtree(room, ignore_errors=True)
    (room / "out").mkdir(parents=True)
    at = rng.randint(1, calls)
    disk = ctypes.CDLL(None)
    disk.disk_fails(str(room / "out").encode(), ctypes.c_long(at), code, int(once))
    exit_code = wait_for(run_in_child(job.arguments(room / "out"), room), 120)
    disk.disk_fails(b"", ctypes.c_long(0), 0, 0)
    problems = _after(exit_code, room, must_fail=bool(code))
    problems += of_the_files(job, reference, room / "out")
    problems += of_the_second_run(job, reference, room, had_ended=exit_code == 0)
    return Fault(job.name, fault, f"call {at} of {calls}", exit_code != 0, tuple(problems))


def fill_once(job: Job, reference: Reference, room: Path, rng: random.Random) -> Fault:
    """Runs a command in a file system of fewer pages than it needs; the second run is elsewhere, on what was left."""
    shutil.rmtree(room, ignore_errors=True)
    (room / "out").mkdir(parents=True)
    pages = rng.randint(8, 40)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={pages * 4}k", "none", str(room / "out")], check=True)
    try:
        exit_code = wait_for(run_in_child(job.arguments(room / "out"), room), 120)
        problems = _after(exit_code, room, must_fail=False)
        problems += of_the_files(job, reference, room / "out")
        subprocess.run(["mount", "-o", "remount,size=64m", str(room / "out")], check=True)
        problems += of_the_second_run(job, reference, room, had_ended=exit_code == 0)
    finally:
        subprocess.run(["umount", str(room / "out")], check=True)
    return Fault(job.name, "full tmpfs", f"{pages * 4} KiB", exit_code != 0, tuple(problems))


def starve_once(job: Job, reference: Reference, room: Path, rng: random.Random) -> Fault:
    """Runs a command with little more address space than it begins with, then with all."""
    shutil.rmtree(room, ignore_errors=True)
    (room / "out").mkdir(parents=True)
    spare_mib = int(2 ** rng.uniform(0, 9))
    exit_code = wait_for(run_in_child(job.arguments(room / "out"), room, spare_mib=spare_mib), 120)
    problems = _after(exit_code, room, must_fail=False)
    problems += of_the_files(job, reference, room / "out")
    problems += of_the_second_run(job, reference, room, had_ended=exit_code == 0)
    return Fault(job.name, "ulimit -v", f"{spare_mib} MiB to spare", exit_code != 0, tuple(problems))


def turn_back_once(job: Job, reference: Reference, room: Path, rng: random.Random) -> Fault:
    """Runs a command while the clock of the day goes back; nothing of its results may depend on that."""
    shutil.rmtree(room, ignore_errors=True)
    (room / "out").mkdir(parents=True)
    step_s = rng.choice((0.5, 60.0, 86_400.0))
    exit_code = wait_for(run_in_child(job.arguments(room / "out"), room, step_back_s=step_s), 120)
    problems = _after(exit_code, room, must_fail=False)
    if exit_code != 0:
        problems.append(f"exit code {exit_code} because of a clock that goes back")
    found = digests(room / "out")
    problems += [f"{n} differs" for n in sorted(reference.stable) if found.get(n) != reference.digests[n]]
    return Fault(job.name, "a clock that goes back", f"{step_s:g} s a time", exit_code != 0, tuple(problems))


def _after(exit_code: int | None, room: Path, *, must_fail: bool) -> list[str]:
    said = (room / "said.txt").read_text()
    problems = [f"exit code {exit_code}: {said.strip()[-200:]}"] if exit_code not in (0, 2) else []
    if must_fail and exit_code == 0 and "WARNING" not in said and "cannot be written" not in said:
        problems.append("exit code 0 in spite of the fault")
    if "Traceback" in said:
        problems.append(f"a traceback: {said.strip().splitlines()[-1]}")
    if exit_code == 2 and not any("rror: " in line or "cannot be" in line for line in said.splitlines()):
        problems.append(f"no clear line: {said.strip()[-200:]}")
    return problems + [f"left {path.relative_to(room)}" for path in temporaries(room / "out")]


def run_faults(jobs: list[Job], count: int, seed: int, room: Path) -> list[Fault]:
    """Lets the disk fail `count` times in each way in each command."""
    found = []
    for job in jobs:
        reference = unbroken(job, room / job.name)
        calls = _calls(job, room / job.name)
        print(f"{job.name}: {calls} calls", flush=True)
        for fault in FAULTS:
            for number in range(count):
                rng = random.Random(f"{seed}:{job.name}:{fault}:{number}")
                found.append(fail_once(job, reference, room / job.name, rng, fault, calls))
        for name, once in (("memory", starve_once), ("clock", turn_back_once)):
            for number in range(count):
                found.append(once(job, reference, room / job.name, random.Random(f"{seed}:{job.name}:{name}:{number}")))
        if os.geteuid() == 0 and shutil.which("mount"):
            for number in range(count):
                rng = random.Random(f"{seed}:{job.name}:tmpfs:{number}")
                found.append(fill_once(job, reference, room / job.name, rng))
        for fault in (f for f in found if f.job == job.name and f.problems):
            print("  ", fault, flush=True)
    return found


def _calls(job: Job, room: Path) -> int:
    """How many calls an unbroken run makes; told by its child through the log of `run_in_child`."""
    shutil.rmtree(room, ignore_errors=True)
    (room / "out").mkdir(parents=True)
    ctypes.CDLL(None).disk_fails(str(room / "out").encode(), ctypes.c_long(0), 0, 0)
    assert wait_for(run_in_child(job.arguments(room / "out"), room), 120) == 0
    ctypes.CDLL(None).disk_fails(b"", ctypes.c_long(0), 0, 0)
    return int((room / "disk.txt").read_text())
