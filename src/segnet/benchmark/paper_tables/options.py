"""The options of a benchmark."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from segnet.config import DeviceName, PrecisionName
from segnet.crf.dense_crf import CRFParameters


@dataclass(frozen=True)
class Options:
    """Options of a benchmark, as the user gave them.

    Attributes:
        out: folder of results.
        data: folder of the dataset, or `street`.
        data_format: as for `open_dataset`.
        splits: the training split, and the split whose scores are reported.
        select_split: split to select the best weights of a run on; empty scores the last weights.
        weightings: of Table 1, `median` and `natural`; empty means both.
        seeds: training runs of each model, each with its own seed; several give a mean and a spread.
        models: of `MODELS`; empty for the table's own.
        size_px: (height, width) to resize images to; None keeps their size (360x480 where no data is needed).
        epochs: of every model; None uses those of the table.
        device: `auto` measures Table 6 on the CPU, and on a GPU if there is one.
        precision: of the arithmetic.
        vgg16: ImageNet weights for the models on VGG16, as for `model.vgg16`.
        crf: of the rows `+ CRF` in Tables 3 and 4.
        settings: `section.key=value`, for all models.
        num_stages: number of stages after which Tables 3 and 4 are scored.
        keep_weights: keep the weights of every model when its cell is finished.
        repeats: timed calls per measurement.
        alone: measure each model in its own process.
        command: the command line, for the report.
        console: where progress is shown.
    """

    out: Path
    data: str = "street"
    data_format: str = "auto"
    splits: tuple[str, str] = ("train", "val")
    select_split: str = ""
    weightings: tuple[str, ...] = ()
    seeds: int = 1
    models: tuple[str, ...] = ()
    size_px: tuple[int, int] | None = None
    epochs: int | None = None
    device: DeviceName = "auto"
    precision: PrecisionName = "float32"
    vgg16: str = ""
    crf: CRFParameters = field(default_factory=CRFParameters)
    settings: tuple[str, ...] = ()
    num_stages: int = 3
    keep_weights: bool = True
    repeats: int = 9
    alone: bool = True
    command: str = ""
    console: Console = field(default_factory=lambda: Console(quiet=True))
