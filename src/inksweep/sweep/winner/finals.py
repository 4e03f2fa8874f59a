"""The final stage of a search: which trainings it is made of, what of them there is, and which one comes next.

A search's best trial is partly luck. So its best configurations are trained again, on new seeds, as the trials of a
study of their own, which is run, repaired and resumed like that of the search. What follows from it: `choice.py`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from inksweep.sweep.progress.summary import Report
from inksweep.sweep.progress.wording import verdict
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.notes import COPIES, FINAL, OWNER, REASON
from inksweep.sweep.study.repair import end
from inksweep.sweep.study.trials import best_of, counts, measured
from inksweep.sweep.winner.choice import Choice, Ran, TrainedAgain, best_runs, rank
from inksweep.sweep.winner.configurations import MOST, Configurations, Training
from inksweep.sweep.winner.full_data import LENGTH


def described(conf: WinnerConf, trials: int) -> str:
    """Return how many trainings the final stage of a search of at most `trials` is made of."""
    best = min(conf.top_k, trials)
    again = f"the best {best} of the search on {conf.seeds} new seeds each, at most {best * conf.seeds} trainings"
    on_all = f"the chosen configuration on all data, {_on_all(conf)} more"
    return ", then ".join([again] * (conf.seeds > 0) + [on_all] * conf.full_data)


def _on_all(conf: WinnerConf) -> int:
    return conf.ensemble if conf.full_data else 0


def digest(definition: Mapping[str, str], seed_key: str) -> str:
    """Return what tells the trainings of one search from those of another under the same name, in short."""
    return _digest([definition, seed_key])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Finals:
    """The trainings of one search's final stage, and the study that holds them.

    Args:
        search: the study of the search.
        study: that of the final stage.
        conf: `hydra.sweeper.winner`.
        configurations: of the search.
        search_digest: of what it is a search; trainings of another one do not count.
    """

    def __init__(
        self, search: Study, study: Study, conf: WinnerConf, configurations: Configurations, search_digest: str
    ):
        self.search, self.study, self.conf = search, study, conf
        self.configurations, self.digest = configurations, search_digest
        self.sweep = configurations.sweep
        # What fails from here on has failed in this start, and is left alone until the next one.
        self._first = len(study.get_trials(deepcopy=False))
        self._wanted: list[Training] = []

    def missing(self) -> list[Training]:
        """Look what the search has come to; return the trainings that are still to be waited for, or to be run.

        Those on all data are not known before the others are there.
        """
        again, settled = self._again(), self._settled()
        self._wanted = again
        if self.conf.full_data and settled.issuperset(again) and (chosen := self.chosen()) is not None:
            base = self.configurations.seed(chosen)
            self._wanted = again + [
                Training(chosen.number, base + 1 + index, full=True) for index in range(_on_all(self.conf))
            ]
        return [training for training in self._wanted if training not in settled]

    def retire(self) -> None:
        """Take out of the queue what is wanted no more."""
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.WAITING]):
            if Training.of(trial) not in self._wanted:
                end(self.study, trial, TrialState.FAIL, {REASON: "no longer wanted"})

    def size(self) -> int:
        """Return how many trials the study is to hold once nothing is missing."""
        ledger, trials = Ledger(self.study), self.study.get_trials(deepcopy=False)
        waiting = sum(trial.state is TrialState.WAITING for trial in trials)
        return ledger.finished + len(ledger.running) + waiting + len(self._unbegun())

    def next(self) -> Training:
        """Return the training to begin with now; when all have been begun, one of them."""
        return (self._unbegun() or self._wanted)[0]

    def overrides(self, trial: Trial) -> list[str]:
        """Suggest which training `trial` is; return the overrides of its job."""
        number, seed, full = (trial.suggest_int(name, 0, MOST) for name in ("trial", "seed", "full"))
        searched = self.search.get_trials(deepcopy=False)[number]
        trial.set_user_attr(FINAL, self.digest_of(searched))
        return self.configurations.job(searched, Training(number, seed, bool(full)))

    def digest_of(self, trial: FrozenTrial) -> str:
        """Return what tells the trainings of a trial from those of another search, or of another trial of its number.

        A study that was begun anew under the old name has the same numbers.
        """
        return f"{self.digest}-{_digest(trial.params)}"

    def candidates(self) -> list[TrainedAgain]:
        """Return the configurations that were trained again, the best first."""
        ran, ended = self.ran(), self._ended()
        again = []
        for trial in best_of(self.search, self.conf.top_k):
            wanted = self._seeds(trial)
            runs = [ran[training] for training in wanted if training in ran]
            lost = [training for training in wanted if training not in ran]
            # What has ended without an objective ended itself: it diverged. The others failed.
            again.append(TrainedAgain(trial, runs, len(lost), sum(training in ended for training in lost)))
        return rank(again, self.search, self.sweep)

    def chosen(self) -> FrozenTrial | None:
        """Return the trial of the search whose configuration is the best; None if none could be trained again."""
        if self.conf.seeds == 0:
            return next(iter(best_of(self.search, 1)), None)
        best = next((candidate for candidate in self.candidates() if candidate.runs), None)
        return None if best is None else best.trial

    def on_all(self, trial: FrozenTrial) -> list[Ran]:
        """Return the trainings of `trial` on all data, by their seeds."""
        ran = self.ran()
        base = self.configurations.seed(trial)
        wanted = [Training(trial.number, base + 1 + index, full=True) for index in range(_on_all(self.conf))]
        return [ran[training] for training in wanted if training in ran]

    def choice(self) -> Choice | None:
        """Return what the final stage decides; None if no training came to an end that would do for a winner."""
        chosen = self.chosen()
        if chosen is None:
            return None
        candidates = [candidate for candidate in self.candidates() if candidate.runs] if self.conf.seeds else []
        completed = [
            run for candidate in candidates if candidate.trial.number == chosen.number for run in candidate.runs
        ]
        runs, size = best_runs(completed, self.search), self.conf.ensemble
        if full := self.on_all(chosen):
            # The model was trained on the validation pictures, so another run calibrates it.
            others = [run.path for run in runs[: len(full)]]
            if not others:
                searched = self.sweep.trial(chosen.user_attrs.get(COPIES, chosen.number)).root
                others = [searched.relative_to(self.sweep.root).as_posix()]
            return Choice(
                chosen,
                full[0],
                candidates,
                full if len(full) > 1 else [],
                full_data=True,
                calibrate_on=others if len(others) > 1 else others[0],
                retrained_with={key: LENGTH[key] for key in self.configurations.otherwise(chosen)},
            )
        if not runs:
            return None
        return Choice(chosen, runs[0], candidates, runs[:size] if min(size, len(runs)) > 1 else [])

    def ran(self) -> dict[Training, Ran]:
        """Return what came of the trainings that completed."""
        found: dict[Training, Ran] = {}
        for trial in self._counted():
            training = Training.of(trial)
            if trial.state is TrialState.COMPLETE and training is not None:
                folder = self.sweep.finals.trial(trial.user_attrs.get(COPIES, trial.number)).root
                path = folder.relative_to(self.sweep.root).as_posix()
                found.setdefault(training, Ran(path, training.seed, list(trial.values), measured(trial), trial))
        return found

    def has_others(self) -> bool:
        """Whether the study holds trainings of another search, whose results say nothing of this one."""
        trials = [trial for trial in self.study.get_trials(deepcopy=False) if FINAL in trial.user_attrs]
        return len(self._mine(trials)) < len(trials)

    @property
    def total(self) -> int:
        """How many trainings are known to be wanted."""
        return len(self._wanted)

    @property
    def done(self) -> int:
        """How many of these have ended, and are not to be tried again."""
        ended = self._ended()
        return sum(training in ended for training in self._wanted)

    def not_on_all(self) -> list[str]:
        """Return the trainings on all data that did not complete, with what came of them."""
        ran, last = self.ran(), {Training.of(trial): trial for trial in self._counted()}
        missing = [training for training in self._wanted if training.full and training not in ran]
        return [f"{training}: {verdict(last[training])}" for training in missing if training in last]

    def failed(self) -> list[Training]:
        """Return the wanted trainings that failed in this start, and have not come to a better end."""
        failed = {Training.of(trial) for trial in self._counted() if self._has_failed_now(trial)} - set(self.ran())
        return [training for training in self._wanted if training in failed]

    def _again(self) -> list[Training]:
        return [training for trial in best_of(self.search, self.conf.top_k) for training in self._seeds(trial)]

    def _seeds(self, trial: FrozenTrial) -> list[Training]:
        if self.conf.seeds == 0:
            return []
        base = self.configurations.seed(trial)
        return [Training(trial.number, base + 1 + index) for index in range(self.conf.seeds)]

    def _counted(self) -> list[FrozenTrial]:
        return [trial for trial in self._mine(self.study.get_trials(deepcopy=False)) if counts(trial)]

    def _mine(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return those that trained a trial of this search, with the parameters that it has now."""
        searched = self.search.get_trials(deepcopy=False)

        def is_mine(trial: FrozenTrial) -> bool:
            training = Training.of(trial)
            if training is None or training.trial >= len(searched):
                return False
            return bool(trial.user_attrs.get(FINAL) == self.digest_of(searched[training.trial]))

        return [trial for trial in trials if is_mine(trial)]

    def _ended(self) -> set[Training | None]:
        """Return the trainings that completed or diverged: they would do so again."""
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return {Training.of(trial) for trial in self._counted() if trial.state in states}

    def _settled(self) -> set[Training | None]:
        """Return the trainings whose end is known: these, and those that have just failed."""
        return self._ended() | {Training.of(trial) for trial in self._counted() if self._has_failed_now(trial)}

    def _has_failed_now(self, trial: FrozenTrial) -> bool:
        return trial.state is TrialState.FAIL and trial.number >= self._first and OWNER in trial.user_attrs

    def _unbegun(self) -> list[Training]:
        trials = self.study.get_trials(deepcopy=False, states=[TrialState.WAITING, TrialState.RUNNING])
        taken = self._settled() | {Training.of(trial) for trial in trials}
        return [training for training in self._wanted if training not in taken]


class FinalsSampler(BaseSampler):
    """Suggests the trainings of a final stage, one after the other."""

    def __init__(self, finals: Finals):
        self.finals = finals

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that a trial of the final stage has."""
        return {name: IntDistribution(0, MOST) for name in ("trial", "seed", "full")}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the next training."""
        return dict(self.finals.next().parameters)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Nothing is left to suggest."""
        raise AssertionError(param_name)


class FinalsReport(Report):
    """Tells of the trainings of a final stage, a line each."""

    trials = "trainings of the final stage"

    def line(self, trial: FrozenTrial, seconds: float) -> str:
        """Return a training as one line."""
        known = f", known from run {trial.user_attrs[COPIES]}" if COPIES in trial.user_attrs else f", {seconds:.1f} s"
        return f"final run {trial.number}: {Training.of(trial)}: {verdict(trial)}{known}"
