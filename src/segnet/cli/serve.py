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
    str, typer.Option(help="Folder with onnxruntime-web's files; npm fetches them once; default: the cache.")
]
SamplesOption = Annotated[Path | None, typer.Option(help="Folder of example images, before the drawn streets.")]


def serve(
    weights: Annotated[list[str] | None, typer.Option(help="Name of weights that ship, or a file; repeatable.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 uses a free one.")] = 8000,
    samples: SamplesOption = None,
    runtime: RuntimeOption = "",
    max_megabytes: Annotated[float, typer.Option(help="Size limit of a request.")] = 16,
    max_megapixels: Annotated[float, typer.Option(help="Size limit of an image.")] = 4,
    slots: Annotated[int, typer.Option(help="Images in work at one time; more are refused with 429.")] = 16,
    per_client: Annotated[float, typer.Option(help="Share of slots and uploads that one client may hold, 0..1.")] = 0.5,
    batch_size: Annotated[int, typer.Option(help="Images of one size per batch.")] = 4,
    timeout_s: Annotated[float, typer.Option(help="Seconds in which an image must be answered.")] = 60,
    grace_s: Annotated[float, typer.Option(help="Seconds that requests have to end after SIGTERM or Ctrl-C.")] = 25,
    connections: Annotated[
        int, typer.Option(min=8, help="Connections at one time; more close the longest idle.")
    ] = 512,
    proxy: Annotated[
        str, typer.Option(help="Addresses of trusted proxies (X-Forwarded-For), comma-separated.")
    ] = "127.0.0.1,::1",
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Page of another host that may use the API (CORS); repeatable.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file: serve https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    api_keys: Annotated[Path | None, typer.Option(help="Text file, one key a line: /v1 and /v2 need one.")] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes; each loads the models.")] = 1,
    access_log: Annotated[bool, typer.Option(help="One line of JSON per request on standard error.")] = False,
    backend: Annotated[str, typer.Option(help="auto, eager (PyTorch), openvino or onnxruntime.")] = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Serve the web demo and the HTTP API: open the address in a browser, or POST images to /v1/segment."""
    from segnet.runtime.backend import require

    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(module, "serve")
    from segnet.serve.command import Command, run_service
    from segnet.serve.connections import ConnectionLimits
    from segnet.serve.keys import read_keys
    from segnet.serve.limits import Limits

    limits = Limits(
        max_bytes=_millions("--max-megabytes", max_megabytes),
        max_pixels=_millions("--max-megapixels", max_megapixels),
        slots=slots,
        per_client=per_client,
        batch_size=batch_size,
        answer_s=amount("--timeout-s", timeout_s),
    )
    if (tls_certificate is None) != (tls_key is None):
        raise ConfigError("--tls-certificate and --tls-key: expected both or neither")
    command = Command(
        weights=tuple(weights or ["segnet-basic-camvid"]),
        host=host,
        port=port,
        samples=samples,
        runtime=runtime,
        limits=limits,
        backend=backend_name(backend),
        device=device_name(device),
        precision=precision_name(precision),
        grace_s=amount("--grace-s", grace_s),
        connections=ConnectionLimits(connections, max(4, connections // 4)),
        proxies=proxy,
        allowed_origins=tuple(allow_origin or ()),
        tls=(tls_certificate, tls_key) if tls_certificate and tls_key else None,
        access_log=access_log,
        api_keys=tuple(read_keys(api_keys)) if api_keys else (),
        processes=processes,
    )
    run_service(command, say)


def benchmark_serve(
    weights: Annotated[str, typer.Option(help="Name of weights that ship, or a file.")] = "segnet-basic-camvid",
    clients: Annotated[str, typer.Option(help="Concurrent clients, comma-separated.")] = "1,8,64",
    seconds: Annotated[float, typer.Option(min=1, help="Duration of each measurement.")] = 30,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the image.")] = "360x480",
    attacks: Annotated[bool, typer.Option("--attacks", help="One normal client under attacks instead.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the table as Markdown and JSON.")] = Path("results"),
) -> None:
    """Measure the service under load: requests/s, latency, refusals, errors, memory, health checks."""
    from segnet.benchmark.measure.service_attacks import attack_table, measure_attacks
    from segnet.benchmark.measure.service_load import load_table, measure_load
    from segnet.benchmark.paper_tables.results import show_and_write

    each_s, image_px = amount("--seconds", seconds), size_px(size)
    if attacks:
        attacked = measure_attacks(weights, each_s, image_px)
        table = attack_table(attacked, image_px, each_s)
        show_and_write(table, [each.to_dict() for each in attacked], out, out_console, command_line())
        return
    counts = [_count(text) for text in clients.split(",")]
    results = measure_load(weights, counts, each_s, image_px)
    show_and_write(
        load_table(results, image_px), [load.to_dict() for load in results], out, out_console, command_line()
    )


def _millions(option: str, value: float) -> int:
    return round(amount(option, 1e6 * amount(option, value)))  # a million times 1e305 is not finite


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text.strip()) or not int(text):
        raise ConfigError(f"clients '{text}': expected numbers from 1 with commas between, for example 1,8,64")
    return int(text)
