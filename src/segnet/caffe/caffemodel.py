"""The authors' .caffemodel files: reading their arrays, and putting them into SegNet and SegNet-Basic.

The authors' BN layer has two arrays only, scale and shift. In a released file the statistics are folded into them, so
BN is `scale * x + shift`. A snapshot taken while training looks the same but is not folded: its BN needs a pass over
the training images first, which the authors' compute_bn_statistics script makes.

Source:
    Caffe's and caffe-segnet's caffe.proto for the field numbers; the authors' prototxts for the layer names.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segnet.caffe.protobuf import Field, read_fields, read_varints
from segnet.errors import WeightsError, nearest
from segnet.models.segnet import SegNet, SegNetBasic
from segnet.models.vgg import VGG16_STAGES
from segnet.nn.layers import ConvBN
from segnet.nn.normalisation import Normalisation, normalisation_of

Blobs = dict[str, list[NDArray[np.floating]]]

# Field numbers. NetParameter: layers of today's form, layers of 2014's form (which Oxford's VGG16 has).
_LAYER, _V1_LAYER = 100, 2
_NAME, _BLOBS = 1, 7
_V1_NAME, _V1_BLOBS = 4, 6
# BlobProto, and BlobShape inside it.
_LEGACY_SHAPE, _DATA, _SHAPE, _DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8
_DIM = 1


class CaffeLayer(NamedTuple):
    """A convolution of the authors' model and its place in ours.

    Attributes:
        module: path of our ConvBN, or of the bare classifier.
        names: what the authors call it, any of them.
    """

    module: str
    names: tuple[str, ...]


def read_caffemodel(path: Path) -> Blobs:
    """The arrays of every layer that has some.

    Args:
        path: of a binary caffemodel, of today's form or of 2014's.

    Returns:
        Arrays by layer name, float32 or float64 as stored: for a convolution the filters (out, in, h, w) and the bias
        (out,); for the authors' BN scale and shift, each (1, C, 1, 1).

    Raises:
        WeightsError: the file is missing, cut off, or no caffemodel.
    """
    try:
        message = memoryview(path.read_bytes())
    except OSError as cause:
        raise WeightsError(f"{path} cannot be read: {cause.strerror}; give a .caffemodel file") from None
    try:
        blobs = dict(_read_layers(message))
    except WeightsError as cause:
        raise WeightsError(f"{path} is not a complete caffemodel: {cause}; fetch it again") from None
    if not blobs:
        raise WeightsError(f"{path} is not a caffemodel with weights: no layer in it has arrays; a prototxt has none")
    return blobs


def load_caffemodel(model: nn.Module, path: Path) -> None:
    """Fills SegNet or SegNet-Basic with the authors' weights, so that in eval mode it computes what Caffe computes.

    BN becomes exactly `scale * x + shift`: its running mean is 0 and its running variance 1 minus its epsilon. The
    bias of a convolution before BN moves into the shift. A `.double()` model keeps every digit of it.

    Args:
        model: SegNet (of input normalisation `raw_bgr`) or SegNet-Basic (`lrn`), or their Bayesian forms.
        path: a caffemodel with folded BN statistics.

    Raises:
        WeightsError: the file is missing or broken, a layer is missing or of another shape (as with another number of
            classes), or the model is another one or normalises its input otherwise. The model is then untouched.
    """
    layers, expected = _layers_of(model)
    has = normalisation_of(model).name
    if has != expected:
        raise WeightsError(
            f"{path}: the authors' {type(model).__name__} wants the input normalisation '{expected}', the model has "
            f"'{has}'; set model.normalisation to '{expected}'"
        )
    blobs = read_caffemodel(path)
    states = [(layer.module, _state(model.get_submodule(layer.module), layer, blobs, path)) for layer in layers]
    for module, state in states:
        model.get_submodule(module).load_state_dict(state)


# ------------------------------------------------------------------------------------------------ the file


def _read_layers(message: memoryview) -> Iterator[tuple[str, list[NDArray[np.floating]]]]:
    for field in read_fields(message):
        if field.number not in (_LAYER, _V1_LAYER):
            continue
        of_name, of_blobs = (_NAME, _BLOBS) if field.number == _LAYER else (_V1_NAME, _V1_BLOBS)
        parts = list(read_fields(field.content))
        name = "".join(bytes(part.content).decode(errors="replace") for part in parts if part.number == of_name)
        blobs = [_read_blob(part.content, name) for part in parts if part.number == of_blobs]
        if blobs:
            yield name, blobs


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


def _layers_of(model: nn.Module) -> tuple[list[CaffeLayer], Normalisation]:
    """Every convolution of the model with the authors' name for it, and the input they fed it.

    Raises:
        WeightsError: neither SegNet nor SegNet-Basic.
    """
    if isinstance(model, SegNetBasic):
        layers = [CaffeLayer(f"encoder.stage{s}.0", (f"conv{s}",)) for s in range(1, 5)]
        layers += [CaffeLayer(f"decoder.stage{s}.0", (f"conv_decode{s}",)) for s in range(4, 0, -1)]
        return [*layers, CaffeLayer("classifier", ("conv_classifier", "dense_softmax_inner_prod"))], "lrn"
    if isinstance(model, SegNet):
        layers = []
        for stage, widths in enumerate(VGG16_STAGES, start=1):
            for number in range(len(widths)):
                layers.append(CaffeLayer(f"encoder.stage{stage}.{number}", (f"conv{stage}_{number + 1}",)))
                # the decoder mirrors the encoder: its first convolution has the last number
                mirrored = f"conv{stage}_{len(widths) - number}_D"
                last = (stage, number) == (1, len(widths) - 1)
                layers.append(CaffeLayer("classifier" if last else f"decoder.stage{stage}.{number}", (mirrored,)))
        return layers, "raw_bgr"
    raise WeightsError(f"the authors' weights fit SegNet and SegNet-Basic, not {type(model).__name__}")


def _state(module: nn.Module, layer: CaffeLayer, blobs: Blobs, path: Path) -> dict[str, Tensor]:
    """What `module`, a ConvBN or the bare classifier, has to load; float64."""
    name = next((n for n in layer.names if n in blobs), layer.names[0])
    if not isinstance(module, ConvBN):
        shapes = [tuple(module.get_parameter(part).shape) for part in ("weight", "bias")]
        weight, bias = _arrays(blobs, name, shapes, path)
        return {"weight": weight, "bias": bias}
    channels = (module.conv.out_channels,)
    weight, bias = _arrays(blobs, name, [tuple(module.conv.weight.shape), channels], path)
    scale, shift = _arrays(blobs, f"{name}_bn", [channels, channels], path)
    return {
        "conv.weight": weight,
        "norm.weight": scale,
        "norm.bias": bias * scale + shift,
        "norm.running_mean": torch.zeros_like(scale),
        "norm.running_var": torch.full_like(scale, 1.0 - module.norm.eps),  # BN divides by sqrt(var + eps): exactly 1
        "norm.num_batches_tracked": torch.tensor(0),
    }


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
