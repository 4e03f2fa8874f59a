"""The default sampler: Optuna's TPE over the best trials and the latest ones."""

import warnings

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from inksweep.sweep.tpe import GOOD, JointTPESampler, considered

SPREAD = {"x": FloatDistribution(0, 1)}


@pytest.fixture(autouse=True)
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def study_of(count, sampler, value=lambda number: float(number % 7)):
    study = optuna.create_study(sampler=sampler)
    for number in range(count):
        point = {"x": (number * 37 % count) / count}
        study.add_trial(create_trial(params=point, distributions=SPREAD, value=value(number)))
    return study


def suggested(study):
    return study.ask().suggest_float("x", 0, 1)


def test_it_looks_at_no_more_trials_than_asked_for():
    seen = []

    def gamma(count):  # Optuna asks this how many of `count` trials are good ones
        seen.append(count)
        return 5

    options = {"multivariate": True, "group": True, "constant_liar": True}
    suggested(study_of(130, JointTPESampler(considered=100, gamma=gamma, **options)))
    suggested(study_of(130, JointTPESampler(considered=None, gamma=gamma, **options)))
    assert sorted(set(seen)) == [100, 130]


def test_with_few_trials_it_is_optunas_own():
    options = {"seed": 3, "multivariate": True, "group": True, "constant_liar": True}
    ours, optunas = JointTPESampler(**options), optuna.samplers.TPESampler(**options)
    assert suggested(study_of(60, ours)) == suggested(study_of(60, optunas))


def test_in_a_conditional_space_too():
    def objective(trial):
        value = trial.suggest_float("lr", 1e-4, 1, log=True)
        if trial.suggest_categorical("model", ["cnn", "mlp"]) == "cnn":
            return value + trial.suggest_int("depth", 1, 4)
        if trial.suggest_categorical("wide", [True, False]):
            value += trial.suggest_float("dropout", 0, 1)
        return value - trial.suggest_int("width", 8, 64)

    def points(sampler):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, 40)
        return [trial.params for trial in study.trials]

    options = {"seed": 3, "multivariate": True, "group": True, "constant_liar": True}
    assert points(JointTPESampler(**options)) == points(optuna.samplers.TPESampler(**options))


def test_each_trial_sees_those_that_ended_before_it():
    seen = []
    study = study_of(20, JointTPESampler(gamma=lambda count: seen.append(count) or 5))
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))
    assert sorted(set(seen)) == [20, 21, 22]


def test_the_best_trials_stay_however_old_and_of_the_others_the_latest():
    trials = study_of(200, None, value=lambda number: 0.0 if number in (3, 50) else 1.0 + number).trials
    kept = [trial.number for trial in considered(trials, 60, sign=1)]
    assert len(kept) == 60
    assert kept == sorted(kept)
    assert {3, 50} <= set(kept[:GOOD])
    assert kept[GOOD:] == list(range(200 - (60 - GOOD), 200))
    assert [trial.number for trial in considered(trials, 60, sign=-1)] == list(range(140, 200))


def test_pruned_and_running_trials_are_seen_waiting_ones_are_not():
    seen = []
    study = study_of(60, JointTPESampler(considered=50, gamma=lambda count: seen.append(count) or 5))
    study.add_trial(create_trial(state=TrialState.PRUNED, params={"x": 0.5}, distributions=SPREAD))
    study.ask()
    study.enqueue_trial({"x": 0.1})
    study.enqueue_trial({"x": 0.2})
    study.ask()
    study.ask()
    suggested(study)
    # Of the fifty three run, which do not count here; the trial itself is not shown.
    assert set(seen) == {47}


def test_of_several_objectives_all_trials_are_seen():
    seen = []
    sampler = JointTPESampler(considered=50, gamma=lambda count: seen.append(count) or 5)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    for number in range(60):
        study.add_trial(create_trial(params={"x": number / 60}, distributions=SPREAD, values=[number, 1.0]))
    suggested(study)
    assert set(seen) == {60}


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="considered=10: must be at least 50, or null"):
        JointTPESampler(considered=10)
