import torch

from segnet.benchmark.measure.memory import LiveBytes, peak_live_bytes

MB = 2**20


def megabytes(count: int) -> torch.Tensor:
    return torch.zeros(count * MB, dtype=torch.uint8)


def test_freed_tensors_no_longer_count() -> None:
    def one_after_the_other() -> None:
        for _ in range(5):
            megabytes(3)

    def all_at_once() -> list[torch.Tensor]:
        return [megabytes(3) for _ in range(5)]

    assert peak_live_bytes(one_after_the_other) == 3 * MB
    assert peak_live_bytes(all_at_once) == 15 * MB


def test_views_and_in_place_results_are_not_counted_twice() -> None:
    def views() -> torch.Tensor:
        whole = megabytes(4)
        part = whole[: 2 * MB].view(2, MB)
        part += 1
        return part

    assert peak_live_bytes(views) == 4 * MB


def test_inputs_do_not_count() -> None:
    outside = megabytes(8)
    assert peak_live_bytes(lambda: outside + 1) == 8 * MB


def test_a_chain_holds_two_tensors_and_autograd_holds_all() -> None:
    start = torch.zeros(MB // 4)  # 1 MB

    def chain(x: torch.Tensor) -> torch.Tensor:
        for _ in range(6):
            x = torch.sin(x)
        return x

    assert peak_live_bytes(lambda: chain(start)) == 2 * MB
    leaf = start.clone().requires_grad_()
    forward_and_backward = peak_live_bytes(lambda: chain(leaf).sum().backward())
    assert forward_and_backward >= 6 * MB  # each sine keeps its input for the backward pass


def test_bytes_alive_now() -> None:
    with LiveBytes() as live:
        first = megabytes(2)
        second = megabytes(1)
        assert live.now == 3 * MB
        del first
        assert live.now == 1 * MB
        del second
        assert live.now == 0
        assert live.peak == 3 * MB
