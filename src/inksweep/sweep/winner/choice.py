"""Which configuration is the best, and which of its trainings becomes the winner.

Only by what was measured on validation pictures. The test split ranks nothing here.
"""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir
from inksweep.runs import result
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.study.notes import COPIES
from inksweep.sweep.study.trials import best_of, measured, sign

if TYPE_CHECKING:
    from inksweep.runs.predictions import Predictions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ran:
    """A training that completed: a trial of the search, or one of the final stage."""

    # Its folder, relative to the sweep directory.
    path: str
    # None: of a search whose seeds nobody asked for.
    seed: int | None
    values: list[float]
    metrics: dict[str, float]
    # In its own study.
    trial: FrozenTrial


@dataclass(frozen=True)
class TrainedAgain:
    """A configuration of the search that was trained again."""

    # In the search.
    trial: FrozenTrial
    runs: list[Ran]
    # Trainings of it that did not complete; of these, those that it ended itself, since it diverged.
    lost: int = 0
    diverged: int = 0

    @property
    def mean(self) -> float:
        """Mean of the (first) objective."""
        return statistics.fmean(run.values[0] for run in self.runs)

    @property
    def std(self) -> float:
        """Standard deviation of the objective from one seed to another, 0 for one seed."""
        return statistics.stdev(run.values[0] for run in self.runs) if len(self.runs) > 1 else 0.0


def rank(candidates: Sequence[TrainedAgain], study: Study, sweep: SweepDir) -> list[TrainedAgain]:
    """Return the candidates, the best first.

    Those come first of which no training diverged, then by the mean of those that completed: that a machine was out of
    memory says nothing of a configuration. Of equal means, who is right more often on the validation pictures on which
    only one of them is (McNemar), each of their pictures answered by the majority of the seeds; where that is not
    known, or equal, the order of the search.

    Args:
        candidates: in the order of the search.
        study: of the search.
        sweep: where the trainings lie.
    """

    def standing(candidate: TrainedAgain) -> tuple[bool, int, float]:
        if not candidate.runs:
            return True, candidate.diverged, 0.0
        # As many digits as a mean of measurements has: what only the rounding tells apart is equal.
        return False, candidate.diverged, sign(study) * float(f"{candidate.mean:.12g}")

    ranked: list[TrainedAgain] = []
    # sorted() keeps the order of the search among equals.
    for _, group in groupby(sorted(candidates, key=standing), key=standing):
        equals = list(group)
        right = majorities(equals, sweep) if len(equals) > 1 else None
        if right is not None:
            # On the same pictures, more right in all is more right where they differ.
            totals = {candidate.trial.number: -int(right[candidate.trial.number].sum()) for candidate in equals}
            equals.sort(key=lambda candidate: totals[candidate.trial.number])
        ranked += equals
    return ranked


def majorities(candidates: Sequence[TrainedAgain], sweep: SweepDir) -> dict[int, Any] | None:
    """Return, by trial, which validation pictures the majority of the seeds has right, a bool each.

    None if a run has left no answers, or those are to other pictures.
    """
    given = [answers_of(candidate, sweep) for candidate in candidates]
    if not are_comparable(*given):
        return None
    return {candidate.trial.number: majority_of(found) for candidate, found in zip(candidates, given, strict=True)}


def majority_of(answers: "Sequence[Predictions]") -> Any:
    """Return which pictures the majority of the trainings has right, a bool each."""
    from inksweep.significance import majority

    return majority([a.predicted for a in answers], [a.confidence for a in answers]) == answers[0].labels


def answers_of(candidate: TrainedAgain, sweep: SweepDir) -> "list[Predictions]":
    """Return what each training answered to the validation pictures; nothing if one of them has not left it."""
    from inksweep.runs import predictions

    found: list[Predictions] = []
    for run in candidate.runs:
        try:
            splits = predictions.load(RunDir(sweep.root / run.path).predictions)
        except InputError as error:
            log.warning("%s: it is compared by its objective only", error)
            return []
        if "val" not in splits:
            return []
        found.append(splits["val"])
    return found


def are_comparable(*answers: "Sequence[Predictions]") -> bool:
    """Whether all are known, and are to the same pictures."""
    all_runs = [run for runs in answers for run in runs]
    return all(answers) and all(
        len(run) == len(all_runs[0]) and bool((run.labels == all_runs[0].labels).all()) for run in all_runs
    )


@dataclass(frozen=True)
class Choice:
    """What becomes the winner, and why."""

    # Of the search: whose configuration it is.
    trial: FrozenTrial
    # Whose weights are saved.
    model: Ran
    # Ranked; none if the search alone decided.
    candidates: list[TrainedAgain] = field(default_factory=list)
    # Of an ensemble.
    members: list[Ran] = field(default_factory=list)
    # Whether the model was trained on all data.
    full_data: bool = False
    # A training of the same configuration to which the validation pictures are new, if they are not to the model; of an
    # ensemble as many, if there are.
    calibrate_on: str | list[str] | None = None
    # Settings with which it was trained on all data, where the search had others.
    retrained_with: dict[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether a final stage decided, or trained the model."""
        return bool(self.candidates) or self.full_data

    @property
    def trainings(self) -> list[Ran]:
        """All trainings that the winner is made of."""
        return self.members or [self.model]


def of_search(study: Study, conf: WinnerConf, sweep: SweepDir) -> Choice | None:
    """Return what the search alone decides: its best trial, of an ensemble the best ones; None if none is complete."""
    best = [_searched(trial, sweep) for trial in best_of(study, max(1, conf.ensemble))]
    if not best:
        return None
    members = best if len(best) > 1 and conf.seeds == 0 and not conf.full_data else []
    return Choice(best[0].trial, best[0], members=members)


def _searched(trial: FrozenTrial, sweep: SweepDir) -> Ran:
    run = sweep.trial(trial.user_attrs.get(COPIES, trial.number))
    seed = result.read_or_empty(run.result).seed
    return Ran(run.root.relative_to(sweep.root).as_posix(), seed, list(trial.values), measured(trial), trial)


def best_runs(runs: Sequence[Ran], study: Study) -> list[Ran]:
    """Return trainings of one configuration by their own objective on the validation split, the best first."""
    return sorted(runs, key=lambda run: sign(study) * run.values[0])
