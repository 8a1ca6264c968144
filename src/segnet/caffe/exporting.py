"""Our models as .caffemodel and .prototxt for the authors' Caffe fork.

The prototxt takes BGR 0..255 in a blob `data` (1, 3, H, W). BN layers have two arrays, scale and shift, with the
statistics folded in (`bn_mode: INFERENCE`); they are computed in float64 and rounded once.

Source:
    The authors' prototxts for the layers and their names, caffe-segnet's caffe.proto for the fields.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from segnet.caffe.layouts import CaffeLayer, CaffeLayout, layout_of
from segnet.caffe.protobuf import bytes_field, packed_varints
from segnet.caffe.prototxt import LayerText, prototxt_text
from segnet.errors import ConfigError, WeightsError
from segnet.models.widths import widths_of
from segnet.nn.layers import ConvBN
from segnet.nn.normalisation import CaffeBGR, CrossChannelLRN, MeanStd

Array = NDArray[np.float32]
INPUT_LAYER = "input_normalisation"


class CaffeFiles(NamedTuple):
    """The two files of one model.

    Attributes:
        caffemodel: bytes of the weights.
        prototxt: text of the layers.
        types: type of each layer, in order.
    """

    caffemodel: bytes
    prototxt: str
    types: list[str]


def caffe_files(model: nn.Module, name: str, size_px: tuple[int, int], *, classes: bool = False) -> CaffeFiles:
    """Writes a model for the authors' fork.

    Args:
        model: SegNet, SegNet-Basic or a Bayesian form, for RGB images; BN as in eval mode.
        name: of the model in both files.
        size_px: (height, width) of the images.
        classes: whether an ArgMax layer follows the logits.

    Raises:
        ConfigError: a model or an input normalisation that the fork has no layers for, or a lean model.
    """
    try:
        layout = layout_of(model)
    except WeightsError:
        raise ConfigError(
            f"the authors' Caffe has no layers for {type(model).__name__}; only SegNet and SegNet-Basic can be "
            "exported; use --to onnx instead"
        ) from None
    if widths_of(model):
        raise ConfigError(
            "this is a lean model, and the layouts of the authors' Caffe have the paper's widths; export the weights "
            "that it was made from, or use --to onnx"
        )
    writer = _Writer(model, layout)
    top = writer.normalise()
    top = writer.encode(top, size_px)
    top = writer.decode(top, size_px)
    writer.convolve(layout.classifier, top, relu=False)
    if classes:
        writer.add(
            LayerText("argmax", "ArgMax", (layout.classifier.names[0],), ("argmax",), ("argmax_param", {"axis": 1}))
        )
    message = bytes_field(1, name.encode()) + b"".join(bytes_field(100, layer) for layer in writer.messages)
    return CaffeFiles(message, prototxt_text(name, size_px, writer.layers), [layer.kind for layer in writer.layers])


class _Writer:
    """Adds layers one after the other; each method returns the blob that the next layer reads."""

    def __init__(self, model: nn.Module, layout: CaffeLayout) -> None:
        self._model, self._layout = model, layout
        self._pooled: list[tuple[str, tuple[int, int]]] = []  # mask and size before each pooling
        self.layers: list[LayerText] = []
        self.messages: list[bytes] = []

    def add(self, layer: LayerText, *arrays: Array) -> str:
        self.layers.append(layer)
        message = bytes_field(1, layer.name.encode()) + bytes_field(2, layer.kind.encode())
        message += b"".join(bytes_field(3, bottom.encode()) for bottom in layer.bottoms)
        message += b"".join(bytes_field(4, top.encode()) for top in layer.tops)
        self.messages.append(message + b"".join(bytes_field(7, _blob(array)) for array in arrays))
        return layer.tops[0]

    def normalise(self) -> str:
        module = self._model.get_submodule("normalisation")
        if isinstance(module, CrossChannelLRN):
            parameters: dict[str, str | int | float] = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}
            return self.add(LayerText("norm", "LRN", ("data",), ("norm",), ("lrn_param", parameters)))
        if isinstance(module, CaffeBGR) and not module.mean.any():
            return "data"
        weight, bias = input_convolution(module)
        parameters = {"num_output": 3, "kernel_size": 1}
        layer = LayerText(INPUT_LAYER, "Convolution", ("data",), (INPUT_LAYER,), ("convolution_param", parameters))
        return self.add(layer, weight, bias)

    def encode(self, top: str, size: tuple[int, int]) -> str:
        for number, stage in enumerate(self._layout.encoder, start=1):
            for layer in stage:
                top = self.convolve(layer, top, relu=True)
            pooling: dict[str, str | int | float] = {"pool": "MAX", "kernel_size": 2, "stride": 2}
            tops = (f"pool{number}", f"pool{number}_mask")
            top = self.add(LayerText(tops[0], "Pooling", (top,), tops, ("pooling_param", pooling)))
            self._pooled.append((tops[1], size))
            size = (-(-size[0] // 2), -(-size[1] // 2))
            self._drop(f"encoder.dropout{number}", f"encdrop{number}", top)
        return top

    def decode(self, top: str, size: tuple[int, int]) -> str:
        for number, stage in zip(range(len(self._layout.encoder), 0, -1), self._layout.decoder, strict=True):
            mask, (height, width) = self._pooled[number - 1]
            parameters: dict[str, str | int | float] = {"scale": 2, "upsample_h": height, "upsample_w": width}
            name = f"upsample{number}"
            top = self.add(LayerText(name, "Upsample", (top, mask), (name,), ("upsample_param", parameters)))
            for layer in stage:
                top = self.convolve(layer, top, relu=self._layout.relu)
            self._drop(f"decoder.dropout{number}", f"decdrop{number}", top)
        return top

    def convolve(self, layer: CaffeLayer, bottom: str, *, relu: bool) -> str:
        """A convolution, its BN in inference form where it has one, and a ReLU, in place as the authors write them."""
        module, name = self._model.get_submodule(layer.module), layer.names[0]
        convolution = module.conv if isinstance(module, ConvBN) else module
        assert isinstance(convolution, nn.Conv2d)
        weight = _array32(convolution.weight)
        bias = np.zeros(weight.shape[0], np.float32) if convolution.bias is None else _array32(convolution.bias)
        parameters: dict[str, str | int | float] = {"num_output": weight.shape[0], "pad": weight.shape[2] // 2}
        parameters["kernel_size"] = weight.shape[2]
        text = LayerText(name, "Convolution", (bottom,), (name,), ("convolution_param", parameters))
        self.add(text, weight, bias)
        if isinstance(module, ConvBN):
            scale, shift = _folded(module.norm)
            mode: dict[str, str | int | float] = {"bn_mode": "INFERENCE"}
            self.add(LayerText(f"{name}_bn", "BN", (name,), (name,), ("bn_param", mode)), scale, shift)
            if relu:
                self.add(LayerText(f"relu_{name}", "ReLU", (name,), (name,)))
        return name

    def _drop(self, module: str, name: str, top: str) -> None:
        dropout = self._model.get_submodule(module)
        if isinstance(dropout, nn.Dropout) and dropout.p > 0:
            parameters: dict[str, str | int | float] = {"dropout_ratio": dropout.p}
            self.add(LayerText(name, "Dropout", (top,), (top,), ("dropout_param", parameters)))


def input_convolution(normalisation: nn.Module) -> tuple[Array, Array]:
    """Filters (3, 3, 1, 1) and bias (3,) that normalise BGR 0..255; the fork cannot subtract a mean for each channel.

    Raises:
        ConfigError: a normalisation that is not such a convolution.
    """
    if isinstance(normalisation, CaffeBGR):
        weight, bias = np.eye(3), -_array64(normalisation.mean).ravel()
    elif isinstance(normalisation, MeanStd) and normalisation.mean.numel() == 3:
        std, mean = _array64(normalisation.std).ravel(), _array64(normalisation.mean).ravel()
        weight, bias = np.diag(1 / (255 * std))[:, ::-1], -mean / std
    else:
        raise ConfigError(
            f"the authors' Caffe cannot normalise its input as {type(normalisation).__name__} does; export to onnx, or "
            "train with model.normalisation lrn, raw_bgr or caffe_bgr"
        )
    return weight.reshape(3, 3, 1, 1).astype(np.float32), bias.astype(np.float32)


def _folded(norm: nn.BatchNorm2d) -> tuple[Array, Array]:
    """Scale and shift (1, C, 1, 1) of BN with its running statistics."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = _array64(norm.weight) / np.sqrt(_array64(norm.running_var) + norm.eps)
    shift = _array64(norm.bias) - _array64(norm.running_mean) * scale
    return scale.astype(np.float32).reshape(1, -1, 1, 1), shift.astype(np.float32).reshape(1, -1, 1, 1)


def _blob(array: Array) -> bytes:
    """A BlobProto: shape, and packed floats."""
    shape = bytes_field(7, bytes_field(1, packed_varints(array.shape)))
    return shape + bytes_field(5, array.astype("<f4").tobytes())


def _array32(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().float().numpy()
    return array


def _array64(tensor: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().cpu().double().numpy()
    return array
