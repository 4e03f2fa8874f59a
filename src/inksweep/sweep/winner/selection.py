"""Fills `selection.json` (runs/selection.py): how a winner was chosen, by what measurements and how sure that is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.paths import RunDir, SweepDir
from inksweep.runs import result
from inksweep.runs.selection import (
    SEARCH,
    SEEDS,
    Candidate,
    Difference,
    Interval,
    Model,
    RankedBy,
    Selection,
    StopRule,
    Training,
    Trials,
)
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.space.grammar import bare
from inksweep.sweep.stopping import Target, stop_rule
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.trials import counts, measured, order
from inksweep.sweep.winner import choice as choices
from inksweep.sweep.winner.choice import Choice, answers_of, are_comparable, majority_of
from inksweep.sweep.winner.full_data import ACCURACY

if TYPE_CHECKING:
    from inksweep.runs.predictions import Predictions

    # A candidate, and what each of its trainings answered.
    Answered = tuple[choices.TrainedAgain, Sequence[Predictions]]


def describe(choice: Choice, study: Study, sweep: SweepDir, conf: WinnerConf, target: Target | None) -> Selection:
    """Return how a winner was chosen, but for the commands that train it again.

    Args:
        choice: what was chosen.
        study: of the search.
        sweep: its directory.
        conf: `hydra.sweeper.winner`.
        target: of the search.
    """
    states = Ledger(study).states
    objectives = result.read_or_empty(RunDir(sweep.root / choice.model.path).result).objectives
    name = objectives[0].name if objectives else None
    maximize = study.directions[0] is StudyDirection.MAXIMIZE
    return Selection(
        study=study.study_name,
        rule=SEEDS if choice.candidates else SEARCH,
        objective=RankedBy(name, "maximize" if maximize else "minimize"),
        trials=Trials(states["complete"], states["pruned"], states["fail"]),
        trial=choice.trial.number,
        stop_rule=_stop_rule(study, target, name),
        searched={bare(key): value for key, value in choice.trial.params.items()},
        candidates=_candidates(choice.candidates, name, sweep),
        interim=conf.runs_again and not choice.is_final,
        full_data=choice.full_data,
        retrained_with=choice.retrained_with,
        model=Model(choice.model.path, choice.model.seed),
        members=[run.path for run in choice.members],
        calibrate_on=choice.calibrate_on,
        export=list(conf.export),
        commands=[],
    )


def incumbents(study: Study) -> list[FrozenTrial]:
    """Return the trials that were the best so far when they completed, in that order."""
    complete = [trial for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]) if counts(trial)]
    key, found = order(study), list[FrozenTrial]()
    for trial in sorted(complete, key=lambda trial: (trial.datetime_complete, trial.number)):
        if not found or key(trial) < key(found[-1]):
            found.append(trial)
    return found


def _stop_rule(study: Study, present: Target | None, objective: str | None) -> StopRule | None:
    """Return what the stop rule has seen: the metric of every incumbent, and whether the last one was good enough."""
    target, seen = stop_rule(study, present, objective), incumbents(study)
    if target is None:
        return None
    last = None if not seen else seen[-1].values[0] if target.metric is None else measured(seen[-1]).get(target.metric)
    return StopRule(
        metric=target.metric or objective or "objective",
        value=target.value,
        looks=len(seen),
        reached=last is not None and target.is_reached_by(last),
    )


def _candidates(ranked: Sequence[choices.TrainedAgain], objective: str | None, sweep: SweepDir) -> list[Candidate]:
    answers = [answers_of(candidate, sweep) for candidate in ranked]
    return [
        Candidate(
            trial=candidate.trial.number,
            rank=rank,
            searched_objective=candidate.trial.values[0],
            mean=candidate.mean,
            std=candidate.std,
            interval=_interval(given, objective),
            p=None if rank == 1 else _p(answers[0], given),
            difference=None if rank == 1 else _difference((ranked[0], answers[0]), (candidate, given), objective),
            runs=[Training(run.path, run.seed, run.values[0], run.metrics) for run in candidate.runs],
            lost=candidate.lost,
            diverged=candidate.diverged,
        )
        for rank, (candidate, given) in enumerate(zip(ranked, answers, strict=True), start=1)
    ]


def _interval(answers: "Sequence[Predictions]", objective: str | None) -> Interval | None:
    """Return the 95 % interval of a candidate's mean; None: the answers do not tell it."""
    from inksweep.significance import bootstrap_mean

    if objective != ACCURACY or not are_comparable(answers):
        return None
    return bootstrap_mean([given.correct for given in answers])


def _p(first: "Sequence[Predictions]", answers: "Sequence[Predictions]") -> float | None:
    """Return McNemar's p of a candidate against the first one; None: they were not asked the same pictures."""
    from inksweep.significance import Paired

    if not are_comparable(first, answers):
        return None
    # By the majorities of the seeds: the chance between seeds is in the difference only.
    return Paired.of(majority_of(first), majority_of(answers)).p


def _difference(first: "Answered", other: "Answered", objective: str | None) -> Difference | None:
    """Return how far a candidate's mean is from that of the first one; None: the answers do not tell it."""
    from inksweep.significance import bootstrap_difference

    if objective != ACCURACY or not are_comparable(first[1], other[1]):
        return None
    ends = bootstrap_difference([given.correct for given in first[1]], [given.correct for given in other[1]])
    return Difference(other[0].mean - first[0].mean, ends)
