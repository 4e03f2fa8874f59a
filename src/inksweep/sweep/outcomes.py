"""What came back from a slot -> what the study is told: docs/sweep.md, "What happens to a trial", as code."""

import math
from dataclasses import dataclass

from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.sweep.faults import Fault, fault_of, has_died
from inksweep.sweep.job.job import Done, TooLong, WorkerDied
from inksweep.sweep.stopping import Fate, Reason
from inksweep.sweep.study.notes import ENDED_WITH_SWEEP

# What PyTorch, JAX and the kernel say, in an error of no kind of its own.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "RESOURCE_EXHAUSTED: Out of memory",
    "Cannot allocate memory",
)


@dataclass(frozen=True)
class Outcome:
    """What a study is told of a trial."""

    state: TrialState
    values: list[float] | None = None
    reason: str | None = None
    # What was raised if it failed.
    error: Exception | None = None
    # It does not count, and is repeated by the next start.
    lost: bool = False
    # What of the machine's it failed by, and no fault of its own.
    fault: Fault | None = None
    # Its process ended before it did, or one that it had started.
    died: bool = False


def outcome(done: Done, stopped: str | None = None, n_objectives: int = 1, is_stock: bool = False) -> Outcome:
    """Map what came back from a slot to what the study is told; nothing else decides that.

    Args:
        done: what came back.
        stopped: why the trial was to stop, if it ended because of that.
        n_objectives: how many numbers a task returns.
        is_stock: a value that Optuna does not take fails its trial and nothing more, as with the stock sweeper.
    """
    if done.error is not None:
        fault = fault_of(done.error)
        return Outcome(
            TrialState.FAIL,
            reason=_failure(done.error) if fault is None else str(fault),
            error=done.error,
            fault=fault,
            died=isinstance(done.error, WorkerDied) or has_died(done.error),
        )
    if stopped in ("pruned", "diverged"):
        return Outcome(TrialState.PRUNED, reason=stopped)
    if stopped == "trial_timeout":
        error = TooLong(f"trial {done.number} took longer than hydra.sweeper.trial_timeout_s")
        return Outcome(TrialState.FAIL, reason="timeout", error=error)
    if stopped is not None:
        ending = Reason.stored_as(stopped)
        if ending is not None and ending.stop.running is Fate.REPEATED:
            return Outcome(TrialState.FAIL, reason=stopped, lost=True)
        return Outcome(TrialState.PRUNED, reason=ENDED_WITH_SWEEP)
    try:
        values = [float(value) for value in (done.value if n_objectives > 1 else [done.value])]
        if len(values) != n_objectives:
            raise ValueError
    except (TypeError, ValueError):
        wanted = "a number" if n_objectives == 1 else f"{n_objectives} numbers"
        wrong = InputError(f"trial {done.number} returned {done.value!r}: a sweep needs the objective, {wanted}")
        return Outcome(TrialState.FAIL, reason=_failure(wrong), error=None if is_stock else wrong)
    if is_stock and any(math.isnan(value) for value in values):
        return Outcome(TrialState.FAIL, reason="diverged")
    if all(math.isfinite(value) for value in values):
        return Outcome(TrialState.COMPLETE, values)
    return Outcome(TrialState.PRUNED, reason="diverged")


def _failure(error: Exception) -> str:
    """Return in short why a trial failed."""
    if isinstance(error, TooLong):
        return "timeout"
    if isinstance(error, WorkerDied):
        return f"worker died: {error}"
    # Recognized by name, as the engine imports none of the libraries that raise it.
    names = {kind.__name__ for kind in type(error).__mro__}
    is_full = isinstance(error, RuntimeError | OSError) and any(words in str(error) for words in OUT_OF_MEMORY)
    return "oom" if is_full or names & {"MemoryError", "OutOfMemoryError"} else f"{type(error).__name__}: {error}"
