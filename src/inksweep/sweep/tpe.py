"""The sampler behind `hydra/sweeper/sampler=tpe_joint`: Optuna's TPE, which looks at a bounded number of trials.

TPE goes through all trials of a study, once for each group of parameters, whenever it is asked: at trial 5,000 that
takes several times as long as all else that a sweep does for a trial. Of its two densities that of the good trials
holds at most 25 of them; that of the others needs no thousands, and counts older ones less.
"""

import heapq
from collections.abc import Container
from copy import copy
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

# Trials that Optuna's TPE takes for good ones, at most.
GOOD = 25
SEEN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class JointTPESampler(TPESampler):
    """TPE over the best trials and the latest ones; with fewer than `considered` trials it is Optuna's own.

    Args:
        considered: the number of trials; None: all, as Optuna does. Of several objectives all are.
        options: those of Optuna's TPESampler.
    """

    def __init__(self, *, considered: int | None = 500, **options: Any) -> None:
        if considered is not None and considered < 2 * GOOD:
            raise ValueError(f"considered={considered}: must be at least {2 * GOOD}, or null")
        super().__init__(**options)
        self.considered, self._is_grouped = considered, bool(options.get("group"))
        self._number = -1
        self._view: Study | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are sampled together."""
        bounded = self._bounded(study, trial)
        if isinstance(bounded, _Bounded) and self._is_grouped:
            bounded = bounded.of_each_branch()
        return super().infer_relative_search_space(bounded, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return their values."""
        return super().sample_relative(self._bounded(study, trial), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a parameter that no trial had before."""
        return super().sample_independent(self._bounded(study, trial), trial, param_name, param_distribution)

    def _bounded(self, study: Study, trial: FrozenTrial) -> Study:
        """Return what of the study is looked at for `trial`, chosen once."""
        if self.considered is None or len(study.directions) > 1:
            return study
        if self._view is None or self._number != trial.number:
            self._number, self._view = trial.number, _Bounded(study, trial, self.considered)
        return self._view


class _Bounded(Study):
    """A study of which only some trials, and not `trial`, are shown to a sampler; all else is that of the whole one."""

    def __init__(self, study: Study, trial: FrozenTrial, limit: int) -> None:
        vars(self).update(vars(study))
        sign = -1 if study.direction is StudyDirection.MAXIMIZE else 1
        others = [other for other in study.get_trials(deepcopy=False, states=SEEN) if other.number != trial.number]
        self._shown = considered(others, limit, sign)

    def of_each_branch(self) -> "_Bounded":
        """Return the same with one trial for each set of parameters: groups are made of these sets alone."""
        first: dict[frozenset[str], FrozenTrial] = {}
        for trial in self._shown:
            if trial.state is not TrialState.RUNNING:
                first.setdefault(frozenset(trial.distributions), trial)
        study = copy(self)
        study._shown = list(first.values())
        return study

    # Private: how Optuna's samplers read a study. Under another name they would see the whole of it, and be slower.
    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


def considered(trials: list[FrozenTrial], limit: int, sign: int) -> list[FrozenTrial]:
    """Return the best `GOOD` complete trials and the latest others, `limit` together, in their order.

    Args:
        trials: by number.
        limit: how many.
        sign: by which to multiply a value so that less is better.
    """
    if len(trials) <= limit:
        return trials
    complete = (trial for trial in trials if trial.state is TrialState.COMPLETE)
    best = {trial.number for trial in heapq.nsmallest(GOOD, complete, key=lambda trial: sign * (trial.value or 0.0))}
    others = [trial for trial in trials if trial.number not in best][len(best) - limit :]
    latest = {trial.number for trial in others}
    return [trial for trial in trials if trial.number in best or trial.number in latest]
