"""ENet: its table of layers, its 0.37 million parameters, and its unpooling."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnet.models.enet import Bottleneck, DownBottleneck, ENet, InitialBlock, UpBottleneck
from segnet.pooling import max_pool, max_unpool


@pytest.fixture(scope="module")
def model() -> ENet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ENet(12).eval()


def random_image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5))


def convolution_weights(model: nn.Module) -> int:
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))


def plain(channels: int) -> int:
    return 2 * channels * channels // 4 + 9 * (channels // 4) ** 2


def asymmetric(channels: int) -> int:
    return 2 * channels * channels // 4 + 10 * (channels // 4) ** 2


def test_convolution_weights_of_table_1(model: ENet) -> None:
    initial = 13 * 3 * 9
    stage1 = (16 * 16 * 4 + 16 * 16 * 9 + 16 * 64) + 4 * plain(64)
    stage2 = (64 * 32 * 4 + 32 * 32 * 9 + 32 * 128) + 6 * plain(128) + 2 * asymmetric(128)
    stage3 = 6 * plain(128) + 2 * asymmetric(128)
    stage4 = (128 * 64 + 128 * 16 + 16 * 16 * 9 + 16 * 64) + 2 * plain(64)
    stage5 = (64 * 16 + 64 * 4 + 4 * 4 * 9 + 4 * 16) + plain(16)
    expected = initial + stage1 + stage2 + stage3 + stage4 + stage5 + 16 * 12 * 4
    assert convolution_weights(model) == expected


def test_parameters_beside_the_papers() -> None:
    # the abstract: 79 times fewer than SegNet's 29.46 M, 0.37 M. Ours are 0.36 M; 0.37 M with BN's running statistics,
    # which are weights on disk, and exactly 79 times fewer with the 693 biases that the released code has before BN.
    cityscapes = ENet(19)
    parameters = sum(parameter.numel() for parameter in cityscapes.parameters())
    statistics = sum(b.numel() for key, b in cityscapes.named_buffers() if "running" in key)
    assert (parameters, statistics) == (363_618, 8_352)
    assert round(29.46e6 / (parameters + statistics + 693)) == 79


def test_the_order_of_the_bottlenecks(model: ENet) -> None:
    def middle(block: Bottleneck) -> str:
        convolutions = list(block.branch[3])
        if len(convolutions) == 2:
            assert [c.kernel_size for c in convolutions] == [(5, 1), (1, 5)]
            return "asymmetric"
        return f"dilated {convolutions[0].dilation[0]}" if convolutions[0].dilation[0] > 1 else "plain"

    expected = "plain, dilated 2, asymmetric, dilated 4, plain, dilated 8, asymmetric, dilated 16"
    assert ", ".join(map(middle, model.encoder.stage2)) == expected
    assert ", ".join(map(middle, model.encoder.stage3)) == expected
    assert [middle(block) for block in model.encoder.stage1] == ["plain"] * 4


def test_spatial_dropout_is_weak_before_stage_2_and_stronger_after(model: ENet) -> None:
    found = {key: module.p for key, module in model.encoder.named_modules() if isinstance(module, nn.Dropout2d)}
    assert len(found) == 5 + 9 + 8
    assert all(p == (0.01 if key.startswith(("down1", "stage1")) else 0.1) for key, p in found.items())
    assert not any(module.p for module in model.decoder.modules() if isinstance(module, nn.Dropout2d))


def test_sizes_of_table_1(model: ENet) -> None:
    with torch.no_grad():
        features, indices = model.encoder(model.normalisation(random_image(64, 96)))
        assert tuple(features.shape[1:]) == (128, 8, 12)
        assert [(kept.channels, kept.size) for kept in indices] == [(16, (32, 48)), (64, (16, 24))]
        assert tuple(model.decoder(features, indices).shape[1:]) == (16, 32, 48)


def test_the_initial_block_keeps_the_pooled_image() -> None:
    block = InitialBlock(3).eval()
    image = random_image(7, 6)
    block.norm.eps = 0.0
    with torch.no_grad():
        block.activation.weight.fill_(1.0)  # now linear
        features = block(image)
    assert tuple(features.shape[1:]) == (16, 4, 3)
    assert torch.equal(features[:, 13:], F.max_pool2d(image, 2, ceil_mode=True))


def test_a_downsampling_bottleneck_is_pooling_plus_a_branch() -> None:
    block = DownBottleneck(4, 8, dropout=0.1).eval()
    features = torch.rand(2, 4, 5, 7)
    with torch.no_grad():
        block.branch[7].weight.zero_()
        got, indices = block(features)
    pooled, expected = max_pool(features)
    assert torch.equal(got, torch.cat([pooled, torch.zeros_like(pooled)], dim=1))
    assert torch.equal(indices.packed, expected.packed)


def test_an_upsampling_bottleneck_is_unpooling_plus_a_branch() -> None:
    block = UpBottleneck(8, 4).eval()
    _, indices = max_pool(torch.rand(2, 4, 5, 7))
    features = torch.rand(2, 8, 3, 4)
    with torch.no_grad():
        block.expand[3].weight.zero_()
        got = block(features, indices)
        expected = F.relu(max_unpool(block.main(features), indices))
    assert torch.equal(got, expected)


def test_a_plain_bottleneck_without_its_branch_changes_nothing_above_zero() -> None:
    block = Bottleneck(8, dropout=0.1).eval()
    features = torch.rand(2, 8, 5, 7)
    with torch.no_grad():
        block.branch[7].weight.zero_()
        assert torch.equal(block(features), features)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 47)])
def test_any_size(model: ENet, size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = model(random_image(*size))
    assert logits.shape == (1, 12, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("channels", "maps"), [(1, 15), (3, 13), (6, 10), (8, 8), (9, 16), (20, 16)])
def test_the_initial_block_of_other_channels_has_16_maps(channels: int, maps: int) -> None:
    block = InitialBlock(channels)
    assert block.conv.out_channels == maps
    assert block(torch.rand(1, channels, 7, 9)).shape == (1, 16, 4, 5)
