"""`segnet import-caffe`: the authors' weights as our weights file, float32 throughout."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from segnet.caffe.caffemodel import Blobs, CaffeFile, fill, read_caffe_file
from segnet.caffe.exporting import INPUT_LAYER, input_convolution
from segnet.caffe.layouts import SEGNET, SEGNET_BASIC, SEGNET_CAMVID, CaffeLayout
from segnet.caffe.prototxt import Message, read_prototxt
from segnet.data.reading.label_file import read_labels_toml
from segnet.errors import DataError, WeightsError, nearest
from segnet.io.files import require_apart
from segnet.labels import CAMVID_11, SUN_37, LabelSet
from segnet.models import create_model
from segnet.models.released_form import set_released_form
from segnet.nn.normalisation import Normalisation, create_normalisation
from segnet.version import __version__
from segnet.weights.file import WeightsCard, load_weights, save_weights

# The web demo's classes: those of CamVid with road markings after poles.
CAMVID_12 = LabelSet(
    "camvid-12",
    (*CAMVID_11.names[:3], "road marking", *CAMVID_11.names[3:]),
    (*CAMVID_11.colours[:3], (255, 69, 0), *CAMVID_11.colours[3:]),
)
CAFFE_LABEL_SETS = {"camvid11": CAMVID_11, "camvid12": CAMVID_12, "sun37": SUN_37}
BN_EPS = 1e-9  # of the authors' BN layer
CHANGED_LIMIT = 5e-4
_LICENCE = "that of the imported file; the authors release theirs under CC BY-NC 4.0"


@dataclass(frozen=True)
class ImportedCaffe:
    """What was found in an imported caffemodel.

    Attributes:
        model: a key of `MODELS`.
        normalisation: of the input.
        num_classes: K of the file that was written.
        dropped_void: whether the file had an output for unlabelled pixels first, which was left out.
        merged_batch_norm: whether BN was merged into the convolutions.
        classes_changed: fraction of pixels whose class differs from Caffe's, 0..1; None if nothing was compared.
    """

    model: str
    normalisation: Normalisation
    num_classes: int
    dropped_void: bool
    merged_batch_norm: bool
    classes_changed: float | None


def import_caffe(
    path: Path, label_set: LabelSet, out: Path, *, prototxt: Path | None = None, compare: Path | None = None
) -> ImportedCaffe:
    """Writes a weights file that computes what Caffe computes, with filters, biases and BN in float32.

    Args:
        path: a binary .caffemodel of SegNet, SegNet-Basic or their Bayesian forms, with BN statistics folded into
            scale and shift as in the released files, or with BN merged into the convolutions.
        label_set: the classes of the outputs. A file with one output more than SUN RGB-D's 37 classes has void first,
            as the authors' has; that output is left out.
        out: the file to write, .safetensors.
        prototxt: of the same model; its layers are compared with the file's. None skips this check.
        compare: .npz with Caffe's own outputs on one image: `data_bgr_u8` (1, 3, H, W) and `logits` (1, K, H, W), or
            `logits_every_2nd` at every second row and column. Nothing is written if more than 0.05 % of the classes
            differ.

    Raises:
        WeightsError: `path` is missing, truncated or another kind of file; no known layout; a prototxt of another
            model; a label set of another size; or outputs that differ from Caffe's.
        DataError: the outputs to compare with cannot be read, or the file cannot be written.
    """
    require_apart([out], [path, *filter(None, (prototxt, compare))])
    caffe = read_caffe_file(path)
    layout = _layout(caffe.blobs, path)
    described = read_prototxt(prototxt) if prototxt else []
    _require_same_model(caffe.blobs, described, path, prototxt)
    kinds = set(caffe.types.values()) | {layer.text("type").strip() for layer in described}
    kind = _model_name(layout, bayesian="Dropout" in kinds or "DROPOUT" in kinds)
    normalisation = _normalisation(layout, kinds, caffe.blobs, path)
    blobs, dropped = _with_classes(caffe, layout, label_set, path)
    model = create_model(kind, label_set.num_classes, normalisation=normalisation)
    set_released_form(model, conv_bias=True, bn_eps=BN_EPS)
    fill(model, layout, blobs, path)
    model.eval()
    card = WeightsCard(
        kind,
        label_set,
        trained_on=f"imported from {path.name}",
        licence=_LICENCE,
        version=__version__,
        conv_bias=True,
        bn_eps=BN_EPS,
    )
    changed = None
    if compare:
        reference = _read_outputs(compare, label_set.num_classes + dropped)
        with TemporaryDirectory() as folder:
            trial = Path(folder, "trial.safetensors")
            save_weights(trial, model, card, dtype=torch.float32)
            changed = _classes_changed(trial, *reference, dropped=dropped)
        if not changed <= CHANGED_LIMIT:
            raise WeightsError(
                f"{path}: {changed:.3%} of the pixels have another class than in {compare}, expected at most "
                f"{CHANGED_LIMIT:.2%}; not imported: check that both are of the same weights, and that BN statistics "
                "are folded in"
            )
    save_weights(out, model, card, dtype=torch.float32)
    merged = not any(name.endswith("_bn") for name in blobs)
    return ImportedCaffe(kind, normalisation, label_set.num_classes, dropped, merged, changed)


def find_label_set(name_or_path: str) -> LabelSet:
    """`camvid11`, `camvid12`, `sun37`, or the classes of a `labels.toml`.

    Raises:
        WeightsError: an unknown name that is not a file either.
        LabelError: the file is wrong.
    """
    if name_or_path in CAFFE_LABEL_SETS:
        return CAFFE_LABEL_SETS[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        raise WeightsError(
            f"unknown label set '{name_or_path}'; {nearest(name_or_path, CAFFE_LABEL_SETS)}, or pass a labels.toml file"
        )
    return read_labels_toml(path).label_set


# ------------------------------------------------------------------------------------------------ recognising the file


def _layout(blobs: Blobs, path: Path) -> CaffeLayout:
    if "conv_decode1" in blobs:
        return SEGNET_BASIC
    if "conv1_1" in blobs and "conv1_2_D" in blobs:
        return SEGNET_CAMVID if "camvid" in blobs else SEGNET
    raise WeightsError(
        f"{path}: unknown layout: expected the layers of SegNet (conv1_1 ... conv1_1_D) or SegNet-Basic "
        f"(conv1 ... conv_decode1), got {', '.join(list(blobs)[:6])} ..."
    )


def _model_name(layout: CaffeLayout, *, bayesian: bool) -> str:
    if layout is SEGNET_CAMVID:
        return "bayesian-segnet-camvid"
    name = "segnet-basic" if layout is SEGNET_BASIC else "segnet"
    return f"bayesian-{name}" if bayesian else name


def _normalisation(layout: CaffeLayout, kinds: set[str], blobs: Blobs, path: Path) -> Normalisation:
    """Derives it from the types of the layers if they are listed; else that of the released files.

    Raises:
        WeightsError: a first convolution that `segnet export --to caffe` did not write.
    """
    if INPUT_LAYER in blobs:
        for name in ("caffe_bgr", "mean_std"):
            expected = input_convolution(create_normalisation(name))
            if all(np.array_equal(a, b) for a, b in zip(blobs[INPUT_LAYER], expected, strict=True)):
                return name
        raise WeightsError(f"{path}: layer '{INPUT_LAYER}' has statistics that are not ImageNet's; not imported")
    if kinds & {"Pooling", "POOLING"}:  # the list is complete, not only of layers with arrays
        return "lrn" if kinds & {"LRN"} else "raw_bgr"
    return layout.normalisation


def _require_same_model(blobs: Blobs, described: list[Message], path: Path, prototxt: Path | None) -> None:
    """Raises if convolutions of the prototxt and of the file have other names or numbers of filters."""
    convolutions = {
        layer.text("name"): layer.message("convolution_param").text("num_output")
        for layer in described
        if layer.text("type").upper() == "CONVOLUTION"
    }
    for name, filters in convolutions.items():
        if name not in blobs:
            raise WeightsError(f"{prototxt} is of another model: {path} has no layer '{name}'; {nearest(name, blobs)}")
        if filters != str(blobs[name][0].shape[0]):
            raise WeightsError(
                f"{prototxt} is of another model: layer '{name}' has {filters} filters there and "
                f"{blobs[name][0].shape[0]} in {path}"
            )
    in_file = [name for name, arrays in blobs.items() if arrays[0].ndim == 4 and arrays[0].shape[0] > 1]
    if convolutions and (extra := [name for name in in_file if name not in convolutions]):
        raise WeightsError(f"{prototxt} is of another model: it has no convolution '{extra[0]}', which {path} has")


def _with_classes(caffe: CaffeFile, layout: CaffeLayout, label_set: LabelSet, path: Path) -> tuple[Blobs, bool]:
    """The arrays with one output per class, and whether the output for void was left out."""
    name = next((n for n in layout.classifier.names if n in caffe.blobs), None)
    if name is None:
        raise WeightsError(f"{path} has no layer '{layout.classifier.names[0]}' that gives the classes")
    arrays = caffe.blobs[name]
    outputs, expected = arrays[0].shape[0], label_set.num_classes
    if outputs == expected:
        return caffe.blobs, False
    if label_set == SUN_37 and outputs == expected + 1:
        return caffe.blobs | {name: [array[1:] for array in arrays]}, True
    raise WeightsError(
        f"{path} has {outputs} classes, the label set {label_set.name} has {expected}; use the label set that the "
        "file was trained with: camvid11, camvid12, sun37, or a labels.toml file"
    )


# ------------------------------------------------------------------------------------------------ comparison


def _read_outputs(path: Path, outputs: int) -> tuple[NDArray[np.uint8], NDArray[np.floating], int]:
    """Caffe's image, RGB uint8 (H, W, 3), its logits (K, h, w), and the step between their rows and columns."""
    try:
        with np.load(path) as file:
            stored = dict(file)
    except (OSError, ValueError) as cause:
        raise DataError(f"{path} cannot be read as .npz: {cause}") from None
    key = next((k for k in ("logits", "logits_every_2nd") if k in stored), None)
    if key is None or "data_bgr_u8" not in stored:
        raise DataError(f"{path}: expected arrays 'data_bgr_u8' and 'logits', got {', '.join(stored) or 'none'}")
    image, logits, step = stored["data_bgr_u8"], stored[key], 1 if key == "logits" else 2
    size = tuple(-(-side // step) for side in image.shape[2:])
    if image.dtype != np.uint8 or image.shape[:2] != (1, 3) or logits.shape != (1, outputs, *size):
        raise DataError(
            f"{path}: expected 'data_bgr_u8' uint8 (1, 3, H, W) and '{key}' (1, {outputs}, {', '.join(map(str, size))})"
            f", got {image.dtype} {image.shape} and {logits.shape}"
        )
    return np.ascontiguousarray(image[0, ::-1].transpose(1, 2, 0)), logits[0], step


def _classes_changed(
    weights: Path, image: NDArray[np.uint8], logits: NDArray[np.floating], step: int, *, dropped: bool
) -> float:
    # In float64: a float32 sum in another order decides some ties otherwise, another number of them on each processor.
    model = load_weights(weights)[0].double()
    with torch.inference_mode():
        rgb = torch.from_numpy(image.transpose(2, 0, 1).copy()[None]).double() / 255
        classes = model(rgb).argmax(1)[0].numpy()[::step, ::step]
    return float((classes != logits[int(dropped) :].argmax(0)).mean())
