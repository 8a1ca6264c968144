from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from segnet.errors import ConfigError
from segnet.labels import VOID
from segnet.nn.losses import counted, cross_entropy, dice, focal, lovasz

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "dice": dice,
    "lovasz": lovasz,
}
# Sums of some hundred float32 terms against the same in float64.
REL = 1e-5
CLASS_WEIGHTS = [0.25, 1.0, 3.0, 0.5]


def batch(seed: int = 0, num_classes: int = 4, size: tuple[int, ...] = (2, 6, 7)) -> tuple[Tensor, Tensor]:
    """Logits and targets with a fifth of the pixels void."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(size[0], num_classes, *size[1:], generator=generator)
    target = torch.randint(0, num_classes, size, generator=generator)
    target[torch.rand(size, generator=generator) < 0.2] = VOID
    return logits, target


def labelled_pixels(logits: Tensor, target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (P, K) in float64 and class ids (P,) of the labelled pixels."""
    scores = np.moveaxis(logits.double().numpy(), 1, -1)[target.numpy() != VOID]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True), target.numpy()[target.numpy() != VOID]


@pytest.mark.parametrize("normalise_by", ["pixels", "weights"])
def test_parts_weighed_by_what_they_count_make_the_loss_of_the_whole(
    normalise_by: Literal["pixels", "weights"],
) -> None:
    logits, target = batch(size=(3, 6, 7))
    target[0, :5] = VOID  # so that the parts count differently
    weights = torch.tensor(CLASS_WEIGHTS)
    parts = [(logits[part], target[part]) for part in (slice(0, 1), slice(1, 3))]
    counts = [counted(t, weights, normalise_by) for _, t in parts]
    losses = [cross_entropy(x, t, weights, normalise_by) for x, t in parts]
    total = counted(target, weights, normalise_by)
    assert sum(counts).item() == pytest.approx(total.item(), rel=REL)
    assert counts[0] < counts[1] / 4
    mixed = sum(n / total * loss for n, loss in zip(counts, losses, strict=True))
    assert mixed.item() == pytest.approx(cross_entropy(logits, target, weights, normalise_by).item(), rel=REL)


# ------------------------------------------------------------------------------------------------ each by its formula


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weights", [None, CLASS_WEIGHTS])
def test_cross_entropy_per_pixel(seed: int, weights: list[float] | None) -> None:
    logits, target = batch(seed)
    probability, expected = labelled_pixels(logits, target)
    factors = np.ones(4) if weights is None else np.array(weights)
    oracle = -(factors[expected] * np.log(probability[np.arange(expected.size), expected])).sum() / expected.size
    ours = cross_entropy(logits, target, None if weights is None else torch.tensor(weights))
    assert ours.item() == pytest.approx(oracle, rel=REL)


@pytest.mark.parametrize("weights", [None, CLASS_WEIGHTS])
def test_cross_entropy_per_weight_is_torchs(weights: list[float] | None) -> None:
    logits, target = batch()
    tensor = None if weights is None else torch.tensor(weights)
    torchs = torch.nn.CrossEntropyLoss(weight=tensor, ignore_index=VOID)(logits, target)
    assert cross_entropy(logits, target, tensor, normalise_by="weights").item() == pytest.approx(torchs.item(), rel=REL)


def test_the_two_normalisations_differ_by_the_mean_weight() -> None:
    logits, target = batch()
    tensor = torch.tensor(CLASS_WEIGHTS)
    ratio = cross_entropy(logits, target, tensor) / cross_entropy(logits, target, tensor, normalise_by="weights")
    assert ratio.item() == pytest.approx(tensor[target[target != VOID]].mean().item(), rel=REL)


def test_a_batch_whose_classes_all_weigh_nothing_gives_zero() -> None:
    logits, target = batch()
    loss = cross_entropy(logits.requires_grad_(), target, torch.zeros(4), normalise_by="weights")
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal(gamma: float) -> None:
    logits, target = batch()
    probability, expected = labelled_pixels(logits, target)
    own = probability[np.arange(expected.size), expected]
    assert focal(logits, target, gamma).item() == pytest.approx((-((1 - own) ** gamma) * np.log(own)).mean(), rel=REL)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_slope_where_the_model_is_sure(gamma: float) -> None:
    logits = torch.tensor([100.0, -100.0]).view(1, 2, 1, 1).requires_grad_()
    focal(logits, torch.zeros(1, 1, 1, dtype=torch.int64), gamma).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    with pytest.raises(ConfigError, match="gamma -1"):
        focal(logits, torch.zeros(1, 1, 1, dtype=torch.int64), -1)


def test_focal_without_gamma_is_cross_entropy() -> None:
    logits, target = batch()
    assert focal(logits, target, 0.0).item() == pytest.approx(cross_entropy(logits, target).item(), rel=REL)


@pytest.mark.parametrize("absent", [False, True])
def test_dice(absent: bool) -> None:
    logits, target = batch()
    if absent:
        target[target == 2] = 0
    probability, expected = labelled_pixels(logits, target)
    scores = []
    for class_id in np.unique(expected):
        own = expected == class_id
        overlap = (probability[:, class_id] * own).sum()
        scores.append(1 - 2 * overlap / ((probability[:, class_id] ** 2).sum() + own.sum()))
    assert len(scores) == (3 if absent else 4)
    assert dice(logits, target).item() == pytest.approx(np.mean(scores), rel=REL)


