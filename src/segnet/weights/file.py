"""Weights files: safetensors with a card that describes them; found by name or by path.

A file holds the model's `state_dict`. Filters are float16 by default; BN parameters, BN statistics and biases stay
float32: they are small, and the variance of inputs 0..255 does not fit float16.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from segnet.data.reading.bands import ImageReading
from segnet.errors import ConfigError, WeightsError, nearest
from segnet.io.files import whole_file
from segnet.labels import LabelSet
from segnet.models import MODELS, Widths, create_model
from segnet.models.released_form import set_released_form
from segnet.models.widths import Width, widths_of
from segnet.nn.normalisation import ChannelStatistics, Normalisation, normalisation_of, statistics_of
from segnet.weights.class_rows import carry_classes, class_axes
from segnet.weights.finding import PICKLES
from segnet.weights.finding import find_weights as find_weights  # noqa: PLC0414 (public here too)
from segnet.weights.first_layer import as_mean_std, carry_channels
from segnet.weights.named import WEIGHTS as WEIGHTS  # noqa: PLC0414

_CARD = "segnet"


@dataclass(frozen=True)
class WeightsCard:
    """The description of a weights file, stored inside it.

    Attributes:
        model: a key of `MODELS`.
        label_set: names and colours of the K classes.
        normalisation: of the input. `save_weights` replaces it, `in_channels`, `statistics` and `widths` by the model's
            own.
        recipe: the resolved settings of the training run, TOML.
        scores: measured scores by name, 0..1; NaN, not measured, is left out of the file.
        class_iou: intersection over union by class name, 0..1; NaN, an absent class, is left out.
        trained_on: data and split.
        licence: of the weights.
        data_terms: licence and terms of the training data, as far as they are known.
        version: of this package, when they were written.
        conv_bias: whether convolutions before BN have a bias, as in the released prototxts.
        bn_eps: added to the variance in batch normalisation; None is the model's own.
        in_channels: C of the image; files of before it was written are RGB.
        statistics: of each channel; None where the model has none of its own, as for RGB with ImageNet's.
        bands: of a file that are the model's channels, in their order, from 1; empty for the first C.
        value_range: stored values that become 0 and 255; None takes the bit depth.
        longest_side_px: to which larger images are resized before the model sees them; None leaves them.
        widths: (input, output) channels of the layers of a lean model that have fewer than the paper's, and of those in
            two factors the channels between them; empty for the paper's model.
    """

    model: str
    label_set: LabelSet
    normalisation: Normalisation | None = None
    recipe: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    class_iou: dict[str, float] = field(default_factory=dict)
    trained_on: str = ""
    licence: str = ""
    version: str = ""
    conv_bias: bool = False
    bn_eps: float | None = None
    in_channels: int = 3
    statistics: ChannelStatistics | None = None
    bands: tuple[int, ...] = ()
    value_range: tuple[float, float] | None = None
    longest_side_px: int | None = None
    widths: dict[str, Width] = field(default_factory=dict)
    data_terms: str = ""

    @property
    def reading(self) -> ImageReading:
        """How image files are read for these weights: bands and range of values."""
        bands = self.bands or (None if self.in_channels == 3 else tuple(range(1, self.in_channels + 1)))
        return ImageReading(self.value_range, bands)

    def to_json(self) -> str:
        """The card as JSON text."""
        measured = replace(self, scores=_without_nan(self.scores), class_iou=_without_nan(self.class_iou))
        return TypeAdapter(WeightsCard).dump_json(measured).decode()

    @classmethod
    def from_json(cls, text: str) -> "WeightsCard":
        """The inverse of `to_json`.

        Raises:
            WeightsError: a field is missing or of another type.
        """
        try:
            return TypeAdapter(WeightsCard).validate_json(text)
        except ValidationError as cause:
            first = cause.errors()[0]
            field_path = "".join(f"{step}: " for step in first["loc"])
            raise WeightsError(f"weights card: {field_path}{first['msg']}; save the weights again") from None


def save_weights(path: Path | str, model: nn.Module, card: WeightsCard, dtype: torch.dtype = torch.float16) -> None:
    """Writes a model's parameters and BN statistics with their card. The file appears whole or not at all.

    Args:
        path: of the `.safetensors` file.
        model: a model of `MODELS`, or another module, whose parameters then keep their type.
        card: its description; the normalisation is replaced by the model's own. For another module, `card.model` is no
            key of `MODELS`.
        dtype: of filters (parameters of more than one axis); everything else keeps its type.

    Raises:
        WeightsError: another suffix, a class count that is not the label set's, or a filter that is not finite in
            `dtype`.
        DataError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path}: weights are saved as .safetensors; give the file that suffix")
    state, filters = model.state_dict(), set[str]()
    if card.model in MODELS or type(model) in MODELS.values():
        normalisation = normalisation_of(model)
        card = replace(
            card,
            normalisation=normalisation.name,
            in_channels=normalisation.in_channels,
            statistics=statistics_of(model),
            widths=widths_of(model),
        )
        _check_fit({k: tuple(v.shape) for k, v in state.items()}, _create(card, path), card, path)
        filters = {name for name, parameter in model.named_parameters() if parameter.dim() > 1}
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        narrow = tensor.to(dtype) if name in filters else tensor
        if not narrow.isfinite().all():
            raise WeightsError(f"{path} not written: {name} is not finite in {str(dtype).removeprefix('torch.')}")
        stored[name] = narrow.cpu().contiguous()
    if card.model not in MODELS:  # parameters that share their memory, such as tied ones, are written twice
        stored = {name: tensor.clone() for name, tensor in stored.items()}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(stored, {_CARD: card.to_json()}))


