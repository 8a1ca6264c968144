"""Evaluates weights on a labelled split and writes scores, report and, if requested, every prediction."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from segnet.data.reading.targets import require_labelled
from segnet.data.sample import Dataset, Image8
from segnet.errors import WeightsError
from segnet.inference.prediction import save_classes
from segnet.inference.predictor import Predictor
from segnet.io.files import whole_file
from segnet.labels import LabelSet
from segnet.machine import machine_facts
from segnet.metrics import confusion
from segnet.metrics.calibration import Calibration
from segnet.metrics.scores import Scores
from segnet.report.images import best_and_worst
from segnet.report.page import write_report
from segnet.training.log import read_log


def evaluate_to_folder(
    predictor: Predictor,
    dataset: Dataset,
    out: Path,
    *,
    facts: Mapping[str, str],
    log: Path | None = None,
    save_predictions: bool = False,
    authors_form: bool = False,
    uncertainty_samples: int = 0,
    console: Console | None = None,
) -> Scores:
    """Scores a model and writes `out/scores.json` and `out/report.html`.

    Args:
        predictor: the model.
        dataset: one labelled split with the classes that the model knows.
        out: folder, made if missing.
        facts: names and values about weights and data for the report; those of the machine are added.
        log: of the training run, for its curves.
        save_predictions: also write `out/predictions/NAME.png`, class ids as `Prediction.save` writes them.
        authors_form: also measure boundary F1 as the authors' script does, which takes seconds per image.
        uncertainty_samples: above 0, a Bayesian model is sampled this many times per image, and its mean softmax is
            scored and used for calibration.
        console: shows progress; None shows nothing.

    Raises:
        WeightsError: the model was trained on other classes.
        ConfigError: samples requested of a model without dropout.
        DataError: an image cannot be read, or a file cannot be written.
        LabelError: no labelled pixel at all, or a class id that is not known.
    """
    require_same_classes(predictor.label_set, dataset)
    require_labelled(dataset)
    calibration = Calibration()

    def results() -> Iterator[tuple[str, Image8, Image8]]:
        places = range(len(dataset))
        shown = console or Console(quiet=True)
        for place in track(places, f"evaluating on {predictor}", console=shown, transient=True):
            sample = dataset[place]
            result = predictor(sample.image, confidence=True, uncertainty_samples=uncertainty_samples)
            if result.confidence is not None:
                calibration.add(result.confidence, result.classes, sample.target)
            if save_predictions:
                save_classes(result.classes, dataset.label_set, out / "predictions" / f"{sample.name}.png")
            yield sample.name, result.classes, sample.target

    scores = Scores.of(dataset.label_set, results(), authors_form=authors_form)
    with whole_file(out / "scores.json") as temporary:
        temporary.write_text(json.dumps({**facts, **scores.to_dict(), "calibration": calibration.to_dict()}, indent=1))
    write_report(
        out / "report.html",
        title=f"{predictor.card.model} on {dataset.label_set.name}",
        scores=scores,
        calibration=calibration,
        panels=best_and_worst(scores, dataset, lambda image: predictor(image).classes),
        log=read_log(log) if log else None,
        settings=predictor.card.recipe,
        facts={**facts, **machine_facts()},
    )
    return scores


def require_same_classes(trained_on: LabelSet, dataset: Dataset) -> None:
    """Checks that a model for these classes can be scored on a dataset.

    Raises:
        WeightsError: the model was trained on other classes.
    """
    if dataset.label_set.names != trained_on.names:
        raise WeightsError(
            f"the weights have the classes of {trained_on.name} ({trained_on.num_classes}), the dataset those of "
            f"{dataset.label_set.name} ({dataset.label_set.num_classes}); use weights trained on this dataset"
        )


def score_table(scores: Scores) -> Table:
    """The scores as a table for the terminal: a row per class, then the scores of the dataset; `-` if undefined."""
    counts = scores.counts
    table = Table("class", "IoU %", "accuracy %", "pixels %", title=f"{len(scores.images)} images")
    columns = (confusion.iou(counts), confusion.class_accuracy(counts), counts.sum(1).double() / counts.sum())
    for name, *values in zip(scores.label_set.names, *(c.tolist() for c in columns), strict=True):
        table.add_row(escape(name), *(_number(100 * v, ".1f") for v in values))
    averaged = confusion.mean_iou(counts)[1]
    table.add_section()
    for name, value in scores.summary().items():
        note = f"mean of {averaged} of {scores.label_set.num_classes} classes" if name == "mean_iou" else ""
        table.add_row(name, _number(value, ".4f"), note)
    return table


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)
