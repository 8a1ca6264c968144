import math
from itertools import pairwise
from typing import get_args

import pytest

from segnet.training.schedules import Schedule, lr_multiplier


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("poly", [1, 0.75**0.9, 0.5**0.9, 0.25**0.9]),
        ("cosine", [1, 0.5 + math.sqrt(0.5) / 2, 0.5, 0.5 - math.sqrt(0.5) / 2]),
    ],
)
def test_four_steps(schedule: Schedule, expected: list[float]) -> None:
    # the same formula in another order of operations: a few units in the last place
    assert [lr_multiplier(schedule, step, 4) for step in range(4)] == pytest.approx(expected, rel=1e-12)


def test_warmup_rises_evenly_and_the_curve_starts_after_it() -> None:
    curve = [lr_multiplier("poly", step, 8, warmup_steps=4) for step in range(8)]
    assert curve[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert curve[4:] == [lr_multiplier("poly", step, 4) for step in range(4)]


@pytest.mark.parametrize("schedule", get_args(Schedule))
@pytest.mark.parametrize("num_steps", [1, 2, 7, 100])
@pytest.mark.parametrize("warmup_steps", [0, 1, 5, 200])
def test_every_step_learns_something_and_never_more_than_all(
    schedule: Schedule, num_steps: int, warmup_steps: int
) -> None:
    curve = [lr_multiplier(schedule, step, num_steps, warmup_steps) for step in range(num_steps)]
    assert all(0 < factor <= 1 for factor in curve)
    top = min(warmup_steps, num_steps)
    assert all(a < b for a, b in pairwise(curve[:top]))
    assert all(a >= b for a, b in pairwise(curve[top:]))
