"""The prediction for one image: classes, shares, overlay, maps of confidence and uncertainty, and their files."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segnet import palette
from segnet.data.class_files import IdsOut, class_image, png_info
from segnet.data.reading.georeference import Georeference
from segnet.data.sample import Image8
from segnet.inference.geotiff import GeoTIFFRows
from segnet.io.files import whole_file
from segnet.labels import LabelSet

Float2D = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """The prediction for one image, at the image's own size.

    Attributes:
        image: the image that was given to the model, RGB uint8 (H, W, 3); for a model of other channels (H, W, C).
        classes: class ids, uint8 (H, W).
        label_set: of the class ids.
        confidence: probability of the predicted class, float32 (H, W) in [0, 1], if requested.
        probability: of every class, float16 (K, H, W), if requested.
        uncertainty: `variance`, `entropy` and `mutual_information`, each float32 (H, W), if requested.
    """

    image: Image8
    classes: Image8
    label_set: LabelSet
    confidence: Float2D | None = None
    probability: NDArray[np.float16] | None = None
    uncertainty: dict[str, Float2D] | None = None

    def __eq__(self, other: object) -> bool:
        """Whether image, label set and all maps are equal; maps of different size or kind are not."""
        if not isinstance(other, Prediction):
            return NotImplemented
        return self.label_set == other.label_set and all(
            _equal(getattr(self, name), getattr(other, name))
            for name in ("image", "classes", "confidence", "probability", "uncertainty")
        )

    __hash__ = None  # type: ignore[assignment] # its arrays can be changed

    def __repr__(self) -> str:
        """Size and shares of the classes, instead of all pixels."""
        height, width = self.classes.shape
        return (
            f"Prediction({height}x{width}: {', '.join(f'{name} {share:.1%}' for name, share in self.shares().items())})"
        )

    def _repr_png_(self) -> bytes:
        """The overlay with its legend, which notebooks show."""
        file = BytesIO()
        self.overlay().save(file, format="PNG")
        return file.getvalue()

    @property
    def rgb(self) -> Image8:
        """The image to look at, uint8 (H, W, 3): of a model of other channels as `palette.displayed` shows it."""
        return palette.displayed(self.image)

    def shares(self) -> dict[str, float]:
        """Share of the image's pixels that each class has, 0..1, largest first; classes without pixels left out."""
        counts = np.bincount(self.classes.ravel(), minlength=self.label_set.num_classes) / self.classes.size
        return {self.label_set.names[i]: float(counts[i]) for i in np.argsort(-counts, kind="stable") if counts[i]}

    def overlay(self, opacity: float = 0.5) -> Image.Image:
        """The image with class colours drawn over it and a legend of its classes below."""
        coloured = palette.overlay(self.rgb, self.classes, self.label_set, opacity)
        present = np.unique(self.classes).tolist()
        return Image.fromarray(palette.with_legend(coloured, self.label_set, present))

    def grey_maps(self) -> dict[str, Image8]:
        """Confidence and uncertainties, where there are any, as grey images: uint8 (H, W) by the name used in file
        names.

        White is confidence 1, and the largest uncertainty that K classes allow: variance (K - 1) / K^2, entropy and
        mutual information ln K.
        """
        num_classes = max(self.label_set.num_classes, 2)
        maps = {name.replace("_", "-"): values for name, values in (self.uncertainty or {}).items()}
        most = {name: float(np.log(num_classes)) for name in maps} | {"variance": (num_classes - 1) / num_classes**2}
        if self.confidence is not None:
            maps, most = {"confidence": self.confidence, **maps}, {"confidence": 1.0, **most}
        return {name: np.rint((v / most[name]).clip(0, 1) * 255).astype(np.uint8) for name, v in maps.items()}

    def save(self, path: Path | str, *, ids: IdsOut = "files") -> None:
        """Writes class ids as a PNG whose palette shows the class colours, and which says what each id means.

        Args:
            path: of the PNG.
            ids: `files` writes the ids that the label files of the training data have, where those are known and are
                not 0..K-1; `classes` always writes 0..K-1.

        Raises:
            DataError: the file cannot be written; no partial file is left.
        """
        save_classes(self.classes, self.label_set, Path(path), ids)


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_equal(ours[name], theirs[name]) for name in ours)
    if ours is None or theirs is None:
        return ours is theirs
    return bool(np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"))


def save_classes(classes: Image8, label_set: LabelSet, path: Path, ids: IdsOut = "files") -> None:
    """Writes class ids (H, W) as `Prediction.save` does; errors as there."""
    with whole_file(path) as temporary:
        class_image(classes, label_set, ids).save(temporary, format="PNG", pnginfo=png_info(label_set, ids))


def save_image(image: Image.Image, path: Path) -> None:
    """Writes a PNG whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    with whole_file(path) as temporary:
        image.save(temporary, format="PNG")


def result_paths(
    out: Path,
    stem: str,
    *,
    confidence: bool = False,
    probabilities: bool = False,
    uncertainty: bool = False,
    geotiff: bool = False,
) -> list[Path]:
    """The files that `save_prediction` writes for a prediction with these maps."""
    names = ["classes.png", "overlay.png"]
    names += ["classes.tif"] * geotiff
    names += ["confidence.png"] * confidence + ["probability.npz"] * probabilities
    names += ["variance.png", "entropy.png", "mutual-information.png"] * uncertainty
    return [out / f"{stem}-{name}" for name in names]


def save_prediction(
    prediction: Prediction,
    out: Path,
    stem: str,
    *,
    opacity: float = 0.5,
    ids: IdsOut = "files",
    georeference: Georeference | None = None,
    cog: bool = False,
) -> None:
    """Writes all files of one prediction, each whole or not at all.

    `STEM-classes.png` and `STEM-overlay.png`; `STEM-confidence.png`, `STEM-probability.npz` and one PNG per uncertainty
    map where the prediction has them.

    Args:
        prediction: of one image.
        out: folder, made if missing.
        stem: first part of the file names.
        opacity: of the class colours in the overlay, 0..1.
        ids: in `STEM-classes.png`, as for `Prediction.save`.
        georeference: of the image; then `STEM-classes.tif` is written too.
        cog: as for `GeoTIFFRows`.

    Raises:
        DataError: a file cannot be written.
    """
    if georeference is not None:
        size_px = (prediction.classes.shape[0], prediction.classes.shape[1])
        with GeoTIFFRows(
            out / f"{stem}-classes.tif", size_px, prediction.label_set, georeference, ids=ids, cog=cog
        ) as geotiff:
            geotiff.write(prediction.classes)
    prediction.save(out / f"{stem}-classes.png", ids=ids)
    save_image(prediction.overlay(opacity), out / f"{stem}-overlay.png")
    if prediction.probability is not None:
        with whole_file(out / f"{stem}-probability.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, probability=prediction.probability, names=np.array(prediction.label_set.names))
    for name, grey in prediction.grey_maps().items():
        save_image(Image.fromarray(grey), out / f"{stem}-{name}.png")
