"""A search and its final stage in memory: what each trial answered is given, nothing is trained."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import optuna
from omegaconf import OmegaConf
from optuna.distributions import IntDistribution
from optuna.study import Study
from optuna.trial import Trial, TrialState

from inksweep.paths import RunDir, SweepDir
from inksweep.runs import predictions
from inksweep.runs.predictions import Predictions
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.space.declare import declare
from inksweep.sweep.study.notes import FINAL, METRICS, OWNER, REASON
from inksweep.sweep.winner.configurations import Configurations, Training
from inksweep.sweep.winner.finals import Finals, FinalsSampler

# Which answers of a run are right: to the validation pictures, to the test pictures.
Answers = tuple[Sequence[bool], Sequence[bool]]
LABELS = 7


def answered(right: Sequence[bool], labels: int = LABELS) -> Predictions:
    """Return answers to pictures of one class, of which those are right."""
    is_right = np.asarray(right, dtype=bool)
    return Predictions(np.full(len(right), labels), np.where(is_right, labels, 1), np.full(len(right), 0.9))


def leave(run: RunDir, val: Sequence[bool], test: Sequence[bool], *, labels: int = LABELS) -> dict[str, float]:
    """Write what a run leaves; return its metrics."""
    metrics = {"val/accuracy": float(np.mean(val)), "test/accuracy": float(np.mean(test))}
    run.root.mkdir(parents=True)
    value = {"name": "val/accuracy", "value": metrics["val/accuracy"]}
    run.result.write_text(json.dumps({"objective": value, "metrics": metrics, "seed": 1}))
    predictions.save(run.predictions, {"val": answered(val, labels), "test": answered(test)})
    return metrics


def told(study: Study, trial: Trial, metrics: dict[str, float]) -> None:
    trial.set_user_attr(METRICS, metrics)
    study.tell(trial, metrics["val/accuracy"])


def search(root: Path, answers: Sequence[Answers]) -> tuple[SweepDir, Study]:
    """Return a search whose trial i answered `answers[i]`."""
    sweep, study = SweepDir(root), optuna.create_study(direction="maximize", study_name="night")
    for x, (val, test) in enumerate(answers):
        study.enqueue_trial({"x": x})
        trial = study.ask({"x": IntDistribution(0, 99)})
        told(study, trial, leave(sweep.trial(x), val, test))
    return sweep, study


def finals(sweep: SweepDir, study: Study, conf: WinnerConf) -> Finals:
    """Return the final stage of a search, not begun."""
    config = OmegaConf.create({"x": 0, "seed": 1})
    configurations = Configurations(sweep, declare({"x": "range(0,100)"}, None), config, "seed")
    later = optuna.create_study(direction=study.direction, study_name="night.finalists")
    later.set_user_attr(FINAL, True)
    found = Finals(study, later, conf, configurations, "this search")
    later.sampler = FinalsSampler(found)
    return found


def train(final: Finals, answers: Callable[[Training], Answers | str | None], *, most: int = 100) -> list[Training]:
    """Train what is missing, one after the other; without answers it fails, or, said so, diverges.

    Return what was trained.
    """
    trained: list[Training] = []
    while final.missing() and len(trained) < most:
        trial = final.study.ask()
        trial.set_user_attr(OWNER, {"id": "me"})
        final.overrides(trial)
        training = Training.of(final.study.get_trials()[trial.number])
        assert training is not None
        trained.append(training)
        given = answers(training)
        if given is None:
            final.study.tell(trial, state=TrialState.FAIL)
        elif isinstance(given, str):
            trial.set_user_attr(REASON, given)
            final.study.tell(trial, state=TrialState.PRUNED)
        else:
            told(final.study, trial, leave(final.sweep.finals.trial(trial.number), *given))
    return trained
