"""The study: opened or begun, what counts in it, and the repair of what a dead process left."""

from collections.abc import Callable

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.sweep.study.notes import LOST, METRICS, RETRIED, SURPLUS

# A trial that carries one of these has been replaced by another, or never was: it does not count.
UNCOUNTED = (LOST, RETRIED, SURPLUS)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of `n_trials`: running or ended, and not replaced by another."""
    return trial.state is not TrialState.WAITING and not any(mark in trial.user_attrs for mark in UNCOUNTED)


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


def sign(study: Study) -> int:
    """Return by what to multiply the first objective so that less is better."""
    return 1 if study.directions[0] is StudyDirection.MINIMIZE else -1


def best_of(study: Study, k: int) -> list[FrozenTrial]:
    """Return the `k` best complete trials of a search, no two of the same parameters; fewer if there are no more."""
    complete = filter(counts, study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]))
    different: dict[str, FrozenTrial] = {}
    for trial in sorted(complete, key=order(study)):
        different.setdefault(repr(sorted(trial.params.items())), trial)
    return list(different.values())[:k]
