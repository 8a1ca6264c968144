"""The form by ranks against `segnet.pooling`, which is tested against PyTorch and a loop."""

import pytest
import torch

from segnet import pooling
from segnet.runtime import ranks


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4), (8, 8), (7, 9)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equal_to_the_packed_form(size: tuple[int, int], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(-2, 2, (2, 6, *size), generator=generator).to(dtype)  # many ties, many negative maxima
    pooled, indices = pooling.max_pool(image)
    got, rank = ranks.max_pool(image)
    assert torch.equal(got, pooled)
    assert torch.equal(rank.rank, 4 - indices.positions().to(dtype))
    values = torch.randn(pooled.shape, generator=generator).to(dtype)
    assert torch.equal(ranks.max_unpool(values, rank), pooling.max_unpool(values, indices))
