"""The layers that models share: convolution + BN + ReLU, a convolution in two factors, and He initialisation."""

from torch import Tensor, nn

from segnet.nn.recompute import convolution_again, is_recomputing, normalise, remember


class ConvBN(nn.Sequential):
    """Convolution without bias, batch normalisation and optionally ReLU; size is kept.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel_px: odd side of the filter.
        relu: whether a ReLU follows.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_px: int = 3, *, relu: bool = True) -> None:
        super().__init__()
        # in a lean model perhaps a FactorisedConv2d
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_px, padding=kernel_px // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        if relu:
            self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, H, W) -> (N, C', H, W)."""
        if self.conv.bias is not None or not (self.training and is_recomputing()):  # recomputing has no bias
            return super().forward(features)  # type: ignore[no-any-return, no-untyped-call]
        convolved = self.conv(features)
        # the first layer: cheaper to recompute than to keep
        if isinstance(self.conv, nn.Conv2d) and features.shape[1] < convolved.shape[1] // 8:
            remember(convolved, convolution_again(features, self.conv, convolved))
        return normalise(convolved, self.norm, relu=len(self) == 3)


class FactorisedConv2d(nn.Sequential):
    """A k x k convolution in two factors: k x 1 to a few channels, then 1 x k to all of them; size is kept.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel_px: odd side k of the filter that they make together.
        rank: channels between the factors.
        bias: whether the second has one.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_px: int, rank: int, *, bias: bool = False) -> None:
        super().__init__()
        reach = kernel_px // 2
        self.column = nn.Conv2d(in_channels, rank, (kernel_px, 1), padding=(reach, 0), bias=False)
        self.row = nn.Conv2d(rank, out_channels, (1, kernel_px), padding=(0, reach), bias=bias)

    @property
    def bias(self) -> Tensor | None:
        """That of the second factor, added to the output as a convolution's own."""
        return self.row.bias


def init_he(model: nn.Module) -> None:
    """Draws every convolution from He's normal distribution (fan in), zeroes biases, makes BN the identity.

    Source:
        SegNet, section 3.2; Caffe's `msra` filler: standard deviation sqrt(2 / fan_in).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
