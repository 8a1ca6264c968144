"""The command line `segnet`: one file per command or group of commands; this file puts them together.

Errors are one line and exit code 2; `segnet --debug ...` shows the traceback. Ctrl-C exits with 130, SIGTERM with 143.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from segnet.cli.benchmark_measurements import (
    benchmark_initialisation,
    benchmark_latency,
    benchmark_memory,
    benchmark_pareto,
    benchmark_peak,
    benchmark_pooling,
    benchmark_profile,
    benchmark_training,
)
from segnet.cli.benchmark_tables import benchmark_app
from segnet.cli.blend import blend
from segnet.cli.console import complain, say
from segnet.cli.crf import crf_app
from segnet.cli.data import data_app
from segnet.cli.doctor import doctor
from segnet.cli.evaluate import evaluate
from segnet.cli.export import benchmark_export, export
from segnet.cli.import_caffe import import_caffe
from segnet.cli.models import models
from segnet.cli.predict import predict
from segnet.cli.prune import prune
from segnet.cli.push import push
from segnet.cli.quantise import quantise
from segnet.cli.serve import benchmark_serve, serve
from segnet.cli.train import pretrain, train
from segnet.cli.tune import tune
from segnet.errors import ConfigError, SegNetError, lacks_memory
from segnet.version import __version__

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="SegNet: every pixel a class.")


def main() -> None:
    """Runs the program; the entry point `segnet`."""
    try:
        with _ending_by_sigterm():
            app(prog_name="segnet")  # also for `python -m segnet`: the name in usage lines and completion scripts
    except (SegNetError, OSError, MemoryError, RuntimeError) as error:  # all but the first: not caught by the library
        out_of_memory = lacks_memory(error) and not isinstance(error, SegNetError)
        if "--debug" in sys.argv or not (out_of_memory or isinstance(error, SegNetError | OSError)):
            raise
        if "new thread" in str(error):
            error = MemoryError("no thread can be started: memory, or the number of processes (ulimit -u), is used up")
        says_more = str(error) and not (out_of_memory and isinstance(error, RuntimeError))  # Python's own has no text
        message = str(error) if says_more else "out of memory; use smaller images, crops or batches"
        complain(f"segnet: {'MemoryError' if out_of_memory else type(error).__name__}", " ".join(message.splitlines()))
        sys.exit(2)


@contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """SIGTERM leaves through every `finally`, which removes temporary files, instead of ending the process at once.

    Not under torchrun, which sends it to processes that may wait for one that has ended; nor beside another handler.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or "WORLD_SIZE" in os.environ or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _print_version(asked: bool) -> None:
    if asked:
        say(f"segnet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """`main` looks for --debug itself, since errors leave typer before it can."""
    command = context.invoked_subcommand
    if command != "train" and os.environ.get("WORLD_SIZE", "1") != "1":  # as torchrun sets it
        raise ConfigError(f"only `segnet train` runs in several processes; start `segnet {command}` without torchrun")


for _command in (
    import_caffe,
    train,
    evaluate,
    predict,
    serve,
    export,
    quantise,
    prune,
    tune,
    pretrain,
    blend,
    push,
    models,
    doctor,
):
    app.command()(_command)
benchmark_app.command("pooling")(benchmark_pooling)
benchmark_app.command("training")(benchmark_training)
benchmark_app.command("initialisation")(benchmark_initialisation)
benchmark_app.command("latency")(benchmark_latency)
benchmark_app.command("memory")(benchmark_memory)
benchmark_app.command("peak")(benchmark_peak)
benchmark_app.command("pareto")(benchmark_pareto)
benchmark_app.command("profile")(benchmark_profile)
benchmark_app.command("export")(benchmark_export)
benchmark_app.command("serve")(benchmark_serve)
app.add_typer(data_app, name="data")
app.add_typer(crf_app, name="crf")
app.add_typer(benchmark_app, name="benchmark")
