"""The authors' .caffemodel files: reading their arrays, and putting them into SegNet and SegNet-Basic.

The authors' BN layer has two arrays only, scale and shift. In a released file the statistics are folded into them, so
BN is `scale * x + shift`. A snapshot taken while training looks the same but is not folded: its BN needs a pass over
the training images first, which the authors' compute_bn_statistics script makes.

Source:
    Caffe's and caffe-segnet's caffe.proto for the field numbers; the authors' prototxts for the layer names.
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segnet.caffe.layouts import CaffeLayer, CaffeLayout, layout_of
from segnet.caffe.protobuf import Field, read_fields, read_varints
from segnet.errors import WeightsError, nearest
from segnet.nn.layers import ConvBN
from segnet.nn.normalisation import normalisation_of

Blobs = dict[str, list[NDArray[np.floating]]]

# Field numbers. NetParameter: layers of today's form, layers of 2014's form (which Oxford's VGG16 has).
_LAYER, _V1_LAYER = 100, 2
_NAME, _TYPE, _BLOBS = 1, 2, 7
_V1_NAME, _V1_BLOBS = 4, 6
# BlobProto, and BlobShape inside it.
_LEGACY_SHAPE, _DATA, _SHAPE, _DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8
_DIM = 1


class CaffeFile(NamedTuple):
    """The contents of a caffemodel.

    Attributes:
        blobs: arrays by layer name, of the layers that have any.
        types: type of every layer by its name, such as `Convolution`; empty for layers of 2014.
    """

    blobs: Blobs
    types: dict[str, str]


def read_caffemodel(path: Path) -> Blobs:
    """The arrays of every layer that has some; as `read_caffe_file` without the types."""
    return read_caffe_file(path).blobs


def read_caffe_file(path: Path) -> CaffeFile:
    """Reads a binary caffemodel, of today's form or of 2014's.

    Returns:
        Arrays float32 or float64 as stored: for a convolution the filters (out, in, h, w) and the bias (out,); for the
        authors' BN scale and shift, each (1, C, 1, 1).

    Raises:
        WeightsError: the file is missing, truncated, or not a caffemodel; names the actual kind of file if it is known.
    """
    try:
        message = memoryview(path.read_bytes())
    except OSError as cause:
        raise WeightsError(f"{path} cannot be read: {cause.strerror}; expected a .caffemodel file") from None
    _refuse_other_files(message, path)
    try:
        layers = list(_read_layers(message))
    except WeightsError as cause:
        raise WeightsError(f"{path} is not a complete caffemodel: {cause}; download it again") from None
    blobs = {name: arrays for name, _, arrays in layers if arrays}
    if not blobs:
        raise WeightsError(f"{path} is not a caffemodel with weights: no layer has arrays (a prototxt never has)")
    return CaffeFile(blobs, {name: kind for name, kind, _ in layers if kind})


def load_caffemodel(model: nn.Module, path: Path) -> None:
    """Fills SegNet or SegNet-Basic with the authors' weights, so that in eval mode it computes what Caffe computes.

    BN becomes exactly `scale * x + shift`: its running mean is 0 and its running variance 1 minus its epsilon. The
    bias of a convolution before BN moves into the shift. A `.double()` model keeps every digit of it.

    Args:
        model: SegNet (of input normalisation `raw_bgr`) or SegNet-Basic (`lrn`), or their Bayesian forms.
        path: a caffemodel with folded BN statistics.

    Raises:
        WeightsError: the file is missing or broken, a layer is missing or of another shape (as with another number of
            classes), or another model or input normalisation. The model is then not changed.
    """
    layout = layout_of(model)
    expected = layout.normalisation
    has = normalisation_of(model).name
    if has != expected:
        raise WeightsError(
            f"{path}: the authors' {type(model).__name__} uses the input normalisation '{expected}', the model has "
            f"'{has}'; set model.normalisation to '{expected}'"
        )
    fill(model, layout, read_caffemodel(path), path)


def fill(model: nn.Module, layout: CaffeLayout, blobs: Blobs, path: Path) -> None:
    """Fills a model with the arrays of a caffemodel; errors as `load_caffemodel`.

    In a file without any BN layer, BN is assumed to be merged into the convolutions. If the model's
    convolutions have a bias, it stays there; else it moves into BN's shift.

    Args:
        model: of the layout.
        layout: the names of the layers.
        blobs: arrays by layer name.
        path: of the file, for errors.
    """
    merged = not any(name.endswith("_bn") for name in blobs)
    states = [
        (layer.module, _state(model.get_submodule(layer.module), layer, blobs, path, merged=merged))
        for layer in layout.layers()
    ]
    for module, state in states:
        model.get_submodule(module).load_state_dict(state)


# ------------------------------------------------------------------------------------------------ the file


def _refuse_other_files(message: memoryview, path: Path) -> None:
    """Raises for files of a Caffe run that are often confused with a caffemodel."""
    start = bytes(message[:400])
    if start.startswith(b"\x89HDF"):
        raise WeightsError(
            f"{path} is an HDF5 file; in Caffe, save the weights with snapshot_format BINARYPROTO and use that file"
        )
    # a solver state begins with its iteration, an integer; a caffemodel with its name, or with a layer
    if path.suffix == ".solverstate" or start[:1] == b"\x08":
        raise WeightsError(f"{path} is a solver state, not a model; use the .caffemodel of the same iteration")
    if re.search(rb"(?m)^\s*(layers?\s*\{|name\s*:|input\s*:)", start):
        raise WeightsError(
            f"{path} is a prototxt, which has no weights; pass the .caffemodel, and this file with --prototxt"
        )


def _read_layers(message: memoryview) -> Iterator[tuple[str, str, list[NDArray[np.floating]]]]:
    """Name, type and arrays of each layer."""
    for field in read_fields(message):
        if field.number not in (_LAYER, _V1_LAYER):
            continue
        of_name, of_blobs = (_NAME, _BLOBS) if field.number == _LAYER else (_V1_NAME, _V1_BLOBS)
        parts = list(read_fields(field.content))
        name, kind = (
            "".join(bytes(part.content).decode(errors="replace") for part in parts if part.number == number)
            for number in (of_name, _TYPE)
        )
        blobs = [_read_blob(part.content, name) for part in parts if part.number == of_blobs]
        yield name, kind if field.number == _LAYER else "", blobs


def _read_blob(message: memoryview, layer: str) -> NDArray[np.floating]:
    """An array, of the shape that is stored with it: a list of sides, or the four numbers of old files."""
    parts = list(read_fields(message))
    double = any(part.number == _DOUBLE_DATA for part in parts)
    data = b"".join(part.content for part in parts if part.number == (_DOUBLE_DATA if double else _DATA))
    shapes = [part.content for part in parts if part.number == _SHAPE]
    if shapes:
        shape = [side for part in read_fields(shapes[-1]) if part.number == _DIM for side in _sides(part)]
    else:
        legacy = {part.number: part.varint for part in parts}
        shape = [legacy.get(number, 0) for number in _LEGACY_SHAPE]
    values_expected = math.prod(shape)
    if len(data) != values_expected * (8 if double else 4):
        raise WeightsError(f"layer {layer}: an array of shape {tuple(shape)} in {len(data)} bytes")
    return np.frombuffer(data, "<f8" if double else "<f4").reshape(shape)


def _sides(dim: Field) -> list[int]:
    """One side, or several packed into one field."""
    return read_varints(dim.content) if len(dim.content) else [dim.varint]


# ------------------------------------------------------------------------------------------------ the models


def _state(module: nn.Module, layer: CaffeLayer, blobs: Blobs, path: Path, *, merged: bool) -> dict[str, Tensor]:
    """The state that `module`, a ConvBN or the classifier, has to load; float64."""
    name = next((n for n in layer.names if n in blobs), layer.names[0])
    if not isinstance(module, ConvBN):
        shapes = [tuple(module.get_parameter(part).shape) for part in ("weight", "bias")]
        weight, bias = _arrays(blobs, name, shapes, path)
        return {"weight": weight, "bias": bias}
    channels = (module.conv.out_channels,)
    weight, bias = _arrays(blobs, name, [tuple(module.conv.weight.shape), channels], path)
    if merged:
        scale, shift = torch.ones_like(bias), torch.zeros_like(bias)
    else:
        scale, shift = _arrays(blobs, f"{name}_bn", [channels, channels], path)
    state = {
        "conv.weight": weight,
        "norm.weight": scale,
        "norm.bias": shift,
        "norm.running_mean": torch.zeros_like(scale),
        "norm.running_var": torch.full_like(scale, 1.0 - module.norm.eps),  # BN divides by sqrt(var + eps): exactly 1
        "norm.num_batches_tracked": torch.tensor(0),
    }
    if module.conv.bias is None:
        return state | {"norm.bias": bias * scale + shift}
    return state | {"conv.bias": bias}


def _arrays(blobs: Blobs, name: str, shapes: Sequence[tuple[int, ...]], path: Path) -> list[Tensor]:
    """The arrays of a layer, float64, in the shapes expected; sides of 1 in front or behind do not count.

    Raises:
        WeightsError: no such layer, or other arrays in it.
    """
    if name not in blobs:
        raise WeightsError(f"{path} has no layer '{name}'; {nearest(name, blobs)}")
    arrays = blobs[name]
    got = [array.shape for array in arrays]
    if [_without_ones(shape) for shape in got] != [_without_ones(shape) for shape in shapes]:
        raise WeightsError(
            f"{path}: layer '{name}': expected arrays of {' and '.join(map(str, shapes))}, got "
            f"{' and '.join(map(str, got))}; the file is of another model or another number of classes"
        )
    return [torch.from_numpy(a.astype(np.float64).reshape(s)) for a, s in zip(arrays, shapes, strict=True)]


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)
