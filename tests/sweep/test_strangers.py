"""Sweep files as others write them for the stock sweeper: each runs with nothing changed but the sweeper's name.

Either its `_target_` is ours, or `hydra/sweeper` is: then `_target_` still names the stock one. The files are those of
public projects, in our own words.
"""

import json
import shlex

import optuna
import pytest
import yaml
from hydra.errors import CompactHydraException

from inksweep.paths import SweepDir
from inksweep.runs.find import find
from inksweep.runs.reader import load
from tests.sweep.test_drop_in import OURS, STOCK, apps, one_line

__all__ = ["apps"]

KEYS = """
x: 1
y: 1
z: 1
error: false
mode: min
seed: 7
name: mnist/night
lowest: -2.5
model: {lr: 0.1, sizes: [1], optimizer: {_target_: torch.optim.SGD}}
many: {a: 0}
jobs: ${oc.env:JOBS}
"""
FILES = {
    "template": """
defaults: [_self_, override hydra/sweeper: SWEEPER]
hydra:
  mode: MULTIRUN
  sweeper:
    _target_: TARGET
    storage: null
    study_name: null
    n_jobs: 1
    direction: maximize
    n_trials: 2
    sampler: {_target_: optuna.samplers.TPESampler, seed: 1234, n_startup_trials: 10}
    params:
      x: choice(32, 64, 128)
      model.lr: interval(0.0001, 0.1)
      model.optimizer._target_: choice("torch.optim.Adam", "adabelief.AdaBelief")
""",
    "no direction": """
defaults: [_self_, override hydra/sweeper/sampler: tpe, override hydra/sweeper: SWEEPER]
hydra:
  sweeper:
    _target_: TARGET
    storage: sqlite:///hparams.db
    study_name: null
    n_jobs: 1
    direction: null
    sampler:
      _target_: optuna.samplers.TPESampler
      seed: null
      consider_prior: true
      prior_weight: 1.0
      consider_magic_clip: true
      consider_endpoints: false
      n_startup_trials: 10
      n_ei_candidates: 24
      multivariate: false
      warn_independent_sampling: true
    n_trials: 2
    params: {x: "interval(1, 5)"}
""",
    "sampler null": """
defaults: [_self_, override hydra/sweeper: SWEEPER, override hydra/sweeper/sampler: null]
hydra:
  sweeper:
    _target_: TARGET
    n_jobs: 1
    direction: MINIMIZE
    n_trials: 2
    max_failure_rate: 0.5
    sampler: {_target_: optuna.samplers.RandomSampler}
    params: {x: "tag(log, interval(0.0001, 1))", y: "shuffle(range(1, 5))"}
""",
    "interpolations": """
defaults: [_self_, override hydra/sweeper: SWEEPER, override hydra/sweeper/sampler: random]
hydra:
  sweep: {subdir: "${hydra.job.num}_${hydra.job.override_dirname}"}
  sweeper:
    _target_: TARGET
    direction: ${mode}imize
    study_name: ${name}
    n_trials: 2
    n_jobs: 1
    sampler: {seed: "${seed}"}
    params: {x: "interval(${lowest}, 1)", "model.sizes": "choice([1, 2], [3])", "+new.key": 3}
""",
    "other numbers": """
defaults: [_self_, override hydra/sweeper: SWEEPER, override hydra/sweeper/sampler: qmc]
hydra:
  sweeper:
    _target_: TARGET
    direction: minimize
    n_trials: 2
    n_jobs: 1
    params:
      x: int(interval(1, 9000))
      y: float(range(1, 4))
      model.lr: 1.0e-3
      z: true
      error: "false"
""",
    "folders by values": """
defaults: [_self_, override hydra/sweeper: SWEEPER, override hydra/sweeper/sampler: grid]
hydra:
  mode: MULTIRUN
  sweep: {subdir: "z_${z}/x_${x}/lr_${model.lr}"}
  sweeper:
    _target_: TARGET
    sampler: {_target_: optuna.samplers.GridSampler}
    study_name: night
    n_trials: 100
    n_jobs: 4
    params:
      x: choice(0.5, 0.25)
      z: 42
      model.lr: choice(0.1)
""",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("sweeper", "target"), [("optuna", OURS), ("inksweep", STOCK)])
def test_a_file_for_the_stock_sweeper_runs(apps, tmp_path, name, sweeper, target):
    text = FILES[name].replace("SWEEPER", sweeper).replace("TARGET", target) + KEYS
    (tmp_path / "sphere.yaml").write_text(text)
    jobs = apps.run("sphere", target, "hydra.sweep.dir=sweeps/mnist/night", "hydra/launcher=basic").jobs
    assert len(jobs) == 2
    sweep = SweepDir(tmp_path / "sweeps/mnist/night")
    settings = yaml.safe_load(sweep.config.read_text())["sweeper"]
    assert settings["_target_"] == OURS
    assert all(sweep.trial(number).result.is_file() for number in (0, 1))
    if name == "interpolations":
        assert settings["study_name"] == "mnist/night"
        assert all(job["new"] == {"key": 3} and -2.5 <= job["x"] <= 1 for job in jobs)
        assert sweep.trial(1).root.name.startswith("1_")
    if name == "folders by values":
        assert {sweep.trial(number).root.parent.name for number in (0, 1)} == {"x_0.5", "x_0.25"}
        assert not any(run.maximize for run in load(find([sweep.root])))
    if name == "no direction":
        study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/hparams.db")
        assert study.direction.name == "MINIMIZE"


