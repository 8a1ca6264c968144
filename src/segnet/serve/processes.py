"""Several processes that answer on one port: for more cores than one model uses.

The parent holds the port and computes nothing. Each process loads the models itself, has its own slots and its own
`/metrics`; the system gives each connection to one of them. A process that dies is started again.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import TypeVar

from segnet.errors import ConfigError, SegNetError

T = TypeVar("T")
_RESTART_S = 1.0
_REFUSED = 2


def run_processes(
    count: int, target: Callable[[T, socket.socket, bool], None], command: T, listener: socket.socket, grace_s: float
) -> None:
    """Runs processes until Ctrl-C or SIGTERM.

    Args:
        count: of processes.
        target: run in each: the command, the socket, and whether it is the first and may print.
        command: options of all; can be pickled.
        listener: bound and listening.
        grace_s: seconds that the processes have to end by themselves.

    Raises:
        ConfigError: a process refuses to start; it has said why.
    """
    context = multiprocessing.get_context("spawn")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    stopped = threading.Event()

    def started(number: int) -> BaseProcess:
        process = context.Process(target=_run, args=(target, command, listener, number == 0))
        process.start()
        return process

    before = [(number, signal.signal(number, lambda *_: stopped.set())) for number in (signal.SIGINT, signal.SIGTERM)]
    processes = [started(number) for number in range(count)]
    try:
        while not stopped.wait(_RESTART_S):
            for number, process in enumerate(processes):
                if process.exitcode == _REFUSED:
                    raise ConfigError("serve: a process did not start, see above")
                if process.exitcode is not None:
                    processes[number] = started(number)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(grace_s + 5)
            if process.is_alive():
                process.kill()
                process.join()
        for signal_number, handler in before:
            signal.signal(signal_number, handler)


def _run(target: Callable[[T, socket.socket, bool], None], command: T, listener: socket.socket, first: bool) -> None:
    try:
        target(command, listener, first)
    except SegNetError as error:
        print(f"segnet: {error}", file=sys.stderr)
        sys.exit(_REFUSED)
