"""In the place of the stock Optuna sweeper, with nothing changed but `_target_`, a search stays what it was.

Each case runs the same app twice, once with either sweeper, and compares what its jobs were given and what came out.
The apps are those of the stock sweeper's documentation in our own words: a sphere, two objectives, a search space that
is partly written in Python.
"""

import importlib.util
import json
import logging
import re
import runpy
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import CompactHydraException
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from inksweep.errors import explain
from inksweep.paths import SweepDir
from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.space.declare import declare

STOCK = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
OURS = "inksweep.sweep.plugin.InksweepSweeper"

SPHERE = """
import json
import hydra
from omegaconf import OmegaConf

@hydra.main(config_path=".", config_name="sphere")
def main(cfg):
    with open(cfg.jobs, "a") as file:
        print(json.dumps({k: v for k, v in OmegaConf.to_container(cfg).items() if k != "jobs"}), file=file)
    if cfg.error:
        raise RuntimeError("cfg.error is true")
    return cfg.x**2 + cfg.y**2

main()
"""
SPHERE_CONFIG = """
defaults: [_self_, override hydra/sweeper: optuna]
hydra:
  sweeper:
    sampler: {seed: 123}
    direction: minimize
    study_name: sphere
    storage: null
    n_trials: 2
    n_jobs: 1
    params:
      x: range(-5.5, 5.5, step=0.5)
      y: choice(-5, 0, 5)
x: 1
y: 1
z: 1
error: false
many: {a: 0, b: 0, c: 0, d: 0, e: 0, f: 0, g: 0, h: 0, i: 0}
jobs: ${oc.env:JOBS}
"""
TWO = """
import hydra

@hydra.main(config_path=".", config_name="two")
def main(cfg):
    return 4 * cfg.x**2 + 4 * cfg.y**2, (cfg.x - 5) ** 2 + (cfg.y - 5) ** 2

main()
"""
TWO_CONFIG = """
defaults: [_self_, override hydra/sweeper: optuna, override hydra/sweeper/sampler: nsgaii]
hydra:
  sweeper:
    sampler: {seed: 123}
    direction: [minimize, minimize]
    study_name: two
    storage: null
    n_trials: 6
    n_jobs: 1
    params:
      x: range(0, 5, step=0.5)
      y: range(0, 3, step=0.5)
x: 1
y: 1
"""
PYTHONIC = """
import hydra

@hydra.main(config_path=".", config_name="pythonic")
def main(cfg):
    return cfg.w**2 + cfg.x**2 + cfg.y**2 + cfg.z**2

def configure(cfg, trial):
    x = trial.params["x"]
    trial.suggest_float("z", x - cfg.farthest, x + cfg.farthest)
    trial.suggest_float("+w", 0.0, 1.0)

if __name__ == "__main__":
    main()
"""
PYTHONIC_CONFIG = """
defaults: [_self_, override hydra/sweeper: optuna]
hydra:
  sweeper:
    sampler: {seed: 123}
    direction: minimize
    study_name: pythonic
    storage: null
    n_trials: 3
    n_jobs: 1
    params:
      x: range(-5.5, 5.5, 0.5)
      y: choice(-5, 0, 5)
    custom_search_space: pythonic.configure
x: 1
y: 1
z: 100
farthest: 0.5
"""


@dataclass
class Outcome:
    """What a sweep left."""

    sweep: Path
    jobs: list[dict[str, Any]]

    @property
    def results(self) -> dict[str, Any]:
        """optimization_results.yaml."""
        return yaml.safe_load((self.sweep / "optimization_results.yaml").read_text())

    @property
    def overrides(self) -> list[list[str]]:
        """What each job was told, in the order of their numbers."""
        folders = sorted((path for path in self.sweep.iterdir() if path.name.isdecimal()), key=lambda p: int(p.name))
        return [yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text()) for folder in folders]


