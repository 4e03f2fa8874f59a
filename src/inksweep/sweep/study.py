"""The study: opened or begun, what counts in it, and the repair of what a dead process left."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.errors import InputError
from inksweep.sweep.grammar import Fixed
from inksweep.sweep.marks import ATTEMPT, LOST, METRICS, REASON, REPEATS, RETRIED, SURPLUS
from inksweep.sweep.space import Space
from inksweep.sweep.storage import Address, open_storage

log = logging.getLogger(__name__)

# A trial that carries one of these has been replaced by another, or never was: it does not count.
UNCOUNTED = (LOST, RETRIED, SURPLUS)
# Another process needs so long, at most, from telling that a trial is lost to queueing its repetition.
REPAIR_S = 30.0


def open_study(address: Address, directions: Sequence[str]) -> Study:
    """Open the study, or begin it.

    Args:
        address: where it is kept, and its name.
        directions: `minimize` or `maximize`, one an objective.

    Raises:
        InputError: the storage cannot be opened, or the study has other directions.
    """
    # Optuna's own lines about each study and trial would come on top of ours.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    study = optuna.create_study(
        study_name=address.study, storage=open_storage(address), directions=wanted, load_if_exists=True
    )
    if study.directions != wanted:
        names = [direction.name.lower() for direction in study.directions]
        raise InputError(
            f"hydra.sweeper.direction={_one_or_all(directions)}: study {study.study_name} has direction "
            f"{_one_or_all(names)}; begin a new one (hydra.sweeper.study_name)"
        )
    return study


def _one_or_all(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"[{','.join(names)}]"


def lose(study: Study, trial: FrozenTrial, reason: str) -> bool:
    """Tell FAIL for a trial that is to be repeated and does not count; False if another process was faster."""
    return end(study, trial, TrialState.FAIL, {LOST: True, REASON: reason})


def end(study: Study, trial: FrozenTrial, state: TrialState, notes: dict[str, Any]) -> bool:
    """Put a running trial into a final state without a value; False if it had ended already."""
    storage = study._storage
    try:
        for name, value in notes.items():
            storage.set_trial_user_attr(trial._trial_id, name, value)
        return storage.set_trial_state_values(trial._trial_id, state)
    except UpdateFinishedTrialError:
        return False


def repeat(study: Study, trial: FrozenTrial, attempt: int | None = None) -> None:
    """Queue a trial again, with the same parameters."""
    # A trial that died before it was suggested anything may itself have been a repetition.
    parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    attempts = trial.user_attrs.get(ATTEMPT) if attempt is None else attempt
    notes = {REPEATS: trial.number} if attempts is None else {REPEATS: trial.number, ATTEMPT: attempts}
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
    mine = {trial.number for trial in lost}
    for trial in trials:
        # Also one that was given up long ago, by a process that then died before it could queue it.
        if not trial.state.is_finished() or trial.number in repeated or not _is_to_be_repeated(trial):
            continue
        if alone or trial.number in mine or _age(trial.datetime_complete) > REPAIR_S:
            repeat(study, trial, trial.user_attrs.get(ATTEMPT, 0) + 1 if RETRIED in trial.user_attrs else None)
    return sorted(mine)


def _is_to_be_repeated(trial: FrozenTrial) -> bool:
    # One too many is of no interest, unless its point had been asked for.
    return LOST in trial.user_attrs or RETRIED in trial.user_attrs or (SURPLUS in trial.user_attrs and _queued(trial))


def _queued(trial: FrozenTrial) -> bool:
    return "fixed_params" in trial.system_attrs


def _age(moment: datetime | None) -> float:
    return 0.0 if moment is None else time.time() - moment.timestamp()


def check_space(study: Study, space: Space) -> None:
    """Refuse a parameter that the study knows as something else: Optuna cannot change choices, nor kinds.

    Raises:
        InputError: the message names the parameter.
    """
    now = [(key, leaf) for block in space.blocks for key, leaf in block.items() if not isinstance(leaf, Fixed)]
    # The last trial that has a parameter stands for all: each was checked when it was asked.
    known: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        known.update(trial.distributions)
    for key, leaf in now:
        try:
            check_distribution_compatibility(known.get(key, leaf), leaf)
        except ValueError as error:
            raise InputError(
                f"{key}: is not the parameter that study {study.study_name} began with ({error}) "
                "Restore it, or begin a new study (hydra.sweeper.study_name)"
            ) from error


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of `n_trials`: running or ended, and not replaced by another."""
    return trial.state is not TrialState.WAITING and not any(mark in trial.user_attrs for mark in UNCOUNTED)


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that count and have ended."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and counts(t)]


def front(study: Study) -> list[FrozenTrial]:
    """Return the complete trials that no other beats: of one objective the best, of several the Pareto front."""
    if len(study.directions) > 1:
        return sorted(filter(counts, study.best_trials), key=order(study))
    best = incumbent(study)
    return [] if best is None else [best]


def incumbent(study: Study) -> FrozenTrial | None:
    """Return the best complete trial by the first objective, the earlier one of equals; None if there is none.

    Of trials that are equal in the first objective, the further ones decide: it is on the Pareto front.
    """
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    return min(filter(counts, complete), key=order(study), default=None)


def measured(trial: FrozenTrial) -> dict[str, float]:
    """Return what a trial measured."""
    return dict(trial.user_attrs.get(METRICS, {}))


def order(study: Study) -> Callable[[FrozenTrial], tuple[float, ...]]:
    """Return the key by which complete trials are sorted, the best first; of equals, the earlier one."""
    signs = [1 if direction is StudyDirection.MINIMIZE else -1 for direction in study.directions]
    return lambda trial: (*(sign * value for sign, value in zip(signs, trial.values, strict=True)), trial.number)
