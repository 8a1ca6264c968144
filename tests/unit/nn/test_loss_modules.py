"""Losses as modules equal the functions, move with the module, and are trained with in anybody's loop."""

import pytest
import torch

from segnet import nn as parts
from segnet.errors import ConfigError
from segnet.labels import VOID

WEIGHTS = torch.tensor([0.5, 1.0, 3.0])


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 3, 5, 6, generator=generator), torch.randint(0, 3, (2, 5, 6), generator=generator)
    target[0, 0] = VOID
    return logits, target


def test_modules_are_the_functions() -> None:
    logits, target = batch()
    for module, expected in (
        (parts.CrossEntropyLoss(), parts.cross_entropy(logits, target)),
        (parts.CrossEntropyLoss(WEIGHTS, "weights"), parts.cross_entropy(logits, target, WEIGHTS, "weights")),
        (parts.FocalLoss(1.5, WEIGHTS), parts.focal(logits, target, 1.5, WEIGHTS)),
        (parts.DiceLoss(), parts.dice(logits, target)),
        (parts.LovaszLoss(), parts.lovasz(logits, target)),
    ):
        assert torch.equal(module(logits, target), expected), module
    both = parts.WeightedSum((2.0, parts.DiceLoss()), (0.5, parts.LovaszLoss()))
    expected = 2 * parts.dice(logits, target) + 0.5 * parts.lovasz(logits, target)
    torch.testing.assert_close(both(logits, target), expected)


def test_focal_with_class_weights_by_its_formula() -> None:
    logits, target = batch()
    for by in ("pixels", "weights"):
        labelled = target != VOID
        p = logits.softmax(1).gather(1, torch.where(labelled, target, 0)[:, None])[:, 0][labelled].double()
        own = WEIGHTS[target[labelled]].double()
        total = (own * -((1 - p) ** 2) * p.log()).sum()
        count = labelled.sum() if by == "pixels" else own.sum()
        found = parts.focal(logits, target, 2.0, WEIGHTS, by)  # type: ignore[arg-type]
        assert found.item() == pytest.approx((total / count).item(), rel=1e-5)
    assert parts.focal(logits, target, 0.0, WEIGHTS).item() == pytest.approx(
        parts.cross_entropy(logits, target, WEIGHTS).item(), rel=1e-5
    )


def test_class_weights_move_with_the_module() -> None:
    loss = parts.FocalLoss(class_weights=WEIGHTS).to(torch.float64)
    assert loss.class_weights is not None and loss.class_weights.dtype == torch.float64
    assert list(loss.state_dict()) == ["class_weights"]


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="gamma -1"):
        parts.FocalLoss(-1)
    with pytest.raises(ConfigError, match="expected pairs"):
        parts.WeightedSum()
