"""Hydra's other launchers as slots, each for real: two trials at a time, pruned through the storage."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import optuna
import pytest
from optuna.trial import TrialState

from inksweep.sweep.study.journal import open_journal
from inksweep.sweep.study.notes import OWNER

APP = """
import time
import hydra
from inksweep import trial
from inksweep.errors import one_line_errors

@hydra.main(config_path=None, config_name="config")
def main(cfg):
    for step in range(1, 6):
        time.sleep(cfg.sleep)
        trial.report(step, cfg.x, total=5)
        if trial.should_stop():
            break
    return cfg.x

if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore
    ConfigStore.instance().store(name="config", node={"x": 0.0, "sleep": 0.02})
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
    # The best first: those that follow are worse at their first report, and are pruned there.
    points = "[{x: 0.9},{x: 0.8},{x: 0.1},{x: 0.2}]"
    words = ["hydra.sweeper.n_trials=4", f"hydra.sweeper.enqueue={points}", "hydra.sweeper.pruner.n_startup_trials=2"]
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