class Apps:
    """Runs one of the apps above as `python APP.py --multirun ARGUMENTS` does, in this process."""

    def __init__(self, home, monkeypatch):
        self.home, self.monkeypatch = home, monkeypatch
        for name, (script, config) in {
            "sphere": (SPHERE, SPHERE_CONFIG),
            "two": (TWO, TWO_CONFIG),
            "pythonic": (PYTHONIC, PYTHONIC_CONFIG),
        }.items():
            (home / f"{name}.py").write_text(script)
            (home / f"{name}.yaml").write_text(config)

    def run(self, app: str, sweeper: str, *arguments: str, sweep: str | None = None) -> Outcome:
        folder = self.home / (sweep or sweeper.rpartition(".")[2])
        jobs = self.home / f"{folder.name}.jsonl"
        argv = [f"{app}.py", "--multirun", f"hydra.sweeper._target_={sweeper}"]
        if not any(argument.startswith("hydra.sweep.dir=") for argument in arguments):
            argv.append(f"hydra.sweep.dir={folder}")
        self.monkeypatch.setattr(sys, "argv", [*argv, *arguments])
        self.monkeypatch.setenv("JOBS", str(jobs))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Optuna, about what is experimental
                runpy.run_path(str(self.home / f"{app}.py"), run_name="__main__")
        finally:
            GlobalHydra.instance().clear()
            sys.modules.pop(app, None)
        return Outcome(folder, [json.loads(line) for line in jobs.read_text().splitlines()] if jobs.exists() else [])

    def both(self, app: str, *arguments: str) -> tuple[Outcome, Outcome]:
        return self.run(app, STOCK, *arguments), self.run(app, OURS, *arguments)


@pytest.fixture
def apps(tmp_path, monkeypatch, can_be_forked):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # let exceptions through
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Apps(tmp_path, monkeypatch)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def one_line(raised) -> str:
    line = explain(raised.value)
    assert line is not None
    assert "\n" not in line
    return line


# Every job makes Hydra compose a config, so a case holds many keys.
FORMS = {
    "intervals": [
        "x=interval(-5.0, 5.0)",
        "y=interval(0, 10)",
        "many.a=int(interval(-5.0, 5.0))",
        "many.b=tag(log, interval(1, 10))",
        "many.c=int(tag(log, interval(1, 1000)))",
        "many.d=tag(log, int(interval(1, 1000)))",
        "+new=interval(0, 1)",
        "++many.e=float(interval(1, 2))",
    ],
    "ranges": [
        "x=range(-5.0, 5.0)",
        "y=range(0.5, 5.5, step=1)",
        "many.a=range(1, 5)",
        "many.b=range(10, 1, step=-3)",
        "many.c=range(3)",
        "many.d=float(range(1, 5))",
        "many.e=range(0.1, 1, step=0.1)",
        "many.f=range(0, 1e-3, 1e-4)",
    ],
    "choices": [
        "x=choice(-5.0, 0.0, 5.0)",
        "y=choice(0, 1, 2, 3, 4, 5)",
        "many.a=choice('hello world', \"two\")",
        "many.b=null,some",
        "many.c=true,false,1,1.5,word",
        "many.d=choice([1,2],[3])",
        "many.e=choice({a:1},{b:2})",
        "many.f=int(choice(1.5, 2.5))",
        "many.g=sort(3, 1, 2)",
        "++many.h=shuffle(only)",
    ],
    "fixed": [
        "y=0",
        "many.a='hello, world'",
        "many.b=null",
        "many.c=[1,2]",
        "many.d={a:1}",
        "many.e=true",
        "many.f='7'",
        "many.g=1e-3",
        "~many.h",
        "~many.i=0",
        "~z=1",
        "+new='a b'",
        "++other=7",
    ],
}


@pytest.mark.parametrize("arguments", FORMS.values(), ids=FORMS)
def test_jobs_are_given_the_same_and_the_results_are_the_same(apps, arguments):
    stock, ours = apps.both("sphere", "hydra/sweeper/sampler=random", *arguments)
    assert len(ours.jobs) == 2
    assert ours.jobs == stock.jobs
    assert ours.results == stock.results
    assert list(ours.results) == ["name", "best_params", "best_value"]


def test_a_shuffled_range_is_a_choice(apps):
    space = ["x=interval(0, 1)", "y=shuffle(range(-5, 5))", "many.a=shuffle(1, 2, 3)", "hydra.sweeper.n_trials=1"]
    ours = apps.run("sphere", OURS, *space)
    (trial,) = load(ours.sweep / "study.journal").trials
    assert ours.jobs[0]["y"] in range(-5, 5)
    assert set(trial.distributions["y"].choices) == set(range(-5, 5))
    assert set(trial.distributions["many.a"].choices) == {1, 2, 3}


