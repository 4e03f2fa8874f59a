"""Which configuration is the best, which of its trainings becomes the winner, and how `selection.json` says so.

Only by what was measured on validation pictures. The test split ranks nothing here.
"""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir
from inksweep.sweep.engine import Target
from inksweep.sweep.grammar import bare
from inksweep.sweep.ledger import Ledger
from inksweep.sweep.marks import COPIES, STOP_RULES
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.study import counts, measured, order
from inksweep.sweep.trial import result

if TYPE_CHECKING:
    from inksweep.predictions import Predictions

log = logging.getLogger(__name__)

# The objective whose interval the stored answers tell.
ACCURACY = "val/accuracy"


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
class Candidate:
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


def sign(study: Study) -> int:
    """Return by what to multiply the first objective so that less is better."""
    return 1 if study.directions[0] is StudyDirection.MINIMIZE else -1


def rank(candidates: Sequence[Candidate], study: Study, sweep: SweepDir) -> list[Candidate]:
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

    def standing(candidate: Candidate) -> tuple[bool, int, float]:
        if not candidate.runs:
            return True, candidate.diverged, 0.0
        # As many digits as a mean of measurements has: what only the rounding tells apart is equal.
        return False, candidate.diverged, sign(study) * float(f"{candidate.mean:.12g}")

    ranked: list[Candidate] = []
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


def majorities(candidates: Sequence[Candidate], sweep: SweepDir) -> dict[int, Any] | None:
    """Return, by trial, which validation pictures the majority of the seeds has right, a bool each.

    None if a run has left no answers, or those are to other pictures.
    """
    answers = [_answers(candidate, sweep) for candidate in candidates]
    if not _are_comparable(*answers):
        return None
    return {candidate.trial.number: _majority(found) for candidate, found in zip(candidates, answers, strict=True)}


def _majority(answers: "Sequence[Predictions]") -> Any:
    """Return which pictures the majority of the trainings has right, a bool each."""
    from inksweep.significance import majority

    return majority([a.predicted for a in answers], [a.confidence for a in answers]) == answers[0].labels


def _answers(candidate: Candidate, sweep: SweepDir) -> "list[Predictions]":
    """Return what each training answered to the validation pictures; nothing if one of them has not left it."""
    from inksweep import predictions

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


def _are_comparable(*answers: "Sequence[Predictions]") -> bool:
    """Whether all are known, and are to the same pictures."""
    known = [one for found in answers for one in found]
    return all(answers) and all(
        len(one) == len(known[0]) and bool((one.labels == known[0].labels).all()) for one in known
    )


@dataclass(frozen=True)
class Choice:
    """What becomes the winner, and why."""

    # Of the search: whose configuration it is.
    trial: FrozenTrial
    # Whose weights are saved.
    model: Ran
    # Ranked; none if the search alone decided.
    candidates: list[Candidate] = field(default_factory=list)
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
    path = str(trial.user_attrs.get(COPIES, trial.number))
    seed = result(RunDir(sweep.root / path)).get("seed")
    return Ran(path, seed if isinstance(seed, int) else None, list(trial.values), measured(trial), trial)


def best_of(study: Study, k: int) -> list[FrozenTrial]:
    """Return the `k` best complete trials of a search, no two of the same parameters; fewer if there are no more."""
    complete = filter(counts, study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]))
    different: dict[str, FrozenTrial] = {}
    for trial in sorted(complete, key=order(study)):
        different.setdefault(repr(sorted(trial.params.items())), trial)
    return list(different.values())[:k]


def best_runs(runs: Sequence[Ran], study: Study) -> list[Ran]:
    """Return trainings of one configuration by their own objective on the validation split, the best first."""
    return sorted(runs, key=lambda run: sign(study) * run.values[0])


def selection(choice: Choice, study: Study, sweep: SweepDir, conf: WinnerConf, target: Target | None) -> dict[str, Any]:
    """Return the content of `selection.json`, but for the commands; the README describes it.

    Args:
        choice: what was chosen.
        study: of the search.
        sweep: its directory.
        conf: `hydra.sweeper.winner`.
        target: of the search.
    """
    states = Ledger(study).states
    said = result(RunDir(sweep.root / choice.model.path)).get("objective")
    name = said.get("name") if isinstance(said, dict) else None
    maximize = study.directions[0] is StudyDirection.MAXIMIZE
    return {
        "schema_version": 1,
        "study": study.study_name,
        "rule": "seeds" if choice.candidates else "search",
        "objective": {"name": name, "direction": "maximize" if maximize else "minimize"},
        "trials": {"complete": states["complete"], "pruned": states["pruned"], "failed": states["fail"]},
        "trial": choice.trial.number,
        "stop_rule": _stop_rule(study, target, name),
        "searched": {bare(key): value for key, value in choice.trial.params.items()},
        "candidates": _described(choice.candidates, name, sweep),
        # Whether it only stands in for what a final stage will decide.
        "interim": conf.runs_again and not choice.is_final,
        "full_data": choice.full_data,
        "retrained_with": choice.retrained_with,
        "model": {"path": choice.model.path, "seed": choice.model.seed},
        "members": [run.path for run in choice.members],
        "calibrate_on": choice.calibrate_on,
        "export": list(conf.export),
    }


