"""Folders that hold a model with everything that describes it, as the hub has them, and putting them there."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from pydantic import TypeAdapter
from torch import nn

from segnet import palette
from segnet.data.reading.images import read_image
from segnet.data.sample import Image8
from segnet.data.street.scenes import Street
from segnet.data.transforms import image_to_tensor
from segnet.errors import WeightsError
from segnet.io.files import sha256_of, whole_file
from segnet.weights.address import HubAddress, parse_address
from segnet.weights.file import WeightsCard, load_weights, save_weights
from segnet.weights.finding import PRETRAINED_FILE, find_weights
from segnet.weights.hub import require_hub, short, unreachable
from segnet.weights.model_card import model_card

_EXAMPLE = "example.png"
_EXAMPLE_PX = (240, 320)
_SHARED_NAMES = 3  # classes that a model must share with the drawn streets for one of them to be its example


def save_pretrained(folder: Path | str, model: nn.Module, card: WeightsCard, image: Path | None = None) -> None:
    """Writes `model.safetensors`, `config.json`, `README.md` and, where there is one, `example.png`.

    Args:
        folder: made where it is missing; files of these names are replaced, others are left.
        model: a model of `MODELS`.
        card: its description, as for `save_weights`.
        image: an image for the example; None draws a street for RGB models that know its classes.

    Raises:
        WeightsError: as `save_weights`.
        DataError: the folder cannot be written, or the image cannot be read.
    """
    path = Path(folder) / PRETRAINED_FILE
    save_weights(path, model, card)
    _describe(path, Path(folder).resolve().name, str(folder), image)


def from_pretrained(source: Path | str) -> nn.Module:
    """The model of a folder of `save_pretrained`, on disk or on the hub.

    Args:
        source: a folder, `hf://owner/repo[@revision][/file]`, or as other libraries write it `owner/repo`, where no
            such folder exists.

    Returns:
        The model, float32, on the CPU, in eval mode.

    Raises:
        WeightsError: as `load_weights`.
        ConfigError: the hub is requested without the extra `hub`.
    """
    is_repo = re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) and not Path(source).exists()
    return load_weights(f"hf://{source}" if is_repo else source)[0]


def push(weights: str | Path, target: str | Path, image: Path | None = None, *, private: bool = False) -> str:
    """Puts weights on the hub, or into a folder to look at first; their bytes are not changed.

    Args:
        weights: as for `find_weights`.
        target: `hf://owner/repo[@revision]`, made where it is missing, or a folder.
        image: as for `save_pretrained`.
        private: a new repository is seen by its owner only.

    Returns:
        Where they are now: the address of the commit, or the folder.

    Raises:
        WeightsError: the weights cannot be read, the address names a file, or the hub refuses: says what to do.
        ConfigError: the hub is requested without the extra `hub`.
        DataError: a file cannot be written, or the image cannot be read.
    """
    path = find_weights(weights)
    address = parse_address(target)
    if not isinstance(address, HubAddress):
        if address:
            raise WeightsError(f"{target}: expected hf://owner/repo or a folder to write to")
        copied = Path(target) / PRETRAINED_FILE
        if copied.resolve() != path.resolve():
            with whole_file(copied) as temporary:
                shutil.copyfile(path, temporary)
        _describe(copied, copied.resolve().parent.name, str(target), image)
        return str(target)
    if address.file:
        raise WeightsError(f"{address}: the files of a pushed repository have their names; give hf://{address.repo}")
    hub = require_hub()
    with TemporaryDirectory() as folder:
        copied = Path(folder) / PRETRAINED_FILE
        shutil.copyfile(path, copied)
        _describe(copied, address.repo.split("/")[1], str(replace(address, revision=None)), image)
        api = hub.HfApi()
        try:
            api.create_repo(address.repo, private=private, exist_ok=True)
            made = api.upload_folder(
                repo_id=address.repo,
                folder_path=folder,
                revision=address.revision,
                commit_message=f"Weights and card of {address.repo.split('/')[1]}",
            )
        except hub.errors.RevisionNotFoundError:
            raise WeightsError(f"{address}: no branch '{address.revision}' to push to; make it first") from None
        except RuntimeError as cause:  # of a file that cannot be stored; the reason is behind it
            raise _refused(address, cause.__cause__ or cause) from None
        except unreachable(hub) as cause:
            raise _refused(address, cause) from None
    return str(made.commit_url)


def _refused(address: HubAddress, cause: BaseException) -> WeightsError:
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status in (401, 403):
        return WeightsError(
            f"{address}: the hub gives no permission to write there ({status}); log in with `hf auth login` as a user "
            "who may, or set HF_TOKEN to a token that may write"
        )
    return WeightsError(f"{address}: not pushed ({short(cause)}); check the network and try again")


def _describe(path: Path, name: str, address: str, image: Path | None) -> None:
    """Writes what stands beside `model.safetensors`."""
    model, card = load_weights(path)
    folder = path.parent
    example = _example(model, card, image)
    if example is not None:
        with whole_file(folder / _EXAMPLE) as temporary:
            Image.fromarray(example).save(temporary)
    with whole_file(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(_config(card), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    text = model_card(
        card, name, address, sha256_of(path), path.stat().st_size, _EXAMPLE if example is not None else ""
    )
    with whole_file(folder / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")


def _config(card: WeightsCard) -> dict[str, object]:
    """For other programs, in the hub's own words; ours reads the card inside the weights."""
    names = card.label_set.names
    return {
        "library_name": "segnet",
        "model_type": card.model,
        "num_labels": len(names),
        "num_channels": card.in_channels,
        "id2label": {str(class_id): name for class_id, name in enumerate(names)},
        "label2id": {name: class_id for class_id, name in enumerate(names)},
        "label_colours": {name: list(colour) for name, colour in zip(names, card.label_set.colours, strict=True)},
        "segnet": TypeAdapter(WeightsCard).dump_python(
            replace(card, scores=dict(card.scores), recipe=""), mode="json", exclude={"recipe"}
        ),
    }


def _example(model: nn.Module, card: WeightsCard, given: Path | None) -> Image8 | None:
    """An image, next to it the overlay of its classes, with their legend; None if no image fits."""
    if given is not None:
        image = read_image(given, reading=card.reading)
    elif card.in_channels == 3 and len({*card.label_set.names} & {*Street.label_set.names}) >= _SHARED_NAMES:
        image = Street(1, _EXAMPLE_PX, seed=7)[0].image
    else:
        return None
    with torch.inference_mode():
        classes = model(image_to_tensor(image)[None]).argmax(1)[0].numpy()  # (H, W)
    seen = palette.displayed(image)
    laid = palette.overlay(seen, classes, card.label_set)
    return palette.with_legend(np.concatenate((seen, laid), axis=1), card.label_set)
