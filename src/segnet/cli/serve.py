"""The command line's `segnet serve`: the HTTP service and the web demo."""

import re
from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import out_console, say
from segnet.cli.options import (
    DeviceOption,
    PrecisionOption,
    amount,
    backend_name,
    command_line,
    device_name,
    precision_name,
    size_px,
)
from segnet.errors import ConfigError

RuntimeOption = Annotated[
    str, typer.Option(help="Folder with onnxruntime-web's files; npm fetches them once; empty looks in the cache.")
]
SamplesOption = Annotated[Path | None, typer.Option(help="Folder of images to offer beside the drawn streets.")]


def serve(
    weights: Annotated[
        list[str] | None, typer.Option(help="Name of weights that ship, or a file; as often as needed.")
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    samples: SamplesOption = None,
    runtime: RuntimeOption = "",
    max_megabytes: Annotated[float, typer.Option(help="Of one request.")] = 16,
    max_megapixels: Annotated[float, typer.Option(help="Of one image.")] = 4,
    places: Annotated[int, typer.Option(help="Images at one time; above it the answer is 429.")] = 16,
    batch_size: Annotated[int, typer.Option(help="Images of one size that the model sees together.")] = 4,
    timeout_s: Annotated[float, typer.Option(help="Seconds in which the model must answer.")] = 60,
    backend: Annotated[str, typer.Option(help="auto, eager (PyTorch), openvino or onnxruntime.")] = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Serve the web demo and the HTTP API: open the address in a browser, or POST images to /v1/segment."""
    from segnet.runtime.backend import require

    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(module, "serve")
    from segnet.serve.app import create_app
    from segnet.serve.assets import Offer, require_exporter, site_assets
    from segnet.serve.browser_runtime import find_runtime
    from segnet.serve.limits import Limits
    from segnet.serve.models import load_models
    from segnet.serve.run import listen, serve_until_stopped

    limits = Limits(
        max_bytes=_millions("--max-megabytes", max_megabytes),
        max_pixels=_millions("--max-megapixels", max_megapixels),
        places=places,
        batch_size=batch_size,
        answer_s=amount("--timeout-s", timeout_s),
    )
    why_no_browser, browser_runtime = "", None
    try:
        browser_runtime = find_runtime(runtime)
        require_exporter()
    except ConfigError as error:
        if runtime:
            raise
        why_no_browser, browser_runtime = str(error), None
    with listen(host, port) as listener:
        models = load_models(
            weights or ["segnet-basic-camvid"],
            backend=backend_name(backend),
            device=device_name(device),
            precision=precision_name(precision),
        )
        offers = [
            Offer(m.name, m.weights, m.predictor.card, str(m.predictor), m.bayesian, m.quantised)
            for m in models.values()
        ]
        assets = site_assets(
            offers,
            samples=samples,
            runtime=browser_runtime,
            why_no_browser=why_no_browser,
            max_pixels=limits.max_pixels,
        )
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

        def ready() -> None:
            say(f"{', '.join(models)} at {address} (Ctrl-C stops)")
            if why_no_browser:
                say(f"the model does not run in the browser: {why_no_browser}", "dim")

        serve_until_stopped(create_app(models, limits, assets), listener, ready, grace_s=timeout_s)


def benchmark_serve(
    weights: Annotated[str, typer.Option(help="Name of weights that ship, or a file.")] = "segnet-basic-camvid",
    clients: Annotated[str, typer.Option(help="At one time; numbers with commas between.")] = "1,8,64",
    seconds: Annotated[float, typer.Option(min=1, help="Of each number of clients.")] = 30,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the image.")] = "360x480",
    out: Annotated[Path, typer.Option(help="Folder for the table as Markdown and JSON.")] = Path("results"),
) -> None:
    """The service under load: requests/s, waiting times, refusals, errors, memory, and whether /healthz answers."""
    from segnet.benchmark.measure.service_load import load_table, measure_load
    from segnet.benchmark.paper_tables.results import show_and_write

    counts = [_count(text) for text in clients.split(",")]
    results = measure_load(weights, counts, amount("--seconds", seconds), size_px(size))
    show_and_write(
        load_table(results, size_px(size)), [load.to_dict() for load in results], out, out_console, command_line()
    )


def _millions(option: str, value: float) -> int:
    return round(amount(option, 1e6 * amount(option, value)))  # a million times 1e305 is not finite


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text.strip()) or not int(text):
        raise ConfigError(f"clients '{text}': expected numbers from 1 with commas between, for example 1,8,64")
    return int(text)
