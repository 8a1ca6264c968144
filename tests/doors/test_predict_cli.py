"""`segnet predict` on images of any size: in tiles when they are large, refused when they would unfold too far."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.inference.predictor import Predictor
from segnet.io.png import PNGRows

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    return Street(1, (240, 660))[0].image


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_large_image_goes_in_tiles_and_says_so(run: Run, street: np.ndarray, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"street.{suffix}"
    Image.fromarray(street).save(path)
    code, out, err = run(
        "predict", path, "--out", tmp_path / "o", "--tile", 512, "--confidence", "--precision", "float32"
    )
    assert code == 0, err
    how = "decoded whole"
    if suffix == "tif":
        pytest.importorskip("rasterio")
        how = "read by windows"
    assert f"660x240 pixels, {how}, in 1 x 2 tiles of 512 px that overlap by 192 px" in out
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == [
        f"street-{name}.png" for name in ("classes", "confidence", "overlay")
    ]
    whole = Predictor("segnet-basic-camvid", backend="eager", device="cpu", precision="float32")(street)
    classes = np.array(Image.open(tmp_path / "o" / "street-classes.png"))
    assert (classes == whole.classes).mean() > 0.998


def test_a_small_image_goes_whole(run: Run, tmp_path: Path) -> None:
    Image.fromarray(Street(1, (48, 64))[0].image).save(tmp_path / "p.png")
    _, out, _ = run("predict", tmp_path / "p.png", "--out", tmp_path / "o")
    assert "tiles" not in out


def test_little_memory_and_what_tiles_cannot(run: Run, street: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "street.png"
    Image.fromarray(street).save(path)
    (tmp_path / "crf.toml").write_text("")
    for arguments, words in (
        (("--memory", 0.5), "660x240 cannot be predicted within 0.5 GiB of memory; allow at least 1."),
        (("--tile", 512, "--probabilities"), "goes in tiles, and has no --probabilities then; allow more --memory"),
        (("--tile", 500), "multiples of 32"),
        (("--tile", 512, "--uncertainty", 2), "no dropout to sample"),
    ):
        code, _, err = run("predict", path, "--out", tmp_path / "o", *arguments)
        assert code == 2
        assert words in err
        assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())


def test_the_longest_side_that_the_model_sees(run: Run, street: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "street.png"
    Image.fromarray(street).save(path)
    code, out, _ = run("predict", path, "--out", tmp_path / "o", "--longest-side", 96, "--tile", 128)
    assert code == 0
    assert "tiles" not in out
    assert np.array(Image.open(tmp_path / "o/street-classes.png")).shape == (240, 660)
    code, _, err = run("predict", path, "--out", tmp_path / "o2", "--longest-side", 96, "--memory", 0.01)
    assert code == 2
    assert "probabilities at its own size take 0.019 GiB; allow more --memory, or give --longest-side 0" in err
    assert not (tmp_path / "o2").exists()


def test_a_bomb_is_one_clear_line_and_the_others_are_kept(run: Run, street: np.ndarray, tmp_path: Path) -> None:
    with (tmp_path / "bomb.png").open("wb") as file:
        PNGRows(file, (50_000, 50_000)).write(np.zeros((1, 50_000, 3), np.uint8))  # and 49,999 rows are missing
    Image.fromarray(street[:40, :40]).save(tmp_path / "p.png")
    code, out, err = run("predict", tmp_path / "bomb.png", tmp_path / "p.png", "--out", tmp_path / "o")
    assert code == 2
    assert "50000x50000 = 2500 megapixels, the limit is 250; if you trust the file, raise it (--max-megapixels" in err
    assert err.count("\n") == 1
    assert "1 of 2 images" in out
    code, _, err = run("predict", tmp_path / "p.png", "--out", tmp_path / "o2", "--max-megapixels", 0.001)
    assert code == 2
    assert "40x40 = 0 megapixels, the limit is 0.001" in err
    code, _, err = run("predict", tmp_path / "bomb.png", "--out", tmp_path / "o3", "--max-megapixels", 3000)
    assert code == 2  # the limit is raised, and memory is what refuses it now
    assert "50000x50000 cannot be predicted within 4 GiB of memory; allow at least" in err


@pytest.mark.parametrize(
    ("images", "out", "named"),
    [
        (["."], ".", "p-classes.png"),
        (["p.png", "p-overlay.png"], ".", "p-overlay.png"),
        (["p.png", "folder/p-confidence.png"], "folder", "p-confidence.png"),
    ],
)
def test_results_never_replace_what_is_predicted(
    images: list[str], out: str, named: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for name in ("p.png", "p-classes.png", "p-overlay.png", "folder/p-confidence.png"):
        Image.new("RGB", (16, 16)).save(name)
    before = {path: path.read_bytes() for path in Path().rglob("*.png")}
    code, _, err = run("predict", *images, "--out", out, "--confidence")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{named} would be overwritten" in err
    assert {path: path.read_bytes() for path in Path().rglob("*.png")} == before


@pytest.mark.parametrize("option", ["--memory", "--max-megapixels"])
@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1"])
def test_amounts_are_amounts(option: str, value: str, run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "p.png")
    code, _, err = run("predict", tmp_path / "p.png", "--out", tmp_path / "o", option, value)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{option} {value}: expected a number above 0" in err


def test_brackets_in_names_are_no_markup(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "in[bold]" / "p[red].png", tmp_path / "out[" / "b]x"
    path.parent.mkdir()
    Image.new("RGB", (16, 16)).save(path)
    (path.parent / "b[nob].png").write_text("no image")
    code, text, err = run("predict", path.parent, "--out", out)
    assert code == 2
    assert f"1 of 2 images in {out}, on" in text
    assert "b[nob].png is not an image" in err
    assert (out / "p[red]-classes.png").is_file()


def test_hidden_files_and_links_to_nothing(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "p.png")
    (folder / "._p.png").write_bytes(b"what macOS leaves")
    code, text, _ = run("predict", folder, "--out", tmp_path / "o")
    assert (code, "1 of 1 images" in text) == (0, True)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    code, _, err = run("predict", folder, "--out", tmp_path / "o")
    assert (code, "nowhere.png, which does not exist" in err) == (2, True)


def test_polygons_for_a_labelling_tool(run: Run, tmp_path: Path) -> None:
    Image.fromarray(Street(1, (48, 64))[0].image).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    code, out, err = run(
        "predict", tmp_path / "a.png", tmp_path / "broken.png", "--out", tmp_path / "o", "--as", "coco"
    )
    assert code == 2
    assert "broken.png" in err
    assert "1 of 2 images in" in out
    assert sorted(p.relative_to(tmp_path / "o").as_posix() for p in (tmp_path / "o").rglob("*.*")) == [
        "annotations.json",
        "images/a.png",
    ]
    for arguments, words in (
        (("--as", "coca"), "unknown form of annotations 'coca'; did you mean 'coco'"),
        (("--as", "coco", "--confidence"), "--as writes polygons; leave out --confidence"),
    ):
        code, _, err = run("predict", tmp_path / "a.png", "--out", tmp_path / "o2", *arguments)
        assert code == 2
        assert words in err
    assert not (tmp_path / "o2").exists()
