"""The trials of a study: which count, which is better, and which are of the same point."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.sweep.study.notes import LOST, METRICS, QUEUED_TWICE, RETRIED, SURPLUS

# A trial that carries one of these has been replaced by another, or never was: it does not count.
UNCOUNTED = (LOST, RETRIED, SURPLUS, QUEUED_TWICE)
# Where Optuna keeps the point that `Study.enqueue_trial` was given; it has no public name. Under another name, points
# would be queued twice, and a trial that died before it was suggested anything would be repeated with other values.
_QUEUED_POINT = "fixed_params"


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of `n_trials`: running or ended, and not replaced by another."""
    return trial.state is not TrialState.WAITING and not any(note in trial.user_attrs for note in UNCOUNTED)


def queued_point(trial: FrozenTrial) -> dict[str, Any] | None:
    """Return the point with which a trial was queued; None: its values are the sampler's."""
    return trial.system_attrs.get(_QUEUED_POINT)


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
    of_trial = losses(study)
    return lambda trial: (*of_trial(trial), trial.number)


def losses(study: Study) -> Callable[[FrozenTrial], tuple[float, ...]]:
    """Return what makes the values of a complete trial such that less is better, whatever the directions are."""
    signs = _signs(study)
    return lambda trial: tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))


def sign(study: Study) -> int:
    """Return by what to multiply the first objective so that less is better."""
    return _signs(study)[0]


def _signs(study: Study) -> list[int]:
    return [1 if direction is StudyDirection.MINIMIZE else -1 for direction in study.directions]


def is_as_good(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one trial is at least as good as another in every objective, by their `losses`."""
    return all(loss <= of_other for loss, of_other in zip(one, other, strict=True))


def point(parameters: Mapping[str, Any]) -> str:
    """Return the identity of a point: one text for the same values in any order; 1, 1.0 and True are three values."""
    return json.dumps(parameters, sort_keys=True, default=str)


def best_of(study: Study, k: int | None) -> list[FrozenTrial]:
    """Return the `k` best complete trials, no two of the same point; fewer if there are no more. None: all."""
    complete = filter(counts, study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]))
    different: dict[str, FrozenTrial] = {}
    for trial in sorted(complete, key=order(study)):
        different.setdefault(point(trial.params), trial)
    return list(different.values())[:k]
