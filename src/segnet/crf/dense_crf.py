"""The fully connected CRF: all pairs of pixels are connected, so that labels align with the edges of the image.

    E(labels) = sum_i unary_i(l_i) + sum_(i<j) mu(l_i, l_j) * (w_s * k_s(i, j) + w_a * k_a(i, j))

    unary_i(l) = -log probability_i(l)                            the model's probabilities
    k_s = exp(-|p_i - p_j|^2 / 2 s^2)                             smoothness: near pixels agree
    k_a = exp(-|p_i - p_j|^2 / 2 t^2 - |c_i - c_j|^2 / 2 r^2)     appearance: near pixels of similar colour agree
    mu(l, m) = 1 where l and m differ, else 0                     Potts, or a matrix of costs

Mean field replaces the labels by independent distributions and repeats
`Q_i(l) ~ exp(-unary_i(l) - sum_m mu(l, m) * sum_kernels w * sum_j k(i, j) Q_j(m))`.

The sums over j are Gaussian filters. `DenseCRF` uses a separable one for smoothness, which is exact, and the
permutohedral lattice for appearance, whose error is some per cent. Its time is linear in the pixels: for 360x480 and
11 classes some 0.8 s of processor time to build the filters and 0.1 s an iteration, on one core. `dense_crf_exact`
computes the sums directly: time and memory are quadratic in the pixels.

Source:
    Kraehenbuehl, Koltun: Efficient inference in fully connected CRFs with Gaussian edge potentials, NIPS 2011.

Chosen:
    As in the second version of the authors' code, and so in DeepLab's: each kernel K is normalised symmetrically,
    D^-1/2 K D^-1/2 with D the sums of its rows, so weights act alike in flat and in textured regions; and j = i is
    included in the sums.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segnet.crf.permutohedral import PermutohedralLattice
from segnet.data.sample import Image8
from segnet.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Float = NDArray[np.floating]
Filter = Callable[[Float], Float]

LEAST_PROBABILITY = 1e-5
EXACT_PIXELS = 4096


@dataclass(frozen=True)
class CRFParameters:
    """Weights and widths of the CRF's kernels.

    Args:
        smoothness_weight: w_s, at least 0; in nats for a pixel whose whole neighbourhood is of another class.
        smoothness_px: s, standard deviation in pixels.
        appearance_weight: w_a, at least 0; in nats, as above.
        appearance_px: t, standard deviation in pixels.
        appearance_rgb: r, standard deviation in steps of 0..255, the same for red, green and blue.
        iterations: of mean field, at least 1.

    Raises:
        ConfigError: a value outside its range, or not finite.

    Source:
        The defaults are those of DeepLab-LargeFOV's released script, made for VOC; `segnet crf search` can find better
        ones.
    """

    smoothness_weight: float = 3.0
    smoothness_px: float = 3.0
    appearance_weight: float = 4.0
    appearance_px: float = 49.0
    appearance_rgb: float = 5.0
    iterations: int = 10

    def __post_init__(self) -> None:
        for name in ("smoothness_weight", "appearance_weight"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ConfigError(f"CRF {name} = {getattr(self, name)}: expected a number of at least 0")
        for name in ("smoothness_px", "appearance_px", "appearance_rgb"):
            if not 0 < getattr(self, name) < np.inf:
                raise ConfigError(f"CRF {name} = {getattr(self, name)}: expected a number above 0")
        if self.iterations < 1:
            raise ConfigError(f"CRF iterations = {self.iterations}: expected at least 1")

    @property
    def widths(self) -> tuple[float, float, float]:
        """The three standard deviations: what the filters of an image depend on."""
        return self.smoothness_px, self.appearance_px, self.appearance_rgb


class DenseCRF:
    """The CRF of one image, in time linear in its pixels; its filters are built once and serve any probabilities.

    Args:
        image: RGB uint8 (H, W, 3).
        parameters: weights, widths and iterations.

    Raises:
        ShapeError: not an RGB image.

    Example:
        >>> crf = DenseCRF(prediction.image)
        >>> crf(prediction.probability).argmax(0)
    """

    def __init__(self, image: Image8, parameters: CRFParameters | None = None) -> None:
        self.parameters = parameters or CRFParameters()
        self.size = _size(image)
        ones = np.ones((self.size[0] * self.size[1], 1), np.float32)
        smoothness = _separable_gaussian(self.size, self.parameters.smoothness_px)
        lattice = PermutohedralLattice(_features(image, self.parameters))
        self._filters = [_normalised(filter_, ones) for filter_ in (smoothness, lattice)]

    def reweighted(self, parameters: CRFParameters) -> "DenseCRF":
        """The CRF of the same image with other weights or iterations; the filters are shared, so this costs nothing.

        Raises:
            ConfigError: the widths differ.
        """
        if parameters.widths != self.parameters.widths:
            raise ConfigError(
                f"CRF widths {parameters.widths} differ from the filters' {self.parameters.widths}; make a new DenseCRF"
            )
        other = copy(self)
        other.parameters = parameters
        return other

    def __call__(self, probability: Float, compatibility: Float | None = None) -> NDArray[np.float32]:
        """Mean field from the model's probabilities.

        Args:
            probability: of each class, float (K, H, W) in [0, 1], sum 1 over classes. Values below 1e-5 are raised to
                1e-5, so that no class is impossible.
            compatibility: mu, symmetric float (K, K), the cost of two classes next to each other; None is Potts.

        Returns:
            Probability of each class, float32 (K, H, W), sum 1 over classes.

        Raises:
            ShapeError: probabilities of another size than the image's, or a compatibility that is not (K, K).
            ConfigError: probabilities outside [0, 1], or a compatibility that is not finite and symmetric.
        """
        unary = _unary(probability, self.size).astype(np.float32)
        return _mean_field(unary, self._filters, self.parameters, compatibility, self.size).astype(np.float32)


def refined(
    probability: Float, images: Sequence[Image8], parameters: CRFParameters | None = None
) -> NDArray[np.float32]:
    """Mean field for each image of a batch, as evaluation and prediction apply it after the model.

    Args:
        probability: of each class, float (N, K, H, W), as for `DenseCRF`.
        images: N of RGB uint8 (H, W, 3).
        parameters: weights, widths and iterations.

    Returns:
        Probability of each class, float32 (N, K, H, W). Errors as in `DenseCRF`.
    """
    return np.stack([DenseCRF(image, parameters)(one) for image, one in zip(images, probability, strict=True)])


def dense_crf_exact(
    probability: Float,
    image: Image8,
    parameters: CRFParameters | None = None,
    compatibility: Float | None = None,
) -> NDArray[np.float64]:
    """Mean field over all pairs of pixels, in float64, for images of up to 4096 pixels.

    Args:
        probability: as for `DenseCRF`.
        image: RGB uint8 (H, W, 3).
        parameters: weights, widths and iterations.
        compatibility: as for `DenseCRF`.

    Returns:
        Probability of each class, float64 (K, H, W), sum 1 over classes.

    Raises:
        ShapeError: as for `DenseCRF`, or a larger image.
        ConfigError: as for `DenseCRF`.
    """
    parameters = parameters or CRFParameters()
    size = _size(image)
    if size[0] * size[1] > EXACT_PIXELS:
        raise ShapeError(f"the exact CRF is for up to {EXACT_PIXELS} pixels, got {size[0]}x{size[1]}; use DenseCRF")
    appearance = _features(image, parameters)  # (H * W, 5)
    smoothness = appearance[:, :2] * (parameters.appearance_px / parameters.smoothness_px)
    ones = np.ones((size[0] * size[1], 1))
    filters = [_normalised(_all_pairs(features), ones) for features in (smoothness, appearance)]
    return _mean_field(_unary(probability, size), filters, parameters, compatibility, size).astype(np.float64)


def _mean_field(
    unary: Float,
    filters: Sequence[Filter],
    parameters: CRFParameters,
    compatibility: Float | None,
    size: tuple[int, int],
) -> Float:
    """Unary (N, K) -> probability (K, H, W), in the type of `unary`."""
    num_classes = unary.shape[1]
    mu = None if compatibility is None else _checked(compatibility, num_classes).astype(unary.dtype)
    weighted = [
        (unary.dtype.type(weight), filter_)
        for weight, filter_ in zip((parameters.smoothness_weight, parameters.appearance_weight), filters, strict=True)
        if weight > 0
    ]
    probability = _softmax(-unary)
    for _ in range(parameters.iterations):
        message = np.zeros_like(unary)  # (N, K)
        for weight, filter_ in weighted:
            part = filter_(probability)
            part *= weight
            message += part
        # Potts: the sum over other classes is the sum over all, which softmax cancels, minus the class's own
        scores = message if mu is None else -(message @ mu)
        scores -= unary
        probability = _softmax(scores)
    return np.ascontiguousarray(probability.T).reshape(num_classes, *size)


def _softmax(scores: Float) -> Float:
    """Over classes, (N, K) -> (N, K), in place: allocating memory costs more than the arithmetic."""
    scores -= scores.max(1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(1, keepdims=True)
    return scores


# ------------------------------------------------------------------------------------------------ filters


def _normalised(filter_: Filter, ones: Float) -> Filter:
    """D^-1/2 K D^-1/2 of a filter K; `ones` (N, 1) has the dtype of the values."""
    scale = (1 / np.sqrt(filter_(ones))).astype(
        ones.dtype
    )  # (N, 1); no row is empty, as every pixel is its own neighbour

    def apply(values: Float) -> Float:
        filtered = filter_(scale * values)
        filtered *= scale
        return filtered

    return apply


def _features(image: Image8, parameters: CRFParameters) -> NDArray[np.float64]:
    """x, y, red, green and blue of each pixel, row by row, in standard deviations: (H * W, 5)."""
    rows, columns = np.indices(image.shape[:2])
    position = np.stack([columns, rows], axis=-1) / parameters.appearance_px
    return np.concatenate([position, image / parameters.appearance_rgb], axis=-1).reshape(-1, 5)


def _all_pairs(features: NDArray[np.float64]) -> Filter:
    squares = np.square(features).sum(1)
    distance = squares[:, None] + squares - 2 * features @ features.T  # (N, N), squared
    kernel = np.exp(-0.5 * distance.clip(min=0))
    return lambda values: kernel @ values


def _separable_gaussian(size: tuple[int, int], sigma_px: float) -> Filter:
    """A Gaussian over rows and then columns, cut where it falls below 1e-6; zero outside the image."""
    height, width = size
    along_rows, along_columns = (_bell_matrix(length, sigma_px) for length in (height, width))

    def apply(values: Float) -> Float:
        channels = values.shape[1]
        rows_done = (along_rows @ values.reshape(height, -1)).reshape(height, width, channels)
        turned = np.ascontiguousarray(rows_done.swapaxes(0, 1)).reshape(width, -1)
        done = (along_columns @ turned).reshape(width, height, channels).swapaxes(0, 1)
        return np.ascontiguousarray(done).reshape(height * width, channels)

    return apply


def _bell_matrix(length: int, sigma_px: float) -> "csr_array":
    from scipy.sparse import csr_array  # noqa: PLC0415 (slow to import, and few runs need it)

    steps = np.arange(length)
    bell = np.exp(-0.5 * ((steps[:, None] - steps) / sigma_px) ** 2)
    return csr_array(np.where(bell < 1e-6, 0, bell).astype(np.float32))


# ------------------------------------------------------------------------------------------------ checks


def _size(image: Image8) -> tuple[int, int]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError(f"the CRF expects an RGB image, uint8 (H, W, 3), got {image.dtype} {image.shape}")
    return image.shape[0], image.shape[1]


def _unary(probability: Float, size: tuple[int, int]) -> NDArray[np.float64]:
    """-log of the probabilities, float64 (H * W, K)."""
    if probability.ndim != 3 or probability.shape[1:] != size:
        raise ShapeError(
            f"the CRF expects probabilities (K, {size[0]}, {size[1]}), the size of its image, got {probability.shape}"
        )
    if not (
        probability.min() >= 0 and probability.max() <= 1.001
    ):  # half precision sums to a little more; NaN fails too
        raise ConfigError("the CRF expects probabilities in [0, 1]; take the softmax of logits first")
    flat = np.ascontiguousarray(probability.reshape(probability.shape[0], -1).T, np.float64)
    unary: NDArray[np.float64] = -np.log(flat.clip(LEAST_PROBABILITY, 1))
    return unary


def _checked(compatibility: Float, num_classes: int) -> Float:
    if compatibility.shape != (num_classes, num_classes):
        raise ShapeError(
            f"compatibility: expected {(num_classes, num_classes)}, a cost for each pair of classes, "
            f"got {compatibility.shape}"
        )
    if not np.isfinite(compatibility).all() or not np.allclose(compatibility, compatibility.T):
        raise ConfigError("compatibility: expected finite costs, the same for (a, b) and (b, a)")
    return compatibility
