"""The models of each table. Table 6 has all, also the Bayesian forms, and the autoencoder with K output channels."""

from segnet.models import MODELS

TABLE_1_MODELS = (
    "bilinear-interpolation",
    "segnet-basic",
    "segnet-basic-encoder-addition",
    "segnet-basic-single-channel-decoder",
    "fcn-basic",
    "fcn-basic-no-addition",
    "fcn-basic-no-dim-reduction",
    "fcn-basic-no-addition-no-dim-reduction",
)
DEEP_MODELS = (
    *("segnet", "deeplab-largefov", "fcn-32s", "fcn-16s", "fcn-8s", "fcn-8s-learnt", "deconvnet", "unet", "enet"),
)
VGG_MODELS = {*DEEP_MODELS, "bayesian-segnet"} - {"unet", "enet"}
CRF_MODELS = {"deeplab-largefov"}
TABLE_MODELS = {
    "table1": TABLE_1_MODELS,
    "table3": DEEP_MODELS,
    "table4": DEEP_MODELS,
    "table6": tuple(MODELS),
}
