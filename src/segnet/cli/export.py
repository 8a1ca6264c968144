"""Commands `segnet export` and `segnet benchmark export`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from segnet.cli.console import out_console, say
from segnet.cli.options import WeightsOption, command_line, names_in, one_of, size_px
from segnet.errors import ConfigError

if TYPE_CHECKING:
    from segnet.export.record import Exported


ImageOption = Annotated[
    Path | None, typer.Option(help="Image to compare on, in addition to noise; default: a drawn street.")
]


def export(
    to: Annotated[
        str,
        typer.Option(
            help="onnx, openvino, torch-export, aotinductor, executorch, litert, ncnn, coreml, caffe, or web."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write, with the target's suffix; for web a folder.")],
    weights: WeightsOption = "segnet-basic-camvid",
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the input, or dynamic; default 360x480.")] = "",
    answer: Annotated[str, typer.Option(help="Output: logits, or classes with the argmax in the graph.")] = "logits",
    image: ImageOption = None,
    quantised: Annotated[
        Path | None, typer.Option(help="int8 file that segnet quantise made from these weights; openvino only.")
    ] = None,
    samples: Annotated[Path | None, typer.Option(help="For web: folder of example images for the page.")] = None,
    runtime: Annotated[str, typer.Option(help="For web: folder with onnxruntime-web, or npm to fetch it.")] = "",
) -> None:
    """Export a model to another runtime, run it there and compare it with PyTorch; a file that differs is not kept.

    --to web writes the demo as a folder of static files; the model runs in the browser.
    """
    one_of("answer", answer, ("logits", "classes"))
    web_options = {"--samples": samples, "--runtime": runtime}
    file_options = {"--size": size, "--image": image, "--quantised": quantised, "--answer": answer != "logits"}
    if unused := [name for name, value in (file_options if to == "web" else web_options).items() if value]:
        raise ConfigError(f"{unused[0]} has no effect with --to {to}; leave it out")
    if to == "web":
        _export_web(weights, out, samples, runtime)
        return
    from segnet.export import export_weights

    fixed_px = None if size == "dynamic" else size_px(size or "360x480")
    options: dict[str, Any] = {"size_px": fixed_px, "answer": answer, "image": image, "quantised": quantised}
    exported = export_weights(weights, to, out, **options)
    _show(exported)


def _export_web(weights: str, out: Path, samples: Path | None, runtime: str) -> None:
    from segnet.serve.static_site import write_site

    sizes = write_site(weights, out, samples=samples, runtime=runtime)
    say(
        f"{out}: {len(sizes)} files, {sum(sizes.values()) / 2**20:.1f} MiB, for any web host; try it with: "
        f"python3 -m http.server --directory {shlex.quote(str(out))}"
    )


def benchmark_export(
    weights: WeightsOption = "segnet-basic-camvid",
    targets: Annotated[str, typer.Option(help="Comma-separated names; default: all.")] = "",
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the input.")] = "360x480",
    image: ImageOption = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls per target.")] = 9,
    out: Annotated[Path, typer.Option(help="JSON file for the results; rows of other targets in it are kept.")] = Path(
        "results/export.json"
    ),
    page: Annotated[
        Path | None, typer.Option(help="Markdown page whose table is replaced, such as docs/export.md.")
    ] = None,
) -> None:
    """Measure every target: operators, difference from PyTorch, latency, file size; missing tools are listed."""
    from segnet.benchmark.measure.exports import measure_exports, read_page, write_page, write_results
    from segnet.export import TARGETS

    names = names_in(targets) or tuple(TARGETS)
    for name in names:
        one_of("export target", name, TARGETS)
    if page:
        read_page(page)  # fail before measuring
    rows = measure_exports(weights, names, size_px(size), image_path=image, repeats=repeats, console=out_console)
    record = write_results(out, rows, command_line())
    say(str(out), "dim")
    if page:
        write_page(page, record)
        say(str(page), "dim")


def _show(exported: "Exported") -> None:
    table = Table("image", "logits: max difference", "mean", "pixels of another class")
    for d in exported.differences:
        logits = ("-", "-") if d.max_logit is None else (f"{d.max_logit:.2e}", f"{d.mean_logit:.2e}")
        table.add_row(escape(d.image), *logits, f"{d.classes_changed:.4%}")
    if exported.differences:
        out_console.print(table)
        outcome = f"ran in {exported.runtime} {exported.version} and agrees with PyTorch"
    else:
        outcome = f"structure checked by {exported.runtime} {exported.version}; not run: not supported on this platform"
    say(f"operators: {', '.join(sorted(exported.operators))}")
    say(f"{exported.path}: {exported.num_bytes / 2**20:.2f} MiB, {outcome}")
