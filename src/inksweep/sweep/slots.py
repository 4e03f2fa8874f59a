"""Where trials run. The engine sees three words: `free`, `start`, `wait`; here is the slot of Hydra's launchers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from inksweep.errors import InputError, explain


@dataclass(frozen=True)
class Job:
    """What a slot is given: the number of a trial, and the overrides of its config."""

    number: int
    overrides: list[str]


@dataclass(frozen=True)
class Done:
    """What comes back: the value the task returned, or the exception that ended it."""

    number: int
    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0


class Slots(Protocol):
    """Places where trials run, each one at a time."""

    @property
    def free(self) -> int:
        """How many jobs could be started now."""

    def start(self, job: Job) -> None:
        """Give `job` to a free slot."""

    def wait(self) -> Done:
        """Return the job that ends first of those started; there must be one."""


class LauncherSlot:
    """One slot: Hydra's launcher, which is told one job and blocks until that has ended.

    Args:
        launch: `Launcher.launch`.
    """

    def __init__(self, launcher: Launcher):
        self._launcher = launcher
        self._job: Job | None = None

    @property
    def free(self) -> int:
        """How many jobs could be started now."""
        return int(self._job is None)

    def start(self, job: Job) -> None:
        """Keep `job` for `wait`."""
        assert self._job is None
        self._job = job

    def wait(self) -> Done:
        """Run the job. A config that does not compose is an InputError of the job."""
        assert self._job is not None
        job, self._job = self._job, None
        started = time.perf_counter()
        value, error = _outcome(lambda: self._launcher.launch([job.overrides], initial_job_idx=job.number))
        return Done(job.number, value, error, time.perf_counter() - started)


def _outcome(launch: Callable[[], Sequence[JobReturn]]) -> tuple[Any, Exception | None]:
    try:
        (returned,) = launch()
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        raised = InputError(line)
        raised.__cause__ = error
        return None, raised
    # Not `return_value`: that prints, and raises what we are to return.
    value = returned._return_value
    if returned.status is JobStatus.COMPLETED:
        return value, None
    return None, value if isinstance(value, Exception) else RuntimeError(repr(value))
