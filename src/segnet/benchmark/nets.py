"""Which nets stand in which table. Table 6 has all: the Bayesian forms, and the ancestor with K output channels."""

from segnet.models import MODELS

TABLE_1_NETS = (
    "bilinear-interpolation",
    "segnet-basic",
    "segnet-basic-encoder-addition",
    "segnet-basic-single-channel-decoder",
    "fcn-basic",
    "fcn-basic-no-addition",
    "fcn-basic-no-dim-reduction",
    "fcn-basic-no-addition-no-dim-reduction",
)
DEEP_NETS = (
    *("segnet", "deeplab-largefov", "fcn-32s", "fcn-16s", "fcn-8s", "fcn-8s-learnt", "deconvnet", "unet", "enet"),
)
VGG_NETS = {*DEEP_NETS, "bayesian-segnet"} - {"unet", "enet"}
CRF_NETS = {"deeplab-largefov"}
NETS = {
    "table1": TABLE_1_NETS,
    "table3": DEEP_NETS,
    "table4": DEEP_NETS,
    "table6": tuple(MODELS),
}
