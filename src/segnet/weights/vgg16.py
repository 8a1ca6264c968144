"""ImageNet weights for the VGG16 encoder: Oxford's own, torchvision's and timm's, with or without BN.

Our convolutions have BN and no bias. VGG16 without BN is taken over exactly in evaluation mode: BN begins as the
identity, with the old bias as its shift. In training mode BN divides by the statistics of the batch, so there it is
not. VGG16-BN is taken over exactly too: its bias moves into BN's running mean.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from segnet.errors import WeightsError, nearest
from segnet.io.download import download
from segnet.io.files import cache_folder
from segnet.models.vgg import VGG16_STAGES
from segnet.nn.layers import ConvBN
from segnet.nn.normalisation import Normalisation, normalisation_of
from segnet.weights.address import parse_address
from segnet.weights.finding import find_weights
from segnet.weights.first_layer import as_mean_std, carry_channels


class NamedVGG16(NamedTuple):
    """A published checkpoint.

    Attributes:
        file: its name, on the server and in the cache folder.
        url: where to download it from; None when it is not published.
        sha256_prefix: first hexadecimal digits of the file's hash.
    """

    file: str
    url: str | None
    sha256_prefix: str


VGG16_FILES = {
    "oxford": NamedVGG16("vgg16_conv_imagenet_bgr_fp16.safetensors", None, ""),
    "torchvision": NamedVGG16(
        "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth", "397923af"
    ),
    "torchvision-bn": NamedVGG16(
        "vgg16_bn-6c64b313.pth", "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth", "6c64b313"
    ),
}


@dataclass(frozen=True)
class WeightsLayout:
    """How a checkpoint names the 13 convolutions, and which input normalisation it was trained with.

    Attributes:
        name: for messages.
        normalisation: of the input the weights expect.
        convolutions: prefix of each convolution's `.weight` and `.bias`, first to last.
        norms: prefix of each BN's parameters and statistics; empty without BN.
    """

    name: str
    normalisation: Normalisation
    convolutions: tuple[str, ...]
    norms: tuple[str, ...] = ()


def _oxford_layout() -> WeightsLayout:
    names = [f"conv{s}_{i}" for s, widths in enumerate(VGG16_STAGES, 1) for i in range(1, len(widths) + 1)]
    return WeightsLayout("Oxford VGG16", "caffe_bgr", tuple(names))


def _features_layout(name: str, *, norm: bool) -> WeightsLayout:
    """`features.N`, counting convolutions, BN, ReLU and poolings alike: torchvision's and timm's."""
    convolutions, norms, position = [], [], 0
    for widths in VGG16_STAGES:
        for _ in widths:
            convolutions.append(f"features.{position}")
            if norm:
                norms.append(f"features.{position + 1}")
            position += 3 if norm else 2
        position += 1
    return WeightsLayout(name, "mean_std", tuple(convolutions), tuple(norms))


LAYOUTS = (
    _oxford_layout(),
    _features_layout("torchvision or timm VGG16-BN", norm=True),
    _features_layout("torchvision or timm VGG16", norm=False),
)


def load_vgg16(model: nn.Module, path: Path) -> None:
    """Loads ImageNet weights into the encoder of a model; the rest of the model is not changed.

    In eval mode the encoder then computes what the checkpoint's own model computes, convolution by convolution. For
    other than three channels the first layer's RGB filters are repeated over the channels and scaled, as timm does
    (`first_layer.carry_channels`).

    Args:
        model: a model whose `encoder` holds VGG16's 13 `ConvBN`, in order and no others, and whose `normalisation` fits
            the weights.
        path: `.safetensors`, or a `.pth` that holds tensors only.

    Raises:
        WeightsError: the file is missing, broken, holds code, or is no VGG16; the model has another encoder; or the
            model normalises its input otherwise than the weights expect. The model is then untouched.
    """
    encoder = getattr(model, "encoder", None)
    units = _units(encoder) if isinstance(encoder, nn.Module) else []
    expected = [w for widths in VGG16_STAGES for w in widths]
    if [u.conv.out_channels for u in units] != expected or any(u.conv.kernel_size != (3, 3) for u in units):
        raise WeightsError(
            f"{type(model).__name__} has no VGG16 encoder; VGG16 weights fit 'segnet' or 'deeplab-largefov'"
        )
    tensors = _read(path)
    layout = _layout_of(tensors, path)
    normalisation = normalisation_of(model)
    needed = layout.normalisation if normalisation.in_channels == 3 else "mean_std"
    if normalisation.name != needed:
        raise WeightsError(
            f"{path}: {layout.name} weights need the input normalisation '{needed}', the model has "
            f"'{normalisation.name}'; set model.normalisation to '{needed}'"
        )
    if normalisation.in_channels != 3:
        first = f"{layout.convolutions[0]}.weight"
        rgb = as_mean_std(tensors[first].float(), layout.normalisation)
        tensors[first] = carry_channels(rgb, normalisation.in_channels)
    states = [_unit_state(tensors, layout, number, unit, path) for number, unit in enumerate(units)]
    for unit, state in zip(units, states, strict=True):
        unit.load_state_dict(state)


def _units(encoder: nn.Module) -> list[ConvBN]:
    return [unit for unit in encoder.modules() if isinstance(unit, ConvBN)]


def _layout_of(tensors: Mapping[str, Tensor], path: Path) -> WeightsLayout:
    for layout in LAYOUTS:
        keys = [f"{prefix}.{part}" for prefix in layout.convolutions for part in ("weight", "bias")]
        keys += [f"{prefix}.running_mean" for prefix in layout.norms]
        if all(key in tensors for key in keys):
            return layout
    expected = " or ".join(f"{layout.convolutions[0]} .. {layout.convolutions[-1]}" for layout in LAYOUTS)
    got = ", ".join(list(tensors)[:3]) or "no tensor"
    raise WeightsError(f"{path} holds no VGG16: expected the names {expected}; got {got}")


def _unit_state(
    tensors: Mapping[str, Tensor], layout: WeightsLayout, number: int, unit: ConvBN, path: Path
) -> dict[str, Tensor]:
    """One convolution and its BN in our names, float32.

    Raises:
        WeightsError: a tensor is missing or has another shape.
    """

    def take(key: str, expected: torch.Size) -> Tensor:
        if key not in tensors or tensors[key].shape != expected:
            got = tuple(tensors[key].shape) if key in tensors else "nothing"
            raise WeightsError(f"{path}: {key}: expected shape {tuple(expected)}, got {got}; this is no VGG16")
        return tensors[key].float()

    convolution, per_channel = layout.convolutions[number], unit.norm.running_mean
    assert isinstance(per_channel, Tensor)
    channels = per_channel.shape
    bias = take(f"{convolution}.bias", channels)
    state = {
        "conv.weight": take(f"{convolution}.weight", unit.conv.weight.shape),
        "norm.num_batches_tracked": torch.tensor(0),
    }
    if layout.norms:
        norm = layout.norms[number]
        for part in ("weight", "bias", "running_var"):
            state[f"norm.{part}"] = take(f"{norm}.{part}", channels)
        # normalising x + bias by the mean m is normalising x by m - bias
        state["norm.running_mean"] = take(f"{norm}.running_mean", channels) - bias
        if unit.conv.bias is not None:
            state["conv.bias"] = torch.zeros(channels)
        return state
    state["norm.weight"] = torch.ones(channels)
    state["norm.bias"] = bias
    if unit.conv.bias is not None:  # as the authors' Caffe copies it, by name: into the convolution
        state |= {"conv.bias": bias, "norm.bias": unit.norm.bias.detach()}
    state["norm.running_mean"] = torch.zeros(channels)
    state["norm.running_var"] = torch.full(channels, 1.0 - unit.norm.eps)  # BN divides by sqrt(var + eps): exactly 1
    return state


def _read(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint, by name.

    Raises:
        WeightsError: missing, broken, or a pickle that holds more than tensors.
    """
    if not path.is_file():
        raise WeightsError(f"no VGG16 weights at {path}; give a file, or one of {', '.join(VGG16_FILES)}")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as cause:
            raise WeightsError(f"{path} is not a whole safetensors file ({cause}); fetch it again") from None
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{path} is a broken file, or a pickle that holds more than tensors and is not opened; "
            "fetch it again, or give a state_dict or safetensors"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as cause:
        reason = (str(cause).splitlines() or ["no reason given"])[0][:120]
        raise WeightsError(f"{path} is not a whole PyTorch checkpoint ({reason}); fetch it again") from None
    if isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
        held = held["state_dict"]
    if not isinstance(held, Mapping) or not all(isinstance(v, Tensor) for v in held.values()):
        raise WeightsError(f"{path}: expected a state_dict, a mapping of names to tensors, got {type(held).__name__}")
    return dict(held)


