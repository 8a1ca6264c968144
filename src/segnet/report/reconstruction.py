"""The report of a run without labels: the loss of information per stage, and the reconstructed images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from segnet.config import PretrainConfig
from segnet.data.sample import Image8
from segnet.data.transforms import image_to_tensor
from segnet.device import DeviceSpec, choose_device
from segnet.errors import WeightsError
from segnet.machine import machine_facts
from segnet.models.autoencoder import Autoencoder
from segnet.report.curves import training_curves
from segnet.report.images import jpeg_uri
from segnet.report.page import facts_section, image_row, settings_section, training_section, write_page
from segnet.report.svg import BLUE, GREEN, ORANGE, RED, drawing, percent, to_svg
from segnet.training.log import Record, read_log
from segnet.training.pretrain import learns_from_what_it_watches, watched_images
from segnet.training.reconstruction import Span, rebuild
from segnet.weights.file import load_weights

SHOWN = 3
_COLOURS = (BLUE, ORANGE, GREEN, RED)


def report_run(config: PretrainConfig, out: Path) -> None:
    """Writes `out/report.html` for a finished run, whole or not at all.

    Args:
        config: of the run.
        out: its folder, with `best.safetensors` and `log.jsonl`.

    Raises:
        WeightsError: the weights are missing or of another model.
        DataError: an image cannot be read, or the file cannot be written.
    """
    weights = out / "best.safetensors"
    model, _ = load_weights(weights)
    if not isinstance(model, Autoencoder):
        raise WeightsError(f"{weights}: expected the weights of an autoencoder, got {type(model).__name__}")
    device_spec = choose_device(config.train.device, config.train.precision)
    device_spec.ready(model)
    watched = watched_images(config)
    log = read_log(out / "log.jsonl")
    spans = sorted({Span(*record["stages"]) for record in log})
    curves = training_curves(log)
    shown = [watched[index] for index in range(min(SHOWN, len(watched)))]
    rows = [
        image_row(
            p.name, [(caption, jpeg_uri(rgb)) for caption, rgb in rebuilt_views(model, p.image, device_spec, spans)]
        )
        for p in shown
    ]
    kind = "also used for training" if learns_from_what_it_watches(watched) else "not used for training"
    facts = {"Weights": str(weights), "Data": config.data.path, "Images shown and measured": kind}
    sections = [
        _headline(log, spans),
        training_section([*curves[:1], _lost_curve(log, spans), *curves[1:]]),
        "\n".join(["<h2>Images</h2>", f"<p>{_EXPLAINED}</p>", *rows]),
        settings_section(config.to_toml()),
        facts_section({**facts, **machine_facts()}),
    ]
    write_page(out / "report.html", "Images rebuilt", sections)


_EXPLAINED = (
    "The model reconstructs the image after input normalisation. Through n stages means n "
    "times convolution, tanh and pooling, then n times unpooling with the stored indices and one filter bank. All "
    "views but the image share one brightness scale, that of the normalised image."
)


def rebuilt_views(
    model: Autoencoder, image: Image8, device_spec: DeviceSpec, spans: Sequence[Span]
) -> list[tuple[str, Image8]]:
    """An image, its normalised form, and its reconstructions through the trained stages.

    Args:
        model: on the device of `device_spec`.
        image: RGB uint8 (H, W, 3).
        device_spec: device and precision.
        spans: what was trained, in order: stage by stage, or all at once.

    Returns:
        Pairs of caption and RGB uint8 (H, W, 3).
    """
    views: list[tuple[str, Image8]] = []
    for span in spans:
        given, rebuilt = rebuild(model, image_to_tensor(image)[None], device_spec, Span(1, span.last))
        if not views:
            views = [("image", image), ("what the model sees", _as_image(given, given))]
        lost = (rebuilt - given).square().sum() / (given - given.mean((2, 3), keepdim=True)).square().sum()
        caption = f"through {Span(1, span.last)}: {percent(lost.item())} % lost"
        views.append((caption, _as_image(rebuilt, given)))
    return views


def _as_image(values: Tensor, scale: Tensor) -> Image8:
    """(1, 3, H, W) -> RGB uint8 (H, W, 3); all but the outermost hundredths of `scale` become 0..255."""
    low, high = np.quantile(scale.cpu().numpy(), (0.01, 0.99))
    shown = (values[0].cpu() - float(low)) / max(float(high - low), 1e-6)
    image: Image8 = (shown.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return image


def _headline(log: Sequence[Record], spans: Sequence[Span]) -> str:
    cards = []
    for span in spans:
        last = [r for r in log if "lost_share" in r and Span(*r["stages"]) == span][-1]
        cards.append(
            f'<section class="score"><h2>{str(span).capitalize()}</h2>'
            f'<p class="value">{percent(last["lost_share"])} <span class="unit">% lost</span></p>'
            f"<p>Share of the variance of the input of {'this stage' if span.first == span.last else 'these stages'}; "
            f"mean squared error {last['mean_squared_error']:.4f}.</p></section>"
        )
    return (
        "<h1>Images rebuilt</h1>\n"
        '<p class="lead">An encoder-decoder with pooling indices, trained without labels to reconstruct its input. '
        "Lost is the share of the input's variance that is not reconstructed; a constant per channel would "
        "lose 100 %.</p>\n"
        f'<div class="scores">\n{"".join(cards)}\n</div>'
    )


def _lost_curve(log: Sequence[Record], spans: Sequence[Span]) -> tuple[str, str]:
    """Pair of SVG element and caption: the lost share after each epoch, one line per span."""
    caption = "Lost share of the variance after each epoch, on the validation images."
    with drawing("lost"):
        figure = Figure((3.7, 2.5), layout="constrained")
        axes = figure.add_subplot()
        for span, colour in zip(spans, _COLOURS, strict=False):
            points = [(r["epoch"], 100 * r["lost_share"]) for r in log if "epoch" in r and Span(*r["stages"]) == span]
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, label=str(span))
        axes.set_ylim(bottom=0)
        axes.set(xlabel="epoch", ylabel="lost, percent")
        axes.tick_params(length=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        figure.legend(loc="outside upper left", ncols=2, handlelength=1.6, columnspacing=1.2)
        return to_svg(figure, caption), caption
