"""The fully connected CRF: the exact form against loops over all pairs, the fast form against the exact one."""

import math
from dataclasses import replace

import numpy as np
import pytest

from segnet.crf.dense_crf import CRFParameters, DenseCRF, dense_crf_exact
from segnet.errors import ConfigError, ShapeError

WEAK = CRFParameters(1.0, 1.5, 1.5, 6.0, 30.0, iterations=4)


def drawn(num_classes: int, height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (K, H, W) and an image, both noise."""
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.ones(num_classes), (height, width)).transpose(2, 0, 1)
    return probability, rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def step_edge(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image of two colours with slight noise, its target, and what an unsure model says: 3 in 4 right."""
    rng = np.random.default_rng(seed)
    target = np.zeros((height, width), np.int64)
    target[:, width // 2 :] = 1
    image = np.array([[60, 80, 100], [180, 150, 90]])[target] + rng.integers(-4, 5, (height, width, 3))
    score = rng.normal(size=(2, height, width)) + np.stack([target == 0, target == 1])
    probability = np.exp(score) / np.exp(score).sum(0)
    return image.astype(np.uint8), target, probability


def mean_field_by_loops(probability, image, parameters, mu) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The definition, pixel by pixel and class by class."""
    num_classes, height, width = probability.shape
    pixels = [(row, column) for row in range(height) for column in range(width)]

    def kernels(i, j):  # type: ignore[no-untyped-def]
        away = (i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2
        colour = sum((float(a) - float(b)) ** 2 for a, b in zip(image[i], image[j], strict=True))
        return (
            math.exp(-away / (2 * parameters.smoothness_px**2)),
            math.exp(-away / (2 * parameters.appearance_px**2) - colour / (2 * parameters.appearance_rgb**2)),
        )

    sums = {i: [sum(kernels(i, j)[which] for j in pixels) for which in (0, 1)] for i in pixels}
    unary = {i: [-math.log(max(probability[c][i], 1e-5)) for c in range(num_classes)] for i in pixels}

    def softmax(energies):  # type: ignore[no-untyped-def]
        raised = [math.exp(-e) for e in energies]
        return [r / sum(raised) for r in raised]

    beliefs = {i: softmax(unary[i]) for i in pixels}
    for _ in range(parameters.iterations):
        energies = {}
        for i in pixels:
            energies[i] = list(unary[i])
            for j in pixels:
                for which, weight in enumerate((parameters.smoothness_weight, parameters.appearance_weight)):
                    force = weight * kernels(i, j)[which] / math.sqrt(sums[i][which] * sums[j][which])
                    for c in range(num_classes):
                        energies[i][c] += force * sum(mu[c][m] * beliefs[j][m] for m in range(num_classes))
        beliefs = {i: softmax(energies[i]) for i in pixels}
    return np.array([[[beliefs[r, c][k] for c in range(width)] for r in range(height)] for k in range(num_classes)])


@pytest.mark.parametrize("potts", [True, False])
def test_the_exact_form_is_the_definition(potts: bool) -> None:
    probability, image = drawn(3, 3, 4)
    probability[0, 0, 0] = 0.0  # below the least probability
    costs = np.array([[0.0, 2.0, 0.5], [2.0, 0.1, 1.0], [0.5, 1.0, -0.3]])
    mu = 1 - np.eye(3) if potts else costs
    got = dense_crf_exact(probability, image, WEAK, None if potts else costs)
    expected = mean_field_by_loops(probability, image, WEAK, mu)
    assert np.abs(expected - probability).max() > 0.05
    np.testing.assert_allclose(got, expected, atol=1e-10)  # float64, sums in another order


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (12, 16), (40, 5)])
def test_without_appearance_fast_and_exact_agree_to_rounding(size: tuple[int, int]) -> None:
    """The separable filter is exact but for what its cut leaves out, below 1e-6 a pixel, and float32."""
    probability, image = drawn(4, *size)
    parameters = CRFParameters(appearance_weight=0.0)
    got = DenseCRF(image, parameters)(probability)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, dense_crf_exact(probability, image, parameters), atol=1e-4)


@pytest.mark.parametrize(
    "parameters",
    [CRFParameters(), CRFParameters(appearance_px=20, appearance_rgb=13), CRFParameters(3, 3, 10, 80, 13)],
)
def test_on_a_step_edge_fast_is_exact_and_finds_the_edge(parameters: CRFParameters) -> None:
    """The largest difference is the lattice's error in the kernel, some per cent of a message, where Q is undecided."""
    image, target, probability = step_edge(12, 16)
    fast, exact = DenseCRF(image, parameters)(probability), dense_crf_exact(probability, image, parameters)
    assert np.abs(fast - exact).max() < 0.02
    assert np.array_equal(fast.argmax(0), exact.argmax(0))
    assert (probability.argmax(0) == target).mean() < 0.8
    assert np.array_equal(fast.argmax(0), target)


def test_smoothness_alone_does_not_know_the_edge() -> None:
    image, target, probability = step_edge(24, 32)
    labels = DenseCRF(image, CRFParameters(appearance_weight=0.0))(probability).argmax(0)
    wrong = labels != target
    assert 0 < wrong.mean() < 0.1
    assert wrong[:, 12:20].mean() > 2 * wrong[:, :12].mean()  # what is left wrong stands at the edge


def test_a_blurred_unary_snaps_to_the_edge() -> None:
    """As after bilinear upsampling: the model's edge stands 4 pixels beside the image's, and softly."""
    image, target, _ = step_edge(24, 32)
    slope = (np.arange(32) - 19.5) / 4
    right = np.broadcast_to(1 / (1 + np.exp(-slope)), (24, 32))
    probability = np.stack([1 - right, right])
    assert (probability.argmax(0) != target).sum() == 4 * 24
    assert np.array_equal(DenseCRF(image)(probability).argmax(0), target)


def test_on_noise_the_two_forms_stay_near() -> None:
    """Noise in five features is the lattice's worst case: hardly two pixels share a corner."""
    probability, image = drawn(3, 12, 16)
    parameters = replace(WEAK, appearance_weight=6.0, appearance_rgb=90.0)
    fast, exact = DenseCRF(image, parameters)(probability), dense_crf_exact(probability, image, parameters)
    assert np.abs(exact - probability).max() > 0.3
    assert np.abs(fast - exact).mean() < 0.02
    assert (fast.argmax(0) == exact.argmax(0)).mean() > 0.95


def test_probabilities_come_out_and_the_input_is_untouched() -> None:
    probability, image = drawn(5, 7, 9)
    before = probability.copy()
    got = DenseCRF(image)(probability)
    np.testing.assert_allclose(got.sum(0), 1, atol=1e-6)
    assert got.min() >= 0
    assert np.array_equal(probability, before)
    half = DenseCRF(image)(probability.astype(np.float16))  # as a Prediction keeps them
    np.testing.assert_allclose(half, got, atol=0.02)  # three digits in, and ten iterations


def test_potts_as_a_matrix_is_potts() -> None:
    probability, image = drawn(4, 6, 8)
    crf = DenseCRF(image, WEAK)
    np.testing.assert_allclose(crf(probability, 1 - np.eye(4)), crf(probability), atol=1e-5)  # float32


def test_filters_are_shared_between_weights_but_not_between_widths() -> None:
    probability, image = drawn(3, 6, 8)
    crf = DenseCRF(image, WEAK)
    heavier = replace(WEAK, appearance_weight=6.0, iterations=2)
    assert np.array_equal(crf.reweighted(heavier)(probability), DenseCRF(image, heavier)(probability))
    assert crf.parameters == WEAK
    with pytest.raises(ConfigError, match="make a new DenseCRF"):
        crf.reweighted(replace(WEAK, appearance_px=7.0))


def test_no_weight_leaves_the_model_its_word() -> None:
    probability, image = drawn(3, 6, 8)
    got = DenseCRF(image, CRFParameters(smoothness_weight=0.0, appearance_weight=0.0))(probability)
    np.testing.assert_allclose(got, probability, atol=1e-4)  # but for the least probability


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"smoothness_weight": -1.0}, "smoothness_weight = -1.0: expected a number of at least 0"),
        ({"appearance_weight": math.nan}, "appearance_weight = nan"),
        ({"smoothness_px": 0.0}, "smoothness_px = 0.0: expected a number above 0"),
        ({"appearance_rgb": math.inf}, "appearance_rgb = inf"),
        ({"iterations": 0}, "iterations = 0: expected at least 1"),
    ],
)
def test_parameters_out_of_range_are_named(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CRFParameters(**setting)  # type: ignore[arg-type]


def test_errors_say_what_was_expected() -> None:
    probability, image = drawn(2, 4, 5)
    crf = DenseCRF(image)
    with pytest.raises(ShapeError, match=r"uint8 \(H, W, 3\), got float64 \(4, 5, 3\)"):
        DenseCRF(image / 255)
    with pytest.raises(ShapeError, match=r"probabilities \(K, 4, 5\), the size of its image, got \(2, 5, 4\)"):
        crf(probability.transpose(0, 2, 1))
    with pytest.raises(ConfigError, match="take the softmax of logits first"):
        crf(3 * probability)
    with pytest.raises(ConfigError, match="take the softmax"):
        crf(np.full((2, 4, 5), np.nan))
    with pytest.raises(ShapeError, match=r"expected \(2, 2\)"):
        crf(probability, np.zeros((3, 3)))
    with pytest.raises(ConfigError, match="the same for"):
        crf(probability, np.array([[0.0, 1.0], [2.0, 0.0]]))
    with pytest.raises(ShapeError, match="up to 4096 pixels, got 64x65; use DenseCRF"):
        dense_crf_exact(np.zeros((2, 64, 65)), np.zeros((64, 65, 3), np.uint8))
