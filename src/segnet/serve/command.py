"""What `segnet serve` does: listen, load the models while the service answers 503, serve until it is stopped."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segnet.config import DeviceName, PrecisionName
from segnet.errors import ConfigError
from segnet.runtime.backend import BackendName
from segnet.serve.app import create_app
from segnet.serve.assets import Asset, Offer, require_exporter, site_assets
from segnet.serve.browser_runtime import find_runtime
from segnet.serve.connections import ConnectionLimits
from segnet.serve.limits import Limits
from segnet.serve.models import Loaded, load_models
from segnet.serve.processes import run_processes
from segnet.serve.run import ServiceServer, listen, serve_until_stopped
from segnet.serve.wrapping import access_log

_NOT_IN_BROWSER = "this server does not offer it"
"""For visitors: why the model does not run in their browser. The reason names folders, and is printed only here."""


@dataclass(frozen=True)
class Command:
    """The options of `segnet serve`, each as the option of its name."""

    weights: tuple[str, ...]
    host: str
    port: int
    samples: Path | None
    runtime: str
    limits: Limits
    backend: BackendName
    device: DeviceName
    precision: PrecisionName
    grace_s: float
    connections: ConnectionLimits
    proxies: str
    allowed_origins: tuple[str, ...]
    tls: tuple[Path, Path] | None
    access_log: bool
    api_keys: tuple[str, ...] = ()
    processes: int = 1


def run_service(command: Command, say: Callable[..., None]) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Args:
        command: the options.
        say: prints a line.

    Raises:
        ConfigError: an option that cannot be used, or a port in use; further as `load_models` and `site_assets`.
    """
    if command.processes > 1:
        _browser_runtime(command.runtime)  # fetched once, and refused here
        with listen(command.host, command.port) as listener:
            run_processes(command.processes, _serve_in_process, command, listener, command.grace_s)
        return
    with listen(command.host, command.port) as listener:
        _serve(command, listener, say)


def _serve_in_process(command: Command, listener: socket.socket, first: bool) -> None:
    _serve(command, listener, say_plainly if first else lambda *_: None)


def say_plainly(text: str, *_: str) -> None:
    """Prints a line."""
    print(text, flush=True)


def _serve(command: Command, listener: socket.socket, say: Callable[..., None]) -> None:
    runtime, why_no_browser = _browser_runtime(command.runtime)
    if command.access_log:
        _write_access_log()
    models: dict[str, Loaded] = {}
    assets: dict[str, Asset] = {}
    failure: list[BaseException] = []
    warming: list[asyncio.Future[None]] = []  # a task without a reference may be collected
    scheme, host = "https" if command.tls else "http", f"[{command.host}]" if ":" in command.host else command.host
    address = f"{scheme}://{host}:{listener.getsockname()[1]}"

    def load() -> None:
        found = load_models(
            command.weights, backend=command.backend, device=command.device, precision=command.precision
        )
        assets.update(_assets(command, found, runtime, bool(why_no_browser)))
        models.update(found)

    def loaded(error: BaseException | None) -> None:
        if error:
            failure.append(error)
            server.should_exit = True
            return
        warming.append(asyncio.ensure_future(server.service.decoders.warm()))
        say(f"{', '.join(models)} at {address} (Ctrl-C stops)")
        if why_no_browser:
            say(f"the model does not run in the browser: {why_no_browser}", "dim")

    app = create_app(
        models,
        command.limits,
        assets,
        load=load,
        on_loaded=loaded,
        allowed_origins=command.allowed_origins,
        keys=command.api_keys,
    )
    server = ServiceServer(
        app, grace_s=command.grace_s, connections=command.connections, proxies=command.proxies, tls=command.tls
    )
    serve_until_stopped(server, listener)
    if failure:
        raise failure[0]


def _browser_runtime(option: str) -> tuple[Path | None, str]:
    """The folder of onnxruntime-web, or why the model does not run in the browser."""
    try:
        folder = find_runtime(option)
        require_exporter()
    except ConfigError as error:
        if option:
            raise
        return None, str(error)
    return folder, ""


def _assets(command: Command, models: dict[str, Loaded], runtime: Path | None, without: bool) -> dict[str, Asset]:
    offers = [
        Offer(m.name, m.weights, m.predictor.card, str(m.predictor), m.bayesian, m.quantised) for m in models.values()
    ]
    return site_assets(
        offers,
        samples=command.samples,
        runtime=runtime,
        why_no_browser=_NOT_IN_BROWSER if without else "",
        max_pixels=command.limits.max_pixels,
    )


def _write_access_log() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    access_log.addHandler(handler)
    access_log.setLevel(logging.INFO)
    access_log.propagate = False
