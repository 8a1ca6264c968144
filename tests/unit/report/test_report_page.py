"""The page: all in one file, every number and name on it, whatever the label set and whatever is missing."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from segnet.errors import DataError, LabelError
from segnet.labels import CAMVID_11, SUN_37, VOID, LabelSet, distinct_colours
from segnet.machine import machine_facts
from segnet.metrics.scores import Scores
from segnet.report import Panel, write_report

TWO = LabelSet("two", ("road", "car"), distinct_colours(2))
LOG = [
    {"step": 0, "loss": 2.5, "lr": 0.1, "images_per_s": 3.0},
    {"step": 10, "loss": 1.5, "lr": 0.1, "images_per_s": 5.0},
    {"step": 20, "epoch": 2.0, "global_accuracy": 0.8, "class_average_accuracy": 0.5, "mean_iou": 0.4},
    {"step": 20, "loss": 1.0, "lr": 0.05, "images_per_s": 4.0},
    {"step": 40, "epoch": 4.0, "global_accuracy": 0.9, "mean_iou": 0.5, "boundary_f1": 0.45},
]


class Reader(HTMLParser):
    """What a browser would make of the page: tags that are open, all tags, all text, all addresses."""

    VOID_TAGS = frozenset({"meta", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID_TAGS:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def scores_of(label_set: LabelSet, seed: int = 0) -> Scores:
    """One image of 40x40 that is right about half of the time."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, label_set.num_classes, (40, 40)).astype(np.uint8)
    other = rng.integers(0, label_set.num_classes, (40, 40)).astype(np.uint8)
    scores = Scores(label_set)
    scores.add(np.where(rng.random((40, 40)) < 0.5, target, other).astype(np.uint8), target, "one", boundaries=False)
    return scores


def panel_of(label_set: LabelSet, name: str = "an image", *, labelled: bool = True, group: str = "") -> Panel:
    target = (np.arange(24, dtype=np.uint8) % label_set.num_classes).reshape(4, 6)
    return Panel(name, np.full((4, 6, 3), 90, np.uint8), target, target if labelled else None, group)


def read(path: Path) -> tuple[str, Reader]:
    page = path.read_text(encoding="utf-8")
    reader = Reader(page)
    assert reader.open == []
    return page, reader


