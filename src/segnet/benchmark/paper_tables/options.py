"""What the user of a benchmark asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from segnet.config import DeviceName, PrecisionName
from segnet.crf.dense_crf import CRFParameters


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        out: folder of results.
        data: folder of the dataset, or `street`.
        data_format: as for `open_dataset`.
        splits: to train on, and to report scores of.
        select_split: on which the best weights of a run are selected; empty selects nothing, so the last weights count.
        weightings: of Table 1, `median` and `natural`; empty takes both.
        seeds: trainings of each model, each with another seed; more than one gives a mean and a spread.
        models: of `MODELS`; empty for the table's own.
        size_px: (height, width) to which images are brought; None keeps theirs (360x480 where no data is needed).
        epochs: of every model; None takes the table's.
        device: `auto` measures Table 6 on the processor and on a GPU where there is one.
        precision: of the arithmetic.
        vgg16: ImageNet weights for the models on VGG16, as for `model.vgg16`.
        crf: of the rows `+ CRF` in Tables 3 and 4.
        settings: `section.key=value`, for all models.
        num_stages: after which Tables 3 and 4 are scored.
        keep_weights: of every model, when its cell is finished.
        repeats: of each time that is measured.
        alone: each model is measured in a process of its own.
        command: that made the results, for the page.
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
