"""`segnet prune` from outside: lean weights in one command, the tutorial, and what is refused in one line."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from segnet.weights.file import read_card

Run = Callable[..., tuple[int, str, str]]
NAME = "segnet-basic-camvid"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "lean.md"


def test_lean_weights_without_training(run: Run, tiny_camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "lean.safetensors"
    quick = ("--rounds", 1, "--steps", 0, "--images", 2, "--set", "train.batch_size=2")
    code, text, err = run("prune", "--weights", NAME, "--data", tiny_camvid, "--keep", 0.5, *quick, "--out", out)
    assert (code, err) == (0, "")
    assert "round 1 of 1: " in text
    assert "x fewer" in text
    assert "mean IoU" not in text
    card = read_card(out)
    assert sum(outputs for name, (_, outputs) in card.widths.items() if name.endswith("conv")) < 0.75 * 64 * 8
    assert card.scores == {}

    code, _, err = run("prune", "--weights", NAME, "--data", tiny_camvid, "--keep", 0.5, *quick, "--out", out)
    assert code == 2
    assert "holds a run already; add --resume to continue it" in err


def test_factors_and_training(run: Run, tiny_camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "rank.safetensors"
    quick = ("--steps", 1, "--images", 2, "--set", "train.batch_size=2", "--set", "augment.crop_px=[24,32]")
    code, text, err = run(
        "prune", "--weights", NAME, "--data", tiny_camvid, "--by", "rank", "--macs", 0.4, *quick, "--out", out
    )
    assert (code, err) == (0, "")
    assert "mean IoU: " in text
    card = read_card(out)
    assert card.scores["mean_iou"] > 0
    assert all(len(width) == 3 for width in card.widths.values())
    assert "to 0.4 of the macs, by rank, in 1 round" in card.recipe


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "size", "--macs", "0.5"], "--by size; known: channels, rank"),
        (["--by", "rank", "--keep", "0.5"], "give --macs or --parameters"),
        (["--by", "rank", "--macs", "0.5", "--rounds", "2"], "by rank takes one round, got 2"),
        (["--by", "rank", "--macs", "0.01", "--images", "1"], "with every rank at its least"),
        ([], "how lean? give one of --keep, --macs, --parameters and --latency-ms"),
        (["--keep", "0.5", "--macs", "0.5"], "how lean? give one of"),
        (["--macs", "1.5"], "expected above 0, at most 1"),
        (["--keep", "0.5", "--rounds", "0"], "rounds 0: expected at least 1"),
        (["--keep", "0.01", "--rounds", "1", "--steps", "0", "--images", "2"], "with every layer at its least"),
        (["--keep", "0.5", "--out", "lean.pt"], "give the file that suffix"),
        (["--keep", "0.5", "--weights", "no-such"], "no-such"),
        (["--keep", "0.5", "--data", "no-such"], "no-such"),
        (["--keep", "0.5", "--resume"], "start without --resume"),
    ],
)
def test_refusals_are_one_line(
    arguments: list[str], said: str, run: Run, tiny_camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"--weights": NAME, "--data": str(tiny_camvid), "--out": "lean.safetensors"}
    for option, value in given.items():
        if option not in arguments:
            arguments = [*arguments, option, value]
    code, _, err = run("prune", "--set", "train.batch_size=2", *arguments)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.slow
def test_the_tutorial_runs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folder that own-data.md leaves, made here in fewer steps."""
    pytest.importorskip("nncf")
    monkeypatch.chdir(tmp_path)
    prepared = [
        "data draw labelled --count 24 --size 96x128 --as labelme",
        "data import labelled --out street --rest void",
        "data split street --seed 3",
        "train --data street --set train.epochs=2",
    ]
    written = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    commands = [line.removeprefix("segnet ") for block in written for line in block.splitlines()]
    commands = commands[3:]  # the first three are for CamVid
    assert len(commands) == 5
    for line in (*prepared, *commands):
        if "--runtime npm" in line:
            continue  # needs the network
        code, _, err = run(*shlex.split(line))
        assert (code, err) == (0, ""), line
    assert Path("results/lean/pareto.png").is_file()
    assert read_card(Path("runs/lean/best.safetensors")).widths
