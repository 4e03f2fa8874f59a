"""BOTH SIDES. A job as a slot is given it, what comes back, and what goes over the pipe of a worker.

The sweep (slots/pool.py) and a worker (worker.py) talk in pickled tuples. In this order:

    worker -> sweep   (HELLO,)                         a spawned one: it has started
    sweep -> worker   Setup, and the state of Hydra's singletons; a forked one has both
    worker -> sweep   (READY,), or (BROKEN, error, traceback) and it ends
    then for each job
    sweep -> worker   (number, overrides, whether all that Hydra returns is wanted)
    worker -> sweep   (DONE, returned, left, memory)   JobReturn, or (value, error); whether processes are left; bytes
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from inksweep.errors import InputError, explain

# First word of a message from a worker.
HELLO, READY, DONE, BROKEN = "hello", "ready", "done", "broken"


@dataclass(frozen=True)
class Setup:
    """What the `setup` of a Hydra launcher is given: all that a worker needs to run jobs."""

    hydra_context: HydraContext
    config: DictConfig
    task_function: TaskFunction


@dataclass(frozen=True)
class Job:
    """What a slot is given.

    Args:
        number: of the trial.
        overrides: of its config.
        whole: whether all that Hydra returns of a job is wanted.
    """

    number: int
    overrides: list[str]
    whole: bool = False


@dataclass(frozen=True)
class Done:
    """What comes back.

    Args:
        number: of the trial.
        value: what the task returned.
        error: the exception that ended it.
        seconds: since it was given to its slot.
        returned: all that Hydra returns, if the job wanted it and got as far.
    """

    number: int
    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0
    returned: JobReturn | None = None


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
