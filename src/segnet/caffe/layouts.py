"""The layer names of the authors' models, in order, with the corresponding modules of ours.

Source:
    The authors' prototxts: segnet_train, segnet_basic_train, bayesian_segnet_camvid, segnet_model_driving_webdemo,
    segnet_sun.
"""

from typing import NamedTuple

from torch import nn

from segnet.errors import WeightsError
from segnet.models.segnet import BayesianSegNetCamVid, SegNet, SegNetBasic
from segnet.models.vgg import VGG16_STAGES
from segnet.nn.normalisation import Normalisation


class CaffeLayer(NamedTuple):
    """A convolution of the authors' model and its counterpart in ours.

    Attributes:
        module: path of our ConvBN, or of the classifier.
        names: the authors' names for it, the usual one first.
    """

    module: str
    names: tuple[str, ...]


class CaffeLayout(NamedTuple):
    """All convolutions of one of the authors' models.

    Attributes:
        encoder: the layers of each stage, first to last stage.
        decoder: the layers of each stage, deepest stage first.
        classifier: the layer that outputs the logits.
        relu: whether the decoder has ReLUs.
        normalisation: the input normalisation of the released files.
    """

    encoder: tuple[tuple[CaffeLayer, ...], ...]
    decoder: tuple[tuple[CaffeLayer, ...], ...]
    classifier: CaffeLayer
    relu: bool
    normalisation: Normalisation

    def layers(self) -> list[CaffeLayer]:
        """Every convolution, in the order of the forward pass."""
        return [layer for stage in (*self.encoder, *self.decoder) for layer in stage] + [self.classifier]


def _segnet(*, extra: bool) -> CaffeLayout:
    """`extra`: `conv1_1_D` has 64 maps, and a layer `camvid` behind it is the classifier."""
    encoder, decoder = [], []
    for stage, widths in enumerate(VGG16_STAGES, start=1):
        numbers = range(len(widths))
        encoder.append(tuple(CaffeLayer(f"encoder.stage{stage}.{n}", (f"conv{stage}_{n + 1}",)) for n in numbers))
        # the decoder mirrors the encoder: its first convolution has the last number
        mirrored = [(n, f"conv{stage}_{len(widths) - n}_D") for n in numbers]
        if stage == 1 and not extra:
            mirrored = mirrored[:-1]
        decoder.append(tuple(CaffeLayer(f"decoder.stage{stage}.{n}", (name,)) for n, name in mirrored))
    classifier = CaffeLayer("classifier", ("camvid",) if extra else ("conv1_1_D",))
    return CaffeLayout(tuple(encoder), tuple(decoder[::-1]), classifier, relu=True, normalisation="raw_bgr")


def _segnet_basic() -> CaffeLayout:
    return CaffeLayout(
        tuple((CaffeLayer(f"encoder.stage{s}.0", (f"conv{s}",)),) for s in range(1, 5)),
        tuple((CaffeLayer(f"decoder.stage{s}.0", (f"conv_decode{s}",)),) for s in range(4, 0, -1)),
        CaffeLayer("classifier", ("conv_classifier", "dense_softmax_inner_prod")),
        relu=False,
        normalisation="lrn",
    )


SEGNET, SEGNET_CAMVID, SEGNET_BASIC = _segnet(extra=False), _segnet(extra=True), _segnet_basic()


def layout_of(model: nn.Module) -> CaffeLayout:
    """The authors' layers of one of our models.

    Raises:
        WeightsError: the authors released no such model.
    """
    if isinstance(model, SegNetBasic):
        return SEGNET_BASIC
    if isinstance(model, SegNet):
        return SEGNET_CAMVID if isinstance(model, BayesianSegNetCamVid) else SEGNET
    raise WeightsError(f"the authors' Caffe files fit SegNet and SegNet-Basic, not {type(model).__name__}")