def incumbents(study: Study) -> list[FrozenTrial]:
    """Return the trials that were the best so far when they completed, in that order."""
    complete = [trial for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]) if counts(trial)]
    key, found = order(study), list[FrozenTrial]()
    for trial in sorted(complete, key=lambda trial: (trial.datetime_complete, trial.number)):
        if not found or key(trial) < key(found[-1]):
            found.append(trial)
    return found


def remember_stop_rule(study: Study, target: Target) -> None:
    """Note in a study that this rule has looked at it: a later start may have another one, or none."""
    had, rule = study.user_attrs.get(STOP_RULES, []), asdict(target)
    if rule not in had[-1:]:
        study.set_user_attr(STOP_RULES, [*(one for one in had if one != rule), rule])


def stop_rule(study: Study, target: Target | None, objective: str | None) -> Target | None:
    """Return the stop rule to tell of, of those that the study has had; `target` is the present one.

    The last one. But one that looked at something else than the objective, by which the search ranks anyway, goes
    before one that did not: what it saw has made that metric of the winner look better than it is.
    """
    rules = [Target(**rule) for rule in study.user_attrs.get(STOP_RULES, [])] + ([] if target is None else [target])
    others = [rule for rule in rules if rule.metric not in (None, objective)]
    return next(reversed(others or rules), None)


def _stop_rule(study: Study, present: Target | None, objective: str | None) -> dict[str, Any] | None:
    """Return what the stop rule has seen: the metric of every incumbent, and whether the last one was good enough."""
    target, seen = stop_rule(study, present, objective), incumbents(study)
    if target is None:
        return None
    last = None if not seen else seen[-1].values[0] if target.metric is None else measured(seen[-1]).get(target.metric)
    return {
        "metric": target.metric or objective or "objective",
        "value": target.value,
        "looks": len(seen),
        "reached": last is not None and target.is_reached_by(last),
    }


def _described(candidates: Sequence[Candidate], objective: str | None, sweep: SweepDir) -> list[dict[str, Any]]:
    answers = [_answers(candidate, sweep) for candidate in candidates]
    return [
        {
            "trial": candidate.trial.number,
            "rank": place,
            "searched_objective": candidate.trial.values[0],
            "mean": candidate.mean,
            "std": candidate.std,
            **_compared(candidates[0], answers[0], candidate, found, objective),
            "runs": [
                {"path": run.path, "seed": run.seed, "objective": run.values[0], "metrics": run.metrics}
                for run in candidate.runs
            ],
            # Trainings that failed or diverged; it ranks behind those of which fewer diverged.
            "lost": candidate.lost,
            "diverged": candidate.diverged,
        }
        for place, (candidate, found) in enumerate(zip(candidates, answers, strict=True), start=1)
    ]


def _compared(
    first: Candidate,
    first_answers: "Sequence[Predictions]",
    candidate: Candidate,
    answers: "Sequence[Predictions]",
    objective: str | None,
) -> dict[str, Any]:
    """Return how sure a mean is, and its difference to that of the first candidate; null what is not known."""
    from inksweep.significance import Paired, bootstrap_difference, bootstrap_mean

    interval = p = difference = None
    if objective == ACCURACY and _are_comparable(answers):
        interval = list(bootstrap_mean([a.correct for a in answers]))
    if candidate is not first and _are_comparable(first_answers, answers):
        # By the majorities of the seeds: of the chance between seeds it knows nothing, as the difference does.
        p = Paired.of(_majority(first_answers), _majority(answers)).p
        if objective == ACCURACY:
            ends = bootstrap_difference([a.correct for a in first_answers], [a.correct for a in answers])
            difference = {"mean": candidate.mean - first.mean, "interval": list(ends)}
    return {"interval": interval, "p": p, "difference": difference}
