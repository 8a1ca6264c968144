import numpy as np
import pytest
import torch
from torch import Tensor

from segnet.data import open_dataset
from segnet.device import choose_device
from segnet.errors import ConfigError
from segnet.inference.evaluate import evaluate, predictions
from segnet.inference.test_time import TestTimeAugmentation, as_augmentation


@pytest.mark.parametrize(
    ("text", "flip", "scales"),
    [("flip", True, (1.0,)), ("flip,0.75,1,1.25", True, (0.75, 1.0, 1.25)), ("0.5, 2", False, (0.5, 2.0))],
)
def test_reading(text: str, flip: bool, scales: tuple[float, ...]) -> None:
    tta = TestTimeAugmentation.parse(text)
    assert (tta.flip, tta.scales, tta.num_views) == (flip, scales, len(scales) * (2 if flip else 1))
    assert as_augmentation(text) == tta
    assert as_augmentation("") is as_augmentation(None) is None


@pytest.mark.parametrize("text", ["flop", "flip;1", "0", "-1", "nan", "inf", "11"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="test-time augmentation"):
        TestTimeAugmentation.parse(text)


def columns(image: Tensor) -> Tensor:
    """Logits that depend on the direction: the second class grows to the right."""
    width = image.shape[3]
    ramp = torch.linspace(-3, 3, width).expand(len(image), 1, image.shape[2], width)
    return torch.cat([torch.zeros_like(ramp), ramp + image.mean(1, keepdim=True)], dim=1)


def test_the_mirror_image_is_mirrored_back() -> None:
    image = torch.rand(2, 3, 5, 8)
    got = TestTimeAugmentation(flip=True).probability(columns, image)
    expected = (columns(image).softmax(1) + columns(image.flip(3)).flip(3).softmax(1)) / 2
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got.sum(1), torch.ones(2, 5, 8))


def test_scales_are_predicted_at_their_size_and_averaged_at_the_images() -> None:
    seen: list[tuple[int, ...]] = []

    def logits_of(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape[2:]))
        assert image.dtype == (torch.uint8 if image.shape[2:] == (8, 12) else torch.float32)
        return columns(image.float() / (255 if image.dtype == torch.uint8 else 1))

    image = torch.randint(0, 256, (1, 3, 8, 12), dtype=torch.uint8)
    got = TestTimeAugmentation(scales=(0.5, 1.0, 1.25)).probability(logits_of, image)
    assert seen == [(4, 6), (8, 12), (10, 15)]
    assert got.shape == (1, 2, 8, 12)
    alone = [TestTimeAugmentation(scales=(s,)).probability(logits_of, image) for s in (0.5, 1.0, 1.25)]
    torch.testing.assert_close(got, torch.stack(alone).mean(0))
    assert (alone[0] - alone[1]).abs().max() > 1e-3


def test_evaluation_of_a_model_that_is_right_in_one_direction_only(tiny_camvid: object) -> None:
    dataset = open_dataset(tiny_camvid, "val", "camvid")  # type: ignore[arg-type]

    class Left(torch.nn.Module):
        """Class 3 in the left half, sure; class 0 in the right half, less sure."""

        def forward(self, image: Tensor) -> Tensor:
            logits = torch.zeros(len(image), 11, *image.shape[2:])
            half = image.shape[3] // 2
            logits[:, 3, :, :half], logits[:, 0, :, half:] = 9.0, 2.0
            return logits

    spec = choose_device("cpu", "float32")
    plain = next(iter(predictions(Left(), dataset, spec)))[1]
    flipped = next(iter(predictions(Left(), dataset, spec, tta="flip")))[1]
    assert set(np.unique(plain)) == {0, 3}
    assert set(np.unique(flipped)) == {3}  # the surer view wins in both halves
    assert (
        evaluate(Left(), dataset, tta="flip", boundaries=False).global_accuracy
        != evaluate(Left(), dataset, boundaries=False).global_accuracy
    )
