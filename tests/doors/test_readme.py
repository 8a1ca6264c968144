"""What the README says: its Python runs, its commands exist, its links lead somewhere, its numbers are measured."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import ROOT, anchors, blocks, commands_in, require_known_command
from PIL import Image

from segnet.data.street.scenes import Street
from segnet.runtime.quantised import read_quantised
from segnet.weights.file import find_weights, read_card

README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
REPOSITORY = "https://github.com/segnet-engine/segnet/"
RAW = "https://raw.githubusercontent.com/segnet-engine/segnet/main/"


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(Street(1, (48, 64))[0].image).save("street.png")
    for text in blocks(README, "python"):
        exec(compile(text, "README.md", "exec"), {})
    with Image.open("street-overlay.png") as overlay:
        assert overlay.width >= 64


@pytest.mark.parametrize("line", commands_in(README))
def test_the_commands_of_the_readme_exist(line: str) -> None:
    require_known_command(line)


def test_there_are_commands_to_check() -> None:
    assert len(commands_in(README)) >= 8


@pytest.mark.slow
def test_the_five_commands_lead_from_labels_to_predictions(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("data", "draw", "labelled", "--count", "12", "--size", "48x64", "--as", "labelme")[0] == 0
    Path("photos").mkdir()
    Image.fromarray(Street(1, (48, 64), 5)[0].image).save("photos/new.png")
    (five,) = (text for text in blocks(README, "bash") if "segnet data import" in text)
    lines = commands_in(f"```bash\n{five}```")
    assert len(lines) == 5
    for line in lines:
        more = ["--set", "train.epochs=1"] if line.startswith("segnet train") else []
        code, _, err = run(*shlex.split(line)[1:], *more)
        assert (code, err) == (0, ""), line
    assert Path("runs/mine/report.html").is_file()
    with Image.open("predictions/new-classes.png") as classes:
        assert classes.size == (64, 48)


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.split()) < 900


def test_links_are_absolute_and_lead_to_files_and_headings_of_the_checkout() -> None:
    """A package index has no files beside the text."""
    links = re.findall(r"\]\(([^)]*)\)", README)
    assert len(links) >= 10
    for link in links:
        assert link.startswith("https://"), link
        for start in (RAW, f"{REPOSITORY}blob/main/", f"{REPOSITORY}tree/main/"):
            if link.startswith(start):
                name, _, anchor = link.removeprefix(start).partition("#")
                assert (ROOT / name).exists(), link
                assert not anchor or anchor in anchors((ROOT / name).read_text(encoding="utf-8")), link
                break
        else:
            assert not link.startswith(REPOSITORY), link


def test_the_table_says_what_was_measured() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", README, flags=re.MULTILINE)
    assert len(rows) >= 3
    measured = json.loads((ROOT / "results/pareto.json").read_text(encoding="utf-8"))["results"]
    ms = {each["weights"]: f"{each['time']['median_ms']:.0f} ms" for each in measured}
    ratio = {each["weights"]: f"{each['ratio']:.1f}x" for each in measured}
    for name, text in rows:
        mean_iou, accuracy, class_average, boundary, file, image, speed, _ = map(str.strip, text.split("|"))
        path = find_weights(ROOT / "weights/segnet-camvid.safetensors" if name == "segnet-camvid" else name)
        card = read_card(path)
        scores = [card.scores[key] for key in ("mean_iou", "global_accuracy", "class_average_accuracy", "boundary_f1")]
        assert [mean_iou, accuracy, class_average, boundary] == [f"{score:.3f}" for score in scores]
        assert file == f"{path.stat().st_size / 1e6:.2g} MB"
        assert (image, speed) == (ms[name], ratio[name])
    for name in ("segnet-basic-camvid-int8", "segnet-lean-camvid-int8"):
        assert f"{ms[name]}" in README
        score = read_quantised(find_weights(name))[1].scores_after["mean_iou"]
        assert re.search(rf"`{name}` \({score:.3f}, ", README)


def test_the_animation_is_small_and_moves() -> None:
    (name,) = re.findall(rf"\({re.escape(RAW)}([^)]*\.webp)\)", README)
    assert (ROOT / name).stat().st_size < 1_500_000
    with Image.open(ROOT / name) as animation:
        assert animation.n_frames == 4 * 14  # three streets and a photograph
    for page in (README, (ROOT / "docs/index.md").read_text(encoding="utf-8")):
        assert re.search(r"danielbuechele.*CC BY 2.0", page, flags=re.DOTALL)  # whose licence asks for it
    with Image.open(ROOT / name) as animation:
        first = animation.convert("RGB").tobytes()
        animation.seek(animation.n_frames // 2)
        assert animation.convert("RGB").tobytes() != first


def test_a_package_index_can_render_it() -> None:
    pytest.importorskip("comrak")
    markdown = pytest.importorskip("readme_renderer.markdown")
    html = markdown.render(README)
    assert html is not None
    assert html.count("<table>") == 1
    assert "streets.webp" in html


def test_every_file_that_architecture_names_exists() -> None:
    named = re.findall(r"^\| (`[^|]*`) \|", ARCHITECTURE, flags=re.MULTILINE)
    files = [f for cell in named for f in re.findall(r"`([a-z0-9_/]+(?:\.py|/))`", cell)]
    assert len(files) >= 20
    for name in files:
        assert (ROOT / "src/segnet" / name).exists(), name
