"""memory.py: how many pixels are unpacked at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

from inksweep.serve.memory import Pixels, give_back


def test_pictures_wait_until_there_is_room_for_their_pixels() -> None:
    pixels = Pixels(100)
    at_once: list[int] = []
    now, lock = 0, threading.Lock()

    def read(count: int) -> None:
        nonlocal now
        with pixels.of(count):
            with lock:
                now += count
                at_once.append(now)
            threading.Event().wait(0.01)
            with lock:
                now -= count

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(read, [40, 40, 40, 60, 10, 0, 90, 40]))
    assert len(at_once) == 8
    assert max(at_once) <= 100
    assert any(one > 60 for one in at_once)  # and yet several at a time


def test_a_picture_larger_than_the_room_is_read_alone_and_its_room_is_free_after_an_error() -> None:
    pixels = Pixels(100)
    try:
        with pixels.of(5_000_000):
            raise ValueError
    except ValueError:
        pass
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(lambda: pixels.of(100).__enter__()).result(5) is None


def test_giving_back_where_it_is_not_known_is_no_error(monkeypatch) -> None:
    give_back()
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    give_back()
