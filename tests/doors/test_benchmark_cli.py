"""`segnet benchmark` from outside: tables, cells, page, and how it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_the_smallest_quick_run_makes_the_whole_report_and_goes_on(run: Run, tmp_path: Path) -> None:
    arguments = ("quick", "--smallest", "--models", "bilinear-interpolation,deeplab-largefov", "--out", tmp_path / "r")
    code, out, err = run("benchmark", *arguments)
    assert code == 0, err
    for table in ("table1", "table3", "table6"):
        stored = json.loads((tmp_path / "r" / f"{table}.json").read_text())
        assert stored["machine"]["PyTorch"]
        assert stored["size_px"] == [32, 32]
        assert stored["command"].startswith("segnet benchmark quick --smallest")
        assert (tmp_path / "r" / f"{table}.md").read_text().startswith(f"## Table {table[-1]}")
    table1 = json.loads((tmp_path / "r" / "table1.json").read_text())
    assert [(r["model"], r["weighting"]) for r in table1["rows"]] == [
        ("bilinear-interpolation", "median"),
        ("bilinear-interpolation", "natural"),
    ]
    for stored_row in table1["rows"]:
        assert 0 <= stored_row["training"]["stages"][0]["val"]["mean_iou"] <= 1
        assert 0 <= stored_row["training"]["stages"][0]["train"]["global_accuracy"] <= 1
    assert "(43.8)" in out  # the paper's mIoU beside ours
    assert "deeplab-largefov + CRF" in out
    page = (tmp_path / "r" / "report.html").read_text()
    assert page.count("<table>") == 3
    assert page.count("<svg") >= 6

    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "r" / "cells").rglob("*.*")}
    assert len([path for path in cells if path.name == "cell.json"]) == 8
    code, again, _ = run("benchmark", *arguments)
    assert code == 0
    assert [line for line in again.splitlines() if "│" in line] == [line for line in out.splitlines() if "│" in line]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "r" / "cells").rglob("*.*")} == cells

    code, _, err = run(
        "benchmark",
        "table6",
        "--models",
        "deeplab-largefov",
        "--size",
        "40x40",
        "--device",
        "cpu",
        "--out",
        tmp_path / "r",
    )
    assert code == 2
    assert "results of other settings" in err
    assert "size_px was [32, 32], now [40, 40]" in err


@pytest.mark.slow
def test_all_tables_at_a_size_of_ones_own(run: Run, tiny_camvid: Path, tmp_path: Path) -> None:
    arguments = ["all", "--data", tiny_camvid, "--models", "bilinear-interpolation", "--size", "16x20", "--epochs", 1]
    arguments += ["--set", "train.batch_size=2", "--repeats", 1, "--device", "cpu", "--out", tmp_path / "r"]
    code, out, err = run("benchmark", *arguments)
    assert code == 0, err
    made = sorted(path.name for path in (tmp_path / "r").iterdir())
    tables = ["table1.json", "table1.md", "table6.json", "table6.md"]  # the model is not one of table 3's
    assert made == ["accuracy-memory.svg", "cells", "data-16x20", "report.html", *tables]
    record = json.loads((tmp_path / "r" / "table6.json").read_text())
    memory = record["rows"][0]["cost"]["training"]
    assert record["size_px"] == [16, 20]
    assert memory["process_mib"] > 50  # a process of its own, with PyTorch in it
    assert "data-16x20" not in json.dumps(json.loads((tmp_path / "r" / "table1.json").read_text())["notes"])
    assert "Table 1: decoder variants" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table6", "--models", "segnett"], ["unknown model 'segnett'", "did you mean 'segnet'?"]),
        (["table1", "--data", "street", "--models", "fcn-basik"], ["did you mean 'fcn-basic'?"]),
        (["all", "--data", "street", "--models", "unett"], ["did you mean 'unet'?"]),
        (["quick", "--models", "unett"], ["did you mean 'unet'?"]),
        (["table6", "--size", "big"], ["HEIGHTxWIDTH"]),
        (["table6", "--device", "gpu"], ["unknown device 'gpu'"]),
        (["table6", "--models", "fcn-32s", "--size", "20x20"], ["model 'fcn-32s'", "smallest square is 33x33"]),
        (["table1", "--data", "nowhere"], ["nowhere does not exist"]),
        (["table3", "--data", "street", "--report-split", "tset"], ["no split 'tset'"]),
        (["table3", "--data", "street", "--set", "train.lrr=1"], ["did you mean 'lr'?"]),
        (["table3", "--data", "street", "--crf", "no.toml"], ["no.toml", "segnet crf search"]),
        (["table7"], ["table7"]),
    ],
)
def test_wrong_words_are_refused_and_leave_nothing(
    run: Run, arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("benchmark", *arguments)
    assert code == 2
    for word in words:
        assert word in err
    assert list(tmp_path.iterdir()) == []


def test_what_is_alive_at_the_peak_is_listed(run: Run, tmp_path: Path) -> None:
    arguments = ("--models", "segnet-basic", "--size", "24x32", "--precision", "float32", "--out", tmp_path)
    code, text, err = run("benchmark", "peak", *arguments)
    assert (code, err) == (0, "")
    record = json.loads((tmp_path / "peak.json").read_text())["results"][0]
    assert record["weights_mb"] == pytest.approx(5.7, abs=0.1)  # 1.42 M parameters of 4 bytes
    assert record["copies_mb"] == 0
    assert "largest at the plain peak" in (tmp_path / "peak.md").read_text()
    assert "1x64x24x32" in text