def test_a_quoted_choice_stays_text(apps):
    # The stock sweeper drops the quotes on the way to the job: it gets null, true and 3.
    ours = apps.run("sphere", OURS, "many.a=choice('null')", "many.b=choice('true')", "many.c=choice('3','3')")
    assert [ours.jobs[0]["many"][key] for key in "abc"] == ["null", "true", "3"]


def load(journal, name="sphere"):
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(journal))))


def test_a_point_that_comes_again_is_run_again(apps):
    # As many runs of one point as n_trials, for whoever wants to know how its results vary.
    assert len(apps.run("sphere", OURS, "x=2.5", "y=0").jobs) == 2


def test_a_replaced_parameter_keeps_its_place():
    space = declare({"x": "range(0, 5)", "y": "range(0, 5)"}, None, ["x=interval(0, 1)"])
    assert list(space.block) == ["x", "y"]


def needs(*packages):
    """What of this is missing."""
    return [package for package in packages if importlib.util.find_spec(package) is None]


@pytest.mark.parametrize(
    ("sampler", "missing", "settings"),
    [
        # First trials of most are random: a few are enough to see the sampler itself, or all of them are.
        ("tpe", [], ["hydra.sweeper.sampler.n_startup_trials=1", "hydra.sweeper.n_trials=3"]),
        ("nsgaii", [], []),
        ("nsgaiii", [], []),
        ("cmaes", needs("cmaes"), []),
        ("gp", needs("scipy", "torch"), ["hydra.sweeper.sampler.n_startup_trials=0"]),
        ("qmc", needs("scipy"), []),
    ],
)
def test_samplers_suggest_the_same(apps, sampler, missing, settings):
    # tpe has a range of the config's own, too.
    space = [*([] if sampler == "tpe" else ["x=interval(-5, 5)"]), "y=interval(-5, 5)"]
    space += [f"hydra/sweeper/sampler={sampler}", *settings]
    if missing:
        with pytest.raises(CompactHydraException) as raised:
            apps.run("sphere", OURS, *space)
        said = f"needs the package {' and '.join(missing)}, which is not installed; install it (pip install "
        assert re.search(f"^hydra.sweeper.sampler=.*{re.escape(said)}", one_line(raised))
        return
    stock, ours = apps.both("sphere", *space)
    assert len(ours.jobs) >= 2
    assert ours.jobs == stock.jobs
    assert ours.results == stock.results


def test_the_sampler_that_optuna_no_longer_has_is_named(apps, tmp_path):
    config = tmp_path / "sphere.yaml"
    config.write_text(config.read_text().replace("sampler: {seed: 123}", "sampler: {}"))
    with pytest.raises(Exception, match="motpe") as raised:
        apps.run("sphere", OURS, "hydra/sweeper/sampler=motpe")
    assert "removed in Optuna 4.0" in one_line(raised)


def test_the_grid_sampler_ends_with_the_grid(apps):
    grid = ["hydra/sweeper/sampler=grid", "x=choice(-1, 1)", "y=range(-1.0, 1.0, step=1)", "many.a=choice('b r')"]
    ours = apps.run("sphere", OURS, *grid, "hydra.sweeper.n_trials=20")
    points = {(job["x"], job["y"], job["many"]["a"]) for job in ours.jobs}
    assert len(ours.jobs) == 4
    assert points == {(x, y, a) for x in (-1, 1) for y in (-1, 0) for a in ("b r",)}
    assert ours.results["best_value"] == 1
    with pytest.raises(CompactHydraException) as raised:
        apps.run("sphere", OURS, "hydra/sweeper/sampler=grid", "x=interval(0, 1)", sweep="endless")
    assert one_line(raised).startswith("x: GridSampler only supports discrete distributions.")


def test_several_objectives(apps):
    stock, ours = apps.both("two")
    assert list(ours.results) == list(stock.results) == ["name", "solutions"]
    assert unordered(ours.results["solutions"]) == unordered(stock.results["solutions"])
    for values in (solution["values"] for solution in ours.results["solutions"]):
        assert len(values) == 2


def unordered(solutions):
    # A point that came twice stands there once or twice.
    return {json.dumps(solution, sort_keys=True) for solution in solutions}


