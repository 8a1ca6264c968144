"""Details of the Dice loss that a wrong constant would break: ignored pixels, classes of one pixel."""

import torch

from segnet.labels import VOID
from segnet.nn.losses import dice, focal


def reference(logits: torch.Tensor, target: torch.Tensor) -> float:
    """By loops over classes and pixels."""
    probability = logits.softmax(1)
    scores = []
    for class_id in range(logits.shape[1]):
        of_class = target == class_id
        if not of_class.any():
            continue
        p = probability[:, class_id]
        overlap = p[of_class].sum()
        squares = (p[target != VOID] ** 2).sum()
        scores.append(1 - 2 * overlap / max(squares + of_class.sum(), torch.tensor(1.0)))
    return float(sum(scores) / len(scores)) if scores else 0.0


def test_one_pixel_of_a_class_counts_as_a_class() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 4, 5)
    target = torch.zeros(1, 4, 5, dtype=torch.int64)
    target[0, 1, 2] = 2
    torch.testing.assert_close(dice(logits, target).item(), reference(logits, target))


def test_a_class_without_much_area_is_divided_by_its_own_size() -> None:
    logits = torch.tensor([[[[0.3]], [[-0.2]]]])  # (1, 2, 1, 1): one pixel, so the denominator is below 2
    target = torch.zeros(1, 1, 1, dtype=torch.int64)
    torch.testing.assert_close(dice(logits, target).item(), reference(logits, target))


def test_ignored_pixels_are_of_no_class() -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 3, 4, 4)
    target = torch.randint(0, 3, (2, 4, 4))
    target[:, :2] = VOID
    changed = logits.clone()
    changed[:, :, :2] = torch.randn(2, 3, 2, 4) * 9
    torch.testing.assert_close(dice(changed, target), dice(logits, target))
    torch.testing.assert_close(dice(logits, target).item(), reference(logits, target))


def test_one_labelled_pixel_is_its_own_mean() -> None:
    logits = torch.zeros(1, 2, 1, 2)
    target = torch.tensor([[[1, VOID]]])
    torch.testing.assert_close(focal(logits, target, gamma=1.0), torch.tensor(0.5 * 0.6931472))
