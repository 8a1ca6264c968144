"""Runs mutated inputs in a child process, which may die or hang: then the input is a finding, and the run goes on."""

import json
import os
import select
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from mutated_inputs import LIMIT_S, kinds_of, limit_memory, mutated, outcome_of


@dataclass
class Counts:
    """What became of the inputs of a kind; of each kind of finding the count and the first index."""

    inputs: int = 0
    answers: int = 0
    refusals: int = 0
    findings: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, index: int, what: str, reason: str) -> None:
        self.inputs += 1
        self.answers += what == "answer"
        self.refusals += what == "refusal"
        if what == "finding":
            count, first = self.findings.get(reason, (0, index))
            self.findings[reason] = (count + 1, first)


def run_kind(name: str, seed: int, room: Path, *, seconds: float, most: int, kept: Path | None = None) -> Counts:
    """As many inputs of a kind as fit in the time, at most `most`; findings are kept as files in `kept`."""
    counts, index, left_s = Counts(), 0, seconds
    while index < most and left_s > 0:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _in_child(name, seed, room, index, most, left_s, writer)
        os.close(writer)
        begun = time.monotonic()
        index = _follow(reader, child, index, counts)
        left_s -= time.monotonic() - begun
        os.close(reader)
    if kept is not None and counts.findings:
        kinds = kinds_of((name,), room / "again")
        kept.mkdir(parents=True, exist_ok=True)
        for number, (_, first) in enumerate(counts.findings.values()):
            of, data = mutated(kinds, name, seed, first)
            (kept / f"{name}.{number}.{first}.{of}").write_bytes(data)
    return counts


def _in_child(name: str, seed: int, room: Path, index: int, most: int, seconds: float, writer: int) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes its complaints there
        folder = room / f"{name}-{index}"
        folder.mkdir(parents=True)
        kinds = kinds_of((name,), folder / "kinds")
        limit_memory()
        os.write(writer, b"[]\n")
        until = time.monotonic() + seconds
        while index < most and time.monotonic() < until:
            of, data = mutated(kinds, name, seed, index)
            path = folder / of
            path.write_bytes(data)
            found = outcome_of(kinds[name], path)
            os.write(writer, json.dumps([index, found.what, found.reason[:400]]).encode() + b"\n")
            index += 1
        os.write(writer, b'["end"]\n')
    finally:
        os._exit(0)


def _follow(reader: int, child: int, index: int, counts: Counts) -> int:
    """Reads results until the child ends; returns the next index."""
    left, patience_s, ended = b"", 120.0, False
    while True:
        if not select.select([reader], [], [], patience_s)[0]:
            os.kill(child, signal.SIGKILL)
            break
        read = os.read(reader, 1 << 16)
        if not read:
            break
        *lines, left = (left + read).split(b"\n")
        for line in lines:
            record = json.loads(line)
            if record == ["end"]:
                ended = True
            elif record:
                counts.add(*record)
                index = record[0] + 1
            patience_s = 12 * LIMIT_S  # of wall time: the child itself counts its CPU time
    _, status = os.waitpid(child, 0)
    if not ended:
        counts.add(index, "finding", f"the process ended: {os.waitstatus_to_exitcode(status)}")
        index += 1
    return index
