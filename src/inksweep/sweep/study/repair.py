"""What a dead process left in a study: trials that run no more, and are repeated."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from inksweep.sweep.study.notes import ATTEMPT, FAULTED, LOST, REASON, REPEATS, RETRIED, SURPLUS
from inksweep.sweep.study.trials import queued_point

# Another process needs so long, at most, from telling that a trial is lost to queueing its repetition.
REPAIR_S = 30.0


def lose(study: Study, trial: FrozenTrial, reason: str) -> bool:
    """Tell FAIL for a trial that is to be repeated and does not count; False if another process was faster."""
    return end(study, trial, TrialState.FAIL, {LOST: True, REASON: reason})


def end(study: Study, trial: FrozenTrial, state: TrialState, notes: dict[str, Any]) -> bool:
    """Put a running trial into a final state without a value; False if it had ended already."""
    # Not `study.tell`, which gives a PRUNED trial its last report as value. Without the private names it would have to
    # do, and samplers would learn from trials that were ended from outside.
    storage = study._storage
    try:
        for name, value in notes.items():
            storage.set_trial_user_attr(trial._trial_id, name, value)
        return storage.set_trial_state_values(trial._trial_id, state)
    except UpdateFinishedTrialError:
        return False


def repeat(study: Study, trial: FrozenTrial, attempt: int | None = None, *, faulted: bool = False) -> None:
    """Queue a trial again, with the same parameters.

    Args:
        study: whose.
        trial: which has ended.
        attempt: how many workers have died of it; None: as many as the trial says.
        faulted: the machine has failed it.
    """
    # A trial that died before it was suggested anything may itself have been a repetition.
    parameters = {**(queued_point(trial) or {}), **trial.params}
    attempts = trial.user_attrs.get(ATTEMPT) if attempt is None else attempt
    notes = {REPEATS: trial.number, ATTEMPT: attempts, FAULTED: faulted or None}
    notes = {name: value for name, value in notes.items() if value is not None}
    study.enqueue_trial(parameters, user_attrs=notes)


def repair(study: Study, orphans: Iterable[FrozenTrial], *, alone: bool = True) -> list[int]:
    """Tell FAIL for trials that a dead process left running, and queue what is to be repeated.

    Args:
        study: whose.
        orphans: trials that nobody runs any more.
        alone: no other process may be about to queue a repetition of its own.

    Returns:
        The numbers of the trials that were lost.
    """
    lost = [trial for trial in orphans if lose(study, trial, "its process died")]
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(REPEATS) for trial in trials}
    numbers = {trial.number for trial in lost}
    for trial in trials:
        # Also one that was given up long ago, by a process that then died before it could queue it.
        if not trial.state.is_finished() or trial.number in repeated or not _is_to_be_repeated(trial):
            continue
        if alone or trial.number in numbers or _age(trial.datetime_complete) > REPAIR_S:
            repeat(study, trial, trial.user_attrs.get(ATTEMPT, 0) + 1 if RETRIED in trial.user_attrs else None)
    return sorted(numbers)


def _is_to_be_repeated(trial: FrozenTrial) -> bool:
    # A surplus trial is repeated only if its point was queued by the user.
    is_queued = queued_point(trial) is not None
    return LOST in trial.user_attrs or RETRIED in trial.user_attrs or (SURPLUS in trial.user_attrs and is_queued)


def _age(moment: datetime | None) -> float:
    return 0.0 if moment is None else time.time() - moment.timestamp()
