"""Whether two classifiers answer alike, and how long each takes for one picture."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Pixels uint8 (n, h, w) -> probabilities float32 (n, classes).
Answer = Callable[[Tensor], Tensor]

# Sizes of the first batches, different ones because an exported graph may fit one size only; and of all others.
FIRST_BATCHES = (1, 7)
BATCH = 1000

WARM_UP = 30
REPETITIONS = 300


@dataclass(frozen=True)
class Agreement:
    """How alike two classifiers answer."""

    # How many were compared, and on how many the classes are the same.
    pictures: int
    same_class: int
    # Of a probability.
    largest_difference: float
    # Time of the comparison.
    seconds: float

    def within(self, tolerance: float) -> bool:
        """Whether every class is the same and no probability differs by more than `tolerance`."""
        return self.same_class == self.pictures and self.largest_difference <= tolerance


@torch.inference_mode()
def agreement(one: Answer, other: Answer, images: Tensor) -> Agreement:
    """Compare the answers to all `images`, uint8 (n, h, w), in batches of different sizes."""
    started = time.perf_counter()
    same, largest = 0, torch.tensor(0.0)
    for batch in images.split(batch_sizes(len(images))):
        ours, theirs = one(batch), other(batch)
        same += int((ours.argmax(dim=1) == theirs.argmax(dim=1)).sum())
        largest = torch.maximum(largest, (ours - theirs).abs().max())  # keeps a NaN, which is within nothing
    return Agreement(len(images), same, largest.item(), round(time.perf_counter() - started, 3))


def batch_sizes(count: int) -> list[int]:
    """Return sizes of batches that add up to `count`: the first ones, then large ones and a rest."""
    sizes: list[int] = []
    for size in FIRST_BATCHES:
        sizes.append(min(size, count - sum(sizes)))
    full, rest = divmod(count - sum(sizes), BATCH)
    return [size for size in [*sizes, *[BATCH] * full, rest] if size]


@torch.inference_mode()
def latency(answers: Mapping[str, Answer], picture: Tensor, repetitions: int = REPETITIONS) -> dict[str, Any]:
    """Measure how long each takes for one picture, uint8 (1, h, w), on one thread.

    They take turns, so that whatever else the machine does meets all of them.

    Returns:
        By name the median in milliseconds; `threads` and `repetitions`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in answers}
    with _one_thread():
        for _ in range(WARM_UP + repetitions):
            for name, answer in answers.items():
                started = time.perf_counter()
                answer(picture)
                seconds[name].append(time.perf_counter() - started)
    medians = {name: round(statistics.median(taken[WARM_UP:]) * 1000, 4) for name, taken in seconds.items()}
    return {**medians, "threads": 1, "repetitions": repetitions}


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
