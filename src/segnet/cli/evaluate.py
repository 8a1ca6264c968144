"""`segnet evaluate`: scores of weights on a labelled split."""

from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import out_console, say
from segnet.cli.options import (
    BackendOption,
    CRFOption,
    DataOption,
    DeviceOption,
    FormatOption,
    PrecisionOption,
    TTAOption,
    WeightsOption,
    backend_name,
    device_name,
    precision_name,
)


def evaluate(
    weights: WeightsOption,
    data: DataOption = "street",
    split: Annotated[str, typer.Option(help="Split to score.")] = "val",
    data_format: FormatOption = "auto",
    out: Annotated[Path, typer.Option(help="Folder for scores.json and report.html.")] = Path("runs/evaluation"),
    save_predictions: Annotated[bool, typer.Option(help="Also write each prediction as an index PNG.")] = False,
    authors_bf: Annotated[bool, typer.Option(help="Also boundary F1 by the authors' script; slow.")] = False,
    uncertainty: Annotated[int, typer.Option(min=0, help="Samples of a Bayesian model; their mean is scored.")] = 0,
    tta: TTAOption = "",
    crf_file: CRFOption = None,
    backend: BackendOption = "auto",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Score weights on a labelled split: global accuracy, class average, mean IoU, boundary F1."""
    from segnet.crf.file import read_crf
    from segnet.data import open_dataset
    from segnet.inference.predictor import Predictor
    from segnet.report.evaluation import evaluate_to_folder, score_table

    crf = read_crf(crf_file) if crf_file else None
    predictor = Predictor(
        weights,
        backend=backend_name(backend),
        device=device_name(device),
        precision=precision_name(precision),
        crf=crf,
        tta=tta,
    )
    dataset = open_dataset(data, split, data_format, reading=predictor.reading)
    facts = {"Weights": weights, "Data": data, "Split": split} | ({"CRF": str(crf)} if crf else {})
    facts |= {"Test-time augmentation": tta} if tta else {}
    facts |= {"Samples": str(uncertainty)} if uncertainty else {}
    scores = evaluate_to_folder(
        predictor,
        dataset,
        out,
        facts=facts,
        save_predictions=save_predictions,
        authors_form=authors_bf,
        uncertainty_samples=uncertainty,
        console=out_console,
    )
    out_console.print(score_table(scores))
    say(f"{out}/scores.json, {out}/report.html", "dim")
