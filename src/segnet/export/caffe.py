"""Caffe for the authors' fork: weights in .caffemodel, layers in a .prototxt, metadata in a .json next to it."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segnet.caffe.caffemodel import fill, read_caffe_file
from segnet.caffe.exporting import INPUT_LAYER, caffe_files
from segnet.caffe.layouts import layout_of
from segnet.caffe.prototxt import read_prototxt
from segnet.errors import ExportError
from segnet.export.record import Image, Request, Written
from segnet.models import create_model
from segnet.models.released_form import set_released_form


def write(request: Request, path: Path) -> Written:
    """Writes both files and reads them back into a new model, which the comparison runs instead of Caffe.

    Raises:
        ConfigError: a model or an input normalisation that the fork has no layers for.
        ExportError: the files read back do not have the layers that were written.
    """
    assert request.size_px is not None  # `export_weights` has refused dynamic sizes
    files = caffe_files(request.model, request.card.model, request.size_px, classes=request.answer == "classes")
    path.write_bytes(files.caffemodel)
    prototxt = path.with_suffix(".prototxt")
    prototxt.write_text(files.prototxt, encoding="utf-8")
    metadata = request.metadata()
    size = f"{request.size_px[0]}x{request.size_px[1]}"
    metadata["segnet.input"] = f"BGR in [0, 255], float32 (1, 3, H, W), {size}; normalisation is part of the model"
    path.with_suffix(".json").write_text(json.dumps(metadata, indent=1))
    caffe = read_caffe_file(path)
    named = {layer.text("name"): layer.text("type") for layer in read_prototxt(prototxt)}
    if named != caffe.types:
        raise ExportError(f"{path.name} and its prototxt do not have the same layers; not exported")
    card = request.card
    model = create_model(
        card.model, card.label_set.num_classes, normalisation=card.normalisation, statistics=card.statistics
    )
    set_released_form(model, conv_bias=True)
    blobs = {name: arrays for name, arrays in caffe.blobs.items() if name != INPUT_LAYER}
    fill(model, layout_of(model), blobs, path)
    model.eval()

    def run(image: Image) -> NDArray[np.generic]:
        with torch.inference_mode():
            logits = model(torch.from_numpy(image)).numpy()  # (1, K, H, W)
        answer: NDArray[np.generic] = logits if request.answer == "logits" else logits.argmax(1)
        return answer

    return Written(
        "PyTorch from the files read back (not in Caffe)", torch.__version__, dict(Counter(files.types)), run
    )
