"""Details of the released Caffe models that the paper lacks: biases before BN, BN's epsilon, initial shift of BN.

They are settings of a model, not separate models, so that a recipe can follow the paper or the released files.

Source:
    The authors' prototxts: every convolution has a bias, BN's shift starts at 0.001. Their Caffe fork: BN's epsilon is
    1e-9. The paper, section 3.1: "no biases are used after convolutions".
"""

from torch import nn

from segnet.errors import ConfigError
from segnet.nn.layers import ConvBN, FactorisedConv2d


def set_released_form(
    model: nn.Module, *, conv_bias: bool = False, bn_eps: float | None = None, bn_shift: float = 0.0
) -> None:
    """Gives a newly initialised model the details of the released ones, in place.

    Args:
        model: of `MODELS`.
        conv_bias: give each convolution before BN a bias, initialised with 0.
        bn_eps: added to the variance in every BN; None keeps the model's own.
        bn_shift: initial shift of every BN.

    Raises:
        ConfigError: `conv_bias` for a model without a convolution that this package's `ConvBN` normalises.
    """
    units = [module for module in model.modules() if isinstance(module, ConvBN)]
    if conv_bias and not units:
        raise ConfigError(f"model.conv_bias: {type(model).__name__} has no convolution followed by BN; set it to false")
    if conv_bias:
        for unit in units:
            last = unit.conv.row if isinstance(unit.conv, FactorisedConv2d) else unit.conv
            # zeros use no random numbers, so all other weights equal those of the same seed without biases
            last.bias = nn.Parameter(last.weight.new_zeros(last.out_channels))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = module.eps if bn_eps is None else bn_eps
            if bn_shift:
                nn.init.constant_(module.bias, bn_shift)
