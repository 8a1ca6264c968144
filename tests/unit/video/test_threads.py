import threading
from collections.abc import Iterator

import pytest

from segnet.video.threads import Behind, ahead


def test_items_keep_their_order_and_the_queue_is_bounded() -> None:
    made: list[int] = []
    gate = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            gate.release()
            yield number

    reader = ahead(items(), depth=3)
    assert next(reader) == 0
    for _ in range(5):  # one taken, three waiting, one in the maker's hand
        assert gate.acquire(timeout=10)
    assert not gate.acquire(timeout=0.3)
    assert len(made) == 5
    assert list(reader) == list(range(1, 20))


def test_an_error_keeps_its_position_and_closing_ends_the_thread() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    reader = ahead(items(), depth=3)
    assert next(reader) == 1
    with pytest.raises(KeyError, match="two"):
        next(reader)
    before = threading.active_count()
    endless = ahead(iter(int, 1), depth=2)
    next(endless)
    assert threading.active_count() == before + 1
    endless.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_the_block_waits_until_all_items_are_processed_in_order() -> None:
    done: list[int] = []
    with Behind(done.append, depth=2) as behind:
        for number in range(50):
            behind.put(number)
    assert done == list(range(50))


def test_the_first_error_is_raised_and_stops_the_work() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise KeyError("three")
        done.append(number)

    with pytest.raises(KeyError, match="three"), Behind(work, depth=2) as behind:
        for number in range(1000):
            behind.put(number)
    assert done == [0, 1, 2]
    with pytest.raises(KeyError, match="three"), Behind(work, depth=2) as behind:
        behind.put(3)  # comes up at the end
    with pytest.raises(ZeroDivisionError), Behind(done.append, depth=2) as behind:
        behind.put(9)
        raise ZeroDivisionError
    assert done[-1] == 9  # what was handed over is finished
