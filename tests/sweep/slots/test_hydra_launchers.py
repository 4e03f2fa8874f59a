"""Hydra's launchers as slots: what is known of each; and each for real, two trials at a time, pruned by the study."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import optuna
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from optuna.trial import TrialState

from inksweep.paths import SweepDir
from inksweep.sweep.slots.hydra_launchers import pool, serial_slot, slots
from inksweep.sweep.slots.slots_launcher import SlotsLauncher
from inksweep.sweep.slots.via_launch import BlockingSlot, LauncherSlots
from inksweep.sweep.study.journal import open_journal
from inksweep.sweep.study.notes import OWNER

APP = """
import json, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from inksweep import trial
from inksweep.errors import one_line_errors

@hydra.main(config_path=None, config_name="config")
def main(cfg):
    summary = Path(HydraConfig.get().runtime.cwd, "night/summary.json")
    while cfg.x < cfg.below_waits and json.loads(summary.read_text())["trials"]["complete"] < 2:
        time.sleep(0.02)
    for step in range(1, 6):
        time.sleep(cfg.sleep)
        trial.report(step, cfg.x, total=5)
        if trial.should_stop():
            break
    return cfg.x

if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore
    ConfigStore.instance().store(name="config", node={"x": 0.0, "sleep": 0.02, "below_waits": 0.0})
    with one_line_errors():
        main()