def load_weights(name_or_path: str | Path) -> tuple[nn.Module, WeightsCard]:
    """Builds the model that a weights file describes and fills it, by memory map.

    Args:
        name_or_path: a key of `WEIGHTS`, a `.safetensors` file that `save_weights` wrote, a folder of
            `save_pretrained`, or an address (`hf://owner/repo`, `https://...`), as for `find_weights`.

    Returns:
        The model, float32, on the CPU, in eval mode; and the card.

    Raises:
        WeightsError: unknown name, file missing or broken, a pickle, or tensors that do not fit the model.
    """
    path = find_weights(name_or_path)
    with _open(path) as (tensors, text):
        card = _card(text, path)
        model = _create(card, path)
        _check_fit({k: tuple(v.shape) for k, v in tensors.items()}, model, card, path)
        expected = model.state_dict()
        filled = {name: tensor.to(expected[name].dtype, copy=True) for name, tensor in tensors.items()}
        model.load_state_dict(filled, assign=True)
    return model.eval(), card


def read_card(path: Path) -> WeightsCard:
    """The card of a weights file, without building the model.

    Raises:
        WeightsError: the file is missing, broken, a pickle, or has no card.
    """
    with _open(path) as (_, text):
        return _card(text, path)


def widths_in(path: Path, model: str) -> Widths:
    """The widths of a lean model's weights file; none where the file has no card, or is of another model than `model`.

    Raises:
        WeightsError: the file is missing, broken or a pickle.
    """
    with _open(path) as (_, text):
        card = _card(text, path) if text else None
    return card.widths if card is not None and card.model == model else {}


def load_matching(
    model: nn.Module, path: Path, label_set: LabelSet | None = None, *, carry_first_layer: bool = False
) -> list[str]:
    """Starts fine-tuning: loads every tensor that fits by name and shape; the others keep their values.

    Args:
        model: the model to fill.
        path: a `.safetensors` file; with or without a card.
        label_set: of the model. Where the card has other classes, the classifier gets the rows of classes of the
            same name, and the other rows keep their initialisation; None loads whatever fits by shape.
        carry_first_layer: weights of another number of channels are accepted, and the first layer's filters are
            repeated over the model's channels and scaled (`first_layer.carry_channels`).

    Returns:
        Names in the model's `state_dict` that were not loaded: the classifier, when no class is the same.

    Raises:
        WeightsError: file missing, broken or a pickle; no filter fits; or the weights were trained with another input
            normalisation, or with another number of channels and `carry_first_layer` is not set. The model is then
            unchanged.
    """
    with _open(path) as (stored, text):
        card = _card(text, path) if text else None
        tensors = stored
        if card:
            tensors = _for_input_of(model, stored, card, path, carry_first_layer=carry_first_layer)
        state = model.state_dict()
        fitting = {k: v for k, v in tensors.items() if k in state and v.shape == state[k].shape}
        if not any(tensor.dim() > 1 for tensor in fitting.values()):
            raise WeightsError(
                f"{path}: no filter fits {type(model).__name__} by name and shape; start from weights of the same model"
            )
        if card and label_set and card.label_set.names != label_set.names:
            axes = class_axes(card.model, card.label_set.num_classes)
            fitting = {name: tensor for name, tensor in fitting.items() if name not in axes}
            fitting |= carry_classes(tensors, state, axes, card.label_set, label_set)
        model.load_state_dict(fitting, strict=False)
    return [name for name in state if name not in fitting]


