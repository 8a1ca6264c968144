"""Many images that fit into memory: predicted in batches, their results written as they come."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from segnet.data.class_files import IdsOut
from segnet.data.exporters.preannotations import TOLERANCE_PX, PreAnnotations
from segnet.data.reading.georeference import georeference_of
from segnet.data.reading.images import PIXEL_LIMIT
from segnet.data.reading.listing import groups_of_one_size
from segnet.data.reading.raster import TIFF_SUFFIXES
from segnet.errors import ConfigError, DataError
from segnet.inference.prediction import Prediction, result_paths, save_prediction
from segnet.inference.predictor import Predictor

_OF_ONE_IMAGE = {"labelme": "{}.json", "yolo": "labels/{}.txt", "geojson": "{}.geojson"}


@dataclass(frozen=True)
class ImageResults:
    """What is written of each image.

    Attributes:
        out: folder, made where it is missing.
        opacity: of the class colours in the overlay, 0..1.
        confidence: also a map of it; so with the following two.
        probabilities: of every class.
        uncertainty_samples: of a Bayesian model; 0 for no maps of uncertainty.
        form: polygons in this form of `PreAnnotations` instead of all the above; empty for none.
        tolerance_px: of the polygons.
        ids: in PNGs and GeoTIFFs of classes, as for `Prediction.save`.
        cog: whether the class ids of a GeoTIFF become a cloud optimised one.
        pixel_limit: images of more pixels are refused.
    """

    out: Path
    opacity: float = 0.5
    confidence: bool = False
    probabilities: bool = False
    uncertainty_samples: int = 0
    form: str = ""
    tolerance_px: float = TOLERANCE_PX
    ids: IdsOut = "files"
    cog: bool = False
    pixel_limit: int = PIXEL_LIMIT

    def paths(self, path: Path, stem: str) -> list[Path]:
        """The files that may be written of an image."""
        if self.form in _OF_ONE_IMAGE:
            return [self.out / _OF_ONE_IMAGE[self.form].format(stem)]
        return result_paths(
            self.out,
            stem,
            confidence=self.confidence,
            probabilities=self.probabilities,
            uncertainty=self.uncertainty_samples > 0,
            geotiff=path.suffix.lower() in TIFF_SUFFIXES,
        )

    def require_tiles(self, path: Path) -> None:
        """Refuses what an image that goes in tiles cannot have.

        Raises:
            ConfigError: probabilities or polygons, which need the whole image in memory.
        """
        if self.probabilities or self.form:
            option = "--as" if self.form else "--probabilities"
            raise ConfigError(f"{path} goes in tiles, and has no {option} then; allow more --memory, or cut it up")


def predict_images(
    predictor: Predictor,
    stems: Mapping[Path, str],
    results: ImageResults,
    batch_size: int = 1,
    on_done: Callable[[int], None] = lambda number: None,
) -> Iterator[DataError]:
    """Predicts image files one after the other and writes their results.

    Args:
        predictor: of the images.
        stems: files, and the first part of their results' names.
        results: what is written.
        batch_size: neighbours of one size that are predicted together, at most.
        on_done: is told how many files were just done, broken ones among them.

    Yields:
        The error of each file that cannot be read, which is left out.

    Raises:
        DataError: a result cannot be written.
        ConfigError: uncertainty asked of a model without dropout.
    """
    annotations = None
    if results.form:
        annotations = PreAnnotations(results.out, results.form, predictor.label_set, results.tolerance_px)
    for group, images, broken in groups_of_one_size(stems, batch_size, results.pixel_limit, predictor.reading):
        yield from broken
        predictions = predictor.batch(
            images,
            confidence=results.confidence,
            probabilities=results.probabilities,
            uncertainty_samples=results.uncertainty_samples,
        )
        for path, prediction in zip(group, predictions, strict=True):
            save_results(prediction, path, stems[path], results, annotations)
        on_done(len(group) + len(broken))
    if annotations:
        annotations.finish()


def save_results(
    prediction: Prediction, path: Path, stem: str, results: ImageResults, annotations: PreAnnotations | None
) -> None:
    """Writes the results of one image.

    Args:
        prediction: of the image.
        path: of the image, for its georeference.
        stem: first part of the file names.
        results: what is written.
        annotations: writer of polygons, for results of that form.

    Raises:
        DataError: a file cannot be written, or the image has gone.
    """
    place = georeference_of(path)
    if annotations:
        annotations.add(path, stem, prediction.image, prediction.classes, place)
    else:
        save_prediction(
            prediction, results.out, stem, opacity=results.opacity, ids=results.ids, georeference=place, cog=results.cog
        )
