"""What the released Caffe models have beyond the paper: biases before BN, BN's epsilon, where its shift begins.

These are settings of a model, not models of their own, so that a recipe can follow the paper or the released files.

Source:
    The authors' prototxts: every convolution has a bias, BN's shift begins at 0.001. Their Caffe fork: BN's epsilon is
    1e-9. The paper, section 3.1: "no biases are used after convolutions".
"""

from torch import nn

from segnet.errors import ConfigError
from segnet.nn.layers import ConvBN


def set_released_form(
    model: nn.Module, *, conv_bias: bool = False, bn_eps: float | None = None, bn_shift: float = 0.0
) -> None:
    """Gives a freshly drawn model the details of the released ones, in place.

    Args:
        model: of `MODELS`.
        conv_bias: give each convolution before BN a bias, which begins at 0.
        bn_eps: added to the variance in every BN; None keeps the model's own.
        bn_shift: where the shift of every BN begins.

    Raises:
        ConfigError: `conv_bias` for a model without a convolution that this package's `ConvBN` normalises.
    """
    units = [module for module in model.modules() if isinstance(module, ConvBN)]
    if conv_bias and not units:
        raise ConfigError(
            f"model.conv_bias: {type(model).__name__} has no convolution that could take one; leave it false"
        )
    if conv_bias:
        for unit in units:
            weight = unit.conv.weight
            # zeros draw no random number, so all other weights are those of the same seed without biases
            unit.conv.bias = nn.Parameter(weight.new_zeros(weight.shape[0]))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = module.eps if bn_eps is None else bn_eps
            if bn_shift:
                nn.init.constant_(module.bias, bn_shift)
