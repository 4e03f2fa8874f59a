"""batching.py: what goes through the classifier together, and who gets which answer."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from inksweep.serve import batching
from inksweep.serve.batching import MOST, Batcher
from inksweep.serve.limits import Traffic
from tests.serve.conftest import digits, first_pixel


class Recorder:
    """A classifier that notes how many digits each forward had, and that can be held up."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.began = threading.Event()

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.sizes.append(len(pixels))
        self.began.set()
        assert self.goes_on.wait(10)
        return first_pixel(pixels)


def pixels(*classes: int) -> NDArray[np.uint8]:
    return np.array(digits(*classes), np.uint8)


def test_requests_that_wait_at_the_same_time_are_one_forward_and_each_gets_its_own_answer() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, Traffic(askers=20))

    async def ask() -> list[NDArray[np.float32]]:
        return await asyncio.gather(*(batcher.answer_soon(pixels(number % 10)) for number in range(20)))

    rows = asyncio.run(ask())
    batcher.close()
    assert recorder.sizes == [20]
    assert [int(row.argmax()) for row in rows] == [number % 10 for number in range(20)]


def test_a_request_that_is_alone_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "WAIT_S", 5.0)
    batcher = Batcher(first_pixel, Traffic(askers=1))
    assert batcher.answer(pixels(7)).argmax() == 7
    assert asyncio.run(asyncio.wait_for(batcher.answer_soon(pixels(3)), 2)).argmax() == 3
    batcher.close()


def test_threads_and_tasks_share_a_forward() -> None:
    recorder = Recorder()
    recorder.goes_on.clear()
    batcher = Batcher(recorder, Traffic(askers=3))
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(batcher.answer, pixels(1))
        assert recorder.began.wait(10)
        others = [threads.submit(batcher.answer, pixels(2)), threads.submit(batcher.answer, pixels(3, 4))]
        while len(batcher._waiting) < 2:
            threading.Event().wait(0.005)
        recorder.goes_on.set()
        answers = [each.result(10).argmax(axis=1).tolist() for each in (first, *others)]
    batcher.close()
    assert answers == [[1], [2], [3, 4]]
    assert recorder.sizes == [1, 3]


def test_a_large_request_goes_in_parts_and_a_small_one_passes_it() -> None:
    recorder = Recorder()
    recorder.goes_on.clear()
    batcher = Batcher(recorder, Traffic(askers=2))
    order: list[str] = []
    classes = [number % 10 for number in range(3 * MOST + 5)]
    with ThreadPoolExecutor(2) as threads:
        large = threads.submit(batcher.answer, pixels(*classes))
        large.add_done_callback(lambda _: order.append("large"))
        assert recorder.began.wait(10)
        small = threads.submit(batcher.answer, pixels(9))
        small.add_done_callback(lambda _: order.append("small"))
        while not batcher._waiting:
            threading.Event().wait(0.005)
        recorder.goes_on.set()
        assert large.result(10).argmax(axis=1).tolist() == classes
    batcher.close()
    assert order == ["small", "large"]
    assert max(recorder.sizes) <= MOST
    assert sum(recorder.sizes) == len(classes) + 1


def test_a_forward_that_fails_fails_for_those_in_it_and_the_next_works() -> None:
    def answer(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
        if rows[0, 0, 0] == 5:
            raise ArithmeticError("no")
        return first_pixel(rows)

    batcher = Batcher(answer, Traffic(askers=1))
    with pytest.raises(ArithmeticError):
        batcher.answer(pixels(5))
    assert batcher.answer(pixels(4)).argmax() == 4
    assert batcher.is_alive
    batcher.close()


def test_who_gave_up_is_not_computed_for() -> None:
    recorder = Recorder()
    recorder.goes_on.clear()
    batcher = Batcher(recorder, Traffic(askers=3))

    async def ask() -> int:
        first = asyncio.ensure_future(batcher.answer_soon(pixels(1)))
        await asyncio.to_thread(recorder.began.wait, 10)
        gone = [asyncio.ensure_future(batcher.answer_soon(pixels(2))) for _ in range(5)]
        last = asyncio.ensure_future(batcher.answer_soon(pixels(3)))
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        await asyncio.sleep(0)
        recorder.goes_on.set()
        await first
        return int((await last).argmax())

    assert asyncio.run(ask()) == 3
    batcher.close()
    assert recorder.sizes == [1, 1]


def test_at_the_end_those_who_wait_are_told_and_new_ones_refused() -> None:
    recorder = Recorder()
    recorder.goes_on.clear()
    batcher = Batcher(recorder, Traffic(askers=2))
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(batcher.answer, pixels(1))
        assert recorder.began.wait(10)
        second = threads.submit(batcher.answer, pixels(2))
        while not batcher._waiting:
            threading.Event().wait(0.005)
        batcher.close()
        recorder.goes_on.set()
        assert first.result(10).argmax() == 1
        with pytest.raises(RuntimeError, match="the server ends"):
            second.result(10)
    assert batcher.join(10)
    assert not batcher.is_alive
    with pytest.raises(RuntimeError, match="the server ends"):
        batcher.answer(pixels(1))


def test_each_forward_is_told_of() -> None:
    told: list[tuple[int, int]] = []
    batcher = Batcher(first_pixel, Traffic(askers=1), lambda count, requests, _: told.append((count, requests)))
    batcher.answer(pixels(1, 2, 3))
    batcher.answer(pixels(1))
    batcher.close()
    assert told == [(3, 1), (1, 1)]
