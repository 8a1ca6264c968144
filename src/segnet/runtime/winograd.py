"""3x3 convolutions with fewer multiplications: Winograd's minimal filtering.

An output tile is computed from an input tile that is 2 wider and 2 higher, in a basis in which the filter multiplies
element by element:

    output = A^T [ (G filter G^T) * (B^T input B) ] A

Tiles of 2x2 then take 16 multiplications instead of 36, tiles of 4x4 take 36 instead of 144. Over all tiles and
channels these are matrix products, one per element of a tile; the extra additions pay off where there are many
channels. Tiles of 4x4 need a wide range of values, so bfloat16 uses 2x2. Rounding errors are two to four times those of
a direct convolution.

Source:
    Lavin, Gray: Fast algorithms for convolutional neural networks, CVPR 2016, section 4.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

LEAST_FILTERS = 2**15  # such as 128 in, 256 out; below, the additions cost more than is saved
_BAND_VALUES = 2**22  # values of the tiles computed at once: enough for fast products, few enough for the cache


class _Basis(NamedTuple):
    """The three matrices of a tile size."""

    of_input: tuple[tuple[float, ...], ...]  # B^T
    of_filter: tuple[tuple[float, ...], ...]  # G
    of_output: tuple[tuple[float, ...], ...]  # A^T


_BASES = {
    2: _Basis(
        ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
        ((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
    4: _Basis(
        (
            *((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0)),
            *((0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1)),
        ),
        (
            *((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6)),
            *((1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1)),
        ),
        ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    ),
}


class Winograd(nn.Conv2d):
    """A trained, size-keeping 3x3 convolution for inference. Its `weight` is a meta tensor: a shape without values.

    Args:
        convolution: 3x3, stride and dilation 1, one group.
        tile_px: side of an output tile, 2 or 4.
    """

    def __init__(self, convolution: nn.Conv2d, tile_px: int) -> None:
        channels = (convolution.in_channels, convolution.out_channels)
        super().__init__(*channels, 3, padding=1, device="meta", dtype=convolution.weight.dtype)
        self.bias = convolution.bias
        self.tile_px = tile_px
        weight = convolution.weight.detach()
        weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
        to_basis = torch.tensor(_BASES[tile_px].of_filter, dtype=weight.dtype, device=weight.device)
        with torch.autocast(weight.device.type, enabled=False):
            filters = torch.kron(to_basis, to_basis) @ weight.permute(2, 3, 1, 0).reshape(9, -1)
        self.filters = nn.Buffer(
            filters.view(-1, *channels).to(convolution.weight.dtype)
        )  # (elements of a tile, C, C')

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W)."""
        return self.padded(features, (1, 1))

    def padded(self, features: Tensor, padding: tuple[int, int]) -> Tensor:
        """(N, C, H, W) with rows and columns of zeros around it -> (N, C', H + 2 rows - 2, W + 2 columns - 2)."""
        step, side = self.tile_px, self.tile_px + 2
        batch, _, height, width = features.shape
        rows, columns = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
        down, across = -(-rows // step), -(-columns // step)  # tiles
        right = across * step + 2 - width - padding[1]
        below = down * step + 2 - height - padding[0]
        image = F.pad(features, (padding[1], right, padding[0], below)).permute(0, 2, 3, 1)
        result = features.new_empty(batch, down, step, across, step, self.out_channels)
        values_down = 2 * batch * across * side**2 * max(self.in_channels, self.out_channels)
        band = max(1, _BAND_VALUES // values_down)
        for top in range(0, down, band):
            tiles = result[:, top : top + band]
            self._fill(tiles, image[:, top * step : (top + tiles.shape[1]) * step + 2])
        whole = result.view(batch, down * step, across * step, self.out_channels)
        return whole[:, :rows, :columns].permute(0, 3, 1, 2)

    def _fill(self, tiles: Tensor, image: Tensor) -> None:
        """Tiles of the output (N, down, step, across, step, C') from (N, down * step + 2, across * step + 2, C)."""
        step, side, basis = self.tile_px, self.tile_px + 2, _BASES[self.tile_px]
        batch, down, _, across = tiles.shape[:4]
        lines = [image[:, i : i + down * step - step + 1 : step] for i in range(side)]
        seen = image.new_empty(side, side, batch, down, across, self.in_channels)
        for i, row in enumerate(basis.of_input):
            line = _weighted(row, lines)
            values = [line[:, :, j : j + across * step - step + 1 : step] for j in range(side)]
            for j, column in enumerate(basis.of_input):
                _weighted(column, values, out=seen[i, j])
        products = torch.bmm(seen.view(side**2, -1, self.in_channels), self.filters)
        del seen
        products = products.view(side, side, batch, down, across, self.out_channels)
        if self.bias is not None:
            products[1, 1] += self.bias  # its weight is 1 in every output
        for i, row in enumerate(basis.of_output):
            values = list(_weighted(row, list(products)))
            for j, column in enumerate(basis.of_output):
                _weighted(column, values, out=tiles[:, :, i, :, j])


def with_winograd(model: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """Replaces, in place, the convolutions that are faster with Winograd on a CPU.

    Args:
        model: from `in_precision`.
        dtype: of its convolutions. bfloat16 gains on CPUs with AVX-512 BF16 but without AMX; float16 does not gain.
    """
    tile_px = 4 if dtype == torch.float32 else 2
    if dtype != torch.float32 and not (dtype == torch.bfloat16 and _multiplies_bfloat16_by_vectors()):
        return model
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d) and _fits(module):
            model.set_submodule(name, Winograd(module, tile_px))
    return model


def _fits(convolution: nn.Conv2d) -> bool:
    geometry: Any = (convolution.kernel_size, convolution.stride, convolution.dilation, convolution.padding)
    many = convolution.in_channels * convolution.out_channels >= LEAST_FILTERS
    return many and geometry == ((3, 3), (1, 1), (1, 1), (1, 1)) and convolution.groups == 1


def _multiplies_bfloat16_by_vectors() -> bool:
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text() if processor.is_file() else ""
    return "avx512_bf16" in flags and "amx_bf16" not in flags


def _weighted(weights: tuple[float, ...], parts: list[Tensor], out: Tensor | None = None) -> Tensor:
    """Returns the weighted sum of tensors; at least one weight is 1 and at least two are not 0."""
    terms = [(weight, part) for weight, part in zip(weights, parts, strict=True) if weight]
    first = next(i for i, (weight, _) in enumerate(terms) if weight == 1)
    _, start = terms.pop(first)
    weight, part = terms.pop(0)
    result = torch.add(start, part, alpha=weight, out=out)
    for weight, part in terms:
        result.add_(part, alpha=weight)
    return result
