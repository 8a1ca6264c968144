"""Several training runs of a model with different seeds: mean and spread of each score, and the order they support."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

Result = dict[str, Any]


def averaged(seeds: Sequence[Result]) -> Result:
    """Averages the training runs of one model for the table.

    Args:
        seeds: result of each run: `stages`, and `crf` if there is one; or `failure`.

    Returns:
        `training` with `stages`, whose `val` and `train` are means by name, and `spread`, the sample standard
        deviations of `val`, where there are several; with `failure` where one failed. `crf`, the means, where each has
        it.
    """
    failed = [result for result in seeds if "failure" in result]
    if failed:
        return {"training": failed[0]}
    stages = []
    for parts in zip(*(result["stages"] for result in seeds), strict=True):
        stage: Result = {"epochs": parts[0]["epochs"], "val": _means([part["val"] for part in parts])}
        if all("train" in part for part in parts):
            stage["train"] = _means([part["train"] for part in parts])
        if len(parts) > 1:
            stage["spread"] = _spreads([part["val"] for part in parts])
        stages.append(stage)
    row: Result = {"training": {"stages": stages}}
    if all("crf" in result for result in seeds):
        row["crf"] = _means([result["crf"] for result in seeds])
    return row


def order_note(rows: Sequence[Result], score: str = "mean_iou") -> str:
    """A sentence that says which neighbours in the ranking by `score` differ by more than random variation explains.

    Two means of n runs count as different if their difference is more than twice its standard error,
    `sqrt((s1^2 + s2^2) / n)`.

    Args:
        rows: of one weighting; `model`, `seeds`, and `training` as `averaged` makes it.
        score: name of the score that ranks.
    """
    done = [row for row in rows if row["training"].get("stages")]
    if len(done) < 2:
        return ""
    if any(len(row["seeds"]) < 2 for row in done):
        return "One training run of each model: this supports no order of the models (`--seeds 3` gives a spread)."
    ranked = sorted(done, key=lambda row: -_last(row)["val"][score])
    apart: list[str] = []
    together: list[str] = []
    for better, worse in pairwise(ranked):
        difference = _last(better)["val"][score] - _last(worse)["val"][score]
        error = math.sqrt(sum(_last(row)["spread"][score] ** 2 / len(row["seeds"]) for row in (better, worse)))
        (apart if difference > 2 * error else together).append(f"{better['model']} > {worse['model']}")
    return (
        f"{rows[0]['weighting']}, by {score}, difference above twice its standard error: {', '.join(apart) or 'none'}; "
        f"no clear difference: {', '.join(together) or 'none'}."
    )


def _last(row: Result) -> Result:
    stage: Result = row["training"]["stages"][-1]
    return stage


def _means(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    return {name: _of([s.get(name) for s in scores], fmean) for name in scores[0]}


def _spreads(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    return {name: _of([s.get(name) for s in scores], stdev) for name in scores[0]}


def _of(values: Sequence[float | None], function: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(function(known)), 5) if len(known) == len(values) else None
