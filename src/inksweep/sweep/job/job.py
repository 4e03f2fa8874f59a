"""BOTH SIDES. A job as a slot is given it, what comes back, and what goes over the pipe of a worker.

The sweep (slots/pool.py) and a worker (worker.py) talk in pickled tuples. In this order:

    worker -> sweep   (HELLO,)                         it has started
    sweep -> worker   what a Hydra launcher's `setup` is given, and the state of Hydra's singletons
    worker -> sweep   (READY,), or (BROKEN, traceback) and it ends
    then for each job
    sweep -> worker   (number, overrides, folder of the trial)
    worker -> sweep   (DONE, value, error, bytes of memory in use)
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from inksweep.errors import InputError, explain

# First word of a message from a worker.
HELLO, READY, DONE, BROKEN = "hello", "ready", "done", "broken"


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


class WorkerDied(RuntimeError):
    """The process of a trial ended before the trial did; the message says how."""


class TooLong(TimeoutError):
    """A trial ran longer than `hydra.sweeper.trial_timeout_s`, and was ended."""


class EndNow(SystemExit):
    """A second Ctrl-C or SIGTERM: also a job in the sweep's own process ends at once."""


def outcome_of(returned: JobReturn) -> tuple[Any, Exception | None]:
    """Return the value of a job, or what it raised."""
    # Not the public `return_value`: reading it raises what we are to return, and logs it. Without the private name a
    # failed job would be seen here as an exception, and no longer be told from a fault of ours.
    value = returned._return_value
    if returned.status is JobStatus.COMPLETED:
        return value, None
    return None, value if isinstance(value, Exception) else RuntimeError(repr(value))


def as_user_error(error: Exception) -> Exception:
    """Return an InputError with one line for what the user did wrong, and anything else as it is."""
    line = explain(error)
    if line is None or isinstance(error, InputError):
        return error
    raised = InputError(line)
    raised.__cause__ = error
    return raised
