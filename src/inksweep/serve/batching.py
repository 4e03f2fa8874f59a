"""One thread owns a classifier: digits of many requests that wait at the same time go through it together.

A forward of 64 digits takes a few times as long as that of one, not 64 times.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inksweep.reading.cut import Answer
from inksweep.serve.limits import Traffic

# How many digits go through the classifier at a time: more does not make one of them cheaper.
MOST = 64
# How long a digit waits for others, if there are requests that may ask too.
WAIT_S = 0.002

# Called after each forward: digits, requests, seconds.
Observe = Callable[[int, int, float], None]


@dataclass
class _Asked:
    """Digits of one request."""

    pixels: NDArray[np.uint8]
    # Who waits: a task of an event loop, or a thread.
    future: "asyncio.Future[NDArray[np.float32]] | Future[NDArray[np.float32]]"
    loop: asyncio.AbstractEventLoop | None
    at: float = field(default_factory=time.monotonic)
    # Answers to the first of them, where they do not all go through the classifier at once.
    done: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def left(self) -> NDArray[np.uint8]:
        """Those without an answer."""
        return self.pixels[sum(map(len, self.done)) :]


class Batcher:
    """Answers for many requests with one classifier, in a thread of its own.

    Args:
        answer: the classifier; only that thread calls it.
        traffic: how many may ask. Where all of them wait here already, nothing is waited for.
        observe: told of each forward, in that thread.
    """

    def __init__(self, answer: Answer, traffic: Traffic, observe: Observe = lambda *_: None) -> None:
        self._classifier = answer
        self._traffic = traffic
        self._observe = observe
        self._waiting: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_looked_at = False
        self._thread = threading.Thread(target=self._run, name="classifier", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive() and not self._is_closed

    def answer(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the classifier's answer to pixels, uint8 (n, size, size); for threads.

        Raises:
            RuntimeError: the server ends.
        """
        future: Future[NDArray[np.float32]] = Future()
        self._add(_Asked(pixels, future, None))
        with self._changed:
            self._changed.notify()
        return future.result()

    async def answer_soon(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the classifier's answer to pixels, uint8 (n, size, size); for tasks of one event loop.

        Raises:
            RuntimeError: the server ends.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        self._add(_Asked(pixels, future, loop))
        if not self._is_looked_at:
            # Behind the tasks that are ready now: their digits are there then too.
            self._is_looked_at = True
            loop.call_soon(self._look)
        return await future

    def close(self) -> None:
        """Answer nobody any more; those who wait get a RuntimeError."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        """Wait until its thread has ended; return whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _add(self, asked: _Asked) -> None:
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the server ends")
            self._waiting.append(asked)

    def _look(self) -> None:
        self._is_looked_at = False
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            if not batch:
                continue
            parts = [asked.left[:MOST] for asked in batch]
            started = time.perf_counter()
            try:
                rows = self._classifier(np.concatenate(parts) if len(parts) > 1 else parts[0])
            except Exception as error:  # of one forward; the next may work
                self._fail(batch, error)
                continue
            self._observe(len(rows), len(batch), time.perf_counter() - started)
            ends = np.cumsum([len(part) for part in parts])[:-1]
            self._hand_out(batch, np.split(rows, ends))
        with self._changed:
            self._fail(list(self._waiting), RuntimeError("the server ends"))
            self._waiting.clear()

    def _next(self) -> list[_Asked] | None:
        """Wait for digits, and for others a moment longer; return those that go together, None at the end."""
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            until = self._waiting[0].at + WAIT_S
            while (left := until - time.monotonic()) > 0 and self._may_grow():
                self._changed.wait(left)
            batch: list[_Asked] = []
            room = MOST
            while self._waiting and room > 0:
                asked = self._waiting[0]
                if asked.future.cancelled():
                    self._waiting.popleft()
                    continue
                count = min(len(asked.left), MOST)
                if batch and count > room:
                    break
                batch.append(self._waiting.popleft())
                room -= count
            return batch

    def _may_grow(self) -> bool:
        return (
            not self._is_closed
            and len(self._waiting) < self._traffic.askers
            and sum(len(asked.left) for asked in self._waiting) < MOST
        )

    def _hand_out(self, batch: list[_Asked], answers: list[NDArray[np.float32]]) -> None:
        finished = []
        for asked, rows in zip(batch, answers, strict=True):
            asked.done.append(rows)
            if len(asked.left):
                # Behind those who came meanwhile, so that nobody waits for all the digits of a large request.
                with self._changed:
                    self._waiting.append(asked)
            else:
                whole = asked.done[0] if len(asked.done) == 1 else np.concatenate(asked.done)
                finished.append((asked, whole))
        self._tell([(asked, lambda future, rows=rows: future.set_result(rows)) for asked, rows in finished])

    def _fail(self, batch: list[_Asked], error: Exception) -> None:
        self._tell([(asked, lambda future: future.set_exception(error)) for asked in batch])

    @staticmethod
    def _tell(results: list[tuple[_Asked, Callable[..., None]]]) -> None:
        """Set results: those of threads here, those of tasks all at once in their event loop."""

        def tell(those: list[tuple[_Asked, Callable[..., None]]]) -> None:
            for asked, put in those:
                if not asked.future.done():
                    put(asked.future)

        tell([each for each in results if each[0].loop is None])
        tasks = [each for each in results if each[0].loop is not None]
        if tasks and (loop := tasks[0][0].loop) is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell, tasks)
