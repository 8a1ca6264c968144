"""Commands on drawn streets of 16x24 pixels and a model of 16 channels, each of which takes about a second."""

from collections.abc import Callable
from pathlib import Path

import torch
from kills import Job

from segnet.config import load_config
from segnet.data.datasets.folder import write_folder
from segnet.data.exporters.annotation_files import write_coco
from segnet.data.street.scenes import Street
from segnet.models import create_model
from segnet.models.widths import layers_with_channels
from segnet.weights.file import WeightsCard, save_weights

SETTINGS = (
    "model.name=segnet-basic",
    "model.normalisation=mean_std",
    "augment.flip=true",
    "augment.crop_px=[16, 16]",
    "data.workers=0",
    "data.format=folder",
    "train.optimiser=adamw",
    "train.lr=0.001",
    "train.epochs=3",
    "train.batch_size=2",
    "train.evaluate_every=1",
    "train.checkpoint_every=2",
    "train.precision=float32",
    "train.threads=1",
)
SIZE_PX = (16, 24)


def tiny_weights(path: Path, channels: int = 16) -> Path:
    """Weights of SegNet-Basic with few channels, drawn from a seed."""
    torch.manual_seed(0)
    labels = Street(1, SIZE_PX).label_set
    num_classes = labels.num_classes
    layers = layers_with_channels(create_model("segnet-basic", num_classes))
    widths = dict.fromkeys(layers, (channels, channels))
    widths[next(iter(layers))], widths["classifier"] = (3, channels), (channels, num_classes)
    model = create_model("segnet-basic", num_classes, normalisation="mean_std", widths=widths).eval()
    save_weights(path, model, WeightsCard("segnet-basic", labels))
    return path


def tiny_jobs(inputs: Path) -> list[Job]:
    """The commands, with their inputs written below a folder."""
    weights = tiny_weights(inputs / "tiny.safetensors")
    write_folder(inputs / "street", Street(8, SIZE_PX))
    write_coco(inputs / "coco", Street(6, SIZE_PX))
    settings = [*SETTINGS, f"data.path={str(inputs / 'street')!r}", f"model.start={str(weights)!r}"]
    recipe = inputs / "tiny.toml"
    recipe.write_text(load_config(None, settings).to_toml())
    pruning = ["--keep", "0.6", "--rounds", "2", "--steps", "3", "--images", "2", "--multiple", "2", "--size", "16x24"]
    rebuilding = [
        f"--set={s}"
        for s in (
            "train.batch_size=2",
            "train.epochs=1",
            "train.checkpoint_every=2",
            "augment.crop_px=[16, 16]",
            "data.workers=0",
            "train.precision=float32",
        )
    ]
    images = str(inputs / "street" / "images")

    def has_checkpoint(out: Path) -> bool:
        return (out / "checkpoint.pt").exists()

    def train(out: Path) -> list[str]:
        return ["train", "--recipe", str(recipe), "--out", str(out)]

    def prune(out: Path) -> list[str]:
        return [
            "prune",
            "--weights",
            str(weights),
            "--data",
            str(inputs / "street"),
            "--recipe",
            str(recipe),
            "--out",
            str(out / "lean.safetensors"),
            "--run",
            str(out / "run"),
            *pruning,
        ]

    def pretrain(out: Path) -> list[str]:
        return ["pretrain", "--data", str(inputs / "street"), "--out", str(out), "--at-once", *rebuilding]

    def predict(out: Path) -> list[str]:
        return ["predict", images, "--weights", str(weights), "--out", str(out), "--confidence"]

    def import_(out: Path) -> list[str]:
        return ["data", "import", str(inputs / "coco"), "--out", str(out / "imported")]

    def draw(out: Path) -> list[str]:
        return ["data", "draw", str(out / "drawn"), "--count", "6", "--size", "16x24"]

    def quantise(out: Path) -> list[str]:
        counts = ["--images", "2", "--score-images", "2", "--max-loss", "100"]
        data = ["--data", str(inputs / "street"), "--split", "train", "--score-split", "val"]
        return ["quantise", "--weights", str(weights), *data, "--out", str(out / "tiny-int8.safetensors"), *counts]

    def export(target: str, suffix: str) -> Callable[[Path], list[str]]:
        def arguments(out: Path) -> list[str]:
            file = str(out / f"model{suffix}")
            return ["export", "--to", target, "--weights", str(weights), "--size", "16x32", "--out", file]

        return arguments

    def tables(out: Path) -> list[str]:
        return ["benchmark", "quick", "--smallest", "--models", "bilinear-interpolation", "--out", str(out)]

    return [
        Job("train", train, has_checkpoint, all_equal=False),
        Job("prune", prune, lambda out: (out / "run" / "settings.toml").exists(), all_equal=False),
        Job("pretrain", pretrain, has_checkpoint, all_equal=False),
        Job("predict", predict),
        Job("data-import", import_),
        Job("data-draw", draw),
        Job("quantise", quantise),
        Job("export-torch", export("torch-export", ".pt2")),
        Job("export-onnx", export("onnx", ".onnx")),
        Job("tables", tables, all_equal=False),
    ]
