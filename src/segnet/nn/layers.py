"""The layers that all models share: convolution + BN + ReLU, and He initialisation."""

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
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_px, padding=kernel_px // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        if relu:
            self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, H, W) -> (N, C', H, W)."""
        if self.conv.bias is not None or not (self.training and is_recomputing()):  # recomputing has no bias
            return super().forward(features)  # type: ignore[no-any-return, no-untyped-call]
        convolved = self.conv(features)
        if features.shape[1] < convolved.shape[1] // 8:  # the first layer: cheaper to recompute than to keep
            remember(convolved, convolution_again(features, self.conv, convolved))
        return normalise(convolved, self.norm, relu=len(self) == 3)


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
