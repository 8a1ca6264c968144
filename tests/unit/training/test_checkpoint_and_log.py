import pickle
from pathlib import Path

import pytest
import torch

from segnet.config import Config, PretrainConfig, load_config
from segnet.errors import ConfigError, DataError, WeightsError
from segnet.training.checkpoint import State, load_checkpoint, save_checkpoint, state_to_begin_with
from segnet.training.log import RunLog, read_log


def state_at(step: int, **model: torch.Tensor) -> State:
    return {"step": step, "config": Config().to_toml(), "model": model, "optimiser": {}}


def test_round_trip(tmp_path: Path) -> None:
    state = state_at(3, w=torch.arange(4.0))
    save_checkpoint(tmp_path / "run" / "checkpoint.pt", state)
    loaded = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert loaded["step"] == 3
    assert torch.equal(loaded["model"]["w"], torch.arange(4.0))


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    """The system refuses to write beyond 20 kB, as a full disk would in the middle of a file."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, state_at(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(DataError, match=r"checkpoint\.pt cannot be written"):
            save_checkpoint(path, state_at(2, w=torch.zeros(100_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert load_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


class _Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("code ran",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"step": 1, "x": _Code()}, path)
    with pytest.raises(WeightsError, match=r"not a checkpoint of this program \(Weights only load failed\); delete it"):
        load_checkpoint(path)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"step": 1})[:-3]])
def test_broken_files_are_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="delete it to start again"):
        load_checkpoint(path)


def test_truncated_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, state_at(1, w=torch.zeros(1000)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(WeightsError):
        load_checkpoint(path)


def test_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="without --resume"):
        load_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ({"step": 7, "epoch": 1, "state_dict": {}}, "config, model, optimiser"),
        ({"model": {}, "optimiser": {}, "config": ""}, "step"),
        (torch.zeros(3), "step, config, model, optimiser"),
    ],
)
def test_a_checkpoint_of_another_program(content: object, missing: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=f"is not a checkpoint of this program: it has no {missing}; delete it"):
        load_checkpoint(path)


def test_a_run_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    config, path = Config(), tmp_path / "checkpoint.pt"
    assert state_to_begin_with(config, tmp_path, resume=False) is None
    save_checkpoint(path, state_at(5))
    with pytest.raises(ConfigError, match="holds a run already; add --resume"):
        state_to_begin_with(config, tmp_path, resume=False)
    free = load_config(None, ["data.path=elsewhere", "train.device=cpu"])
    state = state_to_begin_with(free, tmp_path, resume=True)
    assert state is not None and state["step"] == 5
    with pytest.raises(
        ConfigError, match=r"other settings \(loss\.dice was 0\.0, now 1\.0; train\.lr was 0\.1, now 0\.2\)"
    ):
        state_to_begin_with(load_config(None, ["train.lr=0.2", "loss.dice=1"]), tmp_path, resume=True)


def test_a_run_of_the_other_command_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, state_at(5))
    with pytest.raises(ConfigError, match="holds a run of `segnet train`, not of `segnet pretrain`; name another"):
        state_to_begin_with(PretrainConfig(), tmp_path, resume=True)
    save_checkpoint(path, {**state_at(5), "config": PretrainConfig().to_toml()})
    with pytest.raises(ConfigError, match="holds a run of `segnet pretrain`, not of `segnet train`; name another"):
        state_to_begin_with(Config(), tmp_path, resume=True)


@pytest.mark.parametrize("text", ["[train]\nlr_of_long_ago = 1\n", "no TOML", 3])
def test_settings_that_nobody_knows(text: object, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {**state_at(5), "config": text})
    with pytest.raises(WeightsError, match="settings that this version does not know; name another folder"):
        state_to_begin_with(Config(), tmp_path, resume=True)


def test_a_resumed_log_drops_what_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with RunLog(path) as log:
        for step in (10, 20, 30):
            log.write({"step": step, "loss": 1.0})
    with RunLog(path, first_step=20) as log:
        log.write({"step": 30, "loss": 2.0})
    assert [(r["step"], r["loss"]) for r in read_log(path)] == [(10, 1.0), (20, 1.0), (30, 2.0)]


def test_a_new_run_starts_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 10, "loss": 1.0}\n')
    with RunLog(path):
        pass
    assert read_log(path) == []


def test_a_full_disk_keeps_the_records_written_before(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunLog(tmp_path / "log.jsonl") as log:
        log.write({"step": 10})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
        try:
            with pytest.raises(DataError, match=r"log\.jsonl cannot be written: .*; free some space"):
                for step in range(20, 60, 10):
                    log.write({"step": step})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_log(tmp_path / "log.jsonl")[0] == {"step": 10}


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RunLog(None) as log:
        log.write({"step": 10, "loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 10, "loss": 1.0}\n{"step": 20, "lo')
    assert read_log(path) == [{"step": 10, "loss": 1.0}]


def test_under_a_launcher_that_restarts_the_first_start_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")  # as torchrun sets it without --max-restarts
    with pytest.raises(WeightsError, match="no checkpoint"):
        state_to_begin_with(Config(), tmp_path, resume=True)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert state_to_begin_with(Config(), tmp_path, resume=True) is None
    save_checkpoint(tmp_path / "checkpoint.pt", state_at(4))
    state = state_to_begin_with(Config(), tmp_path, resume=True)
    assert state is not None
    assert state["step"] == 4
    with pytest.raises(ConfigError, match="holds a run already"):
        state_to_begin_with(Config(), tmp_path, resume=False)


def test_a_record_that_the_system_takes_in_parts_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunLog(tmp_path / "log.jsonl") as log:
        whole = log._file

        class Halving:
            def write(self, data: memoryview) -> int:
                return whole.write(data[: max(1, len(data) // 2)])

        monkeypatch.setattr(log, "_file", Halving())
        log.write({"step": 1, "loss": 0.5})
        monkeypatch.setattr(log, "_file", whole)
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1, "loss": 0.5}]


@pytest.mark.parametrize(
    "raised", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")], ids=repr
)
def test_a_lack_of_memory_is_no_reason_to_delete_a_checkpoint(
    raised: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, state_at(1))
    monkeypatch.setattr(torch, "load", lambda *_, **__: (_ for _ in ()).throw(raised))
    with pytest.raises(type(raised)):
        load_checkpoint(path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(WeightsError, match=r"checkpoint\.pt cannot be read: Input/output error$"):
        load_checkpoint(path)
