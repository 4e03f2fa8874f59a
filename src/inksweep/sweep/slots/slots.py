"""SWEEP SIDE. Slots: all that the engine sees of where trials run.

Three classes are such slots: `Pool` (pool.py), `LauncherSlots` and `BlockingSlot` (via_launch.py).
"""

from typing import Protocol

from inksweep.sweep.job.job import Done, Job


class Slots(Protocol):
    """Slots, each of which runs one job at a time."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def free(self) -> int:
        """How many jobs could be started now."""

    @property
    def next(self) -> int:
        """Which slot the next job gets; there must be a free one."""

    def start(self, job: Job) -> None:
        """Give `job` to a free slot."""

    def wait(self, seconds: float) -> Done | None:
        """Return a job that has ended, the first of those running, or None if none does within `seconds`."""

    def seconds(self, number: int) -> float | None:
        """Return how long the job of trial `number` has been running; None if it has not begun, or nobody knows."""

    def preparing(self, number: int) -> str | None:
        """Return what the process of trial `number` does before it runs it; None: it runs it, or nobody knows."""

    def end(self, number: int) -> bool:
        """End the job of trial `number` now, if these slots can: `wait` then returns it with TooLong."""

    def close(self) -> None:
        """End everything that still runs."""
