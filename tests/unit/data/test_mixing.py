import numpy as np
import pytest

from segnet.data.mixing import draw_mix, mix
from segnet.data.sample import Sample
from segnet.data.transforms import Augmentation
from segnet.errors import ShapeError
from segnet.labels import VOID

SIZE = (40, 50)


def coloured(target: np.ndarray, offset: int, name: str) -> Sample:
    """The value of a pixel is its class id plus `offset`, so image and target can be compared."""
    return Sample(np.repeat(target[..., None] + np.uint8(offset), 3, axis=2), target, name)


A = coloured(np.zeros(SIZE, np.uint8), 0, "a")
B = coloured((np.indices(SIZE)[1] // 10 + 1).astype(np.uint8), 100, "b")  # five stripes, classes 1..5


def test_cutmix_pastes_one_rectangle_with_its_labels() -> None:
    shares = []
    for seed in range(50):
        result = mix(A, B, "cutmix", np.random.default_rng(seed))
        pasted = result.target != 0
        rows, columns = pasted.any(1).sum(), pasted.any(0).sum()
        assert pasted.sum() == rows * columns
        assert np.array_equal(result.image[..., 0], np.where(pasted, B.image[..., 0], 0))
        shares.append(pasted.mean())
    assert 0.08 < min(shares) < 0.2
    assert 0.4 < max(shares) < 0.55
    assert result.name == "a+b"


def test_classmix_pastes_half_of_the_classes_whole() -> None:
    for seed in range(20):
        result = mix(A, B, "classmix", np.random.default_rng(seed))
        classes = set(np.unique(result.target)) - {0}
        assert len(classes) == 3  # of five, rounded up
        for class_id in classes:
            assert np.array_equal(result.target == class_id, B.target == class_id)
        assert np.array_equal(result.image[..., 0] >= 100, result.target != 0)


def test_void_is_no_class_to_paste() -> None:
    void = coloured(np.full(SIZE, VOID, np.uint8), 0, "void")
    assert np.array_equal(mix(A, void, "classmix", np.random.default_rng(0)).target, A.target)


def test_shares() -> None:
    augmentation = Augmentation(cutmix=0.25, classmix=0.5)
    kinds = [draw_mix(augmentation, np.random.default_rng(seed)) for seed in range(400)]
    assert kinds.count("cutmix") / 400 == pytest.approx(0.25, abs=0.07)  # standard deviation 0.022
    assert kinds.count("classmix") / 400 == pytest.approx(0.5, abs=0.08)
    rng = np.random.default_rng(0)
    assert draw_mix(Augmentation(), rng) is None
    assert rng.random() == np.random.default_rng(0).random()  # runs without mixing draw as they did before it existed


def test_two_sizes_are_refused() -> None:
    small = coloured(np.zeros((4, 4), np.uint8), 0, "small")
    with pytest.raises(ShapeError, match=r"augment\.cutmix: 'a' is .* 'small' is .*set augment\.crop_px"):
        mix(A, small, "cutmix", np.random.default_rng(0))
