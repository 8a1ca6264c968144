"""The figures that the paper prints, for comparison with ours. Scores are in percent.

Source:
    Badrinarayanan, Kendall, Cipolla: SegNet, PAMI 39(12), 2017 (arXiv 1511.00561 v3), Tables 1, 3, 4 and 6.

Table 1: trained on CamVid's 367 images, tested on 233, 360x480; times on an NVIDIA Titan with cuDNN v3.
Table 3: trained on 3,433 road scenes of four datasets, so no model here trained on CamVid alone compares with it.
Table 4: SUN RGB-D, 37 classes, 5,285 training and 5,050 test images.
Table 6: Caffe's own clock, 360x480, batch 1; memory as nvidia-smi shows it, at batch 4 in training and 1 in inference.
The GPU of Table 6 is not stated.
"""

from typing import NamedTuple


class Four(NamedTuple):
    """The paper's four scores, in percent."""

    global_accuracy: float
    class_average_accuracy: float
    mean_iou: float
    boundary_f1: float


class Table1(NamedTuple):
    """A row of Table 1: test scores and training scores, with median frequency balancing and without."""

    parameters_m: float
    infer_ms: float
    median: Four
    median_train: tuple[float, float, float]
    natural: Four
    natural_train: tuple[float, float, float]


class Table6(NamedTuple):
    """A row of Table 6."""

    forward_ms: float
    backward_ms: float
    training_mb: float
    inference_mb: float
    model_mb: float


STORAGE_MULTIPLIER: dict[str, float] = {
    "bilinear-interpolation": 0,
    "segnet-basic": 1,
    "segnet-basic-encoder-addition": 64,
    "segnet-basic-single-channel-decoder": 1,
    "fcn-basic": 11,
    "fcn-basic-no-dim-reduction": 64,
    "fcn-basic-no-addition-no-dim-reduction": 0,
}  # FCN-Basic-NoAddition: "n/a"

TABLE_1: dict[str, Table1] = {
    "bilinear-interpolation": Table1(
        0.625,
        24.2,
        Four(77.9, 61.1, 43.3, 20.83),
        (89.1, 90.2, 82.7),
        Four(82.7, 52.5, 43.8, 23.08),
        (93.5, 74.1, 59.9),
    ),
    "segnet-basic": Table1(
        1.425,
        52.6,
        Four(82.7, 62.0, 47.7, 35.78),
        (94.7, 96.2, 92.7),
        Four(84.0, 54.6, 46.3, 36.67),
        (96.1, 83.9, 73.3),
    ),
    "segnet-basic-encoder-addition": Table1(
        1.425,
        53.0,
        Four(83.4, 63.6, 48.5, 35.92),
        (94.3, 95.8, 92.0),
        Four(84.2, 56.5, 47.7, 36.27),
        (95.3, 80.9, 68.9),
    ),
    "segnet-basic-single-channel-decoder": Table1(
        0.625,
        33.1,
        Four(81.2, 60.7, 46.1, 31.62),
        (93.2, 94.8, 90.3),
        Four(83.5, 53.9, 45.2, 32.45),
        (92.6, 68.4, 52.8),
    ),
    "fcn-basic": Table1(
        0.65, 24.2, Four(81.7, 62.4, 47.3, 38.11), (92.8, 93.6, 88.1), Four(83.9, 55.6, 45.0, 37.33), (92.0, 66.8, 50.7)
    ),
    "fcn-basic-no-addition": Table1(
        0.65, 23.8, Four(80.5, 58.6, 44.1, 31.96), (92.5, 93.0, 87.2), Four(82.3, 53.9, 44.2, 29.43), (93.1, 72.8, 57.6)
    ),
    "fcn-basic-no-dim-reduction": Table1(
        1.625,
        44.8,
        Four(84.1, 63.4, 50.1, 37.37),
        (95.1, 96.5, 93.2),
        Four(83.5, 57.3, 47.0, 37.13),
        (97.2, 91.7, 84.8),
    ),
    "fcn-basic-no-addition-no-dim-reduction": Table1(
        1.625,
        43.9,
        Four(80.5, 61.6, 45.9, 30.47),
        (92.5, 94.6, 89.9),
        Four(83.7, 54.8, 45.5, 33.17),
        (95.0, 80.2, 67.8),
    ),
}

# Scores after 40K, 80K and more iterations; None where the paper says "not computed". CRF rows end in "+crf".
TABLE_3: dict[str, tuple[Four | None, Four | None, Four]] = {
    "segnet": (Four(88.81, 59.93, 50.02, 35.78), Four(89.68, 69.82, 57.18, 42.08), Four(90.40, 71.20, 60.10, 46.84)),
    "deeplab-largefov": (
        Four(85.95, 60.41, 50.18, 26.25),
        Four(87.76, 62.57, 53.34, 32.04),
        Four(88.20, 62.53, 53.88, 32.77),
    ),
    "deeplab-largefov+crf": (None, None, Four(89.71, 60.67, 54.74, 40.79)),
    "fcn-8s": (Four(81.97, 54.38, 46.59, 22.86), Four(82.71, 56.22, 47.95, 24.76), Four(83.27, 59.56, 49.83, 27.99)),
    "fcn-8s-learnt": (
        Four(83.21, 56.05, 48.68, 27.40),
        Four(83.71, 59.64, 50.80, 31.01),
        Four(83.14, 64.21, 51.96, 33.18),
    ),
    "deconvnet": (Four(85.26, 46.40, 39.69, 27.36), Four(85.19, 54.08, 43.74, 29.33), Four(89.58, 70.24, 59.77, 52.23)),
}

# After 80K, 140K and more iterations, without class balancing.
TABLE_4: dict[str, tuple[Four | None, Four | None, Four]] = {
    "segnet": (Four(70.73, 30.82, 22.52, 9.16), Four(71.66, 37.60, 27.46, 11.33), Four(72.63, 44.76, 31.84, 12.66)),
    "deeplab-largefov": (
        Four(70.70, 41.75, 30.67, 7.28),
        Four(71.16, 42.71, 31.29, 7.57),
        Four(71.90, 42.21, 32.08, 8.26),
    ),
    "deeplab-largefov+crf": (None, None, Four(66.96, 33.06, 24.13, 9.41)),
    "fcn-8s-learnt": (Four(67.31, 34.32, 24.05, 7.88), Four(68.04, 37.2, 26.33, 9.0), Four(68.18, 38.41, 27.39, 9.68)),
    "deconvnet": (Four(59.62, 12.93, 8.35, 6.50), Four(63.28, 22.53, 15.14, 7.86), Four(66.13, 32.28, 22.57, 10.47)),
}

TABLE_6: dict[str, Table6] = {
    "segnet": Table6(422.50, 488.71, 6803, 1052, 117),
    "deeplab-largefov": Table6(110.06, 160.73, 5618, 1993, 83),
    "fcn-8s-learnt": Table6(317.09, 484.11, 9735, 1806, 539),
    "deconvnet": Table6(474.65, 602.15, 9731, 1872, 877),
}
