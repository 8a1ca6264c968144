"""`segnet blend` from outside: the weights that ship and themselves, which changes nothing."""

from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import pytest
import torch

from segnet.data.datasets.folder import write_folder
from segnet.data.street.scenes import Street
from segnet.weights.file import find_weights, load_weights, read_card

Run = Callable[..., tuple[int, str, str]]
NAME = "segnet-basic-camvid"


def test_weights_and_their_scores_in_one_file(run: Run, tiny_camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "blended.safetensors"
    code, text, err = run("blend", NAME, NAME, "--data", tiny_camvid, "--out", out)
    assert (code, err) == (0, "")
    assert "mean_iou" in text
    assert "blended.safetensors" in text.replace("\n", "")
    card = read_card(out)
    assert 0 <= card.scores["mean_iou"] <= 1
    assert "a share of 0.2 of" in card.recipe
    old, new = (load_weights(weights)[0].state_dict() for weights in (NAME, out))
    for name, tensor in new.items():
        torch.testing.assert_close(tensor, old[name], msg=name)

    code, text, err = run("blend", NAME, out, "--out", tmp_path / "unscored.safetensors")
    assert (code, err) == (0, "")
    assert read_card(tmp_path / "unscored.safetensors").scores == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([NAME, NAME, "--out", "blended.pt"], "give the file that suffix"),
        ([NAME, "no-such", "--out", "blended.safetensors"], "no-such"),
        ([NAME, NAME, "--out", "blended.safetensors", "--data", "no-such"], "no-such"),
        ([NAME, NAME, "--out", "blended.safetensors", "--share", "2"], "share"),
    ],
)
def test_refusals_write_nothing(
    arguments: list[str], said: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("blend", *arguments)
    assert code == 2
    assert said in err
    assert not list(tmp_path.iterdir())


def test_it_scores_on_its_own_classes_only_and_keeps_what_it_reads(run: Run, tmp_path: Path) -> None:
    root, weights = tmp_path / "d", tmp_path / "w.safetensors"
    write_folder(root, Street(6, (16, 16)))
    labels = root / "labels.toml"
    labels.write_text(labels.read_text().replace('name = "road"', 'name = "lane"'))
    code, _, err = run("blend", NAME, NAME, "--data", root, "--out", weights)
    assert (code, err.count("\n")) == (2, 1)
    assert "the weights have the classes of camvid-11" in err
    assert not weights.exists()
    copyfile(find_weights(NAME), weights)
    code, _, err = run("blend", NAME, weights, "--out", weights)
    assert (code, "w.safetensors would be overwritten" in err) == (2, True)
