"""The group `hydra/sweeper/pruner`: what its values may be, and what becomes of trials."""

import re
import warnings

import pytest
from omegaconf import OmegaConf
from optuna.study import StudyDirection
from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.sweep import pruners
from inksweep.sweep.pruners import PRUNERS, ThresholdPrunerConf, WilcoxonPrunerConf
from tests.sweep import apps

# A trial is the mean over folds of unequal difficulty: `gain` is what each fold adds to its own difficulty.
CODE = """
import hydra
from hydra.core.hydra_config import HydraConfig
from inksweep import trial
from inksweep.errors import one_line_errors

DIFFICULTY = [0.1, 0.6, 0.2, 0.5, 0.3, 0.4, 0.15, 0.55]
GAINS = {
    "good": [0.2] * 8,
    "bad": [0.0] * 8,  # worse in every fold, but better in its fold 1 than `good` in its fold 0
    "uneven": [0.1, 0.1, 0.1, 0.4, 0.4, 0.4, 0.4, 0.4],
    "bad too": [0.1] * 8,
}

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    values = []
    for fold, difficulty in enumerate(DIFFICULTY):
        values.append(difficulty + GAINS[cfg.kind][fold])
        trial.report(fold, values[-1])
        if trial.should_stop():
            break
    return sum(values) / len(values)

if __name__ == "__main__":
    with one_line_errors():
        main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
kind: good
hydra:
  sweep: {dir: night}
  sweeper:
    direction: maximize
    n_trials: 4
    params: {kind: "choice(good,bad,uneven,'bad too')"}
    enqueue: [{kind: good}, {kind: bad}, {kind: uneven}, {kind: bad too}]
"""
COMPLETE, PRUNED = TrialState.COMPLETE, TrialState.PRUNED


@pytest.fixture
def app(tmp_path):
    return apps.write(tmp_path / "app", CODE, CONFIG)


def fates(app):
    """What became of each trial, and how many folds it reported."""
    return [(trial.state, len(trial.intermediate_values)) for trial in app.trials()]