def test_scores_are_printed_with_the_number_of_classes_averaged(tmp_path: Path) -> None:
    scores = Scores(CAMVID_11)
    scores.counts = torch.diag(torch.tensor([600, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    scores.counts[0, 1] = 200
    write_report(tmp_path / "r.html", title="T", scores=scores)
    _, reader = read(tmp_path / "r.html")
    values = [reader.texts[i + 1 :] for i, text in enumerate(reader.texts) if text.startswith("Global accuracy")]
    assert next(text for text in values[0] if text) == "80.0"  # 800 of 1000
    assert {"87.5", "62.5"} <= set(reader.texts)  # (0.75 + 1) / 2 and (0.75 + 0.5) / 2
    assert any("averaged over 2 of 11 classes" in text for text in reader.texts)
    assert any("1\u202f000 labelled pixels, 11 classes (camvid-11)" in text for text in reader.texts)
    assert any("25 % of sky for building" in text for text in reader.texts)
    assert any("Not measured." in text for text in reader.texts)  # boundary F1


@pytest.mark.parametrize("num_classes", [1, 11, 37])
def test_any_number_of_classes(num_classes: int, tmp_path: Path) -> None:
    label_set = LabelSet("some", tuple(f"c{i}" for i in range(num_classes)), SUN_37.colours[:num_classes])
    scores = scores_of(label_set)
    write_report(tmp_path / "r.html", title="T", scores=scores, panels=[panel_of(label_set)])
    page, reader = read(tmp_path / "r.html")
    for name, (red, green, blue) in zip(label_set.names, label_set.colours, strict=True):
        assert reader.texts.count(name) == 4  # bars, both sides of the matrix, legend
        assert f"background:#{red:02x}{green:02x}{blue:02x}" in page
    assert f"{100 * scores.mean_iou:.1f}" in reader.texts


def test_nothing_is_fetched_from_anywhere(tmp_path: Path) -> None:
    panels = [panel_of(TWO), panel_of(TWO, labelled=False)]
    scores = scores_of(TWO)
    write_report(tmp_path / "r.html", title="T", scores=scores, panels=panels, log=LOG, facts=machine_facts())
    page, reader = read(tmp_path / "r.html")
    assert "http://" not in page and "https://" not in page and "@import" not in page
    assert len([a for a in reader.addresses if a.startswith("data:image/")]) == 4 + 3
    assert all(a.startswith(("data:image/", "#")) for a in reader.addresses)
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)


def test_the_parts_of_the_plots_have_ids_of_their_own(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", title="T", scores=scores_of(TWO), log=LOG)
    page, _ = read(tmp_path / "r.html")
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert ids and len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)


def test_colours_of_the_theme_are_left_to_the_page(tmp_path: Path) -> None:
    label_set = LabelSet("near", ("a", "b"), ((1, 2, 3), (250, 0, 0)))  # (1, 2, 3) stands for ink inside plots
    write_report(tmp_path / "r.html", title="T", scores=scores_of(label_set), log=LOG)
    page, _ = read(tmp_path / "r.html")
    assert "#01020" not in page
    assert page.count("#020203") >= 3  # swatch, two bars
    assert "var(--ink)" in page and "prefers-color-scheme: dark" in page


EVIL = "<script>alert('1')</script> & $x^2$"


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    label_set = LabelSet(EVIL, (EVIL, "b"), distinct_colours(2))
    write_report(
        tmp_path / "r.html",
        title=EVIL,
        scores=scores_of(label_set),
        panels=[panel_of(label_set, EVIL, group=EVIL)],
        log=LOG,
        settings=f'path = "{EVIL}"',
        facts={EVIL: EVIL},
    )
    page, reader = read(tmp_path / "r.html")
    assert "script" not in reader.tags and "<script" not in page
    assert reader.texts.count(EVIL) == 2 + 1 + 1 + 1 + 2  # title twice, class in legend, panel, group, fact
    assert f'path = "{EVIL}"' in reader.texts
    assert sum(text.startswith("<script>alert('1')") and text.endswith("…") for text in reader.texts) == 3  # plots


def test_names_that_no_font_or_encoding_has(tmp_path: Path) -> None:
    label_set = LabelSet("odd", ("道路", "$x^2$"), distinct_colours(2))
    write_report(
        tmp_path / "r.html", title="\udcff", scores=scores_of(label_set), panels=[panel_of(label_set, "\udce9")]
    )
    _, reader = read(tmp_path / "r.html")
    assert reader.texts.count("道路") == 4 and reader.texts.count("$x^2$") == 4  # as it is, no formula
    assert reader.texts.count("?") == 3  # bytes of a file name that are no text


def test_without_anything_but_scores(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", title="T", scores=Scores(TWO))
    _, reader = read(tmp_path / "r.html")
    assert reader.tags.count("svg") == 2
    assert not {"Training", "Images", "Settings", "Environment"} & set(reader.texts)
    assert "0 images, 0 labelled pixels" in " ".join(reader.texts)
    assert any("averaged over 0 of 2 classes" in text for text in reader.texts)


def test_a_target_that_is_all_void(tmp_path: Path) -> None:
    scores, image = Scores(CAMVID_11), np.zeros((8, 8, 3), np.uint8)
    target, prediction = np.full((8, 8), VOID, np.uint8), np.zeros((8, 8), np.uint8)
    scores.add(prediction, target, "void")
    panel = Panel("void", image, prediction, target, "Worst", scores.images[0])
    write_report(tmp_path / "r.html", title="T", scores=scores, panels=[panel])
    _, reader = read(tmp_path / "r.html")
    assert reader.tags.count("img") == 4
    assert "NaN" not in " ".join(reader.texts) and "nan" not in " ".join(reader.texts).split()


def test_training_settings_and_facts_are_shown(tmp_path: Path) -> None:
    write_report(
        tmp_path / "r.html",
        title="T",
        scores=scores_of(TWO),
        log=LOG,
        settings="[train]\nlr = 0.1\n",
        facts={"Weights": "mine"} | machine_facts(),
    )
    _, reader = read(tmp_path / "r.html")
    assert reader.tags.count("svg") == 5
    assert "[train]\nlr = 0.1" in reader.texts and "mine" in reader.texts
    assert {"PyTorch", torch.__version__, "Python", "SegNet"} <= set(reader.texts)
    assert any("Median speed: 4 images/s." in text for text in reader.texts)


def test_neighbours_of_a_group_share_a_heading(tmp_path: Path) -> None:
    panels = [panel_of(TWO, name, group=group) for name, group in (("p", "Best"), ("q", "Best"), ("r", "Worst"))]
    write_report(tmp_path / "r.html", title="T", scores=scores_of(TWO), panels=panels)
    _, reader = read(tmp_path / "r.html")
    assert [text for text in reader.texts if text in ("p", "q", "r", "Best", "Worst")] == [
        "Best",
        "p",
        "q",
        "Worst",
        "r",
    ]


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    wrong = Panel("x", np.zeros((2, 2, 3), np.uint8), np.full((2, 2), 200, np.uint8))
    with pytest.raises(LabelError, match="200"):
        write_report(tmp_path / "r.html", title="T", scores=scores_of(TWO), panels=[wrong])
    (tmp_path / "file").write_text("kept")
    with pytest.raises(DataError, match=r"r\.html cannot be written"):
        write_report(tmp_path / "file" / "r.html", title="T", scores=scores_of(TWO))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.html"
    path.write_text("older")

    def full(self: Path, text: str, **_: str) -> int:
        with self.open("w") as file:
            file.write(text[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DataError, match="free some space"):
        write_report(path, title="T", scores=scores_of(TWO))
    assert path.read_text() == "older" and list(tmp_path.iterdir()) == [path]