def vgg16_at_hand(cache: Path | None = None) -> dict[str, Normalisation]:
    """The published checkpoints that were downloaded before, and the input normalisation that each needs.

    Args:
        cache: folder of downloaded files; None takes `cache_folder()`.
    """
    folder = cache or cache_folder()
    return {
        name: "caffe_bgr" if name == "oxford" else "mean_std"
        for name, named in VGG16_FILES.items()
        if (folder / named.file).is_file()
    }


def find_vgg16(name: str, cache: Path | None = None) -> Path:
    """The path of a VGG16 checkpoint; a published one is downloaded once and its hash is checked.

    Args:
        name: `oxford`, `torchvision` or `torchvision-bn`, the path of a file, or an address, as for `find_weights`.
        cache: folder of downloaded files, made when something is downloaded; None takes `cache_folder()`.

    Raises:
        WeightsError: unknown name, no such file, no network, or a download with another hash.
        DataError: the cache folder cannot be written.
    """
    if parse_address(name):
        return find_weights(name, cache)
    if name not in VGG16_FILES:
        path = Path(name).expanduser()
        if path.is_file():
            return path
        raise WeightsError(f"no VGG16 weights '{name}': no such file, and no such name; {nearest(name, VGG16_FILES)}")
    named = VGG16_FILES[name]
    path = (cache or cache_folder()) / named.file
    if path.is_file():
        return path
    if named.url is None:
        raise WeightsError(
            f"the '{name}' weights are not published; put {named.file} into {path.parent}, or give its path"
        )
    download(named.url, path, named.sha256_prefix)
    return path
