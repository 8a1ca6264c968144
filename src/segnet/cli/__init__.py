"""The command line `segnet`: one file for the commands of a kind, put in order here.

Errors are one line and exit code 2; `segnet --debug ...` shows the traceback. Ctrl-C exits with 130.
"""

import os
import sys
from typing import Annotated

import typer

from segnet.cli.about import doctor, models
from segnet.cli.benchmark import benchmark_app
from segnet.cli.blend import blend
from segnet.cli.caffe import import_caffe
from segnet.cli.console import complain
from segnet.cli.crf import crf_app
from segnet.cli.data import data_app
from segnet.cli.evaluate import evaluate
from segnet.cli.export import benchmark_export, export
from segnet.cli.measure import benchmark_latency, benchmark_memory, benchmark_profile
from segnet.cli.predict import predict
from segnet.cli.push import push
from segnet.cli.quantise import quantise
from segnet.cli.serve import benchmark_serve, serve
from segnet.cli.train import pretrain, train
from segnet.cli.tune import tune
from segnet.errors import ConfigError, SegNetError

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="SegNet: every pixel a class."
)


def main() -> None:
    """Runs the program; the entry point `segnet`."""
    try:
        app()
    except (SegNetError, OSError, MemoryError) as error:  # of the last two, those that no room has words for
        if "--debug" in sys.argv:
            raise
        told = str(error) if str(error) or not isinstance(error, MemoryError) else "not enough; take smaller pieces"
        complain(f"segnet: {type(error).__name__}", " ".join(told.splitlines()))
        sys.exit(2)


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
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
    tune,
    pretrain,
    blend,
    push,
    models,
    doctor,
):
    app.command()(_command)
benchmark_app.command("latency")(benchmark_latency)
benchmark_app.command("memory")(benchmark_memory)
benchmark_app.command("profile")(benchmark_profile)
benchmark_app.command("export")(benchmark_export)
benchmark_app.command("serve")(benchmark_serve)
app.add_typer(data_app, name="data")
app.add_typer(crf_app, name="crf")
app.add_typer(benchmark_app, name="benchmark")