def test_the_search_space_of_before_hydra_1_2_is_said_as_it_is_written_now(apps, tmp_path):
    old = """
    search_space:
      x: {type: float, low: 0.5, high: 1.5}
      y: {type: int, low: 1, high: 3}
      z: {type: categorical, choices: [1, 2]}
      model.lr: {type: float, low: 0.001, high: 1, log: true}
      many.a: {type: float, low: 0, high: 1, step: 0.5}
"""
    file = "defaults: [_self_, override hydra/sweeper: inksweep]\nhydra:\n  sweeper:" + old + KEYS
    (tmp_path / "sphere.yaml").write_text(file)
    with pytest.raises(CompactHydraException) as raised:
        apps.run("sphere", OURS)
    assert one_line(raised) == (
        "hydra.sweeper.search_space: is hydra.sweeper.params now; write x: interval(0.5, 1.5), y: range(1, 4), "
        "z: choice(1, 2), model.lr: tag(log, interval(0.001, 1)), many.a: range(0, 1.5, 0.5)"
    )


def test_parameters_may_be_any_value_of_yaml(apps, tmp_path):
    params = {"x": 0.5, "z": None, "many.a": [1, "a,b"], "+new": {"deep": [None]}, "model.sizes": "choice([1],[2])"}
    config = {"defaults": ["_self_", {"override hydra/sweeper": "inksweep"}], "hydra": {"sweeper": {"params": params}}}
    (tmp_path / "sphere.yaml").write_text(yaml.safe_dump(config) + KEYS)
    (job,) = apps.run("sphere", OURS, "hydra.sweeper.n_trials=1", "hydra/launcher=basic").jobs
    assert (job["z"], job["many"]["a"], job["new"]) == (None, [1, "a,b"], {"deep": [None]})


def test_a_sampler_that_takes_parameters_apart_needs_no_word_about_groups(apps, tmp_path):
    # The default samples them together, and apart for each branch: Optuna has the second only with the first.
    (tmp_path / "sphere.yaml").write_text("defaults: [_self_, override hydra/sweeper: inksweep]" + KEYS)
    words = ["hydra.sweeper.sampler.multivariate=false", "hydra.sweeper.n_trials=1", "hydra/launcher=basic"]
    assert len(apps.run("sphere", OURS, "x=interval(0,1)", *words).jobs) == 1


# Hydra refuses a single run of it: "hydra.mode changed during config composition".
def test_the_command_that_trains_a_winner_again_runs_once_though_a_file_asks_for_a_sweep(apps, tmp_path):
    (tmp_path / "sphere.yaml").write_text("defaults: [_self_, {search: null}]" + KEYS)
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "best.yaml").write_text(
        """# @package _global_
defaults: [override /hydra/sweeper: inksweep]
hydra: {mode: MULTIRUN, sweeper: {n_trials: 1, params: {x: "interval(0, 1)"}}}
"""
    )
    for words, is_needed in ((["search=best"], True), (["hydra/sweeper=inksweep", "x=interval(0,1)"], False)):
        sweep = SweepDir(tmp_path / f"sweeps/{is_needed}")
        apps.run("sphere", OURS, *words, f"hydra.sweep.dir={sweep.root}", "hydra.sweeper.n_trials=1")
        again = shlex.split(json.loads(sweep.trial(0).result.read_text())["command"])
        assert ("hydra.mode=RUN" in again) is is_needed
        assert any(word.startswith("x=0.") for word in again)
