"""What counts as equal: answers at the limits, and what an export is tried on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from segnet.errors import DataError, ExportError
from segnet.export.comparison import compare, example_images
from segnet.export.record import Request
from segnet.labels import CAMVID_11
from segnet.weights.file import WeightsCard

CARD = WeightsCard("segnet-basic", CAMVID_11)
IMAGES = example_images((20, 50))


class Colours(nn.Module):
    """Logits are the three colours themselves."""

    def forward(self, image: Tensor) -> Tensor:
        return image.clone()


def request(answer: str) -> Request:
    return Request(Colours(), CARD, (20, 50), answer)  # type: ignore[arg-type]


def test_equal_outputs() -> None:
    logits = compare(request("logits"), lambda image: image, IMAGES)
    assert [(d.max_logit, d.mean_logit, d.classes_changed) for d in logits] == [(0, 0, 0), (0, 0, 0)]
    assert [d.image for d in logits] == ["noise 20x50", "drawn street 20x50"]
    assert logits[0].mean_size == pytest.approx(0.5, abs=0.02)
    classes = compare(request("classes"), lambda image: image.argmax(1), IMAGES)
    assert [(d.max_logit, d.mean_logit, d.classes_changed) for d in classes] == [(None, None, 0), (None, None, 0)]


@pytest.mark.parametrize(("pixels", "refused"), [(1, False), (2, True)])
def test_one_pixel_in_a_thousand_may_have_another_class(pixels: int, refused: bool) -> None:
    def run(image: np.ndarray) -> np.ndarray:
        classes = image.argmax(1)
        classes.ravel()[:pixels] = 7
        return classes

    if refused:
        with pytest.raises(ExportError, match=r"noise 20x50: 0\.20% of the pixels have another class"):
            compare(request("classes"), run, IMAGES)
    else:
        assert compare(request("classes"), run, IMAGES)[0].classes_changed == pixels / 1000


@pytest.mark.parametrize(("factor", "refused"), [(1.0009, False), (1.0011, True)])
def test_logits_may_differ_by_a_thousandth_on_average(factor: float, refused: bool) -> None:
    if refused:
        with pytest.raises(ExportError, match=r"logits differ from PyTorch's by 0\.0005"):
            compare(request("logits"), lambda image: image * np.float32(factor), IMAGES)
    else:
        difference = compare(request("logits"), lambda image: image * np.float32(factor), IMAGES)[0]
        assert difference.mean_logit == pytest.approx(0.0009 * difference.mean_size, rel=0.01)
        assert difference.max_logit == pytest.approx(0.0009, rel=0.01)


def test_nan_is_refused() -> None:
    with pytest.raises(ExportError, match="differ from PyTorch's by nan"):
        compare(request("logits"), lambda image: image * np.float32("nan"), IMAGES)


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(ExportError, match=r"expected an output of shape \(1, 3, 20, 50\), got \(1, 20, 50\)"):
        compare(request("logits"), lambda image: image.argmax(1), IMAGES)


def test_a_given_image_is_resized(tmp_path: Path) -> None:
    Image.fromarray(np.full((10, 8, 3), 51, np.uint8)).save(tmp_path / "p.png")
    fixed = example_images((5, 7), tmp_path / "p.png")
    assert [image.shape for image in fixed.values()] == [(1, 3, 5, 7), (1, 3, 5, 7)]
    assert torch.from_numpy(fixed["p.png 5x7"]).unique().tolist() == pytest.approx([0.2])
    assert [image.shape[2:] for image in example_images(None, tmp_path / "p.png").values()] == [(75, 101), (10, 8)]
    with pytest.raises(DataError, match=r"nowhere\.png"):
        example_images(None, tmp_path / "nowhere.png")


def test_images_smaller_than_the_smallest_scene() -> None:
    assert [image.shape for image in example_images((1, 9)).values()] == [(1, 3, 1, 9), (1, 3, 1, 9)]
