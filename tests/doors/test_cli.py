"""The command line from outside: what it prints, what it writes, and how it refuses."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segnet
from segnet import cli
from segnet.cli import console
from segnet.models import MODELS
from segnet.training.log import read_log
from segnet.weights.file import WEIGHTS, load_weights

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(tiny_camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny run, made by the real command in a process of its own."""
    out = tmp_path_factory.mktemp("run") / "run"
    command = [sys.executable, "-c", "from segnet.cli import main; main()", "train", "--out", str(out)]
    command += ["--data", str(tiny_camvid), "--set", "train.epochs=3", "--set", "train.batch_size=2"]
    command += ["--set", "train.optimiser=adamw", "--set", "train.lr=0.003", "--set", "data.workers=1"]
    command += ["--set", "train.precision=float32"]  # in bfloat16 the engine and the training loop round differently
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "[train]" in finished.stdout  # the resolved settings are shown
    assert "mean_iou" in finished.stdout
    assert "time: about " in finished.stdout  # before the first step
    assert finished.stdout.index("time: about ") < finished.stdout.index("step ")
    assert (
        f"Next: open {out}/report.html, then segnet predict IMAGES --weights {out}/best.safetensors" in finished.stdout
    )
    return out


def test_train_leaves_a_whole_run(trained: Path) -> None:
    assert sorted(p.name for p in trained.iterdir()) == [
        "best.safetensors",
        "checkpoint.pt",
        "config.toml",
        "log.jsonl",
        "report.html",
        "scores.json",
    ]
    scores = json.loads((trained / "scores.json").read_text())
    _, card = load_weights(trained / "best.safetensors")
    assert card.scores["mean_iou"] == pytest.approx(scores["mean_iou"])
    assert card.scores["boundary_f1"] == pytest.approx(scores["boundary_f1"])
    assert "epochs = 3" in card.recipe
    assert card.label_set.name == "camvid-11"
    assert [r["epoch"] for r in read_log(trained / "log.jsonl") if "epoch" in r] == [1, 2, 3]
    assert "pedestrian" in (trained / "report.html").read_text()


def test_evaluate_gives_the_scores_of_training_again(
    run: Run, trained: Path, tiny_camvid: Path, tmp_path: Path
) -> None:
    code, out, _ = run(
        "evaluate",
        "--weights",
        trained / "best.safetensors",
        "--data",
        tiny_camvid,
        "--out",
        tmp_path,
        "--precision=float32",
        "--save-predictions",
    )
    assert code == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    before = json.loads((trained / "scores.json").read_text())
    assert scores["counts"] == before["counts"]
    assert f"{scores['mean_iou']:.4f}" in out
    assert sorted(p.name for p in (tmp_path / "predictions").iterdir()) == ["val0.png", "val1.png"]
    prediction = np.array(Image.open(tmp_path / "predictions" / "val0.png"))
    target = np.array(Image.open(tiny_camvid / "valannot" / "val0.png"))
    image = next(p for p in scores["images"] if p["name"] == "val0")
    assert image["global_accuracy"] == pytest.approx((prediction == target)[target != 11].mean())


def test_predict_a_folder_with_a_broken_image(run: Run, trained: Path, tiny_camvid: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(tiny_camvid / "val", images)
    (images / "broken.png").write_bytes((images / "val0.png").read_bytes()[:60])
    code, out, err = run(
        "predict", images, "--weights", trained / "best.safetensors", "--out", tmp_path / "out", "--confidence",
        "--probabilities", "--batch-size", 2,
    )  # fmt: skip
    assert code == 2
    assert "broken.png" in err
    assert "2 of 3 images" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        f"val{i}-{what}" for i in (0, 1) for what in ("classes.png", "confidence.png", "overlay.png", "probability.npz")
    ]
    with Image.open(tmp_path / "out" / "val0-classes.png") as classes:
        assert classes.size == (32, 24)


