import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from segnet.pooling import PoolingIndices, max_pool, max_unpool


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(*[st.integers(1, most) for most in (3, 9, 12, 12)]),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16]),
    channels_last=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_pair_equals_torchs(shape: tuple[int, ...], dtype: torch.dtype, channels_last: bool, seed: int) -> None:
    image = torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    expected, flat = F.max_pool2d(image, 2, 2, ceil_mode=True, return_indices=True)
    pooled, indices = max_pool(image)
    assert pooled.dtype == dtype
    assert torch.equal(pooled, expected)
    assert torch.equal(indices.to_flat(), flat)
    restored = max_unpool(pooled, indices)
    assert torch.equal(restored, F.max_unpool2d(expected, flat, 2, 2, output_size=shape[2:]))
    # pooling what was unpooled gives it back wherever the zeros beside it are not larger
    assert torch.equal(max_pool(restored)[0].clamp_min(0), pooled.clamp_min(0))


@settings(deadline=None, max_examples=60)
@given(channels=st.integers(1, 17), height=st.integers(1, 20), width=st.integers(1, 300), seed=st.integers(0, 2**31))
def test_flat_round_trip(channels: int, height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    _, flat = F.max_pool2d(
        torch.rand(1, channels, height, width, generator=generator), 2, 2, ceil_mode=True, return_indices=True
    )
    indices = PoolingIndices.from_flat(flat, (height, width))
    assert torch.equal(indices.to_flat(), flat)
    assert indices.num_bytes == -(-channels // 4) * -(-height // 2) * -(-width // 2)