"""
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ["hydra/launcher=joblib"]),
    "ray": ("hydra_plugins.hydra_ray_launcher", ["hydra/launcher=ray"]),
    "submitit": ("hydra_plugins.hydra_submitit_launcher", ["hydra/launcher=submitit_local"]),
}


def command(launcher, *words):
    package, choice = LAUNCHERS[launcher]
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{package} is not installed")
    fixed = ["hydra/sweeper=inksweep", "hydra.sweep.dir=night", "hydra.sweeper.direction=maximize", "x=interval(0,1)"]
    return [sys.executable, "app.py", "-m", *fixed, "hydra.sweeper.n_jobs=2", *choice, *words]


@pytest.fixture
def app(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.setenv("HOME", str(tmp_path))  # ray leaves a token there
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    return tmp_path


def study(app):
    return optuna.load_study(study_name="night", storage=open_journal(app / "night" / "study.journal"))


def states(app):
    return [trial.state for trial in study(app).trials]


@pytest.mark.full
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_gives_slots(app, launcher):
    # The best first: those that follow are worse at their first report, and are pruned there. They wait until both of
    # the first, of which either may be the slower one, have ended.
    points = "[{x: 0.9},{x: 0.8},{x: 0.1},{x: 0.2}]"
    words = ["hydra.sweeper.n_trials=4", f"hydra.sweeper.enqueue={points}", "hydra.sweeper.pruner.n_startup_trials=2"]
    words.append("below_waits=0.5")
    done = subprocess.run(command(launcher, *words), cwd=app, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert states(app) == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED] * 2
    assert [trial.params["x"] for trial in study(app).trials] == [0.9, 0.8, 0.1, 0.2]
    first, second = study(app).trials[:2]
    assert {first.user_attrs[OWNER]["slot"], second.user_attrs[OWNER]["slot"]} == {0, 1}
    assert second.datetime_start < first.datetime_complete
    assert [json.loads((app / f"night/{n}/result.json").read_text())["status"] for n in range(4)] == [
        "completed", "completed", "pruned", "pruned",
    ]  # fmt: skip
    assert "winner: trial 0" in done.stdout


@pytest.mark.full
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ctrl_c_ends_trials_at_their_report_and_the_same_command_goes_on(app, launcher):
    # Long trials, which a Ctrl-C in their own process would end without a word.
    words = command(launcher, "hydra.sweeper.n_trials=3", "hydra.sweeper.on_mismatch=continue")
    sweep = subprocess.Popen([*words, "sleep=2"], cwd=app, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    journal = app / "night" / "study.journal"
    while not (journal.exists() and journal.read_text().count('"intermediate_value"') >= 2):
        assert time.monotonic() < deadline, "no trial reported"
        time.sleep(0.1)
    os.killpg(sweep.pid, signal.SIGINT)  # what a terminal sends: to all of them
    assert sweep.wait(timeout=300) == 130
    assert TrialState.COMPLETE not in states(app)
    assert TrialState.RUNNING not in states(app)
    lost = [trial.params for trial in study(app).trials]
    done = subprocess.run([*words, "sleep=0.01"], cwd=app, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    complete = [trial.params for trial in study(app).trials if trial.state is not TrialState.FAIL]
    assert all(params in complete for params in lost)
    assert sum(state in (TrialState.COMPLETE, TrialState.PRUNED) for state in states(app)) == 3


@pytest.mark.parametrize(
    ("target", "values", "choice"),
    [
        ("hydra._internal.core_plugins.basic_launcher.BasicLauncher", {}, "basic"),
        ("hydra_plugins.x.JoblibLauncher", {"n_jobs": 1}, "joblib hydra.launcher.n_jobs=1"),
        ("hydra_plugins.x.JoblibLauncher", {"n_jobs": -1}, None),
        ("hydra_plugins.x.RayLauncher", {}, None),
        ("inksweep.sweep.slots.slots_launcher.SlotsLauncher", {}, None),
        ("somebody.ElseLauncher", {}, None),
    ],
)
def test_a_launcher_that_runs_jobs_in_the_sweeps_process_has_one_slot(target, values, choice):
    config = OmegaConf.create({"hydra": {"launcher": {"_target_": target, **values}}})
    said = serial_slot(config)
    assert (said is None) == (choice is None)
    assert said is None or said.startswith(f"1 with hydra/launcher={choice}, which runs one job at a time")


def launcher(name, base=Launcher, **attributes):
    """Return a launcher of a class with this name."""
    nothing = dict.fromkeys(("setup", "launch"), lambda self, *args, **kwargs: None)
    built = type(name, (base,), nothing if base is Launcher else {})()
    config = {"hydra_logging": {"root": {}}, "sweep": {"dir": "night"}, "overrides": {"hydra": []}}
    built.config = OmegaConf.create({"hydra": config})
    for key, value in attributes.items():
        setattr(built, key, value)
    return built


def slots_of(launcher, folder, serial=False):
    owner = type("Owner", (), {"id": "abc"})()
    return slots(launcher, 3, serial, SweepDir(folder), owner)


def test_a_launcher_that_is_not_in_the_table_gets_threads_and_the_sweeps_folder(tmp_path):
    built = launcher("ElseLauncher")
    made = slots_of(built, tmp_path)
    assert (type(made), made.size) == (LauncherSlots, 3)
    assert built.config.hydra.sweep.dir == str(tmp_path)
    assert built.config.hydra.hydra_logging.root is None  # a launch configures no logging
    assert list(built.config.hydra.overrides.hydra) == [f"hydra.sweep.dir={tmp_path}"]


def test_each_launcher_gets_what_it_needs(tmp_path):
    joblib = launcher("JoblibLauncher", joblib={})
    assert (type(slots_of(joblib, tmp_path)), joblib.joblib) == (LauncherSlots, {"n_jobs": 3})
    for name in ("LocalLauncher", "SlurmLauncher"):
        submitit = launcher(name, params={})
        slots_of(submitit, tmp_path)
        assert submitit.params == {"max_num_timeout": 0, "submitit_folder": f"{tmp_path}/.submitit/abc/%j"}
    assert type(slots_of(launcher("BasicLauncher"), tmp_path, serial=True)) is BlockingSlot


class SlowBasicLauncher(BasicLauncher):
    """A launcher that a user has made from Hydra's own."""


class OneOfMine(SlowBasicLauncher):
    """One whose name says nothing."""


@pytest.mark.parametrize("kind", [SlowBasicLauncher, OneOfMine])
def test_a_class_that_extends_one_that_runs_jobs_in_the_sweeps_process_has_one_slot(kind, tmp_path):
    config = OmegaConf.create({"hydra": {"launcher": {"_target_": f"{__name__}.{kind.__name__}"}}})
    why = serial_slot(config)
    assert why is not None
    assert type(slots_of(kind(), tmp_path, serial=why is not None)) is BlockingSlot


def test_a_class_that_extends_a_launcher_is_treated_as_that_one(tmp_path, monkeypatch):
    monkeypatch.setattr(SlotsLauncher, "pool", lambda self, size: ("pool", size))
    mine = launcher("MyLauncher", SlotsLauncher)
    assert slots_of(mine, tmp_path) == ("pool", 3)
    assert pool(mine, 2) == ("pool", 2)
    assert pool(launcher("ElseLauncher"), 2) is None
