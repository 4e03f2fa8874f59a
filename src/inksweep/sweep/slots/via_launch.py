"""SWEEP SIDE. Slots that run each job through `launch` of one of Hydra's launchers, which runs it where it likes.

`launch` blocks until the job has ended: with one slot the sweep waits in it, several are threads that wait.
"""

import queue
import re
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from hydra.plugins.launcher import Launcher

from inksweep.errors import InputError, last_line
from inksweep.sweep.job.job import Done, Job, TooLong, WorkerDied, as_user_error, outcome_of

# The class of what submitit raises in a job that is longer than its own limit, `hydra.launcher.timeout_min`.
OUT_OF_TIME = "UncompletedJobError"


class BlockingSlot:
    """One slot: a launcher that runs its job in this process, so that `wait` takes as long as the job."""

    size = 1

    def __init__(self, launcher: Launcher):
        self._launcher = launcher
        self._job: Job | None = None

    @property
    def free(self) -> int:
        """How many jobs could be started now."""
        return int(self._job is None)

    @property
    def next(self) -> int:
        """Which slot the next job gets."""
        return 0

    def start(self, job: Job) -> None:
        """Keep `job` for `wait`."""
        assert self._job is None
        self._job = job

    def wait(self, seconds: float) -> Done | None:
        """Run the job, however long it takes."""
        if self._job is None:
            time.sleep(seconds)
            return None
        job, self._job = self._job, None
        return launched(self._launcher, job, as_user_error)

    def seconds(self, number: int) -> float | None:
        """While a job runs the sweep cannot ask: it waits in `wait`."""
        return None

    def preparing(self, number: int) -> str | None:
        """Nothing: the job begins at once."""
        return None

    def end(self, number: int) -> bool:
        """Jobs of this process cannot be ended from outside."""
        return False

    def close(self) -> None:
        """Nothing runs between calls."""


class LauncherSlots:
    """Slots that are threads, each of which waits for a launcher to run one job elsewhere.

    Args:
        launcher: one that runs jobs in other processes; `launch` is called from several threads at a time.
        size: how many.
        at_end: called once when no more jobs are to run.
    """

    def __init__(self, launcher: Launcher, size: int, at_end: Callable[[], None]):
        self.size, self._launcher, self._at_end = size, launcher, at_end
        self._busy: set[int] = set()
        self._done: queue.SimpleQueue[tuple[int, Done | BaseException]] = queue.SimpleQueue()

    @property
    def free(self) -> int:
        """How many jobs could be started now."""
        return self.size - len(self._busy)

    @property
    def next(self) -> int:
        """Which slot the next job gets."""
        return min(set(range(self.size)) - self._busy)

    def start(self, job: Job) -> None:
        """Launch `job` from a thread of its own."""
        slot = self.next
        self._busy.add(slot)
        # A daemon: the sweep may end without it.
        threading.Thread(target=self._launch, args=(slot, job), name=f"slot-{slot}", daemon=True).start()

    def wait(self, seconds: float) -> Done | None:
        """Return a job that has ended, or None."""
        try:
            slot, done = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self._busy.remove(slot)
        if isinstance(done, BaseException):
            raise done
        return done

    def seconds(self, number: int) -> float | None:
        """Only the launcher knows when a job began."""
        return None

    def preparing(self, number: int) -> str | None:
        """Only the launcher knows."""
        return None

    def end(self, number: int) -> bool:
        """A job in another launcher's hands ends at its next report only."""
        return False

    def close(self) -> None:
        """Let the launcher go. Jobs that outlive it end at their next report: their trials are over."""
        self._at_end()
        self._at_end = lambda: None

    def _launch(self, slot: int, job: Job) -> None:
        # Processes that this thread starts inherit the mask: on Ctrl-C the sweep tells its trials to stop.
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._done.put((slot, launched(self._launcher, job, _as_death)))
        except BaseException as error:
            self._done.put((slot, error))


def launched(launcher: Launcher, job: Job, meaning: Callable[[Exception], Exception]) -> Done:
    """Let `launcher` run one job, and return what came of it.

    Args:
        launcher: blocks until the job has ended.
        job: what to run.
        meaning: turns what `launch` itself raises into the error of the job.
    """
    started = time.perf_counter()
    value: Any = None
    raised: Exception | None = None
    try:
        (returned,) = launcher.launch([job.overrides], initial_job_idx=job.number)
        value, raised = outcome_of(returned)
        if type(raised).__name__ == OUT_OF_TIME:
            raised = TooLong(str(raised))
        if returned.hydra_cfg is not None and returned.hydra_cfg.hydra.job.num != job.number:
            value, raised = None, WorkerDied("what came back is the result of another job")
    except Exception as error:
        raised = meaning(error)
    return Done(job.number, value, raised, time.perf_counter() - started)


def _as_death(error: Exception) -> Exception:
    """Return what it means that a launcher could not run a job: the user's fault, or its process is gone."""
    explained = as_user_error(error)
    return explained if isinstance(explained, InputError) else WorkerDied(f"{type(error).__name__}: {_how(str(error))}")


def _how(text: str) -> str:
    """Return how a job ended, out of what its launcher says on several lines."""
    if found := re.search(r"\bSIG[A-Z]+\b", text):  # joblib
        return f"its process was ended by {found[0]}"
    if found := re.search(r"has not produced any output \(state: ([A-Z_]+)", text):  # submitit
        return f"its job ended without a result, in the state {found[1]}"
    return last_line(text)
