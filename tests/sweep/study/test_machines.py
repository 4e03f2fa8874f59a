"""Several machines that share only a database: a real PostgreSQL, and a folder for each that stands for a machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from inksweep.sweep.study.notes import LOST, OWNER, REPEATS
from inksweep.sweep.study.trials import counts

pytest_plugins = ["tests.sweep.postgres"]

APP = """
import json, time
from pathlib import Path
import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from inksweep import trial
from inksweep.errors import one_line_errors

@hydra.main(config_path=None, config_name="config")
def main(cfg):
    for step in range(1, 6):
        time.sleep(cfg.sleep)
        trial.report(step, cfg.x, total=5)
        if trial.should_stop():
            break
    out = Path(HydraConfig.get().runtime.output_dir)
    (out / "result.json").write_text(json.dumps({"status": "completed", "metrics": {"test/accuracy": cfg.x}}))
    return cfg.x

if __name__ == "__main__":
    ConfigStore.instance().store(name="config", node={"x": 0.0, "sleep": 0.02})
    with one_line_errors():
        main()
"""


@pytest.fixture
def machines(tmp_path):
    """Return two folders with the app, which stand for two machines."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        (folder / "app.py").write_text(APP)
    return folders


def command(url, *words):
    fixed = ["hydra/sweeper=inksweep", "hydra.sweeper.study_name=night", "hydra.sweep.dir=night", "x=interval(0,1)"]
    store = f'hydra.sweeper.storage="{url}"'
    return [sys.executable, "app.py", "-m", *fixed, store, "hydra.sweeper.direction=maximize",
            "hydra/sweeper/pruner=none", "hydra.sweeper.heartbeat_s=1", *words]  # fmt: skip


def start(folder, url, *words):
    return subprocess.Popen(
        command(url, *words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def trials(url):
    return optuna.load_study(study_name="night", storage=url).get_trials(deepcopy=False)


def ends(process, seconds=120):
    text, _ = process.communicate(timeout=seconds)
    return process.returncode, text


def wait_for(condition, seconds=180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def numbers_running(url, host_folder):
    try:
        found = trials(url)
    except Exception:  # the study is not there yet
        return []
    folders = {path.name for path in (host_folder / "night").glob("[0-9]*")}
    return [t.number for t in found if t.state is TrialState.RUNNING and str(t.number) in folders]


@pytest.mark.full
def test_two_processes_share_a_study_to_the_last_trial(machines, postgres_url):
    words = ["hydra.sweeper.n_trials=20", "hydra.sweeper.n_jobs=2"]
    joined = [start(folder, postgres_url, *words) for folder in machines]
    for process in joined:
        code, text = ends(process)
        assert code == 0, text
        assert "all 20 trials are done" in text
    counted = [trial for trial in trials(postgres_url) if counts(trial)]
    assert [trial.state for trial in counted] == [TrialState.COMPLETE] * 20
    owners = Counter(trial.user_attrs[OWNER]["id"] for trial in counted)
    assert len(owners) == 2, "both took part"
    # The same sampler seed on both, and yet no point twice.
    assert len({trial.params["x"] for trial in counted}) == 20
    # Each trial's folder lies where it ran, and nowhere else.
    ran = [path.name for folder in machines for path in (folder / "night").glob("[0-9]*")]
    assert len(ran) == len(set(ran))
    assert {str(trial.number) for trial in counted} <= set(ran)
    # The winner is saved by each that finds its folder, which is on this disk for both.
    best = max(counted, key=lambda trial: trial.value)
    assert sum((folder / "night" / str(best.number)).exists() for folder in machines) == 1
    for folder in machines:
        assert (folder / "night" / "winner" / "README.md").exists()
        saved = json.loads((folder / "night" / "winner" / "result.json").read_text())
        assert saved["objective"]["value"] == best.value


@pytest.mark.full
def test_a_machine_that_vanishes_is_noticed_and_its_trial_is_repeated_by_the_other(machines, postgres_url):
    one, two = machines
    doomed = start(one, postgres_url, "hydra.sweeper.n_trials=4", "hydra.sweeper.on_mismatch=continue", "sleep=30")
    wait_for(lambda: numbers_running(postgres_url, one))
    time.sleep(1.0)  # it has sent a heartbeat
    (lost,) = numbers_running(postgres_url, one)
    other = start(two, postgres_url, "hydra.sweeper.n_trials=4", "hydra.sweeper.on_mismatch=continue", "sleep=0.02")
    os.killpg(doomed.pid, signal.SIGKILL)
    doomed.communicate()
    code, text = ends(other)
    assert code == 0, text
    found = trials(postgres_url)
    assert found[lost].state is TrialState.FAIL
    assert LOST in found[lost].user_attrs
    (again,) = [trial for trial in found if trial.user_attrs.get(REPEATS) == lost]
    assert (again.params, again.state) == (found[lost].params, TrialState.COMPLETE)
    assert sum(counts(trial) and trial.state is TrialState.COMPLETE for trial in found) == 4
    assert not any(trial.state is TrialState.RUNNING for trial in found)


@pytest.mark.full
def test_the_target_ends_all_processes(machines, postgres_url):
    words = ["hydra.sweeper.n_trials=500", "hydra.sweeper.target={metric: test/accuracy, value: 0.5}", "sleep=0.3"]
    joined = [start(folder, postgres_url, *words) for folder in machines]
    for process in joined:
        code, text = ends(process)
        assert code == 0, text
        assert "the target is reached" in text
    assert len(trials(postgres_url)) < 50
    for folder in machines:
        assert json.loads((folder / "night" / "summary.json").read_text())["stop_reason"] == "target"
