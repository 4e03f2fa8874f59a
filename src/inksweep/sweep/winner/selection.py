"""The content of `selection.json`: how the winner was chosen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.paths import RunDir, SweepDir
from inksweep.runs import result
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.space.grammar import bare
from inksweep.sweep.stopping import Target
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.trials import counts, measured, order

if TYPE_CHECKING:
    from inksweep.runs.predictions import Predictions
from inksweep.sweep.stopping import stop_rule
from inksweep.sweep.winner.choice import ACCURACY, Candidate, Choice, answers_of, are_comparable, majority_of


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
    objectives = result.read_or_empty(RunDir(sweep.root / choice.model.path).result).objectives
    name = objectives[0].name if objectives else None
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
    answers = [answers_of(candidate, sweep) for candidate in candidates]
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
    if objective == ACCURACY and are_comparable(answers):
        interval = list(bootstrap_mean([a.correct for a in answers]))
    if candidate is not first and are_comparable(first_answers, answers):
        # By the majorities of the seeds: of the chance between seeds it knows nothing, as the difference does.
        p = Paired.of(majority_of(first_answers), majority_of(answers)).p
        if objective == ACCURACY:
            ends = bootstrap_difference([a.correct for a in first_answers], [a.correct for a in answers])
            difference = {"mean": candidate.mean - first.mean, "interval": list(ends)}
    return {"interval": interval, "p": p, "difference": difference}
