"""A queue of long commands: one at a time, in the background, at the lowest priority, going on after any stop.

    python tools/training_queue.py start --file queue.toml     # works through the list; starts itself in the background
    python tools/training_queue.py status                      # what is done, what runs, what failed
    python tools/training_queue.py pause | resume              # for timings: SIGSTOP and SIGCONT to all that runs
    python tools/training_queue.py stop                        # ends what runs; `start` goes on with it

The list is TOML, one table for each command, and may grow while the queue runs:

    [[command]]
    name = "table1-median"
    run = "segnet benchmark table1 --data CAMVID --weighting median --out runs/table1"

Commands must be resumable: one that was stopped, by `stop`, a reboot or `kill -9`, is started again. One that fails is
recorded with its exit code, and the queue goes on. State and one log for each command are in `--runs` (`runs/queue`).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

State = dict[str, dict[str, Any]]
POLL_S = 5.0


def read_list(path: Path) -> list[dict[str, str]]:
    """The commands of the list, in order.

    Raises:
        SystemExit: the file is missing, is not TOML, or a command has no name, no line to run, or a name twice.
    """
    try:
        commands: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("command", [])
    except (OSError, tomllib.TOMLDecodeError) as cause:
        raise SystemExit(f"{path}: expected a TOML list of commands, got: {cause}") from None
    if not isinstance(commands, list) or not all(isinstance(command, dict) for command in commands):
        raise SystemExit(f"{path}: expected [[command]] tables, got {commands!r}")
    names = [command.get("name", "") for command in commands]
    for command in commands:
        if not command.get("name") or not command.get("run") or names.count(command["name"]) > 1:
            raise SystemExit(f"{path}: expected [[command]] tables with `run` and a `name` of their own, got {command}")
    return list(commands)


def read_state(runs: Path) -> State:
    path = runs / "state.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_state(runs: Path, state: State) -> None:
    """Whole or not at all: a reader never sees half of it."""
    temporary = runs / "state.json.part"
    temporary.write_text(json.dumps(state, indent=1))
    temporary.replace(runs / "state.json")


def is_alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"  # a zombie has ended


def work(file: Path, runs: Path) -> None:
    """Runs what is not finished, until the list has nothing left."""
    runs.mkdir(parents=True, exist_ok=True)
    (runs / "worker.pid").write_text(str(os.getpid()))
    while (command := _next(read_list(file), read_state(runs))) is not None:
        name = command["name"]
        with (runs / f"{name}.log").open("ab") as log:
            # a session of its own: pause and stop reach the command and all that it starts
            process = subprocess.Popen(
                ["nice", "-n", "19", "bash", "-c", command["run"]],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            _record(runs, name, status="running", pid=process.pid, started=time.time(), run=command["run"])
            code = process.wait()
        status = "done" if code == 0 else "failed"
        _record(runs, name, status=status, pid=None, ended=time.time(), exit_code=code)
        print(f"{name}: {status}, exit code {code}", flush=True)


def _next(commands: list[dict[str, str]], state: State) -> dict[str, str] | None:
    """The first command that neither ended nor failed; one that was running when the queue was stopped counts again."""
    waiting = (c for c in commands if state.get(c["name"], {}).get("status") not in {"done", "failed"})
    return next(waiting, None)


def _record(runs: Path, name: str, **facts: Any) -> None:
    state = read_state(runs)
    state[name] = {**state.get(name, {}), **facts}
    write_state(runs, state)


def _running(runs: Path) -> tuple[str, int] | None:
    for name, facts in read_state(runs).items():
        if facts.get("status") == "running" and is_alive(facts.get("pid")):
            return name, facts["pid"]
    return None


def _worker(runs: Path) -> int | None:
    path = runs / "worker.pid"
    pid = int(path.read_text()) if path.exists() else None
    return pid if is_alive(pid) else None


def start(file: Path, runs: Path) -> None:
    """Starts the worker, detached from this terminal.

    Raises:
        SystemExit: it runs already, or the list cannot be read.
    """
    read_list(file)
    if _worker(runs):
        raise SystemExit(f"the queue of {runs} is running already; see `status`")
    if orphan := _running(runs):  # the worker was killed and its command was not
        raise SystemExit(f"'{orphan[0]}' still runs as process {orphan[1]} without its queue; `stop` it, then start")
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / "worker.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, __file__, "work", "--file", str(file.resolve()), "--runs", str(runs.resolve())],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def stop(runs: Path) -> None:
    """Ends the worker first, so that it starts nothing else, then the command with all its processes."""
    if pid := _worker(runs):
        os.kill(pid, signal.SIGKILL)
    if found := _running(runs):
        name, pid = found
        os.killpg(pid, signal.SIGCONT)
        os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        if is_alive(pid):
            os.killpg(pid, signal.SIGKILL)
        _record(runs, name, status="stopped", pid=None)


def send(runs: Path, number: signal.Signals) -> None:
    """Pauses or resumes the command that runs."""
    if (found := _running(runs)) is None:
        raise SystemExit(f"no command of {runs} is running")
    os.killpg(found[1], number)


def status(file: Path, runs: Path) -> str:
    """One line for each command, in the order of the list."""
    state = read_state(runs)
    lines = []
    for command in read_list(file):
        facts = state.get(command["name"], {})
        word = facts.get("status", "waiting")
        if word == "running" and not is_alive(facts.get("pid")):
            word = "interrupted"
        code = f", exit code {facts['exit_code']}" if facts.get("exit_code") else ""
        lines.append(f"{word:12}{command['name']}{code}")
    return "\n".join([*lines, "queue: " + ("running" if _worker(runs) else "not running")])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("do", choices=["start", "status", "pause", "resume", "stop", "work"])
    parser.add_argument("--file", type=Path, default=Path("runs/queue.toml"), help="the list of commands")
    parser.add_argument("--runs", type=Path, default=Path("runs/queue"), help="folder of state and logs")
    asked = parser.parse_args()
    if asked.do == "start":
        start(asked.file, asked.runs)
    elif asked.do == "work":
        work(asked.file, asked.runs)
    elif asked.do == "stop":
        stop(asked.runs)
    elif asked.do == "status":
        print(status(asked.file, asked.runs))
    else:
        send(asked.runs, signal.SIGSTOP if asked.do == "pause" else signal.SIGCONT)


if __name__ == "__main__":
    main()
