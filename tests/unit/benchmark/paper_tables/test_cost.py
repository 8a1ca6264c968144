from concurrent.futures.process import BrokenProcessPool

import pytest
import torch

from segnet.benchmark.measure.timing import measure
from segnet.benchmark.paper_tables import cost as cost_module
from segnet.benchmark.paper_tables.cost import measure_cost, measure_cost_alone
from segnet.device import DeviceSpec
from segnet.errors import ShapeError

CPU = DeviceSpec(torch.device("cpu"), "float32")
SIZE = (24, 32)


def test_a_small_model_in_figures() -> None:
    cost = measure_cost("bilinear-interpolation", SIZE, CPU, repeats=2)
    parameters = 3 * 64 * 49 + 3 * 64 * 64 * 49 + 4 * 2 * 64 + 64 * 11 + 11  # filters, BN, classifier
    statistics = 4 * (2 * 64 * 4 + 8)  # mean, variance and a count of batches
    assert cost.parameters == parameters
    assert cost.failures == {}
    assert cost.file_mb * 1e6 == pytest.approx(4 * parameters + statistics)
    assert cost.forward is not None
    assert cost.backward is not None
    assert 0 < cost.forward.min_ms <= cost.forward.median_ms <= cost.forward.max_ms
    assert cost.inference is not None
    assert cost.training is not None
    constants = cost.inference.weights_mib * 2**20 - 4 * parameters - statistics
    assert 0 <= constants < 1000  # of the normalisation
    assert cost.inference.gradients_mib == 0
    assert cost.training.gradients_mib * 2**20 == 4 * parameters
    # the first convolution's output and its BN's, 64 maps of the image's size, for four images, wait for backward
    assert cost.training.activations_mib * 2**20 > 4 * 2 * 64 * 24 * 32 * 4
    assert cost.training.batch_size == 4
    assert cost.training.process_mib is None  # this process measured other things too


def test_the_forward_pass_alone_takes_any_size() -> None:
    cost = measure_cost("bilinear-interpolation", (5, 7), CPU, training=False, repeats=1)
    assert cost.forward is not None
    assert cost.backward is None
    assert cost.training is None
    with pytest.raises(ShapeError, match="smallest square"):
        measure_cost("fcn-32s", (5, 7), CPU, repeats=1)


def test_lack_of_memory_is_one_missing_part(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 1 bytes")

    monkeypatch.setattr(cost_module, "_training_memory", no_memory)
    cost = measure_cost("bilinear-interpolation", SIZE, CPU, repeats=1)
    assert cost.training is None
    assert cost.backward is not None
    assert cost.failures.keys() == {"training"}
    assert (
        "bilinear-interpolation, training at batch 4: out of memory; try a smaller --size" in cost.failures["training"]
    )


def test_a_model_whose_weights_alone_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 411041792 bytes")

    monkeypatch.setattr(cost_module, "create_model", no_memory)
    cost = measure_cost("fcn-32s", (64, 64), CPU, repeats=1)
    assert cost.failures == {"model": "fcn-32s: out of memory for its weights alone, 537 MB"}
    assert cost.parameters == 134_318_027
    assert cost.forward is None


def test_another_error_is_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(cost_module, "_time_forward", wrong)
    with pytest.raises(RuntimeError, match="shapes differ"):
        measure_cost("bilinear-interpolation", SIZE, CPU, repeats=1)


def test_a_killed_process_is_one_lost_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> "Killed":
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, *_: object, **__: object) -> None:
            raise BrokenProcessPool

    monkeypatch.setattr(cost_module, "ProcessPoolExecutor", Killed)
    cost = measure_cost_alone("segnet-basic", SIZE, CPU)
    assert cost.parameters == 1_416_075
    assert (cost.forward, cost.training) == (None, None)
    assert cost.file_mb == pytest.approx(5.67, abs=0.01)
    assert "segnet-basic: the process was killed" in cost.failures["process"]


def test_what_prepares_is_outside_the_clock() -> None:
    calls: list[str] = []
    measure(lambda: calls.append("timed"), repeats=2, warmup=1, prepare=lambda: calls.append("prepared"))
    assert calls == ["prepared", "timed"] * 3
