"""Prediction of large images tile by tile, blended where tiles overlap, yielded in bands from top to bottom.

    tile    read by window -> probabilities (K, h, w) -> times a weight per pixel; the weights of all tiles sum to 1
    band    rows that no later tile overlaps: argmax at once; only the overlaps are kept as probabilities

Memory is bounded by tile, overlap and width, never by K float planes of the image. Tiles begin at multiples of 32, so
that the windows of up to five poolings lie as they do in the whole image.

Source:
    The bell at a tile's edge: Isensee et al.: nnU-Net, 2021, there a Gaussian over the whole patch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segnet.data.reading.images import PIXEL_LIMIT, require_pixels
from segnet.data.reading.windows import Windows, size_and_kept_bytes
from segnet.errors import ConfigError, DataError, ShapeError
from segnet.inference.prediction import Prediction
from segnet.inference.predictor import Predictor
from segnet.inference.uncertainty import UNCERTAINTIES
from segnet.runtime.stopping import go_on

GRID_PX = 32
OVERLAP_PX = 192  # SegNet-Basic's classes differ from the whole image's in 0.04 % of the pixels; with 128 in 0.3 %
MEMORY_GIB = 4.0

_PROGRAM_BYTES = 10**9  # PyTorch, a backend, the weights twice
_MODEL_BYTES = 1100  # per pixel of a tile; U-Net's 1030 is the most of all models in float32 (segnet benchmark memory)
_RESIZED_BYTES = 3 * 4  # per class and pixel: resized logits, their softmax, and a temporary
_PLANE_BYTES = 5 * 4  # per class and pixel: logits, probabilities, blended, and temporaries of softmax and max


@dataclass(frozen=True)
class Tiling:
    """How an image is cut into tiles.

    Args:
        size_px: (height, width) of the image.
        tile_px: side of a tile, a multiple of `GRID_PX`.
        overlap_px: of neighbours, a multiple of `GRID_PX`, less than half a tile; tiles at the right and lower border
            may overlap more.

    Raises:
        ConfigError: sides that do not fulfil this.
    """

    size_px: tuple[int, int]
    tile_px: int
    overlap_px: int = OVERLAP_PX

    def __post_init__(self) -> None:
        if self.tile_px % GRID_PX or self.overlap_px % GRID_PX or not 0 < 2 * self.overlap_px < self.tile_px:
            raise ConfigError(
                f"tiles of {self.tile_px} px with {self.overlap_px} px of overlap: expected multiples of {GRID_PX} and "
                f"more than twice the overlap, for example {2 * self.overlap_px // GRID_PX * GRID_PX + GRID_PX}"
            )

    @property
    def rows(self) -> list[tuple[int, int]]:
        """(top, bottom) of each row of tiles."""
        return _spans(self.size_px[0], self.tile_px, self.overlap_px)

    @property
    def columns(self) -> list[tuple[int, int]]:
        """(left, right) of each column of tiles."""
        return _spans(self.size_px[1], self.tile_px, self.overlap_px)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __str__(self) -> str:
        """For messages: `4 x 6 tiles of 512 px that overlap by 128 px`."""
        return f"{len(self.rows)} x {len(self.columns)} tiles of {self.tile_px} px that overlap by {self.overlap_px} px"


def tile_px_within(
    memory_gib: float, size_px: tuple[int, int], num_classes: int, kept_bytes: int, largest_scale: float = 1.0
) -> int:
    """The largest tile with which the whole program stays within a memory limit.

    Args:
        memory_gib: for the whole program, in GiB.
        size_px: (height, width) of the image.
        num_classes: K.
        kept_bytes: memory of the opened image.
        largest_scale: of test-time augmentation, which enlarges a tile by it before the model sees it.

    Returns:
        Side in pixels, a multiple of `GRID_PX`.

    Raises:
        ConfigError: the memory is too small for the smallest tile; says how much is needed.
    """
    planes = num_classes + 3  # and variance, entropy, mutual information
    overlap_bytes = 2 * planes * 4 * OVERLAP_PX * size_px[1]  # of this row of tiles and of the next
    fixed_bytes = _PROGRAM_BYTES + kept_bytes + overlap_bytes
    smallest_px = 2 * OVERLAP_PX + GRID_PX
    per_pixel = (_MODEL_BYTES + _PLANE_BYTES * planes) * max(largest_scale, 1.0) ** 2
    needed = fixed_bytes + per_pixel * smallest_px**2
    if not needed <= memory_gib * 2**30 < 2**63:
        raise ConfigError(
            f"an image of {size_px[1]}x{size_px[0]} cannot be predicted within {memory_gib:g} GiB of memory; "
            f"allow at least {needed / 2**30 + 0.05:.1f}"
        )
    return isqrt(int((memory_gib * 2**30 - fixed_bytes) / per_pixel)) // GRID_PX * GRID_PX


def tile_px_of(
    path: Path, predictor: Predictor, memory_gib: float, tile_px: int = 0, pixel_limit: int = PIXEL_LIMIT
) -> int:
    """Side of the tiles in which an image file has to be predicted.

    Args:
        path: of the image; only its header is read.
        predictor: the model.
        memory_gib: for the whole program, in GiB.
        tile_px: side of the tiles that is preferred; 0 uses the largest that the memory allows.
        pixel_limit: as in `read_image`.

    Returns:
        Side in pixels; 0 for an image that fits whole, or whose header cannot be read: reading it then raises.

    Raises:
        ConfigError: the memory is too small for the smallest tile, or for an image that `longest_side_px` resizes.
    """
    try:
        size_px, kept_bytes = size_and_kept_bytes(path, predictor.reading)
        require_pixels(path, size_px, pixel_limit)
    except DataError:
        return 0
    if predictor.longest_side_px:
        gib = size_px[0] * size_px[1] * predictor.label_set.num_classes * _RESIZED_BYTES / 2**30
        if gib > memory_gib:
            raise ConfigError(
                f"{path}: probabilities at its own size take {gib:.2g} GiB; allow more --memory, or give "
                "--longest-side 0: it is then predicted in tiles at its own scale"
            )
        return 0
    if tile_px:
        return tile_px if max(size_px) > tile_px else 0
    scale = max(predictor.tta.scales) if predictor.tta else 1.0
    side_px = tile_px_within(memory_gib, size_px, predictor.label_set.num_classes, kept_bytes, scale)
    return side_px if size_px[0] * size_px[1] > side_px**2 else 0


@torch.inference_mode()
def predict_in_tiles(
    predictor: Predictor,
    image: Windows,
    tiling: Tiling,
    *,
    confidence: bool = False,
    uncertainty_samples: int = 0,
    on_tile: Callable[[], object] = lambda: None,
) -> Iterator[Prediction]:
    """Predicts an image of any size.

    Args:
        predictor: the model.
        image: to read tiles from.
        tiling: of the image's size.
        confidence: keep the blended probability of the class that was chosen.
        uncertainty_samples: above 0, the number of Monte Carlo samples per tile; their uncertainties are blended.
        on_tile: called after each tile.

    Yields:
        Bands of the image's full width, from top to bottom; together they are the image.

    Raises:
        ShapeError: the tiling is for another size.
        ConfigError: uncertainty requested from a model without dropout, or a CRF, which needs the whole image.
        DataError: a part of the image cannot be read.
    """
    if image.size_px != tiling.size_px:
        raise ShapeError(f"a tiling of {tiling.size_px} does not fit an image of {image.size_px}")
    if predictor.crf is not None:
        raise ConfigError(
            f"a CRF needs the whole image, and this one is predicted in {tiling}; "
            "allow more memory, or leave the CRF out"
        )
    rows, columns = tiling.rows, tiling.columns
    down, across = (_weights(spans, tiling.overlap_px) for spans in (rows, columns))
    above: Tensor | None = None  # overlap of the previous row of tiles with this one, (P, rows, W)
    for (top, bottom), next_top, weight in zip(rows, _next_starts(rows), down, strict=True):
        band = _Band(predictor, (next_top - top, tiling.size_px[1]), confidence, bool(uncertainty_samples))
        below = torch.empty(band.num_planes, bottom - next_top, tiling.size_px[1])
        beside = torch.empty(band.num_planes, bottom - top, 0)
        for (left, right), next_left, bell in zip(columns, _next_starts(columns), across, strict=True):
            go_on()
            tile = _planes(predictor, image.read(top, left, bottom, right), uncertainty_samples)  # (P, h, w)
            tile *= weight[:, None] * bell
            tile[:, :, : beside.shape[2]] += beside
            beside = tile[:, :, next_left - left :].clone()
            done = tile[:, :, : next_left - left]
            if above is not None:
                done[:, : above.shape[1]] += above[:, :, left:next_left]
            below[:, :, left:next_left] = done[:, next_top - top :]
            band.put(done[:, : next_top - top], left)
            on_tile()
        above = below
        yield band.prediction(image.read(top, 0, next_top, tiling.size_px[1]))


class _Band:
    """A band of the prediction, filled from left to right."""

    def __init__(self, predictor: Predictor, size_px: tuple[int, int], confidence: bool, uncertainty: bool) -> None:
        self._label_set = predictor.label_set
        self._classes = np.empty(size_px, np.uint8)
        self._confidence = np.empty(size_px, np.float32) if confidence else None
        self._uncertainty = {name: np.empty(size_px, np.float32) for name in UNCERTAINTIES if uncertainty}
        self.num_planes = predictor.label_set.num_classes + (len(UNCERTAINTIES) if uncertainty else 0)

    def put(self, planes: Tensor, left: int) -> None:
        """Finished columns, (P, band height, w), that begin at `left`."""
        num_classes = self._label_set.num_classes
        columns = slice(left, left + planes.shape[2])
        highest, chosen = planes[:num_classes].max(0)
        self._classes[:, columns] = chosen.numpy()
        if self._confidence is not None:
            self._confidence[:, columns] = highest.numpy()
        for values, plane in zip(self._uncertainty.values(), planes[num_classes:], strict=True):
            values[:, columns] = plane.numpy()

    def prediction(self, image: np.ndarray) -> Prediction:
        """The prediction of the whole band with its image (h, W, 3)."""
        return Prediction(image, self._classes, self._label_set, self._confidence, None, self._uncertainty or None)


def _planes(predictor: Predictor, image: np.ndarray, uncertainty_samples: int) -> Tensor:
    """Probabilities, followed by the uncertainties where requested, float32 (P, h, w)."""
    if not uncertainty_samples:
        return predictor.probability([image])[0]
    sampled = predictor.sample([image], uncertainty_samples)
    maps = [getattr(sampled, name)[0] for name in UNCERTAINTIES]
    return torch.cat([sampled.probability[0], torch.stack(maps)]).float().cpu()


def _spans(length: int, tile_px: int, overlap_px: int) -> list[tuple[int, int]]:
    """(start, stop) of the tiles along one side; the last begins on the grid and ends with the image."""
    starts = [0]
    while starts[-1] + tile_px < length:
        last = -(-(length - tile_px) // GRID_PX) * GRID_PX
        starts.append(min(starts[-1] + tile_px - overlap_px, last))
    return [(start, min(start + tile_px, length)) for start in starts]


def _next_starts(spans: list[tuple[int, int]]) -> list[int]:
    """The end of each tile's own part: the next one's start, or the end of the image."""
    return [start for start, _ in spans[1:]] + [spans[-1][1]]


def _weights(spans: list[tuple[int, int]], overlap_px: int) -> list[Tensor]:
    """A weight for each pixel of each tile along one side; those of a pixel add up to 1.

    1 inside; at the tile's edges a Gaussian that falls to 0.0003 over the overlap, since the model has less context
    there. Not at the image's own border, where the whole image has no more context either.
    """
    sigma_px = overlap_px / 4
    bells = []
    total = torch.zeros(spans[-1][1], dtype=torch.float64)
    for start, stop in spans:
        position = torch.arange(start, stop, dtype=torch.float64) + 0.5
        edge = torch.full_like(position, float(overlap_px))  # distance to the nearest edge inside the image
        if start > 0:
            edge = torch.minimum(edge, position - start)
        if stop < spans[-1][1]:
            edge = torch.minimum(edge, stop - position)
        bells.append(torch.exp(-0.5 * ((overlap_px - edge) / sigma_px) ** 2))
        total[start:stop] += bells[-1]
    return [(bell / total[start:stop]).float() for bell, (start, stop) in zip(bells, spans, strict=True)]
