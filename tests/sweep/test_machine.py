"""A machine that does not give what a sweep needs, as whole commands: no room for files, a database that is away."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from inksweep.paths import SweepDir
from inksweep.sweep.study import reader
from inksweep.sweep.study.storage import Address, open_study
from inksweep.sweep.study.trials import counts

pytest_plugins = ["tests.sweep.postgres"]
pytestmark = [pytest.mark.full, pytest.mark.skipif(sys.platform != "linux", reason="limits and mounts of Linux")]

APP = """
import time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from inksweep import trial

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    for step in range(1, 6):
        time.sleep(cfg.sleep)
        trial.report(step, cfg.x)
    (Path(HydraConfig.get().runtime.output_dir) / "weights").write_bytes(bytes(300_000))
    return cfg.x

if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep, override hydra/sweeper/pruner: none]
x: 1.0
sleep: 0.0
hydra:
  sweeper: {study_name: night, n_trials: 6, params: {x: "interval(0,1)"}, report: false}
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text(CONFIG)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def command(*words):
    return [sys.executable, "app.py", "-m", *words]


def run(app, *words, before=""):
    line = f'{before} exec "$@"'
    return subprocess.run(
        ["bash", "-c", line, "bash", *command(*words)], cwd=app, capture_output=True, text=True, timeout=200
    )


def counted(folder):
    study = reader.look(Address("night", None, folder, 60))  # which writes nothing: the disk may be full
    return [trial.state.name for trial in study.trials if counts(trial) and trial.state.is_finished()]


def test_trials_that_find_no_room_end_the_sweep_in_a_line_and_are_repeated(app):
    # A limit on files stands for a disk: nobody needs to be root for it.
    full = run(app, "hydra.sweep.dir=night", before="ulimit -f 200;")
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    said = r"trial \d: File too large; raise the limit \(ulimit -f\); the same command goes on\n"
    assert re.fullmatch(said, full.stderr)
    assert "lost, to be repeated" in full.stdout
    assert counted(app / "night") == []
    done = run(app, "hydra.sweep.dir=night")
    assert done.returncode == 0, done.stderr
    assert counted(app / "night") == ["COMPLETE"] * 6


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk, and only where a container allows it")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_ends_the_sweep_in_a_line_and_the_same_command_goes_on(app, small_disk):
    words = [f"hydra.sweep.dir={small_disk}/night", "hydra.sweeper.n_jobs=2"]
    full = run(app, *words)
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert "No space left on device; make room; the same command goes on" in full.stderr
    done = counted(small_disk / "night")
    assert done == ["COMPLETE"] * len(done)
    assert len(done) < 6
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    again = run(app, *words)
    assert again.returncode == 0, again.stderr
    assert counted(small_disk / "night") == ["COMPLETE"] * 6
    assert (SweepDir(small_disk / "night").winner.root / "README.md").is_file()


def test_a_database_that_is_started_again_costs_no_trial(app, postgres_server, postgres_url):
    words = [f'hydra.sweeper.storage="{postgres_url}"', "hydra.sweep.dir=night", "hydra.sweeper.n_jobs=2", "sleep=0.5"]
    sweep = subprocess.Popen(
        command(*words), cwd=app, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 120
        while not list((app / "night").glob("[0-9]*")):
            assert sweep.poll() is None, sweep.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1.0)
        postgres_server.break_off()
        time.sleep(2.0)
        postgres_server.go_on()
        text, _ = sweep.communicate(timeout=120)
    finally:
        sweep.kill()
    assert sweep.returncode == 0, text
    assert "does not answer" in text
    assert "answers again" in text
    assert "all 6 trials are done" in text
    trials = open_study(Address("night", postgres_url, app / "night", 60), ["minimize"]).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 6
    assert all(len(trial.intermediate_values) == 5 for trial in trials)