@pytest.mark.parametrize("launcher", ["slots", "basic"])
def test_wilcoxon_compares_a_trial_with_the_best_one_fold_by_fold(app, launcher):
    done = app.run("hydra/sweeper/pruner=wilcoxon", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    # One-sided, four folds that are all worse have p = 1/16, below 0.1; three have 1/8, and `uneven` is worse in three.
    # It is then the best. `bad too` equals it in those three folds, so that its fate takes seven.
    assert fates(app) == [(COMPLETE, 8), (PRUNED, 4), (COMPLETE, 8), (PRUNED, 7)]
    assert app.result(1)["reason"] == "pruned"
    for text in (done.stdout, done.stderr, *(path.read_text() for path in app.sweep.glob("*/output.log"))):
        assert "Warning" not in text


def test_wilcoxon_waits_for_as_many_folds_as_it_is_told_to(app):
    done = app.run("hydra/sweeper/pruner=wilcoxon", "hydra.sweeper.pruner.n_startup_steps=6")
    assert done.returncode == 0, done.stderr
    assert fates(app)[:2] == [(COMPLETE, 8), (PRUNED, 6)]


def test_threshold_prunes_what_is_out_of_bounds(app):
    # Fold 0 of `bad` is 0.1, that of `uneven` 0.2; fold 1 of `good` is 0.8.
    words = ["hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.lower=0.15"]
    done = app.run(*words)
    assert done.returncode == 0, done.stderr
    assert fates(app) == [(COMPLETE, 8), (PRUNED, 1), (COMPLETE, 8), (COMPLETE, 8)]


def test_threshold_begins_after_its_warm_up(app):
    words = ["hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=0.74"]
    done = app.run(*words, "hydra.sweeper.pruner.n_warmup_steps=2")
    assert done.returncode == 0, done.stderr
    assert fates(app)[:2] == [(PRUNED, 8), (COMPLETE, 8)]  # fold 1 of `good`, 0.8, is passed over; its fold 7 is 0.75


@pytest.mark.parametrize(
    ("conf", "values", "message"),
    [
        (
            ThresholdPrunerConf,
            {},
            "hydra/sweeper/pruner=threshold: has no threshold; give hydra.sweeper.pruner.lower, ",
        ),
        (ThresholdPrunerConf, {"lower": 2.0, "upper": 1.0}, "hydra.sweeper.pruner.lower=2.0: must be at most"),
        (ThresholdPrunerConf, {"upper": float("nan")}, "hydra.sweeper.pruner.upper=nan: must be a finite number"),
        (ThresholdPrunerConf, {"lower": 0.0, "n_warmup_steps": -1}, "hydra.sweeper.pruner.n_warmup_steps=-1: must be"),
        (ThresholdPrunerConf, {"lower": 0.0, "interval_steps": 0}, "hydra.sweeper.pruner.interval_steps=0: must be"),
        (WilcoxonPrunerConf, {"p_threshold": 1.5}, "hydra.sweeper.pruner.p_threshold=1.5: must be from 0 to 1"),
        (WilcoxonPrunerConf, {"p_threshold": float("nan")}, "hydra.sweeper.pruner.p_threshold=nan: must be"),
        (WilcoxonPrunerConf, {"n_startup_steps": -1}, "hydra.sweeper.pruner.n_startup_steps=-1: must be at least 0"),
    ],
)
def test_a_value_out_of_range_is_named(conf, values, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        conf(**values)


@pytest.mark.parametrize(
    ("code", "argument", "line"),
    [
        ("", "hydra/sweeper/pruner=threshold", "error: hydra/sweeper/pruner=threshold: has no threshold; give hydra."),
        (
            "import sys; sys.modules['scipy'] = None",  # as if it were not installed
            "hydra/sweeper/pruner=wilcoxon",
            "error: hydra.sweeper.pruner=optuna.pruners.WilcoxonPruner: needs the package scipy, which is not "
            "installed; install it (pip install scipy) or choose another pruner",
        ),
    ],
)
def test_what_is_missing_is_one_line_before_anything_is_written(app, code, argument, line):
    (app.root / "app.py").write_text(f"{code}\n{CODE}")
    done = app.run(argument)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(line)
    assert not app.sweep.exists()


def test_the_package_of_a_wrapped_pruner_is_looked_for_too(monkeypatch):
    monkeypatch.setattr(pruners.importlib.util, "find_spec", lambda name: None)
    conf = {"_target_": "optuna.pruners.PatientPruner", "patience": 1}
    conf["wrapped_pruner"] = {"_target_": "optuna.pruners.WilcoxonPruner"}
    with pytest.raises(
        InputError, match=r"^hydra\.sweeper\.pruner\.wrapped_pruner=.*WilcoxonPruner: needs the package"
    ):
        pruners.build(OmegaConf.create(conf), [StudyDirection.MAXIMIZE])


@pytest.mark.parametrize(
    ("wrapped", "shown"), [("median", "median"), (["median"], r"\['median'\]"), ({"a": 1}, "{'a': 1}")]
)
def test_a_wrapped_pruner_that_is_no_mapping_with_a_class_is_named(wrapped, shown):
    conf = {"_target_": "optuna.pruners.PatientPruner", "patience": 1, "wrapped_pruner": wrapped}
    with pytest.raises(
        InputError,
        match=rf"^hydra\.sweeper\.pruner\.wrapped_pruner={shown}: must be a mapping with _target_, "
        r"such as {_target_: optuna\.pruners\.MedianPruner}$",
    ):
        pruners.build(OmegaConf.create(conf), [StudyDirection.MAXIMIZE])


@pytest.mark.parametrize("name", PRUNERS)
def test_every_option_can_be_built_and_optuna_warns_of_none(name):
    conf = PRUNERS[name](lower=0.5) if PRUNERS[name] is ThresholdPrunerConf else PRUNERS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = pruners.build(OmegaConf.create(vars(conf)), [StudyDirection.MAXIMIZE])
    assert type(built).__name__ == conf._target_.rpartition(".")[2]
