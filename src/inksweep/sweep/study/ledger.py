"""What a study holds, kept up to date trial by trial: a look costs the same at any trial."""

import bisect
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from inksweep.sweep.study.notes import COPIES, ENDED_WITH_SWEEP, REASON
from inksweep.sweep.study.trials import counts, is_as_good, order, point

STATES = ("complete", "pruned", "fail", "running", "waiting", "lost")
# Trials whose duration is kept for estimates.
RECENT = 100


class Ledger:
    """A study's trials in numbers. Those that have ended never change, so each is read once.

    Args:
        study: `look` brings this up to date with it.
    """

    def __init__(self, study: Study):
        self.study = study
        # Trials that have not ended, as last seen.
        self.open: list[FrozenTrial] = []
        self.best: FrozenTrial | None = None
        # Of all trials that have ended, in seconds; and the latest of those that were run.
        self.seconds = 0.0
        self.durations: list[float] = []
        # Trials that were not run, because their points were known.
        self.copied = 0
        self._order = order(study)
        self._seen = 0
        self._counted: list[int] = []
        self._ended: Counter[str] = Counter()
        self._certain: dict[str, FrozenTrial] = {}
        # When the trials ended that could have been better than those before, sorted; and when each point of the front
        # was first reached, by its values with less as better.
        self._tried: list[tuple[datetime, int]] = []
        self._front: dict[tuple[float, ...], tuple[datetime, int]] = {}
        self.look()

    def look(self) -> None:
        """Read what is new."""
        trials = self.study.get_trials(deepcopy=False)
        unread = [*(trials[trial.number] for trial in self.open), *trials[self._seen :]]
        self._seen, self.open = len(trials), []
        for trial in unread:
            if trial.state.is_finished():
                self._enter(trial)
            else:
                self.open.append(trial)

    @property
    def finished(self) -> int:
        """How many trials have ended and count."""
        return len(self._counted)

    @property
    def since_better(self) -> int:
        """How many trials have ended since the best one, or of several objectives the Pareto front, last changed.

        In the order in which they ended, whoever ran them, so that it is the same for a later start. Complete and
        pruned ones; not those that failed or that were stopped because a search ended. 0 before the first complete one.
        """
        if not self._front:
            return 0
        return len(self._tried) - bisect.bisect_right(self._tried, max(self._front.values()))

    @property
    def running(self) -> list[FrozenTrial]:
        """The trials that run, of all processes."""
        return [trial for trial in self.open if trial.state is TrialState.RUNNING]

    @property
    def states(self) -> dict[str, int]:
        """How many trials are in each state; `lost`: those that do not count, because others take their place."""
        now = self._ended + Counter(trial.state.name.lower() for trial in self.open)
        return {state: now[state] for state in STATES}

    def before(self, number: int) -> int:
        """Return how many trials that count have a smaller number."""
        return bisect.bisect_left(self._counted, number) + sum(trial.number < number for trial in self.running)

    def known(self, parameters: Mapping[str, Any]) -> FrozenTrial | None:
        """Return a trial that had these parameters, and whose result is certain."""
        return self._certain.get(point(parameters))

    def _enter(self, trial: FrozenTrial) -> None:
        if not counts(trial):
            self._ended["lost"] += 1
            return
        self._ended[trial.state.name.lower()] += 1
        bisect.insort(self._counted, trial.number)
        is_complete = trial.state is TrialState.COMPLETE
        if is_complete and (self.best is None or self._order(trial) < self._order(self.best)):
            self.best = trial
        if is_complete or (trial.state is TrialState.PRUNED and trial.user_attrs.get(REASON) != ENDED_WITH_SWEEP):
            self._try(trial)
        if COPIES in trial.user_attrs:
            self.copied += 1
            return
        if is_complete or trial.user_attrs.get(REASON) == "diverged":
            self._certain.setdefault(point(trial.params), trial)
        if trial.duration is not None:
            self.seconds += trial.duration.total_seconds()
            self.durations = [*self.durations[1 - RECENT :], trial.duration.total_seconds()]

    def _try(self, trial: FrozenTrial) -> None:
        """Note when a trial ended, and what it changes of the front."""
        assert trial.datetime_complete is not None
        moment = (trial.datetime_complete, trial.number)
        bisect.insort(self._tried, moment)
        if trial.state is not TrialState.COMPLETE:
            return
        losses = self._order(trial)[:-1]
        if any(is_as_good(best, losses) for best in self._front if best != losses):
            return
        # Trials are not read in the order in which they ended.
        moment = min(moment, self._front.get(losses, moment))
        self._front = {best: at for best, at in self._front.items() if not is_as_good(losses, best)}
        self._front[losses] = moment