def test_a_space_written_in_python(apps):
    stock, ours = apps.both("pythonic", "farthest=0.3")
    assert parameters(ours) == parameters(stock)
    assert ours.results == stock.results
    best = ours.results["best_params"]
    assert set(best) == {"x", "y", "z", "+w"}
    assert abs(best["x"] - best["z"]) <= 0.3
    # What is fixed it may not suggest; either says so.
    with pytest.raises(ValueError, match="z"):
        apps.run("pythonic", STOCK, "z=1", sweep="stock_fixed")
    with pytest.raises(CompactHydraException) as raised:
        apps.run("pythonic", OURS, "z=1", sweep="ours_fixed")
    assert one_line(raised) == "hydra.sweeper.custom_search_space: suggests z, which is fixed to 1"


def parameters(outcome):
    return [sorted(overrides) for overrides in outcome.overrides]


def test_a_database_and_a_name(apps, tmp_path):
    apps.run("sphere", OURS, "hydra.sweeper.storage=sqlite:///mine.db", "hydra.sweeper.study_name=named")
    study = optuna.load_study(study_name="named", storage=f"sqlite:///{tmp_path}/mine.db")
    assert len(study.trials) == 2
    assert study.direction.name == "MINIMIZE"
    # n_trials is the number of all: where the stock sweeper adds as many again.
    again = ["hydra.sweeper.storage=sqlite:///mine.db", "hydra.sweeper.study_name=named", "hydra.sweeper.n_trials=3"]
    assert len(apps.run("sphere", OURS, *again, sweep="another_day").jobs) == 1


def test_the_sweep_directory_and_the_stock_sweepers_number_of_jobs(apps, tmp_path):
    # n_jobs is 2 unless told; Hydra's basic launcher then runs them one after the other.
    config = tmp_path / "sphere.yaml"
    config.write_text(config.read_text().replace("    n_jobs: 1\n", ""))
    apps.run("sphere", OURS, "hydra.sweep.dir=here/${hydra.sweeper.study_name}", "hydra.job.chdir=true")
    assert {path.name for path in (tmp_path / "here" / "sphere").iterdir()} >= {"0", "1"}
    assert (tmp_path / "here" / "sphere" / "optimization_results.yaml").is_file()


def test_a_trial_is_described_also_where_hydra_is_to_write_nothing(apps, tmp_path):
    apps.run("sphere", OURS, "hydra.sweep.dir=here", "hydra.output_subdir=null", "hydra.sweeper.n_trials=1")
    trial = SweepDir(tmp_path / "here").trial(0)
    assert {path.name for path in trial.config.parent.iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert SweepDir(tmp_path / "here").winner.config.read_bytes() == trial.config.read_bytes()


def test_failures(apps):
    with pytest.raises(RuntimeError, match=r"cfg\.error is true"):
        apps.run("sphere", OURS, "error=true", sweep="none_allowed")
    allowed = ["x=interval(0, 1)", "y=0.5,0.5", "error=choice(true,true,false)", "hydra/sweeper/sampler=random"]
    allowed += ["hydra.sweeper.n_trials=3"]
    stock, ours = apps.both("sphere", *allowed, "hydra.sweeper.max_failure_rate=1.0")
    assert {job["error"] for job in ours.jobs} == {True, False}
    assert ours.jobs == stock.jobs
    assert ours.results == stock.results
    # Nobody ran to its end: the stock sweeper stumbles over the missing best trial.
    allowed = ["error=true", "hydra.sweeper.max_failure_rate=1.0"]
    assert len(apps.run("sphere", OURS, *allowed, sweep="all").jobs) == 2


def test_a_key_that_the_stock_sweeper_does_not_have_is_refused(apps):
    with pytest.raises(Exception, match="n_trial") as raised:
        apps.run("sphere", OURS, "hydra.sweeper.n_trial=3")
    assert "Did you mean: 'n_trials'?" in one_line(raised)


def test_it_has_every_key_and_default_of_the_stock_sweeper_but_those_named_here():
    ours, stock = vars(InksweepSweeperConf()), vars(OptunaSweeperConf())
    differing = {key for key, value in stock.items() if ours[key] != value}
    assert differing == {"_target_", "defaults", "n_jobs", "max_failure_rate"}