def set_loss(wrong: np.ndarray, own: np.ndarray) -> float:
    """1 - IoU of a class with pixels `own` when exactly the pixels `wrong` are mistaken for the other side."""
    return 1 - (own & ~wrong).sum() / (own | wrong).sum()


@pytest.mark.parametrize("seed", range(3))
def test_lovasz_by_its_definition(seed: int) -> None:
    # the Lovasz extension: errors in falling order, each times what its pixel adds to the set loss
    logits, target = batch(seed, size=(1, 4, 5))
    probability, expected = labelled_pixels(logits, target)
    losses = []
    for class_id in np.unique(expected):
        own = expected == class_id
        errors = np.abs(own - probability[:, class_id])
        wrong, total, before = np.zeros(own.size, dtype=bool), 0.0, 0.0
        for pixel in np.argsort(-errors, kind="stable"):
            wrong[pixel] = True
            after = set_loss(wrong, own)
            total += errors[pixel] * (after - before)
            before = after
        losses.append(total)
    assert lovasz(logits, target).item() == pytest.approx(np.mean(losses), rel=REL)


def saturated(prediction: Tensor, num_classes: int) -> Tensor:
    """Logits that give each pixel's class probability 1 in float32, (N, K, H, W)."""
    return 200.0 * torch.nn.functional.one_hot(prediction, num_classes).movedim(-1, 1).float()


@pytest.mark.parametrize("seed", range(3))
def test_of_hard_predictions_lovasz_is_one_minus_iou_and_dice_one_minus_dice(seed: int) -> None:
    _, target = batch(seed)
    prediction = torch.randint(0, 4, target.shape, generator=torch.Generator().manual_seed(seed + 100))
    logits = saturated(prediction, 4)
    expected, got = target[target != VOID].numpy(), prediction[target != VOID].numpy()
    one_minus_iou, one_minus_dice = [], []
    for class_id in np.unique(expected):
        right = ((expected == class_id) & (got == class_id)).sum()
        one_minus_iou.append(1 - right / ((expected == class_id) | (got == class_id)).sum())
        one_minus_dice.append(1 - 2 * right / ((expected == class_id).sum() + (got == class_id).sum()))
    assert lovasz(logits, target).item() == pytest.approx(np.mean(one_minus_iou), rel=REL)
    assert dice(logits, target).item() == pytest.approx(np.mean(one_minus_dice), rel=REL)


# ------------------------------------------------------------------------------------------------ what all must do


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_costs_nothing(name: str) -> None:
    _, target = batch()
    logits = saturated(torch.where(target == VOID, 0, target), 4)
    assert LOSSES[name](logits, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_void_pixels_change_neither_value_nor_gradient(name: str) -> None:
    logits, target = batch()
    other = logits.clone()
    void = (target == VOID)[:, None].expand_as(logits)
    other[void] = 30 * torch.randn(int(void.sum()))
    logits.requires_grad_()
    other.requires_grad_()
    first, second = LOSSES[name](logits, target), LOSSES[name](other, target)
    assert first.item() == pytest.approx(second.item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(first, logits)
    (gradient_other,) = torch.autograd.grad(second, other)
    assert not gradient[void].any()
    assert not gradient_other[void].any()
    torch.testing.assert_close(gradient, gradient_other, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 4)])
def test_nothing_labelled_gives_zero_and_a_gradient_of_zeros(name: str, size: tuple[int, ...]) -> None:
    logits = torch.randn(size[0], 4, *size[1:]).mul(50).requires_grad_()
    loss = LOSSES[name](logits, torch.full(size, VOID))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()  # NaN would be true here


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_against_differences(name: str) -> None:
    # the losses work in float32, so differences are taken along whole directions, with a step whose rounding error
    # (2 ** -24 / step, some 1e-5) and curvature error stay below a hundredth
    logits, target = batch(size=(2, 4, 4))
    generator = torch.Generator().manual_seed(5)
    variable = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(LOSSES[name](variable, target), variable)
    for _ in range(3):
        direction = gradient / gradient.norm() + torch.randn(logits.shape, generator=generator) / logits.numel() ** 0.5
        step = 5e-3
        rise = LOSSES[name](logits + step * direction, target) - LOSSES[name](logits - step * direction, target)
        assert rise.item() / (2 * step) == pytest.approx((gradient * direction).sum().item(), rel=0.01)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_float32(name: str, dtype: torch.dtype) -> None:
    logits, target = batch()
    logits = logits.to(dtype)
    loss = LOSSES[name](logits, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(LOSSES[name](logits.float(), target).item(), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_one_step_down_the_gradient_lowers_the_loss(name: str) -> None:
    logits, target = batch()
    logits.requires_grad_()
    loss = LOSSES[name](logits, target)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert LOSSES[name](logits - 0.1 * gradient / gradient.norm(), target) < loss


@pytest.mark.parametrize("name", LOSSES)
def test_large_half_precision_logits_without_a_label_give_zero(name: str) -> None:
    # their plain sum would overflow float16
    logits = torch.full((1, 4, 8, 8), 1000.0, dtype=torch.float16, requires_grad=True)
    loss = LOSSES[name](logits, torch.full((1, 8, 8), VOID))
    loss.backward()
    assert loss.item() == 0
    assert loss.dtype == torch.float32
    assert logits.grad is not None
    assert not logits.grad.any()