def test_data_commands(run: Run, tiny_camvid: Path, tmp_path: Path) -> None:
    code, out, _ = run("data", "check", tiny_camvid)
    assert code == 0
    assert "road" in out
    data = tmp_path / "data"
    shutil.copytree(tiny_camvid, data)
    missing_image(data)
    (data / "trainannot" / "train2.png").unlink()
    code, out, _ = run("data", "check", data)
    assert code == 2
    assert "missing or unreadable files: 2" in out
    assert "train/train1.png does not exist" in out
    assert "trainannot/train2.png does not exist" in out
    code, out, _ = run("data", "draw", tmp_path / "streets", "--count", 8, "--size", "32x48")
    assert code == 0
    assert len(list((tmp_path / "streets" / "images").iterdir())) == 8
    (tmp_path / "streets" / "labels.toml").unlink()
    assert run("data", "init", tmp_path / "streets")[0] == 0
    assert (tmp_path / "streets" / "labels.toml").is_file()
    label = next((tmp_path / "streets" / "labels").iterdir())
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(label)
    code, out, _ = run("data", "check", tmp_path / "streets", "--split", "val")
    other, text, _ = run("data", "check", tmp_path / "streets", "--split", "train")
    assert {code, other} == {0, 2}  # the broken label is in one of the two splits
    assert label.name in out + text


def test_models_and_doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out_console, "width", 80)
    code, out, _ = run("models")
    assert code == 0
    assert "29,441,419" in out
    assert "street" in out
    for name in (*MODELS, *WEIGHTS):
        assert f"│ {name} " in out, f"{name} is cut at 80 columns"
    code, out, _ = run("doctor")
    assert code == 0
    assert "PyTorch" in out


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"segnet {segnet.__version__}\n", "")


@pytest.mark.parametrize(("shell", "expected"), [("bash", "complete -o default -F"), ("zsh", "#compdef segnet")])
def test_shell_completion_prints_a_script_and_completes_commands(
    run: Run, monkeypatch: pytest.MonkeyPatch, shell: str, expected: str
) -> None:
    assert "--install-completion" in run("--help")[1]
    monkeypatch.setenv("_SEGNET_COMPLETE", f"source_{shell}")
    code, out, _ = run()
    assert code == 0
    assert expected in out
    monkeypatch.setenv("_SEGNET_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "segnet ev")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run()[1].split() == ["evaluate"]


@pytest.mark.slow
def test_benchmarks_write_their_figures(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segnet.benchmark.measure import pooling

    monkeypatch.setattr(pooling, "SEGNET_MAPS", ((8, 9, 12),))
    code, out, _ = run("benchmark", "pooling", "--repeats", 1, "--out", tmp_path / "pooling.json")
    assert code == 0
    result = json.loads((tmp_path / "pooling.json").read_text())["results"][0]
    assert result["torch_index_bytes"] == 8 * 8 * 5 * 6
    assert result["index_bytes"] == 2 * 5 * 6
    code, out, _ = run(
        "benchmark",
        "training",
        "--model",
        "segnet-basic",
        "--size",
        "16x16",
        "--batch-size",
        1,
        "--out",
        tmp_path / "t.json",
    )
    assert code == 0
    assert json.loads((tmp_path / "t.json").read_text())["results"][0]["images_per_s"] > 0
    assert "segnet-basic" in out


def corrupt_image(data: Path) -> None:
    path = data / "train" / "train1.png"
    path.write_bytes(path.read_bytes()[:100])


def missing_image(data: Path) -> None:
    (data / "train" / "train1.png").unlink()


def label_of_another_size(data: Path) -> None:
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(data / "trainannot" / "train1.png")


def class_id_out_of_range(data: Path) -> None:
    target = np.zeros((24, 32), np.uint8)
    target[:2, :3] = 77
    Image.fromarray(target).save(data / "trainannot" / "train1.png")


def no_labelled_pixel(data: Path) -> None:
    for path in (data / "trainannot").iterdir():
        Image.fromarray(np.full((24, 32), 11, np.uint8)).save(path)


def no_labelled_pixel_to_validate_on(data: Path) -> None:
    for path in (data / "valannot").iterdir():
        Image.fromarray(np.full((24, 32), 11, np.uint8)).save(path)


def empty_list(data: Path) -> None:
    (data / "train.txt").write_text("\n")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (corrupt_image, ["train1.png"]),
        (missing_image, ["train1.png", "missing"]),
        (label_of_another_size, ["train1.png", "(3, 4)", "(24, 32)"]),
        (class_id_out_of_range, ["train1.png", "6 pixels", "77"]),
        (no_labelled_pixel, ["no labelled pixel in any of the 6 images"]),
        (no_labelled_pixel_to_validate_on, ["no labelled pixel in any of the 2 images"]),
        (empty_list, ["no image"]),
    ],
)
def test_bad_data_is_one_clear_line_and_leaves_nothing(
    run: Run, damage: Callable[[Path], None], words: list[str], tiny_camvid: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_camvid, data)
    damage(data)
    out = tmp_path / "out"
    code, _, err = run(
        "train", "--data", data, "--out", out, "--set", "train.epochs=1", "--set", "data.workers=0",
        "--set", "train.batch_size=2",
    )  # fmt: skip
    assert code == 2
    for word in words:
        assert word in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not (out / "best.safetensors").exists()
    assert not list(out.glob("*.tmp*")) if out.exists() else True


