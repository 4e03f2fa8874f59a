"""A sweep that is killed again and again, in short: benchmarks/chaos.py, with trials that train nothing."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.sweep import apps

CODE = """
import logging, time
from pathlib import Path
import hydra
from inksweep import trial
from inksweep.errors import one_line_errors

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    logging.getLogger(__name__).info("no training images, but a job")
    for step in range(1, 6):
        time.sleep(0.05)
        trial.report(step, -cfg.x * step)
        if trial.should_stop():
            break
    if Path("spoil").exists():
        for path in Path("night").glob("*/result.json"):
            path.write_text("{}")
    return -cfg.x

if __name__ == "__main__":
    with one_line_errors():
        main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
x: 1.0
hydra:
  sweep: {dir: night}
  launcher: {preload: [inksweep.sweep.job.watcher]}
  sweeper: {direction: maximize, params: {x: "interval(0,10)"}, sampler: {seed: 1}, pruner: {n_startup_trials: 2}}
"""

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]


@pytest.fixture
def app(tmp_path):
    return apps.write(tmp_path / "app", CODE, CONFIG)


def chaos(app, **numbers):
    """Let benchmarks/chaos.py kill the sweep of `app`."""
    options = [f"--{name.replace('_', '-')}={number}" for name, number in numbers.items()]
    command = [sys.executable, str(REPOSITORY / "benchmarks/chaos.py"), "--app", str(app.root), *options]
    environment = {**os.environ, apps.MARK: str(app.root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_no_kill_loses_a_trial(app):
    code, said = chaos(app, kills=6, worker_kills=1, n_trials=60, seed=3)
    assert code == 0, said
    # It did what it says; on a quick machine the sweep may be done before the last kills.
    assert re.search(r"^the sweep was killed +[4-6]$", said, re.MULTILINE)
    assert re.search(r"^its journal was left with half a line (more|less) +[1-9]", said, re.MULTILINE)
    assert re.search(r"^exactly n_trials trials have finished +1 +0$", said, re.MULTILINE)
    assert app.leaves_nothing()


def test_a_trial_that_changes_after_its_end_is_seen(app):
    (app.root / "spoil").touch()
    code, said = chaos(app, kills=3, worker_kills=0, n_trials=60, seed=5)
    assert code == 1, said
    assert re.search(r"^a finished trial's result.json stays as it is +\d+ +[1-9]\d*$", said, re.MULTILINE)
