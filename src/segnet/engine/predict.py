"""Picture in, prediction out: the one way used by the command line, the demo, the benchmark and programs.

predictor = Predictor("segnet-basic-camvid")
prediction = predictor("street.jpg")
prediction.save("street-classes.png")
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from segnet import palette
from segnet.data.pictures import read_picture
from segnet.data.sample import Image8
from segnet.data.transforms import image_to_tensor
from segnet.engine.crf import CRFParameters, DenseCRF
from segnet.engine.device import DeviceName, PrecisionName, choose_place
from segnet.engine.uncertainty import Uncertainty, sample_uncertainty
from segnet.errors import ShapeError
from segnet.files import whole_file
from segnet.labels import LabelSet
from segnet.models.weights import WeightsCard, load_weights

Float2D = NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """What the net says of one picture, at the picture's own size.

    Attributes:
        image: the picture as the net saw it, RGB uint8 (H, W, 3).
        classes: class ids, uint8 (H, W).
        label_set: of the class ids.
        probability: of every class, float16 (K, H, W), where asked for.
        confidence: probability of the class that was chosen, float32 (H, W) in [0, 1].
        uncertainty: `variance`, `entropy` and `mutual_information`, each float32 (H, W), where asked for.
    """

    image: Image8
    classes: Image8
    label_set: LabelSet
    confidence: Float2D
    probability: NDArray[np.float16] | None = None
    uncertainty: dict[str, Float2D] | None = None

    def shares(self) -> dict[str, float]:
        """Share of the picture's pixels that each class has, 0..1, largest first; classes without pixels left out."""
        counts = np.bincount(self.classes.ravel(), minlength=self.label_set.num_classes) / self.classes.size
        return {self.label_set.names[i]: float(counts[i]) for i in np.argsort(-counts, kind="stable") if counts[i]}

    def overlay(self, opacity: float = 0.5) -> Image.Image:
        """The picture with class colours laid over it and a legend of its classes below."""
        coloured = palette.overlay(self.image, self.classes, self.label_set, opacity)
        present = np.unique(self.classes).tolist()
        return Image.fromarray(palette.with_legend(coloured, self.label_set, present))

    def save(self, path: Path | str) -> None:
        """Writes class ids as a PNG whose palette shows the class colours.

        Raises:
            DataError: the file cannot be written; nothing is left half written.
        """
        save_picture(palette.to_palette_picture(self.classes, self.label_set), Path(path))


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a PNG whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as temporary:
        picture.save(temporary, format="PNG")


