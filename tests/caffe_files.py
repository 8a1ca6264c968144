"""Caffemodels of the authors' layouts, written byte by byte, and what the authors' layers compute with them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segnet.caffe.caffemodel import Blobs

Array = NDArray[np.floating]


# ------------------------------------------------------------------------------------------------ writing


def varint(value: int) -> bytes:
    groups = []
    while True:
        value, low = divmod(value, 128)
        groups.append(low | (128 if value else 0))
        if not value:
            return bytes(groups)


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def content(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array: Array) -> bytes:
    """As Caffe writes it today: shape, packed floats, and a diff that is to be ignored."""
    shape = content(7, content(1, b"".join(varint(side) for side in array.shape)))
    return shape + content(5, array.astype("<f4").tobytes()) + content(6, b"\0\0\0\0")


def layer(name: str, arrays: list[Array], write: Callable[[Array], bytes] = blob) -> bytes:
    parts = content(1, name.encode()) + content(2, b"Convolution") + b"".join(content(7, write(a)) for a in arrays)
    return content(100, parts + integer(10, 1))


def write_caffemodel(path: Path, blobs: Blobs) -> Path:
    model = content(1, b"model") + layer("data", []) + b"".join(layer(name, arrays) for name, arrays in blobs.items())
    path.write_bytes(model)
    return path


# ------------------------------------------------------------------------------------------------ the authors' models


def drawn(layers: list[tuple[str, int, int, int]]) -> Blobs:
    """Arrays of convolutions (name, in, out, side) and, unless the name ends in `!`, of the BN that follows."""
    rng = np.random.default_rng(4)
    blobs: Blobs = {}
    for marked, in_channels, width, side in layers:
        name = marked.rstrip("!")
        noise = rng.standard_normal((width, in_channels, side, side), np.float32)
        blobs[name] = [noise * np.float32((2 / (in_channels * side * side)) ** 0.5)]
        blobs[name].append(rng.standard_normal(width, np.float32) / 3)
        if marked == name:
            scale = rng.uniform(0.6, 1.4, width).astype(np.float32) * np.where(rng.random(width) < 0.1, -1, 1)
            shift = rng.standard_normal(width, np.float32) / 3
            blobs[f"{name}_bn"] = [scale.astype(np.float32).reshape(1, -1, 1, 1), shift.reshape(1, -1, 1, 1)]
    return blobs


def basic_blobs(num_classes: int = 3, classifier: str = "conv_classifier") -> Blobs:
    layers = [("conv1", 3, 64, 7), *((f"conv{n}", 64, 64, 7) for n in (2, 3, 4))]
    layers += [(f"conv_decode{n}", 64, 64, 7) for n in (4, 3, 2, 1)]
    return drawn([*layers, (f"{classifier}!", 64, num_classes, 1)])


SEGNET_LAYERS = """
    conv1_1 3 64, conv1_2 64 64, conv2_1 64 128, conv2_2 128 128, conv3_1 128 256, conv3_2 256 256, conv3_3 256 256,
    conv4_1 256 512, conv4_2 512 512, conv4_3 512 512, conv5_1 512 512, conv5_2 512 512, conv5_3 512 512,
    conv5_3_D 512 512, conv5_2_D 512 512, conv5_1_D 512 512, conv4_3_D 512 512, conv4_2_D 512 512, conv4_1_D 512 256,
    conv3_3_D 256 256, conv3_2_D 256 256, conv3_1_D 256 128, conv2_2_D 128 128, conv2_1_D 128 64, conv1_2_D 64 64,
    conv1_1_D! 64 3
"""


def tensors(blobs: Blobs, name: str) -> Iterator[Tensor]:
    return (torch.from_numpy(array).double() for array in blobs[name])


def convolve(blobs: Blobs, name: str, features: Tensor, *, relu: bool) -> Tensor:
    """The authors' convolution with its bias, then scale and shift, then perhaps a ReLU."""
    weight, bias = tensors(blobs, name)
    features = F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)
    if f"{name}_bn" in blobs:
        scale, shift = tensors(blobs, f"{name}_bn")
        features = features * scale + shift
    return features.relu() if relu else features


def walk(blobs: Blobs, bgr: Tensor, stages: list[list[str]], decoders: list[list[str]], *, relu: bool) -> Tensor:
    """Encoder stages, then decoder stages from the deepest, with torch's own pooling pair; float64."""
    features, kept = bgr, []
    for names in stages:
        for name in names:
            features = convolve(blobs, name, features, relu=True)
        size = features.shape[2:]
        features, flat = F.max_pool2d(features, 2, 2, ceil_mode=True, return_indices=True)
        kept.append((flat, size))
    for names in decoders:
        flat, size = kept.pop()
        features = F.max_unpool2d(features, flat, 2, 2, output_size=size)
        for name in names:
            features = convolve(blobs, name, features, relu=relu and name != "conv1_1_D")
    return features


IMAGE = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
BGR = IMAGE.flip(1) * 255


def segnet_basic(blobs: Blobs) -> Tensor:
    squares = BGR.square().sum(1, keepdim=True)
    normed = BGR / (1 + float(np.float32(1e-4)) / 5 * squares) ** 0.75
    encoder = [[f"conv{n}"] for n in (1, 2, 3, 4)]
    decoder = [[f"conv_decode{n}"] for n in (4, 3, 2, 1)]
    features = walk(blobs, normed, encoder, decoder, relu=False)
    return convolve(
        blobs, next(n for n in blobs if n in ("conv_classifier", "dense_softmax_inner_prod")), features, relu=False
    )