def test_a_broken_image_in_a_worker_is_one_clear_line_too(run: Run, tiny_camvid: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_camvid, data)
    corrupt_image(data)
    code, _, err = run(
        "train", "--data", data, "--out", tmp_path / "out", "--recipe", "street", "--set", "data.format=camvid",
        "--set", "loss.class_weights=none", "--set", "data.workers=1",
    )  # fmt: skip
    assert (code, err.count("\n")) == (2, 1)
    assert "train1.png" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--out", "x", "--recipe", "stret"], ["did you mean 'street'?"]),
        (["train", "--out", "x", "--set", "train.lrr=1"], ["train.lrr", "did you mean 'lr'?"]),
        (["train", "--out", "x", "--set", "model.name=segnet-basik"], ["did you mean 'segnet-basic'?"]),
        (["train", "--out", "x", "--data", "nowhere"], ["nowhere"]),
        (["predict", "nowhere.png", "--out", "x"], ["nowhere.png does not exist"]),
        (["evaluate", "--weights", "segnet-basic-camvit"], ["did you mean 'segnet-basic-camvid'?"]),
        (["evaluate", "--weights", "w.pth"], ["w.pth"]),
        (["doctor", "--debug-me"], ["No such option"]),
        (["data", "draw", "x", "--size", "big"], ["HEIGHTxWIDTH"]),
        (["data", "draw", "x", "--size", "3²x4"], ["HEIGHTxWIDTH"]),
        (["data", "draw", "x", "--size", "0x4"], ["at least one pixel"]),
        (["train", "--out", "x", "--set", f"train.seed={2**63}"], ["train.seed", "less than"]),
        (["predict", "a" * 300 + ".png", "--out", "x"], ["File name too long"]),
        (["benchmark", "training", "--device", "gpu"], ["unknown device 'gpu'"]),
    ],
)
def test_wrong_words_are_refused(
    run: Run, arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 2
    for word in words:
        assert word in err
    assert list(tmp_path.iterdir()) == []


def test_names_and_files_from_any_system(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "Straße 😀 [b]"
    run("data", "draw", data, "--count", 6, "--size", "16x16")
    recipe = tmp_path / "mine.toml"
    recipe.write_bytes("\ufeff[train]\r\nepochs = 1\r\nbatch_size = 2\r\n[data]\r\nworkers = 0\r\n".encode())
    labels = data / "labels.toml"
    labels.write_bytes(b"\xef\xbb\xbf" + labels.read_bytes())
    for more in ([], ["--resume"]):
        code, text, err = run("train", "--recipe", recipe, "--data", data, "--out", tmp_path / "run[/b]", *more)
        assert code == 0, err
        assert f"{tmp_path / 'run[/b]'}/report.html" in text
    recipe.write_text("train = 1")
    code, _, err = run("train", "--recipe", recipe, "--set", "train.lr=1", "--out", tmp_path / "x")
    assert (code, "train: expected a section of settings" in err) == (2, True)
    labels.write_bytes(labels.read_bytes().replace(b"pole", b"p\xf6le"))
    code, _, err = run("train", "--data", data, "--out", tmp_path / "x")
    assert (code, err.count("\n")) == (2, 1)
    assert "labels.toml is not text in UTF-8" in err


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (PermissionError(13, "Permission denied", "locked"), "PermissionError: [Errno 13] Permission denied: 'locked'"),
        (MemoryError(), "MemoryError: out of memory; use smaller images, crops or batches"),
        (MemoryError("Unable to allocate 9 GiB"), "MemoryError: Unable to allocate 9 GiB"),
        (RuntimeError("can't start new thread"), "MemoryError: no thread can be started: memory, or the number of"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:115] . DefaultCPUAllocator: can't allocate memory: 9 bytes."),
            "MemoryError: out of memory; use smaller images, crops or batches",
        ),
    ],
)
def test_what_no_room_has_words_for_is_one_line_too(
    raised: Exception, said: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("segnet.data.reading.listing.find_images", lambda _: (_ for _ in ()).throw(raised))
    code, _, err = run("predict", "p.png", "--out", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


def test_weights_for_other_classes(run: Run, trained: Path, tmp_path: Path) -> None:
    run("data", "draw", tmp_path / "d", "--count", 8, "--size", "32x48")
    labels = tmp_path / "d" / "labels.toml"
    labels.write_text(labels.read_text().replace('"bicyclist"', '"unicyclist"'))
    code, _, err = run(
        "evaluate", "--weights", trained / "best.safetensors", "--data", tmp_path / "d", "--out", tmp_path / "o"
    )
    assert code == 2
    assert "use weights trained on this dataset" in err
    assert not (tmp_path / "o").exists()


def test_evaluation_without_a_labelled_pixel(run: Run, trained: Path, tiny_camvid: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_camvid, data)
    no_labelled_pixel_to_validate_on(data)
    code, _, err = run("evaluate", "--weights", trained / "best.safetensors", "--data", data, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "no labelled pixel in any of the 2 images" in err
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["segnet", "--debug", "predict", "nowhere.png", "--out", "x"])
    from segnet.errors import DataError

    with pytest.raises(DataError):
        cli.main()


def test_help_does_not_import_torch() -> None:
    code = "import sys; sys.argv = ['segnet', '--help']\nfrom segnet.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_time_that_cannot_be_kept(run: Run, tiny_camvid: Path, tmp_path: Path) -> None:
    words = [
        "train",
        "--data",
        tiny_camvid,
        "--out",
        tmp_path / "x",
        "--set",
        "model.name=enet",
        "--set",
        "data.workers=0",
    ]
    code, _, err = run(*words, "--minutes", "0.001")
    assert code == 2
    assert "--minutes 0.001: reading the labels, 10 steps and the scores take" in err
    assert "allow at least 1" in err
    assert not (tmp_path / "x").exists()


def test_sigterm_leaves_nothing_half_and_exits_with_143(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    from segnet.data.street.scenes import Street

    before, draw = signal.getsignal(signal.SIGTERM), Street.__getitem__

    def draw_and_stop(street: Street, index: int) -> object:
        if index == 2:
            signal.raise_signal(signal.SIGTERM)
        return draw(street, index)

    monkeypatch.setattr(Street, "__getitem__", draw_and_stop)
    assert run("data", "draw", tmp_path / "drawn", "--size", "16x24")[0] == 143
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before