class Predictor:
    """A net ready to predict.

    Args:
        weights: name of weights that ship, such as `segnet-basic-camvid`, or path of a `.safetensors` file.
        device: `auto` takes a GPU where there is one.
        precision: `auto` takes bfloat16 where the hardware multiplies it.
        crf: parameters of a fully connected CRF between net and prediction; None takes the net's word.

    Raises:
        WeightsError: unknown name, file missing or broken.
        ConfigError: a device that is not there.

    Example:
        >>> from segnet import Predictor
        >>> prediction = Predictor("segnet-basic-camvid")(np.zeros((45, 61, 3), np.uint8))
        >>> prediction.classes.shape
        (45, 61)
    """

    model: nn.Module
    card: WeightsCard

    def __init__(
        self,
        weights: str | Path,
        *,
        device: DeviceName = "auto",
        precision: PrecisionName = "auto",
        crf: CRFParameters | None = None,
    ) -> None:
        self.place = choose_place(device, precision)
        self.crf = crf
        self.model, self.card = load_weights(weights)
        self.place.ready(self.model.eval())

    @property
    def label_set(self) -> LabelSet:
        """What the class ids mean."""
        return self.card.label_set

    def __call__(
        self, picture: Path | str | Image8, *, probabilities: bool = False, uncertainty_samples: int = 0
    ) -> Prediction:
        """Predicts one picture.

        Args:
            picture: path of a file that Pillow reads, or RGB uint8 (H, W, 3).
            probabilities: keep the probability of every class.
            uncertainty_samples: above 0, a Bayesian net is sampled so many times and its uncertainty kept.

        Raises:
            DataError: the file is missing or broken.
            ShapeError: an array that is not RGB uint8 (H, W, 3).
            ConfigError: uncertainty asked of a net without dropout.
        """
        return self.batch([picture], probabilities=probabilities, uncertainty_samples=uncertainty_samples)[0]

    @torch.inference_mode()
    def batch(
        self,
        pictures: Iterable[Path | str | Image8],
        *,
        probabilities: bool = False,
        uncertainty_samples: int = 0,
    ) -> list[Prediction]:
        """Predicts several pictures of one size in a single pass; arguments and errors as for one.

        Raises:
            ShapeError: the pictures differ in size.
        """
        images = [_as_image(picture) for picture in pictures]
        sizes = {image.shape[:2] for image in images}
        if len(sizes) != 1:
            raise ShapeError(f"a batch wants pictures of one size, got {sorted(sizes)}; predict them one by one")
        batch = torch.stack([image_to_tensor(image) for image in images])
        batch = batch.to(self.place.device, memory_format=torch.channels_last)
        sampled: Uncertainty | None = None
        with self.place.autocast():
            if uncertainty_samples:
                sampled = sample_uncertainty(self.model, batch, uncertainty_samples)
                probability = sampled.probability
            else:
                probability = self.model(batch).float().softmax(1)  # (N, K, H, W)
        if self.crf is not None:
            probability = torch.stack([_refined(*pair, self.crf) for pair in zip(probability, images, strict=True)])
        confidence, classes = probability.max(1)
        return [
            Prediction(
                image,
                classes[i].to(torch.uint8).cpu().numpy(),
                self.label_set,
                _numpy(confidence[i]),
                probability[i].half().cpu().numpy() if probabilities else None,
                _maps(sampled, i) if sampled else None,
            )
            for i, image in enumerate(images)
        ]


def _refined(probability: Tensor, image: Image8, crf: CRFParameters) -> Tensor:
    return torch.from_numpy(DenseCRF(image, crf)(probability.cpu().numpy()))  # (K, H, W)


def _as_image(picture: Path | str | Image8) -> Image8:
    if isinstance(picture, str | Path):
        return read_picture(Path(picture))
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ShapeError(f"wanted an RGB picture, uint8 (H, W, 3), got {picture.dtype} {picture.shape}")
    return picture


def _numpy(tensor: Tensor) -> Float2D:
    result: Float2D = tensor.float().cpu().numpy()
    return result


def _maps(sampled: Uncertainty, i: int) -> dict[str, Float2D]:
    return {
        "variance": _numpy(sampled.variance[i]),
        "entropy": _numpy(sampled.entropy[i]),
        "mutual_information": _numpy(sampled.mutual_information[i]),
    }


def save_prediction(
    prediction: Prediction, out: Path, stem: str, *, opacity: float = 0.5, confidence: bool = False
) -> None:
    """Writes all files of one prediction, each whole or not at all.

    `STEM-classes.png`, `STEM-overlay.png`; `STEM-confidence.png` if asked for; `STEM-probability.npz` and one PNG per
    uncertainty map where the prediction has them. Maps are grey: confidence 1 is white, and the largest possible
    value of an uncertainty is white (variance 1/4, entropy and mutual information ln K).

    Args:
        prediction: of one picture.
        out: folder, made if missing.
        stem: first part of the file names.
        opacity: of the class colours in the overlay, 0..1.
        confidence: whether to write the confidence map.

    Raises:
        DataError: a file cannot be written.
    """
    prediction.save(out / f"{stem}-classes.png")
    save_picture(prediction.overlay(opacity), out / f"{stem}-overlay.png")
    if confidence:
        save_picture(_grey(prediction.confidence, 1.0), out / f"{stem}-confidence.png")
    if prediction.probability is not None:
        with whole_file(out / f"{stem}-probability.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, probability=prediction.probability, names=np.array(prediction.label_set.names))
    for name, values in (prediction.uncertainty or {}).items():
        top = 0.25 if name == "variance" else float(np.log(max(prediction.label_set.num_classes, 2)))
        save_picture(_grey(values, top), out / f"{stem}-{name.replace('_', '-')}.png")


def _grey(values: Float2D, top: float) -> Image.Image:
    return Image.fromarray(np.rint((values / top).clip(0, 1) * 255).astype(np.uint8))
