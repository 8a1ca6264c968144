"""Command `segnet import-caffe`: the authors' Caffe weights as a weights file."""

from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import say


def import_caffe(
    caffemodel: Annotated[Path, typer.Argument(help="Binary .caffemodel of SegNet or SegNet-Basic, Bayesian or not.")],
    label_set: Annotated[str, typer.Option(help="camvid11, camvid12, sun37, or a labels.toml file.")],
    out: Annotated[Path, typer.Option(help="File to write, .safetensors.")],
    prototxt: Annotated[Path | None, typer.Option(help="Prototxt of the model, to check its layers.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Caffe's outputs on one image, .npz with data_bgr_u8 and logits.")
    ] = None,
) -> None:
    """Convert the authors' Caffe weights, in float32; finds model, class count and input normalisation itself."""
    from segnet.caffe.importing import find_label_set
    from segnet.caffe.importing import import_caffe as convert

    imported = convert(caffemodel, find_label_set(label_set), out, prototxt=prototxt, compare=compare)
    say(f"{imported.model}, {imported.num_classes} classes, input normalisation {imported.normalisation}")
    if imported.merged_batch_norm:
        say("batch normalisation is merged into the convolutions")
    if imported.dropped_void:
        say("the output for unlabelled pixels, class 0 of the file, was left out")
    if imported.classes_changed is not None:
        say(f"compared with Caffe: {imported.classes_changed:.4%} of the pixels have another class")
    say(str(out), "dim")
