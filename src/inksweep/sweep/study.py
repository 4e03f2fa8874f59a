"""The study: opened or begun, and repaired of what a dead process left."""

import logging
import re

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.grammar import Fixed
from inksweep.sweep.journal import open_journal
from inksweep.sweep.space import Space

log = logging.getLogger(__name__)

# On a trial that was lost with its process: it is repeated under a new number and does not count.
LOST = "lost"
# On a repetition: the number of the trial that was lost.
REPEATS = "repeats"
# On a trial that did not complete: why.
REASON = "reason"


def open_study(sweep: SweepDir, name: str | None, storage: str | None, direction: str) -> Study:
    """Open the study, or begin it.

    Args:
        sweep: where its journal lies if `storage` is None.
        name: of the study; None: that of the sweep directory, or one that Optuna makes up for a `storage`.
        storage: URL of a database, or None.
        direction: `minimize` or `maximize`.

    Raises:
        InputError: the storage cannot be opened, or the study has another direction.
    """
    # Optuna's own lines about each study and trial would come on top of ours.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage is None:
        name = name or sweep.root.name
        study = optuna.create_study(
            study_name=name,
            storage=open_journal(sweep.journal),
            direction=StudyDirection[direction.upper()],
            load_if_exists=True,
        )
    else:
        try:
            study = optuna.create_study(
                study_name=name, storage=storage, direction=StudyDirection[direction.upper()], load_if_exists=True
            )
        except Exception as error:  # whatever a database driver raises
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"hydra.sweeper.storage={without_password(storage)}: cannot be opened ({reason})"
            ) from error
    if study.direction.name.lower() != direction:
        raise InputError(
            f"hydra.sweeper.direction={direction}: study {study.study_name} has direction "
            f"{study.direction.name.lower()}; begin a new one (hydra.sweeper.study_name)"
        )
    return study


def without_password(url: str) -> str:
    """Return a storage URL that may be shown."""
    return re.sub(r"(//[^:/@]*):[^@]*@", r"\1:***@", url)


def repair(study: Study) -> list[int]:
    """Tell FAIL for trials that a dead process left running, and queue them again with the same parameters.

    To be called by the owner, before the first ask.

    Returns:
        The numbers of the trials that were lost.
    """
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(REPEATS) for trial in trials}
    lost = [trial for trial in trials if trial.state is TrialState.RUNNING]
    for trial in lost:
        # Queued first: after a crash between the two steps it is still repeated, and once.
        if trial.number not in repeated:
            # A trial that died before it was suggested anything may itself have been a repetition.
            parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            study.enqueue_trial(parameters, user_attrs={REPEATS: trial.number})
        study._storage.set_trial_user_attr(trial._trial_id, LOST, True)
        study._storage.set_trial_user_attr(trial._trial_id, REASON, "the sweep's process died")
        study.tell(trial.number, state=TrialState.FAIL)
    return [trial.number for trial in lost]


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


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that count: ended, and not lost with their process."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and LOST not in t.user_attrs]


def incumbent(study: Study) -> FrozenTrial | None:
    """Return the best complete trial, the earlier one of equals; None if there is none."""
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    sign = 1 if study.direction is StudyDirection.MINIMIZE else -1
    return min(complete, key=lambda trial: (sign * _value(trial), trial.number), default=None)


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value
