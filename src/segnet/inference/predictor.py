"""From image to prediction: used by the command line, the demo, the benchmark and programs alike.

predictor = Predictor("segnet-basic-camvid")
prediction = predictor("street.jpg")
prediction.save("street-classes.png")
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from segnet import palette
from segnet.config import PrecisionName
from segnet.crf.dense_crf import CRFParameters, refined
from segnet.data.adapting import label_set_of
from segnet.data.datasets.unlabelled import RGB
from segnet.data.reading.bands import ImageReading
from segnet.data.reading.images import as_rgb, read_image
from segnet.data.resizing import resized_image, size_within
from segnet.data.sample import Image8
from segnet.data.transforms import image_to_tensor
from segnet.device import DeviceSpec, choose_device
from segnet.errors import ConfigError, ShapeError, WeightsError
from segnet.inference.prediction import Float2D, Prediction
from segnet.inference.test_time import TestTimeAugmentation, as_augmentation
from segnet.inference.tune import folder_of, remembered
from segnet.inference.uncertainty import UNCERTAINTIES, DropoutSampler, Uncertainty
from segnet.labels import LabelSet
from segnet.nn.normalisation import InputNormalisation, normalisation_of
from segnet.runtime.backend import Backend, BackendName
from segnet.runtime.create import choose_backend
from segnet.runtime.openvino import OpenVINOBackend
from segnet.runtime.plain import PlainBackend
from segnet.runtime.quantised import is_quantised, read_quantised
from segnet.weights.file import WeightsCard, find_weights, load_weights

ImageInput = Path | str | Image8 | Image.Image


class Predictor:
    """A model ready to predict.

    Args:
        weights: name of weights, such as `segnet-basic-camvid`; path of a `.safetensors` file, plain or quantised; or a
            module (N, C, H, W) in [0, 1] -> logits (N, K, H, W), of this package or any other, which is moved to the
            device and put in eval mode.
        label_set: of the classes, for a module only: weights have their own. Names get distinct colours; a number gives
            `class 0` and so on.
        backend: a runtime; `auto` takes the fastest that `segnet tune` found for these weights here, else PyTorch's own
            operators.
        device: `auto` takes a GPU where there is one.
        precision: `auto` takes bfloat16 where hardware and backend support it; `int8` is that of a quantised file.
        crf: parameters of a fully connected CRF that refines the model's probabilities; None uses them as they are.
        longest_side_px: larger images are resized to it before the model sees them, and the logits are resized back to
            their own size: a model recognises objects at the scale it was trained at. None does as in training; 0 never
            resizes.
        tta: test-time augmentation, such as `flip` or `flip,0.75,1,1.25`; None predicts each image once.
        reading: bands and range of values of image files; None reads them as the weights were trained.

    Raises:
        WeightsError: unknown name, file missing or broken, or of a model that reconstructs images.
        ConfigError: a device, a backend or a precision that is not available, a longest side below 1, a test-time
            augmentation that cannot be read, or a module without a label set.

    Example:
        >>> from segnet import Predictor
        >>> prediction = Predictor("segnet-basic-camvid")(np.zeros((45, 61, 3), np.uint8))
        >>> prediction.classes.shape
        (45, 61)
    """

    card: WeightsCard
    backend: Backend

    def __init__(
        self,
        weights: str | Path | nn.Module,
        label_set: LabelSet | Sequence[str] | int | None = None,
        *,
        backend: BackendName = "auto",
        device: str | torch.device = "auto",
        precision: PrecisionName | Literal["int8"] = "auto",
        crf: CRFParameters | None = None,
        longest_side_px: int | None = None,
        tta: str | TestTimeAugmentation | None = None,
        reading: ImageReading | None = None,
    ) -> None:
        if longest_side_px is not None and longest_side_px < 0:
            raise ConfigError(f"longest_side_px {longest_side_px}: expected pixels, 0 for images as they are, or None")
        self.crf = crf
        self._longest_side_px = longest_side_px
        self.tta = as_augmentation(tta)
        self._reading = reading
        self._model: nn.Module | None = None
        self._sampler: DropoutSampler | None = None
        if isinstance(weights, nn.Module):
            self._open_module(weights, label_set, backend, choose_device(device, precision))
            return
        if label_set is not None:
            raise ConfigError(f"label_set is for a module; the weights {weights} have their own, leave it out")
        if (path := find_weights(weights)) and is_quantised(path):
            self._open_quantised(path, backend, device, precision)
            return
        if backend == "onnxruntime" and precision == "auto":
            precision = "float32"  # the only precision of this backend
        self.device_spec = choose_device(device, precision)
        if backend == precision == "auto" and (best := remembered(path, self.device_spec.device)):
            backend, self.device_spec = best.backend, replace(self.device_spec, precision=best.precision)
        self._model, self.card = load_weights(path)
        _require_classes(self.card, path)
        self.device_spec.ready(self._model)
        self.backend = choose_backend(
            self._model, backend, self.device_spec.device, self.device_spec.precision, kept=folder_of(path)
        )

    def _open_module(
        self,
        model: nn.Module,
        label_set: LabelSet | Sequence[str] | int | None,
        backend: BackendName,
        device_spec: DeviceSpec,
    ) -> None:
        if label_set is None:
            raise ConfigError(
                f"{type(model).__name__}: a module does not know its classes; give a label set or names, for example "
                "Predictor(model, ['road', 'other'])"
            )
        self.device_spec = device_spec
        self._model = device_spec.ready(model.eval())
        is_own = isinstance(getattr(model, "normalisation", None), InputNormalisation)
        name, in_channels = type(model).__name__, normalisation_of(model).in_channels if is_own else _channels(model)
        self.card = WeightsCard(name, label_set_of(label_set), in_channels=in_channels)
        if not is_own and backend == "auto":
            self.backend = PlainBackend(self._model, device_spec)
        else:
            self.backend = choose_backend(self._model, backend, device_spec.device, device_spec.precision)

    def _open_quantised(self, path: Path, backend: BackendName, device: str | torch.device, precision: str) -> None:
        if (
            backend not in ("auto", "openvino")
            or str(device) not in ("auto", "cpu")
            or precision not in ("auto", "int8")
        ):
            raise ConfigError(
                f"{path} is quantised: it runs on openvino, on the CPU, in int8; leave backend, device and "
                "precision at auto"
            )
        self.device_spec = choose_device("cpu")
        card = read_quantised(path)[1]
        self.card = replace(card.weights, scores=card.scores_after)
        self.backend = OpenVINOBackend.from_quantised(path)

    @property
    def model(self) -> nn.Module:
        """The PyTorch model, for what backends cannot do: sampling dropout, further training.

        Raises:
            ConfigError: a quantised file holds none.
        """
        if self._model is None:
            raise ConfigError(
                "a quantised file has no PyTorch model to sample or to train; use the weights it was made from"
            )
        return self._model

    def __str__(self) -> str:
        """Backend, device and precision, for messages."""
        return f"{self.backend.name}, {self.device_spec.device}, {self.backend.precision}"

    @property
    def in_channels(self) -> int:
        """C, the number of channels of an image."""
        return self.card.in_channels

    @property
    def reading(self) -> ImageReading:
        """How image files are read: bands and range of values."""
        return self._reading or self.card.reading

    @property
    def longest_side_px(self) -> int | None:
        """Longest side of the images that the model sees; larger ones are resized. None where none are."""
        given = self._longest_side_px
        return self.card.longest_side_px if given is None else given or None

    def with_longest_side(self, longest_side_px: int | None) -> "Predictor":
        """The same model with another `longest_side_px`; 0 for images as they are, None for that of the weights."""
        other = copy(self)
        other._longest_side_px = longest_side_px
        return other

    @property
    def label_set(self) -> LabelSet:
        """Names and colours of the classes."""
        return self.card.label_set

    def __call__(
        self,
        source: ImageInput,
        *,
        confidence: bool = False,
        probabilities: bool = False,
        uncertainty_samples: int = 0,
    ) -> Prediction:
        """Predicts one image.

        Args:
            source: path of a file that Pillow reads, an image of Pillow, or RGB uint8 (H, W, 3), which is copied.
            confidence: keep the probability of the class that was chosen. Without it and the following two,
                only class ids are copied from the device.
            probabilities: keep the probability of every class.
            uncertainty_samples: above 0, a Bayesian model is sampled so many times and its uncertainty kept.

        Raises:
            DataError: the file is missing or broken.
            ShapeError: an array that is not RGB uint8 (H, W, 3), or an input of another type.
            ConfigError: uncertainty asked of a model without dropout.
        """
        return self.batch(
            [source], confidence=confidence, probabilities=probabilities, uncertainty_samples=uncertainty_samples
        )[0]

    @torch.inference_mode()
    def batch(
        self,
        sources: Iterable[ImageInput],
        *,
        confidence: bool = False,
        probabilities: bool = False,
        uncertainty_samples: int = 0,
    ) -> list[Prediction]:
        """Predicts several images of one size in a single pass; arguments and errors as for one.

        Raises:
            ShapeError: the images differ in size.

        Returns:
            A prediction for each image, in their order; an empty list for none.
        """
        images = [self._as_image(source) for source in sources]
        if not images:
            return []
        sizes = {image.shape[:2] for image in images}
        if len(sizes) != 1:
            raise ShapeError(f"a batch needs images of one size, got {sorted(sizes)}; predict them one by one")
        sampled: Uncertainty | None = None
        if uncertainty_samples:
            sampled = self.sample(images, uncertainty_samples)
            probability = self._after_crf(sampled.probability.cpu(), images)
        elif confidence or probabilities or self._needs_probability(images):
            probability = self.probability(images)
        else:
            classes = self.backend.classes(_batch(images)).numpy()  # (N, H, W)
            return [Prediction(image, classes[i], self.label_set) for i, image in enumerate(images)]
        highest, chosen = probability.max(1)
        return [
            Prediction(
                image,
                chosen[i].to(torch.uint8).numpy(),
                self.label_set,
                _numpy(highest[i]) if confidence else None,
                probability[i].half().numpy() if probabilities else None,
                _maps(sampled, i) if sampled else None,
            )
            for i, image in enumerate(images)
        ]

    @torch.inference_mode()
    def probability(self, images: Sequence[Image8]) -> Tensor:
        """Of every class, after the CRF if there is one: N images of one size -> float32 (N, K, H, W) on the CPU."""
        batch, size = _batch(self._seen(images)), images[0].shape[:2]
        if self.tta is None:
            probability = _at_size(self.backend.logits(batch), size).softmax(1)
        else:
            probability = _at_size(self.tta.probability(self.backend.logits, batch), size)
        return self._after_crf(probability, images)

    @torch.inference_mode()
    def sample(self, images: Sequence[Image8], num_samples: int) -> Uncertainty:
        """Monte Carlo samples for N images of one size, from the PyTorch model: backends have no dropout.

        Raises:
            ConfigError: a model without dropout, or a quantised one.
        """
        if self.tta is not None:
            raise ConfigError("uncertainty and test-time augmentation cannot be combined; leave one of them out")
        if self._sampler is None:
            self._sampler = DropoutSampler(self.model)
        batch = torch.stack([image_to_tensor(image) for image in self._seen(images)])
        with self.device_spec.autocast():
            sampled = self._sampler(batch.to(self.device_spec.device, memory_format=torch.channels_last), num_samples)
        size = images[0].shape[:2]
        maps = {name: _at_size(getattr(sampled, name)[:, None], size)[:, 0] for name in UNCERTAINTIES}
        return Uncertainty(_at_size(sampled.probability, size), **maps)

    def _is_large(self, images: Sequence[Image8]) -> bool:
        return self.longest_side_px is not None and max(images[0].shape[:2]) > self.longest_side_px

    def _seen(self, images: Sequence[Image8]) -> Sequence[Image8]:
        """The images as the model sees them, of one size."""
        height, width = images[0].shape[:2]
        size_px = size_within((height, width), self.longest_side_px)
        return [resized_image(image, size_px) for image in images]

    def _after_crf(self, probability: Tensor, images: Sequence[Image8]) -> Tensor:
        if self.crf is None:
            return probability
        rgb = [palette.displayed(image) for image in images]
        return torch.from_numpy(refined(probability.cpu().numpy(), rgb, self.crf))

    def _needs_probability(self, images: Sequence[Image8]) -> bool:
        return self.crf is not None or self.tta is not None or self._is_large(images)

    def _as_image(self, source: ImageInput) -> Image8:
        """The image that the model is given, uint8 (H, W, C)."""
        if isinstance(source, str | Path):
            return self._of_its_channels(read_image(Path(source), reading=self.reading))
        if isinstance(source, Image.Image) and self.in_channels == 3:
            return as_rgb(source)
        if isinstance(source, Image.Image):
            source = np.asarray(source)
        if not isinstance(source, np.ndarray):
            raise ShapeError(
                f"expected a path, an image of Pillow, or an array uint8 (H, W, C), got {type(source).__name__}"
            )
        return self._of_its_channels(source[..., None] if source.ndim == 2 and self.in_channels == 1 else source).copy()

    def _of_its_channels(self, image: np.ndarray) -> Image8:
        """The same image.

        Raises:
            ShapeError: it is not uint8 (H, W, C) with the C of the model.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != self.in_channels or 0 in image.shape:
            kind = "an RGB image" if self.in_channels == 3 else f"an image of the model's {self.in_channels} channels"
            raise ShapeError(f"expected {kind}, uint8 (H, W, {self.in_channels}), got {image.dtype} {image.shape}")
        return image


def _batch(images: Sequence[Image8]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # uint8 (N, C, H, W)


def _at_size(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """(N, C, h, w) -> (N, C, H, W), interpolated bilinearly where the sizes differ."""
    return maps if maps.shape[2:] == size else F.interpolate(maps, size, mode="bilinear", align_corners=False)


def _require_classes(card: WeightsCard, path: Path) -> None:
    if card.label_set == RGB:
        raise WeightsError(
            f"{path}: weights of a model that reconstructs images and has no classes; start a training with them: "
            f"segnet train --set model.start={path}"
        )


def _channels(model: nn.Module) -> int:
    """Input channels of the first convolution of a module that is not of this package; 3 where it has none."""
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    return first.in_channels if first else 3


def _numpy(tensor: Tensor) -> Float2D:
    result: Float2D = tensor.float().cpu().numpy()
    return result


def _maps(sampled: Uncertainty, i: int) -> dict[str, Float2D]:
    return {name: _numpy(getattr(sampled, name)[i]) for name in UNCERTAINTIES}