def _for_input_of(
    model: nn.Module, tensors: dict[str, Tensor], card: WeightsCard, path: Path, *, carry_first_layer: bool
) -> dict[str, Tensor]:
    """The tensors with the first layer for the model's channels; errors as in `load_matching`."""
    own = normalisation_of(model)
    if own.in_channels != card.in_channels and not carry_first_layer:
        raise WeightsError(
            f"{path}: weights for {card.in_channels} channels, the model has {own.in_channels}; to start from them, "
            "with the first layer's filters repeated over the channels and scaled, set carry_first_layer=True "
            "(model.carry_first_layer = true)"
        )
    if own.in_channels == card.in_channels:
        if own.name != card.normalisation:
            raise WeightsError(
                f"{path}: weights of input normalisation '{card.normalisation}', the model has '{own.name}'; "
                f"set model.normalisation to '{card.normalisation}'"
            )
        return tensors
    carried = {name: tensor for name, tensor in tensors.items() if not name.startswith("normalisation.")}
    for name, new in model.state_dict().items():
        old = tensors.get(name)
        # The layers that see the image: as many inputs as channels, before and now.
        if old is None or new.dim() != 4 or (old.shape[1], new.shape[1]) != (card.in_channels, own.in_channels):
            continue
        if old.shape[0] == new.shape[0] and not name.startswith("normalisation."):
            filters = old if own.name == card.normalisation else as_mean_std(old, card.normalisation)
            carried[name] = carry_channels(filters, own.in_channels)
    return carried


def _without_nan(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if not math.isnan(value)}


@contextmanager
def _open(path: Path) -> Iterator[tuple[dict[str, Tensor], str | None]]:
    """The tensors of a safetensors file, memory-mapped, and the text of its card, if it has one."""
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}; check the path")
    if path.suffix in PICKLES:
        raise WeightsError(f"{path} is a pickle, which can run code, and is not opened; safetensors expected")
    if path.suffix == ".caffemodel":
        raise WeightsError(
            f"{path} is a Caffe model; convert it first: segnet import-caffe {path} --label-set camvid11 "
            f"--out {path.stem}.safetensors (or camvid12, sun37, or a labels.toml file)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            text = (file.metadata() or {}).get(_CARD)
    except (SafetensorError, OSError) as cause:
        raise WeightsError(f"{path} is not a whole safetensors file ({cause}); fetch or save it again") from None
    yield tensors, text


def _card(text: str | None, path: Path) -> WeightsCard:
    if text is None:
        raise WeightsError(
            f"{path} has no card: it was not written by this package's save_weights, so its model is unknown"
        )
    try:
        return WeightsCard.from_json(text)
    except WeightsError as cause:
        raise WeightsError(f"{path}: {cause}") from None


def _create(card: WeightsCard, path: Path) -> nn.Module:
    """The card's model without values: initialising them would take longer than reading the file."""
    if card.model not in MODELS:
        raise WeightsError(
            f"{path}: unknown model '{card.model}'; {nearest(card.model, MODELS)} If it is a module of your own, build "
            f"it and fill it by safetensors.torch.load_model(module, {str(path)!r}), then Predictor(module, label_set)"
        )
    try:
        with torch.device("meta"):
            model = create_model(
                card.model,
                card.label_set.num_classes,
                card.in_channels,
                normalisation=card.normalisation,
                statistics=card.statistics,
                widths=card.widths,
            )
            set_released_form(model, conv_bias=card.conv_bias, bn_eps=card.bn_eps)
            return model
    except ConfigError as cause:
        raise WeightsError(f"{path}: {cause}") from None


def _check_fit(shapes: Mapping[str, tuple[int, ...]], model: nn.Module, card: WeightsCard, path: Path) -> None:
    """Checks that tensors of these shapes are exactly those of the model.

    Raises:
        WeightsError: they are not; names the first that does not fit.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    num_classes = shapes.get("classifier.bias", (card.label_set.num_classes,))[0]
    if num_classes != card.label_set.num_classes and shapes.keys() == expected.keys():
        raise WeightsError(
            f"{path}: weights for {num_classes} classes, but the label set {card.label_set.name} has "
            f"{card.label_set.num_classes}; give the label set they were trained with"
        )
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise WeightsError(
                f"{path} does not fit '{card.model}': {name}: expected {expected.get(name, 'no such tensor')}, "
                f"got {shapes.get(name, 'none')}; name the model they were trained as"
            )
